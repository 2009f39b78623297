package email

import (
	"slices"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
)

// maxAtOnce bounds how many messages one call changes.
const maxAtOnce = 200

// maxEmptied bounds how many messages go with a folder, or are taken out of one, in one transaction.
const maxEmptied = 1000

func wireFolder(all []mailbox.Folder, f mailbox.Folder) api.EmailFolder {
	return api.EmailFolder{ID: f.ID, Name: f.Name, Path: mailbox.FolderPath(all, f), Role: f.Role, Parent: f.Parent, Position: f.Position, Subscribed: f.Subscribed,
		Messages: f.Messages, Unread: f.Unread}
}

type foldersParams struct {
	User string `json:"user" web:"required" max:"320" doc:"whose mailbox: an address of the domain, or its local part"`
}

// folders answers GET /api/folders; somebody who never got mail has the folders that a first mail will make, without ids.
func (s *Service) folders(c *web.Call, in foldersParams) (api.EmailFolders, error) {
	box, err := s.MailboxOf(c, in.User)
	if err != nil {
		return api.EmailFolders{}, err
	}
	all := mailbox.StandardFolders()
	if box.ID != 0 {
		if all, err = s.Store.Folders(c.Context(), box.ID); err != nil {
			return api.EmailFolders{}, err
		}
	}
	out := api.EmailFolders{User: s.address(box.User), Folders: []api.EmailFolder{}}
	for _, f := range all {
		out.Folders = append(out.Folders, wireFolder(all, f))
	}
	return out, nil
}

type newFolderParams struct {
	User   string `json:"user,omitempty" max:"320" doc:"whose mailbox; the caller's when left out"`
	Name   string `json:"name" web:"required" max:"200"`
	Parent int64  `json:"parent,omitempty" min:"0" doc:"the folder that it is made in; 0 or left out: at the top"`
	Next   string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

func (s *Service) newFolder(c *web.Call, tx mailbox.Tx, in newFolderParams) (api.EmailFolder, error) {
	user := in.User
	if user == "" {
		user = c.Caller.User
	}
	local, err := s.named(user)
	if err != nil {
		return api.EmailFolder{}, err
	}
	if err := c.Caller.ActAs(local, "email.admin"); err != nil {
		return api.EmailFolder{}, err
	}
	box, _, err := tx.EnsureMailbox(local, mailbox.MadeByMail)
	if err != nil {
		return api.EmailFolder{}, err
	}
	all, err := tx.Folders(box.ID)
	if err != nil {
		return api.EmailFolder{}, err
	}
	if len(all) >= mailbox.MaxFolders {
		return api.EmailFolder{}, errs.New(errs.Conflict, "a mailbox has at most %d folders; remove one first", mailbox.MaxFolders)
	}
	f := mailbox.Folder{MailboxID: box.ID, Position: 10, Subscribed: true, Parent: in.Parent}
	if f.Name, err = mailbox.CleanFolderName(in.Name); err != nil {
		return api.EmailFolder{}, err
	}
	if err := mailbox.CheckParent(all, f); err != nil {
		return api.EmailFolder{}, err
	}
	if f, err = tx.AddFolder(f); err != nil {
		return api.EmailFolder{}, err
	}
	return wireFolder(append(all, f), f), s.changed(c, tx, local)
}

// changed tells of a change to folders, for which there is no other event.
func (s *Service) changed(c *web.Call, tx mailbox.Tx, user string) error {
	return emit(tx, event.MailChanged, user, c.Trace(), map[string]any{"user": s.address(user)})
}

// ownFolder returns a folder of the transaction, its mailbox's other folders and its owner, when the caller may change it.
func (s *Service) ownFolder(c *web.Call, tx mailbox.Tx, id int64) (f mailbox.Folder, all []mailbox.Folder, user string, err error) {
	f, err = tx.FolderByID(id)
	if err != nil {
		return f, nil, "", err
	}
	if user, err = tx.MailboxUser(f.MailboxID); err != nil {
		return f, nil, "", err
	}
	if c.Caller.ActAs(user, "email.admin") != nil {
		return f, nil, "", errs.New(errs.NotFound, "there is no such folder")
	}
	all, err = tx.Folders(f.MailboxID)
	return f, all, user, err
}

type patchFolderParams struct {
	ID         int64   `path:"id" min:"1"`
	Name       *string `json:"name,omitempty" max:"200"`
	Parent     *int64  `json:"parent,omitempty" min:"0" doc:"0 is the top"`
	Position   *int    `json:"position,omitempty" min:"0" max:"1000000" doc:"among its siblings, the lowest first"`
	Subscribed *bool   `json:"subscribed,omitempty" doc:"whether mail programs show it"`
	Next       string  `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

func (s *Service) patchFolder(c *web.Call, tx mailbox.Tx, in patchFolderParams) (api.EmailFolder, error) {
	f, all, user, err := s.ownFolder(c, tx, in.ID)
	if err != nil {
		return api.EmailFolder{}, err
	}
	if in.Name != nil {
		if f.Role == mailbox.RoleInbox {
			return api.EmailFolder{}, errs.New(errs.Conflict, "the inbox keeps its name")
		}
		if f.Name, err = mailbox.CleanFolderName(*in.Name); err != nil {
			return api.EmailFolder{}, err
		}
	}
	if in.Parent != nil {
		if f.Role == mailbox.RoleInbox && *in.Parent != 0 {
			return api.EmailFolder{}, errs.BadField("parent", "must be 0 for the inbox")
		}
		f.Parent = *in.Parent
		if err := mailbox.CheckParent(all, f); err != nil {
			return api.EmailFolder{}, err
		}
	}
	if in.Position != nil {
		f.Position = *in.Position
	}
	if in.Subscribed != nil {
		f.Subscribed = *in.Subscribed
	}
	if err := tx.SaveFolder(f); err != nil {
		return api.EmailFolder{}, err
	}
	for i := range all {
		if all[i].ID == f.ID {
			all[i] = f
		}
	}
	return wireFolder(all, f), s.changed(c, tx, user)
}

type folderParams struct {
	ID   int64  `path:"id" min:"1"`
	Next string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

// Removed is the answer to what takes things away.
type Removed struct {
	Removed int64 `json:"removed"` // messages that are gone for good
	Moved   int64 `json:"moved"`   // messages that are in the trash now
	Left    int64 `json:"left"`    // messages that are still there: call again
}

func (s *Service) removeFolder(c *web.Call, tx mailbox.Tx, in folderParams) (Removed, error) {
	var out Removed
	f, all, user, err := s.ownFolder(c, tx, in.ID)
	if err != nil {
		return out, err
	}
	if f.Role != "" {
		return out, errs.New(errs.Conflict, "the folder %s belongs to every mailbox and stays", f.Name)
	}
	if slices.ContainsFunc(all, func(k mailbox.Folder) bool { return k.Parent == f.ID }) {
		return out, errs.New(errs.Conflict, "there are folders in it; move or remove them first")
	}
	if f.Messages > maxEmptied {
		return out, errs.New(errs.Conflict, "it holds %d messages, more than go at once; move them away first", f.Messages)
	}
	list, err := tx.InFolder(f.ID, maxEmptied)
	if err != nil {
		return out, err
	}
	trash, err := tx.FolderByRole(f.MailboxID, mailbox.RoleTrash)
	if err != nil {
		return out, err
	}
	for _, m := range list {
		rest := slices.DeleteFunc(slices.Clone(m.Folders), func(id int64) bool { return id == f.ID })
		if len(rest) == 0 {
			rest = []int64{trash.ID}
			out.Moved++
		}
		if _, err := tx.Place(m, rest); err != nil {
			return out, err
		}
	}
	if err := tx.RemoveFolder(f); err != nil {
		return out, err
	}
	return out, s.changed(c, tx, user)
}

// emptyFolder removes what lies in the trash or among the junk for good, at most maxEmptied messages a call.
func (s *Service) emptyFolder(c *web.Call, in folderParams) (any, error) {
	var files []string
	out, err := web.Update(c, in, s.Store, func(tx mailbox.Tx) (Removed, error) {
		files = nil
		var out Removed
		f, _, user, err := s.ownFolder(c, tx, in.ID)
		if err != nil {
			return out, err
		}
		if f.Role != mailbox.RoleTrash && f.Role != mailbox.RoleJunk {
			return out, errs.New(errs.Conflict, "only the trash and the junk are emptied; move the messages to the trash")
		}
		list, err := tx.InFolder(f.ID, maxEmptied)
		if err != nil {
			return out, err
		}
		for _, m := range list {
			file, err := tx.RemoveMessage(m)
			if err != nil {
				return out, err
			}
			files = append(files, file)
		}
		out.Removed, out.Left = int64(len(list)), f.Messages-int64(len(list))
		return out, s.changed(c, tx, user)
	})
	s.files.Remove(files, err)
	return out, err
}

type moveParams struct {
	ID     int64  `path:"id" min:"1"`
	Folder string `json:"folder" web:"required" max:"900" doc:"where to: a role (inbox, archive, junk, trash, …), the id of a folder, or its path"`
	Next   string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

func (s *Service) move(c *web.Call, tx mailbox.Tx, in moveParams) (api.EmailMessage, error) {
	m, err := tx.MessageByID(in.ID)
	if m, err = mine(c, m, err); err != nil {
		return api.EmailMessage{}, err
	}
	m, err = s.moveTo(c, tx, m, in.Folder)
	return s.wire(m), err
}

// moveTo puts a message into the folder that a text names, and tells of it.
func (s *Service) moveTo(c *web.Call, tx mailbox.Tx, m mailbox.Message, folder string) (mailbox.Message, error) {
	all, err := tx.Folders(m.MailboxID)
	if err != nil {
		return m, err
	}
	f, ok := mailbox.FindFolder(all, folder)
	if !ok {
		return m, errs.BadField("folder", "is no folder of this mailbox; GET /api/folders lists them")
	}
	if slices.Equal(m.Folders, []int64{f.ID}) {
		return m, nil
	}
	if m, err = tx.Place(m, []int64{f.ID}); err != nil {
		return m, err
	}
	return m, emit(tx, event.MailMoved, m.User, c.Trace(), map[string]any{"message_id": m.ID, "user": s.address(m.User), "folders": m.Folders})
}

type deleteParams struct {
	ID      int64  `path:"id" min:"1"`
	Forever bool   `json:"forever,omitempty" doc:"remove it at once; left out, what is not in the trash yet goes there"`
	Next    string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

// deleteMessage moves a message to the trash, and one that is there, or with forever, away for good.
func (s *Service) deleteMessage(c *web.Call, in deleteParams) (any, error) {
	var files []string
	out, err := web.Update(c, in, s.Store, func(tx mailbox.Tx) (Removed, error) {
		files = nil
		m, err := tx.MessageByID(in.ID)
		if m, err = mine(c, m, err); err != nil {
			return Removed{}, err
		}
		return s.discard(c, tx, m, in.Forever, &files)
	})
	s.files.Remove(files, err)
	return out, err
}

// discard moves a message to the trash, or removes it; files gets the name of the file to remove after the commit.
func (s *Service) discard(c *web.Call, tx mailbox.Tx, m mailbox.Message, forever bool, files *[]string) (Removed, error) {
	trash, err := tx.FolderByRole(m.MailboxID, mailbox.RoleTrash)
	if err != nil {
		return Removed{}, err
	}
	if !forever && !slices.Equal(m.Folders, []int64{trash.ID}) {
		_, err := s.moveTo(c, tx, m, mailbox.RoleTrash)
		return Removed{Moved: 1}, err
	}
	file, err := tx.RemoveMessage(m)
	if err != nil {
		return Removed{}, err
	}
	*files = append(*files, file)
	return Removed{Removed: 1}, emit(tx, event.MailDeleted, m.User, c.Trace(), map[string]any{"message_id": m.ID, "user": s.address(m.User)})
}

// Thread is the answer to GET /api/messages/{id}/thread.
type Thread struct {
	ThreadID int64              `json:"thread_id"`
	Messages []api.EmailMessage `json:"messages"` // the first that came first
}

func (s *Service) thread(c *web.Call, in idParams) (Thread, error) {
	m, err := s.message(c, in.ID)
	if err != nil {
		return Thread{}, err
	}
	list, err := s.Store.Thread(c.Context(), m.MailboxID, m.ThreadID)
	out := Thread{ThreadID: m.ThreadID, Messages: []api.EmailMessage{}}
	for _, t := range list {
		out.Messages = append(out.Messages, s.wire(t))
	}
	return out, err
}

// BulkParams change many messages in one transaction.
type BulkParams struct {
	IDs    []int64 `json:"ids" web:"required" max:"200" doc:"of the messages"`
	Action string  `json:"action" web:"required" max:"20" doc:"read, unread, star, unstar, move (with folder), delete, label or unlabel (with label)"`
	Folder string  `json:"folder,omitempty" max:"900" doc:"for move: as POST …/move"`
	Label  string  `json:"label,omitempty" max:"64" doc:"for label and unlabel"`
	Next   string  `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

// Bulk is the answer to POST /api/messages/bulk.
type Bulk struct {
	Changed int `json:"changed"` // how many are other than before
}

// Check refuses what is not one of the actions.
func (p *BulkParams) Check() error {
	switch p.Action {
	case "read", "unread", "star", "unstar", "delete":
	case "move":
		if p.Folder == "" {
			return errs.Missing("folder")
		}
	case "label", "unlabel":
		if p.Label == "" {
			return errs.Missing("label")
		}
	default:
		return errs.BadField("action", "must be read, unread, star, unstar, move, delete, label or unlabel")
	}
	if len(p.IDs) > maxAtOnce {
		return errs.BadField("ids", "must be at most %d", maxAtOnce)
	}
	return nil
}

// Bulk does what POST /api/messages/bulk does; the answer is a Bulk, or an earlier one for a repeated Idempotency-Key.
func (s *Service) Bulk(c *web.Call, in BulkParams) (any, error) {
	var files []string
	out, err := web.Update(c, in, s.Store, func(tx mailbox.Tx) (Bulk, error) {
		files = nil
		var out Bulk
		for i, id := range in.IDs {
			if slices.Contains(in.IDs[:i], id) {
				continue
			}
			m, err := tx.MessageByID(id)
			if m, err = mine(c, m, err); err != nil {
				return out, err
			}
			changed, err := s.bulkOne(c, tx, m, in, &files)
			if err != nil {
				return out, err
			}
			if changed {
				out.Changed++
			}
		}
		return out, nil
	})
	s.files.Remove(files, err)
	return out, err
}

func (s *Service) bulkOne(c *web.Call, tx mailbox.Tx, m mailbox.Message, in BulkParams, files *[]string) (bool, error) {
	switch in.Action {
	case "read", "unread":
		return s.setUnread(c, tx, m, in.Action == "unread")
	case "star", "unstar":
		return s.setStarred(c, tx, m, in.Action == "star")
	case "move":
		now, err := s.moveTo(c, tx, m, in.Folder)
		return now.Modseq != m.Modseq, err
	case "delete":
		_, err := s.discard(c, tx, m, false, files)
		return true, err
	}
	labels := slices.DeleteFunc(slices.Clone(m.Labels), func(l string) bool { return l == in.Label })
	if in.Action == "label" {
		labels = append(labels, in.Label)
	}
	labels, err := mailbox.CleanLabels(labels)
	if err != nil || slices.Equal(labels, m.Labels) {
		return false, err
	}
	return true, s.setLabels(c, tx, m, labels)
}
