package email

import (
	"context"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/search"
)

// excerptSize is about how much of a text is shown around what was found, in bytes.
const excerptSize = 200

// Searching puts what a search field says into a filter; folders are looked up in the mailbox. What cannot be understood is
// errs.Invalid with the field q.
func (s *Service) Searching(c *web.Call, box mailbox.Mailbox, text string, f *mailbox.Filter) error {
	q, err := search.Parse(text, c.Now)
	if err != nil || q.Empty() {
		return err
	}
	f.Query = q
	if len(q.Folders) == 0 {
		return nil
	}
	all, err := s.Store.Folders(c.Context(), box.ID)
	if err != nil {
		return err
	}
	for _, name := range q.Folders {
		folder, ok := mailbox.FindFolder(all, name.Text)
		if !ok {
			return errs.BadField("q", "names the folder %q, which is not in this mailbox", name.Text)
		}
		f.Within = append(f.Within, mailbox.InFolder{Folder: folder.ID, Not: name.Not})
	}
	return nil
}

// Highlight shows where a query's words stand in a message; nil where it asks for none.
func (s *Service) Highlight(ctx context.Context, m mailbox.Message, q search.Query) *api.EmailHighlight {
	if len(q.Texts) == 0 {
		return nil
	}
	text := m.Snippet
	if _, c, err := s.content(ctx, m.RawID); err == nil {
		if shown, err := reading.Show(c); err == nil {
			if excerpt, found := q.Excerpt(shown.Text, search.Body, excerptSize); found {
				text = excerpt
			}
		}
		c.Close()
	}
	return &api.EmailHighlight{Subject: q.Mark(m.Subject, search.Subject), Snippet: q.Mark(text, search.Body)}
}
