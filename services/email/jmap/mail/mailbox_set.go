package mail

import (
	"encoding/json"
	"slices"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/mailbox"
)

// removedAtOnce bounds how many messages of a folder go in one transaction.
const removedAtOnce = 500

// folderChange is one Mailbox/set.
type folderChange struct {
	m     *Mail
	c     *proto.Call
	acct  *account.Account
	out   *proto.SetResult
	tx    record.Tx
	all   []mailbox.Folder // as they are now
	files []string
}

func (m *Mail) mailboxSet(c *proto.Call) (any, error) {
	var own struct {
		RemoveEmails bool `json:"onDestroyRemoveEmails"`
	}
	rest, err := pick(c.Args, &own, "onDestroyRemoveEmails")
	if err != nil {
		return nil, err
	}
	var a proto.SetArgs
	if err := proto.Decode(rest, &a); err != nil {
		return nil, err
	}
	if err := c.CheckSet(&a); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	if own.RemoveEmails && len(a.Destroy) > 0 {
		if err := m.drain(c, acct, a); err != nil {
			return nil, err
		}
	}
	f := &folderChange{m: m, c: c, acct: acct}
	var created map[string]string
	err = m.store.UpdateJMAP(c.Context, func(tx record.Tx) error {
		created = map[string]string{}
		f.tx, f.files, f.out = tx, nil, &proto.SetResult{AccountID: a.AccountID}
		return f.run(a, own.RemoveEmails, created)
	})
	if err != nil {
		return nil, err
	}
	m.mail.Removed(f.files)
	for k, id := range created {
		c.Created(k, id)
	}
	return f.out, nil
}

func (f *folderChange) run(a proto.SetArgs, removeEmails bool, created map[string]string) error {
	st, err := f.tx.StatesNow(f.acct.Mailbox.ID)
	if err != nil {
		return err
	}
	if err := f.m.accounts.InState(a.IfInState, st.Folder); err != nil {
		return err
	}
	f.out.OldState = f.m.accounts.State(st.Folder)
	if f.all, err = f.tx.Folders(f.acct.Mailbox.ID); err != nil {
		return err
	}
	if err := f.createAll(a, created); err != nil {
		return err
	}
	idOf := func(text string) string {
		if len(text) > 0 && text[0] == '#' && created[text[1:]] != "" {
			return created[text[1:]]
		}
		id, _ := f.c.ID(text)
		return id
	}
	for _, text := range proto.Keys(a.Update) {
		refused, err := f.update(idOf(text), a.Update[text], created, a.Destroy)
		if err != nil {
			return err
		}
		if refused != nil {
			proto.Refused(&f.out.NotUpdated, text, refused)
		} else {
			proto.Done(&f.out.Updated, idOf(text), nil)
		}
	}
	if err := f.destroyAll(a.Destroy, idOf, removeEmails); err != nil {
		return err
	}
	if st, err = f.tx.StatesNow(f.acct.Mailbox.ID); err != nil {
		return err
	}
	f.out.NewState = f.m.accounts.State(st.Folder)
	if f.out.NewState == f.out.OldState {
		return nil
	}
	return f.m.accounts.Emit(f.tx, f.c.Trace, event.MailChanged, f.acct.User, map[string]any{})
}

// createAll makes folders, those first that others are made in.
func (f *folderChange) createAll(a proto.SetArgs, created map[string]string) error {
	left := proto.Keys(a.Create)
	for len(left) > 0 {
		var later []string
		for _, key := range left {
			var parent string
			if json.Unmarshal(a.Create[key]["parentId"], &parent) == nil && len(parent) > 1 && parent[0] == '#' {
				if up := parent[1:]; created[up] == "" && slices.Contains(left, up) && up != key {
					later = append(later, key)
					continue
				}
			}
			folder, refused, err := f.create(a.Create[key], created)
			if err != nil {
				return err
			}
			if refused != nil {
				proto.Refused(&f.out.NotCreated, key, refused)
				continue
			}
			created[key] = account.ID(account.PrefixMailbox, folder.ID)
			f.all = append(f.all, folder)
			shown := shownMailbox(folder, record.ThreadCount{})
			for name := range a.Create[key] {
				delete(shown, name)
			}
			proto.Done(&f.out.Created, key, shown)
		}
		if len(later) == len(left) { // they name each other
			for _, key := range later {
				proto.Refused(&f.out.NotCreated, key, proto.InvalidProperties([]string{"parentId"}, "the parents form a circle"))
			}
			return nil
		}
		left = slices.DeleteFunc(later, func(k string) bool { return f.out.NotCreated[k] != nil || created[k] != "" })
	}
	return nil
}

func (f *folderChange) create(in proto.Object, created map[string]string) (mailbox.Folder, *proto.SetError, error) {
	folder := mailbox.Folder{MailboxID: f.acct.Mailbox.ID, Subscribed: false}
	if _, ok := in["name"]; !ok {
		return folder, proto.InvalidProperties([]string{"name"}, "name is required"), nil
	}
	if len(f.all) >= mailbox.MaxFolders {
		return folder, proto.Refuse("overQuota", "a mailbox has at most %d folders", mailbox.MaxFolders), nil
	}
	folder, refused := f.apply(folder, in, created)
	if refused != nil {
		return folder, refused, nil
	}
	made, err := f.tx.AddFolder(folder)
	if errs.Is(err, errs.Conflict) {
		return folder, f.exists(folder), nil
	}
	return made, nil, err
}

// exists refuses a folder whose name another one has, and names that one.
func (f *folderChange) exists(folder mailbox.Folder) *proto.SetError {
	refused := proto.Refuse("alreadyExists", "there is a Mailbox of this name in the same place")
	refused.Properties = []string{"name"}
	for _, other := range f.all {
		if other.Parent == folder.Parent && other.Name == folder.Name {
			refused.Extra = map[string]any{"existingId": account.ID(account.PrefixMailbox, other.ID)}
		}
	}
	return refused
}

// apply writes properties into a folder and checks them.
func (f *folderChange) apply(folder mailbox.Folder, in proto.Object, created map[string]string) (mailbox.Folder, *proto.SetError) {
	var bad []string
	why := ""
	wrong := func(name, text string) {
		bad = append(bad, name)
		if why == "" {
			why = name + " " + text
		}
	}
	before := folder
	for _, name := range proto.Keys(in) {
		value := in[name]
		switch name {
		case "name":
			var text *string
			clean := ""
			err := json.Unmarshal(value, &text)
			if err == nil && text != nil {
				clean, err = mailbox.CleanFolderName(*text)
			}
			if err != nil || text == nil {
				wrong(name, "must be a text of 1 to 100 characters without a slash")
			}
			folder.Name = clean
		case "parentId":
			if parent, ok := f.parent(value, created); ok {
				folder.Parent = parent
			} else {
				wrong(name, "is no Mailbox of this account")
			}
		case "role":
			var role *string
			if json.Unmarshal(value, &role) != nil || role != nil && *role == "" {
				wrong(name, "must be a role or null")
			} else if text := orEmpty(role); text != folder.Role {
				if isStandard(folder.Role) || !isRole(text) || slices.ContainsFunc(f.all, func(o mailbox.Folder) bool { return o.Role == text && text != "" && o.ID != folder.ID }) {
					wrong(name, "cannot be set: it is not known, belongs to another Mailbox, or this Mailbox has to keep its own")
				}
				folder.Role = text
			}
		case "sortOrder":
			var n *int64
			if json.Unmarshal(value, &n) != nil || n == nil || *n < 0 || *n >= 1<<31 {
				wrong(name, "must be a number from 0 to 2147483647")
			} else {
				folder.Position = int(*n)
			}
		case "isSubscribed":
			var yes *bool
			if json.Unmarshal(value, &yes) != nil || yes == nil {
				wrong(name, "must be true or false")
			} else {
				folder.Subscribed = *yes
			}
		default:
			shown := shownMailbox(before, record.ThreadCount{})
			if have, known := shown[name]; before.ID == 0 || !known || !sameJSON(have, value) {
				wrong(name, "cannot be set")
			}
		}
	}
	if before.Role == mailbox.RoleInbox && (folder.Name != before.Name || folder.Parent != before.Parent) {
		return folder, proto.Refuse("forbidden", "the inbox keeps its name and its place")
	}
	if len(bad) == 0 && mailbox.CheckParent(f.all, folder) != nil {
		wrong("parentId", "lies within the Mailbox itself, or too deep")
	}
	if len(bad) > 0 {
		return folder, proto.InvalidProperties(bad, "%s", why)
	}
	return folder, nil
}

// isRole reports whether a role is one that IANA lists; "" is none.
func isRole(role string) bool {
	return slices.Contains([]string{"", "all", "archive", "drafts", "flagged", "important", "inbox", "junk", "sent", "subscribed", "trash", "memos", "scheduled", "snoozed", "templates"}, role)
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// sameJSON reports whether a value is what a client sent.
func sameJSON(have any, sent json.RawMessage) bool {
	text, err := proto.Marshal(have)
	return err == nil && proto.Equal(text, sent)
}

// parent reads a parentId; 0 is the top.
func (f *folderChange) parent(value json.RawMessage, created map[string]string) (int64, bool) {
	var text *string
	if json.Unmarshal(value, &text) != nil {
		return 0, false
	}
	if text == nil {
		return 0, true
	}
	id, ok := f.c.ID(*text)
	if !ok {
		id = created[(*text)[1:]]
	} else if len(*text) > 0 && (*text)[0] == '#' && created[(*text)[1:]] != "" {
		id = created[(*text)[1:]]
	}
	n := account.Number(account.PrefixMailbox, id)
	return n, slices.ContainsFunc(f.all, func(o mailbox.Folder) bool { return o.ID == n })
}

func (f *folderChange) find(id string) int {
	n := account.Number(account.PrefixMailbox, id)
	return slices.IndexFunc(f.all, func(o mailbox.Folder) bool { return o.ID == n })
}

func (f *folderChange) update(id string, patch proto.Object, created map[string]string, destroy []string) (*proto.SetError, error) {
	i := f.find(id)
	if i < 0 {
		return proto.Refuse("notFound", "there is no such Mailbox"), nil
	}
	if slices.Contains(destroy, id) {
		return proto.Refuse("willDestroy", "the same request destroys it"), nil
	}
	var current proto.Object
	text, err := proto.Marshal(shownMailbox(f.all[i], record.ThreadCount{}))
	if err == nil {
		err = json.Unmarshal(text, &current)
	}
	if err != nil {
		return nil, err
	}
	changed, refused := proto.Patch(current, patch)
	if refused != nil {
		return refused, nil
	}
	folder, refused := f.apply(f.all[i], changed, created)
	if refused != nil {
		return refused, nil
	}
	before := f.all[i]
	if folder.Role != before.Role {
		if err := f.tx.SetRole(before, folder.Role); err != nil {
			return nil, err
		}
	}
	if folder.Name != before.Name || folder.Parent != before.Parent || folder.Position != before.Position || folder.Subscribed != before.Subscribed {
		err := f.tx.SaveFolder(folder)
		if errs.Is(err, errs.Conflict) {
			return proto.InvalidProperties([]string{"name"}, "there is a Mailbox of this name in the same place"), nil
		}
		if err != nil {
			return nil, err
		}
	}
	f.all[i] = folder
	return nil, nil
}

// destroyAll removes folders, those first that lie in others.
func (f *folderChange) destroyAll(texts []string, idOf func(string) string, removeEmails bool) error {
	left := slices.Clone(texts)
	slices.Sort(left)
	left = slices.Compact(left)
	for range maxDepth + 1 {
		var later []string
		for _, text := range left {
			i := f.find(idOf(text))
			if i >= 0 && slices.ContainsFunc(f.all, func(o mailbox.Folder) bool {
				return o.Parent == f.all[i].ID && slices.ContainsFunc(left, func(t string) bool { return idOf(t) == account.ID(account.PrefixMailbox, o.ID) })
			}) {
				later = append(later, text)
				continue
			}
			refused, err := f.destroy(i, removeEmails)
			if err != nil {
				return err
			}
			if refused != nil {
				proto.Refused(&f.out.NotDestroyed, text, refused)
				continue
			}
			f.out.Destroyed = append(f.out.Destroyed, idOf(text))
		}
		if len(later) == len(left) {
			break
		}
		left = later
	}
	for _, text := range left {
		proto.Refused(&f.out.NotDestroyed, text, proto.Refuse("mailboxHasChild", "a Mailbox in it stays"))
	}
	return nil
}

func (f *folderChange) destroy(i int, removeEmails bool) (*proto.SetError, error) {
	if i < 0 {
		return proto.Refuse("notFound", "there is no such Mailbox"), nil
	}
	folder, err := f.tx.FolderByID(f.all[i].ID)
	if err != nil {
		return nil, err
	}
	switch {
	case isStandard(folder.Role):
		return proto.Refuse("forbidden", "every account has this Mailbox and keeps it"), nil
	case slices.ContainsFunc(f.all, func(o mailbox.Folder) bool { return o.Parent == folder.ID }):
		return proto.Refuse("mailboxHasChild", "there are Mailboxes in it"), nil
	case folder.Messages > 0 && !removeEmails:
		return proto.Refuse("mailboxHasEmail", "there are Emails in it"), nil
	}
	list, err := f.tx.InFolder(folder.ID, removedAtOnce)
	if err != nil {
		return nil, err
	}
	if int64(len(list)) < folder.Messages { // they came while the others went
		return proto.Refuse("mailboxHasEmail", "more Emails came meanwhile; try again"), nil
	}
	for _, msg := range list {
		if err := f.m.leave(f.tx, f.c, msg, folder.ID, &f.files); err != nil {
			return nil, err
		}
	}
	if err := f.tx.RemoveFolder(folder); err != nil {
		return nil, err
	}
	f.all = slices.Delete(f.all, i, i+1)
	return nil, nil
}

// leave takes a message out of a folder; one that lies in no other goes for good.
func (m *Mail) leave(tx record.Tx, c *proto.Call, msg mailbox.Message, folder int64, files *[]string) error {
	rest := slices.DeleteFunc(slices.Clone(msg.Folders), func(id int64) bool { return id == folder })
	if len(rest) > 0 {
		_, err := tx.Place(msg, rest)
		return err
	}
	file, err := tx.RemoveMessage(msg)
	if err != nil {
		return err
	}
	*files = append(*files, file)
	return m.accounts.Emit(tx, c.Trace, event.MailDeleted, msg.User, map[string]any{"message_id": msg.ID})
}

// drain takes most messages out of large folders that will be destroyed, some at a time, so that others are not kept
// waiting.
func (m *Mail) drain(c *proto.Call, acct *account.Account, a proto.SetArgs) error {
	for _, text := range a.Destroy {
		id, _ := c.ID(text)
		n := account.Number(account.PrefixMailbox, id)
		for more := n != 0; more; {
			var files []string
			err := m.store.UpdateJMAP(c.Context, func(tx record.Tx) error {
				files, more = nil, false
				st, err := tx.StatesNow(acct.Mailbox.ID)
				if err != nil {
					return err
				}
				folder, err := tx.FolderByID(n)
				if errs.Is(err, errs.NotFound) || err == nil && (folder.MailboxID != acct.Mailbox.ID || isStandard(folder.Role) || folder.Messages <= removedAtOnce) {
					return nil
				}
				if err != nil {
					return err
				}
				if err := m.accounts.InState(a.IfInState, st.Folder); err != nil {
					return err
				}
				all, err := tx.Folders(acct.Mailbox.ID)
				if err != nil || slices.ContainsFunc(all, func(o mailbox.Folder) bool { return o.Parent == n }) {
					return err
				}
				a.IfInState, more = nil, true // it held; what changes from here on is our own doing
				list, err := tx.InFolder(n, removedAtOnce)
				for _, msg := range list {
					if err == nil {
						err = m.leave(tx, c, msg, n, &files)
					}
				}
				return err
			})
			if err != nil {
				return err
			}
			m.mail.Removed(files)
		}
	}
	return nil
}
