package sorting

import (
	"slices"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/spam"
)

// Endpoints returns the routes with which people say what is junk, and those of the spam filter. People see and change
// their own; email.admin everybody's.
func (s *Sorter) Endpoints() []web.Endpoint {
	read, page := web.NeedsToken("email.read"), web.Needs("email.read")
	read.Describe = "the user's own; others' with email.admin"
	page.Describe = read.Describe
	return slices.Concat([]web.Endpoint{
		web.Query("POST", "/api/messages/{id}/spam", read, "It is junk: move it to Junk and learn from it", s.markSpam),
		web.Query("POST", "/api/messages/{id}/ham", read, "It is no junk: move it out of Junk and learn from it", s.markHam),
		web.Query("POST", "/api/messages/{id}/unmark", read, "Take back what was said of it: forget what was learnt, and put it where the filter did", s.unmark),
		web.Query("GET", "/api/junk", read, "What is among the junk and why, newest first; by its sender if wanted", s.junk),
		web.Query("POST", "/messages/{id}/spam", page, "The page's form: it is junk", s.markSpam).Redirect(s.Mail.Back),
		web.Query("POST", "/messages/{id}/ham", page, "The page's form: it is no junk", s.markHam).Redirect(s.Mail.Back),
		web.View("/junk", page, "What is among a user's junk and why, and what the filter was told", s.junkPage),
	}, s.filter.Forms("/junk", s.junkAgain), s.filter.Endpoints(), s.rules.Endpoints())
}

type markParams struct {
	ID   int64  `path:"id" min:"1"`
	Next string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

func (s *Sorter) markSpam(c *web.Call, in markParams) (any, error) { return s.mark(c, in, spam.Spam) }
func (s *Sorter) markHam(c *web.Call, in markParams) (any, error)  { return s.mark(c, in, spam.Ham) }
func (s *Sorter) unmark(c *web.Call, in markParams) (any, error)   { return s.mark(c, in, spam.None) }

// mark does what an owner says of a message: it is moved and marked in one transaction, and then learnt from. Learning that
// fails now is done later, by the mark.
func (s *Sorter) mark(c *web.Call, in markParams, want int) (any, error) {
	out, err := web.Update(c, in, s.Store, func(tx mailbox.Tx) (api.EmailMessage, error) {
		m, err := tx.MessageByID(in.ID)
		if m, err = s.Mail.Own(c, m, err); err != nil {
			return api.EmailMessage{}, err
		}
		junk, err := tx.FolderByRole(m.MailboxID, mailbox.RoleJunk)
		if err != nil {
			return api.EmailMessage{}, err
		}
		inJunk := len(m.Folders) == 1 && m.Folders[0] == junk.ID
		was, err := tx.SpamMark(m.ID)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return api.EmailMessage{}, err
		}
		switch {
		case want == spam.Spam && !inJunk, want == spam.None && was.Want == spam.Ham && slices.Contains(m.Flags, "spam"):
			m, err = s.Mail.Move(c, tx, m, mailbox.RoleJunk)
		case want == spam.Ham && inJunk, want == spam.None && was.Want == spam.Spam && inJunk && !slices.Contains(m.Flags, "spam"):
			m, err = s.Mail.Move(c, tx, m, mailbox.RoleInbox)
		default:
			err = nil
		}
		if err != nil {
			return api.EmailMessage{}, err
		}
		return s.Mail.Wire(m), tx.SaveSpamMark(spam.Mark{Message: m.ID, Want: want, Trained: was.Trained, At: tx.Now()})
	})
	if err != nil {
		return out, err
	}
	if err := s.filter.Train(c.Context(), in.ID); err != nil {
		c.Log.Warn("a message could not be learnt from yet; it is tried again", "message", in.ID, "err", err.Error())
		s.filter.Wake()
	}
	return out, nil
}

// junkParams choose a page of the junk.
type junkParams struct {
	User   string `json:"user,omitempty" max:"320" doc:"whose: an address of the domain, or its local part; the caller when left out"`
	Sender string `json:"sender,omitempty" max:"320" doc:"only mail from this address, or from this domain and those below it"`
	web.Paging
}

// Junk is the answer to GET /api/junk.
type Junk struct {
	User     string  `json:"user"` // local part
	Messages []Junky `json:"messages"`
}

// Junky is a message among the junk, and why it is there.
type Junky struct {
	api.EmailMessage
	Mark    string        `json:"mark"` // spam when its owner said so; "" when the filter did
	Reasons []spam.Reason `json:"reasons"`
}

func (s *Sorter) junk(c *web.Call, in junkParams) (Junk, error) {
	user, err := s.Mail.Owner(c, in.User)
	if err != nil {
		return Junk{}, err
	}
	out := Junk{User: user, Messages: []Junky{}}
	sender := ""
	if in.Sender != "" {
		if sender, err = spam.CleanSender(in.Sender); err != nil {
			return out, err
		}
	}
	box, err := s.Store.MailboxByName(c.Context(), user)
	if errs.Is(err, errs.NotFound) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	list, err := s.Store.JunkFrom(c.Context(), box.ID, sender, in.Paging)
	for _, j := range list {
		if j.Reasons == nil {
			j.Reasons = []spam.Reason{}
		}
		out.Messages = append(out.Messages, Junky{EmailMessage: s.Mail.Wire(j.Message), Mark: strings.TrimSpace(j.Mark), Reasons: j.Reasons})
	}
	return out, err
}
