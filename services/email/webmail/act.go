package webmail

import (
	"slices"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/mailbox"
)

// actParams are the list's form: messages and what becomes of them.
type actParams struct {
	IDs    []int64 `json:"ids,omitempty" max:"200" doc:"of the messages"`
	Do     string  `json:"do" web:"required" max:"20" doc:"read, unread, star, unstar, archive, spam, ham, inbox, delete, move (with folder), label or unlabel (with label)"`
	From   int64   `json:"from,omitempty" min:"0" doc:"with the other messages of their threads in this folder"`
	Folder string  `json:"folder,omitempty" max:"900" doc:"for move"`
	Label  string  `json:"label,omitempty" max:"64" doc:"for label and unlabel"`
	Next   string  `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

// act does what the list's form asks for, to whole conversations where the list shows them.
func (w *Pages) act(c *web.Call, in actParams) (any, error) {
	if len(in.IDs) == 0 {
		return nil, errs.BadField("ids", "is empty: choose at least one message in the list")
	}
	b := email.BulkParams{IDs: in.IDs, Action: in.Do, Folder: in.Folder, Label: in.Label}
	switch in.Do {
	case "archive":
		b.Action, b.Folder = "move", mailbox.RoleArchive
	case "spam":
		b.Action, b.Folder = "move", mailbox.RoleJunk
	case "ham", "inbox":
		b.Action, b.Folder = "move", mailbox.RoleInbox
	case "move":
		if in.Folder == "" {
			return nil, errs.BadField("folder", "is required: choose the folder to move to")
		}
	}
	if in.From != 0 {
		var err error
		if b.IDs, err = w.withThreads(c, in.IDs, in.From); err != nil {
			return nil, err
		}
	}
	if err := b.Check(); err != nil {
		if b.Action == in.Do && !slices.Contains([]string{"label", "unlabel"}, in.Do) {
			err = errs.BadField("do", "must be read, unread, star, unstar, archive, spam, ham, inbox, delete, move, label or unlabel")
		}
		return nil, err
	}
	return w.mail.Bulk(c, b)
}

// withThreads adds the other messages of threads that lie in a folder.
func (w *Pages) withThreads(c *web.Call, ids []int64, folder int64) ([]int64, error) {
	out := slices.Clone(ids)
	for _, id := range ids {
		m, err := w.mail.Store.MessageByID(c.Context(), id)
		if err != nil || c.Caller.ActAs(m.User, "email.admin") != nil {
			return nil, errs.New(errs.NotFound, "there is no such message; it may have been removed meanwhile")
		}
		list, err := w.mail.Store.Thread(c.Context(), m.MailboxID, m.ThreadID)
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			if slices.Contains(t.Folders, folder) && !slices.Contains(out, t.ID) {
				out = append(out, t.ID)
			}
		}
	}
	return out, nil
}
