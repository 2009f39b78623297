package mail

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/email"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/blob"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/mailbox"
)

func (m *Mail) emailSet(c *proto.Call) (any, error) {
	var a proto.SetArgs
	if err := proto.Decode(c.Args, &a); err != nil {
		return nil, err
	}
	if err := c.CheckSet(&a); err != nil {
		return nil, err
	}
	acct, err := m.accounts.Find(c, a.AccountID)
	if err != nil {
		return nil, err
	}
	st, err := m.store.States(c.Context, acct.Mailbox.ID)
	if err != nil {
		return nil, err
	}
	if err := m.accounts.InState(a.IfInState, st.Message); err != nil {
		return nil, err
	}
	out := &proto.SetResult{AccountID: a.AccountID, OldState: m.accounts.State(st.Message)}
	for _, key := range proto.Keys(a.Create) {
		members, refused, err := m.createEmail(c, acct, a.Create[key])
		if err != nil {
			return nil, err
		}
		if refused != nil {
			proto.Refused(&out.NotCreated, key, refused)
			continue
		}
		c.Created(key, members["id"].(string))
		proto.Done(&out.Created, key, members)
	}
	if len(a.Create) > 0 {
		a.IfInState = nil // it held, and what changed since is our own doing
	}
	if len(a.Update)+len(a.Destroy) > 0 {
		if err := m.changeEmails(c, acct, a, out); err != nil {
			return nil, err
		}
	}
	if st, err = m.store.States(c.Context, acct.Mailbox.ID); err != nil {
		return nil, err
	}
	out.NewState = m.accounts.State(st.Message)
	return out, nil
}

// placed is what every new message is told: where it lies, its keywords, when it came.
type placed struct {
	folders  []int64
	mark     marked
	received time.Time // zero is now
}

// readPlaced reads mailboxIds, keywords and receivedAt.
func (m *Mail) readPlaced(c *proto.Call, acct *account.Account, in proto.Object) (placed, *proto.SetError, error) {
	var p placed
	all, err := m.mail.Store.Folders(c.Context, acct.Mailbox.ID)
	if err != nil {
		return p, nil, err
	}
	var refused *proto.SetError
	if p.folders, refused = readFolders(c, all, in["mailboxIds"]); refused != nil {
		return p, refused, nil
	}
	words, refused := readKeywords(in["keywords"])
	if refused != nil {
		return p, refused, nil
	}
	p.mark = mark(words, nil)
	if raw := in["receivedAt"]; !proto.IsNull(raw) {
		var text string
		t := time.Time{}
		err := json.Unmarshal(raw, &text)
		if err == nil {
			t, err = utcDate(text)
		}
		if err != nil || t.Year() < 1970 || t.Year() > 2199 {
			return p, proto.InvalidProperties([]string{"receivedAt"}, "receivedAt must be a UTC date such as 2026-11-27T12:00:00Z"), nil
		}
		p.received = t
	}
	return p, nil, nil
}

// readFolders reads the property mailboxIds.
func readFolders(c *proto.Call, all []mailbox.Folder, raw json.RawMessage) ([]int64, *proto.SetError) {
	var given proto.Object
	if proto.IsNull(raw) || json.Unmarshal(raw, &given) != nil || len(given) == 0 {
		return nil, proto.InvalidProperties([]string{"mailboxIds"}, "mailboxIds must name one Mailbox at least")
	}
	var out []int64
	for _, text := range proto.Keys(given) {
		id, _ := c.ID(text)
		n := account.Number(account.PrefixMailbox, id)
		if string(given[text]) != "true" || !slices.ContainsFunc(all, func(f mailbox.Folder) bool { return f.ID == n }) {
			return nil, proto.InvalidProperties([]string{"mailboxIds"}, "mailboxIds has %.60q, which is no Mailbox of this account", text)
		}
		out = append(out, n)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > MaxMailboxesPerEmail {
		return nil, proto.Refuse("tooManyMailboxes", "a message lies in at most %d Mailboxes", MaxMailboxesPerEmail)
	}
	return out, nil
}

// keep stores a message and returns the properties that the server gave it.
func (m *Mail) keep(c *proto.Call, acct *account.Account, p placed, mode string, raw []byte) (map[string]any, *proto.SetError, error) {
	row, err := m.mail.Append(c.Context, email.Appended{User: acct.User, Folders: p.folders, Keywords: p.mark.keywords, Labels: p.mark.labels, Unread: p.mark.unread,
		Starred: p.mark.starred, Received: p.received, Mode: mode}, bytes.NewReader(raw), func(tx mailbox.Tx, row mailbox.Message) error {
		return m.accounts.Emit(tx, c.Trace, event.MailChanged, acct.User, map[string]any{"message_id": row.ID})
	})
	switch {
	case errs.Is(err, errs.TooLarge):
		return nil, proto.Refuse("tooLarge", "a message has at most %d bytes", email.MaxAppend), nil
	case errs.Is(err, errs.Conflict):
		return nil, proto.Refuse("overQuota", "the mailbox is full; remove something first"), nil
	case errs.Is(err, errs.NotFound):
		return nil, proto.InvalidProperties([]string{"mailboxIds"}, "a Mailbox was removed meanwhile"), nil
	case err != nil:
		return nil, nil, err
	}
	return map[string]any{"id": account.ID(account.PrefixEmail, row.ID), "blobId": blob.MessageID(row.RawID), "threadId": account.ID(account.PrefixThread, row.ThreadID), "size": row.Size}, nil, nil
}

// createEmail makes a message from its properties.
func (m *Mail) createEmail(c *proto.Call, acct *account.Account, in proto.Object) (map[string]any, *proto.SetError, error) {
	p, refused, err := m.readPlaced(c, acct, in)
	if refused != nil || err != nil {
		return nil, refused, err
	}
	rest := maps.Clone(in)
	for _, name := range []string{"mailboxIds", "keywords", "receivedAt"} {
		delete(rest, name)
	}
	maker := message.Maker{Domain: m.domain, Now: m.now(), Blob: func(id string) ([]byte, error) { return m.blobs.Bytes(c.Context, acct.Mailbox.ID, id) }}
	raw, refused, err := maker.Compose(rest)
	if refused != nil || err != nil {
		return nil, refused, err
	}
	return m.keep(c, acct, p, "draft", raw)
}

// emailChange is the updates and removals of one Email/set.
type emailChange struct {
	m     *Mail
	c     *proto.Call
	acct  *account.Account
	tx    record.Tx
	all   []mailbox.Folder
	files []string
}

// changeEmails updates and destroys in one transaction. What is wrong with one object is found before it is changed, so the
// others need not be undone.
func (m *Mail) changeEmails(c *proto.Call, acct *account.Account, a proto.SetArgs, out *proto.SetResult) error {
	e := &emailChange{m: m, c: c, acct: acct}
	updates := c.Targets(proto.Keys(a.Update))
	err := m.store.UpdateJMAP(c.Context, func(tx record.Tx) error {
		e.tx, e.files = tx, nil
		out.Updated, out.Destroyed, out.NotUpdated, out.NotDestroyed = nil, nil, nil, nil
		if a.IfInState != nil {
			st, err := tx.StatesNow(acct.Mailbox.ID)
			if err == nil {
				err = m.accounts.InState(a.IfInState, st.Message)
			}
			if err != nil {
				return err
			}
		}
		var err error
		if e.all, err = tx.Folders(acct.Mailbox.ID); err != nil {
			return err
		}
		for _, text := range proto.Keys(a.Update) {
			refused, err := e.update(updates[text], a.Update[text], a.Destroy)
			if err != nil {
				return err
			}
			if refused != nil {
				proto.Refused(&out.NotUpdated, text, refused)
			} else {
				proto.Done(&out.Updated, updates[text], nil)
			}
		}
		for i, text := range a.Destroy {
			if slices.Contains(a.Destroy[:i], text) {
				continue
			}
			refused, err := e.destroy(text)
			if err != nil {
				return err
			}
			if refused != nil {
				proto.Refused(&out.NotDestroyed, text, refused)
			} else {
				id, _ := c.ID(text)
				out.Destroyed = append(out.Destroyed, id)
			}
		}
		return nil
	})
	if err == nil {
		m.mail.Removed(e.files)
	}
	return err
}

// find returns a message of the account as the transaction sees it; ok is false when there is none.
func (e *emailChange) find(id string) (msg mailbox.Message, ok bool, err error) {
	n := account.Number(account.PrefixEmail, id)
	if n == 0 {
		return msg, false, nil
	}
	msg, err = e.tx.MessageByID(n)
	if errs.Is(err, errs.NotFound) || err == nil && msg.MailboxID != e.acct.Mailbox.ID {
		return msg, false, nil
	}
	return msg, err == nil, err
}

func (e *emailChange) update(id string, patch proto.Object, destroy []string) (*proto.SetError, error) {
	msg, ok, err := e.find(id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return proto.Refuse("notFound", "there is no such Email"), nil
	}
	if slices.Contains(destroy, id) {
		return proto.Refuse("willDestroy", "the same request destroys it"), nil
	}
	row := e.m.row(msg)
	var current proto.Object
	text, err := proto.Marshal(row)
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
	folders, want := msg.Folders, marked{msg.Unread, msg.Starred, msg.Keywords, msg.Labels}
	for _, name := range proto.Keys(changed) {
		switch name {
		case "keywords":
			words, refused := readKeywords(changed[name])
			if refused != nil {
				return refused, nil
			}
			want = mark(words, msg.Labels)
		case "mailboxIds":
			if folders, refused = readFolders(e.c, e.all, changed[name]); refused != nil {
				return refused, nil
			}
		default:
			if have, known := current[name]; !known || !proto.Equal(have, changed[name]) {
				return proto.InvalidProperties([]string{name}, "%.60s cannot be changed", name), nil
			}
		}
	}
	return nil, e.apply(msg, folders, want)
}

// apply writes what is other than before, and tells of it.
func (e *emailChange) apply(msg mailbox.Message, folders []int64, want marked) error {
	tell := func(typ string, payload map[string]any) error {
		payload["message_id"] = msg.ID
		return e.m.accounts.Emit(e.tx, e.c.Trace, typ, e.acct.User, payload)
	}
	if want.unread != msg.Unread {
		if err := e.tx.SetUnread(msg, want.unread); err != nil {
			return err
		}
		msg.Unread = want.unread
		if err := tell(event.MailRead, map[string]any{"unread": msg.Unread}); err != nil {
			return err
		}
	}
	if want.starred != msg.Starred {
		if err := e.tx.SetStarred(msg, want.starred); err != nil {
			return err
		}
		if err := tell(event.MailStar, map[string]any{"starred": want.starred}); err != nil {
			return err
		}
	}
	if !slices.Equal(want.labels, msg.Labels) {
		if err := e.tx.SetLabels(msg, want.labels); err != nil {
			return err
		}
		if err := tell(event.MailLabels, map[string]any{"labels": want.labels}); err != nil {
			return err
		}
	}
	if !slices.Equal(want.keywords, msg.Keywords) {
		if err := e.tx.SetKeywords(msg, want.keywords); err != nil {
			return err
		}
		if err := tell(event.MailChanged, map[string]any{}); err != nil {
			return err
		}
	}
	if slices.Equal(folders, msg.Folders) {
		return nil
	}
	if _, err := e.tx.Place(msg, folders); err != nil {
		return err
	}
	return tell(event.MailMoved, map[string]any{"folders": folders})
}

func (e *emailChange) destroy(text string) (*proto.SetError, error) {
	id, _ := e.c.ID(text)
	msg, ok, err := e.find(id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return proto.Refuse("notFound", "there is no such Email"), nil
	}
	file, err := e.tx.RemoveMessage(msg)
	if err != nil {
		return nil, err
	}
	e.files = append(e.files, file)
	return nil, e.m.accounts.Emit(e.tx, e.c.Trace, event.MailDeleted, e.acct.User, map[string]any{"message_id": msg.ID})
}

// bytesOf returns a message's bytes as clients see them.
func (m *Mail) bytesOf(ctx context.Context, box int64, raw int64) ([]byte, error) {
	return m.blobs.Bytes(ctx, box, blob.MessageID(raw))
}
