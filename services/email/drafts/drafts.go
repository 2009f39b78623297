// Package drafts keeps mail that is being written. A draft is a whole message in its author's folder Drafts, as mail programs
// know it, with a field of ours for what no message can say: an address that is only half typed, whom it answers.
//
// Each save stores a new message and removes the one before, in one transaction: whoever saves a version that is not there any
// more, because another window saved or sent it, is told so (errs.Conflict), and nothing is overwritten. A draft's number is
// therefore its version. It sends nothing (package sending does) and shows nothing. Safe for concurrent use.
package drafts

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/compose"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/sending"
)

// field holds what no message can say, as JSON in base64.
const field = "X-Veze-Draft"

// Draft is a mail that is being written. The lists of addresses are as they were typed.
type Draft struct {
	ID       int64          `json:"-"` // 0 is not stored yet
	User     string         `json:"-"` // local part of its author
	From     string         `json:"from,omitempty"`
	To       string         `json:"to,omitempty"`
	Cc       string         `json:"cc,omitempty"`
	Bcc      string         `json:"bcc,omitempty"`
	Subject  string         `json:"subject,omitempty"`
	Text     string         `json:"-"`
	Markdown bool           `json:"markdown,omitempty"` // the text is laid out when it is sent
	Answers  int64          `json:"answers,omitempty"`  // the message that it answers
	Forwards int64          `json:"forwards,omitempty"` // the message that it passes on
	Files    []sending.File `json:"-"`
	Parts    []int          `json:"-"` // the number of each file's part in the stored draft
}

// Drafts keeps drafts. Make it with New.
type Drafts struct{ mail *email.Service }

// New returns the drafts of a mail service.
func New(mail *email.Service) *Drafts { return &Drafts{mail} }

// Save stores a draft in place of the version with the number d.ID, unless that is 0, and returns it with its new number.
func (s *Drafts) Save(c *web.Call, d Draft) (Draft, error) {
	raw, err := s.message(c, d)
	if err != nil {
		return d, err
	}
	var removed []string
	m, err := s.mail.Append(c.Context(), email.Appended{User: d.User, Role: mailbox.RoleDrafts, Keywords: []string{mailbox.KeywordDraft}, Mode: "draft"}, bytes.NewReader(raw),
		func(tx mailbox.Tx, m mailbox.Message) error {
			removed = nil
			if err := Remove(tx, d.User, d.ID, &removed); err != nil {
				return err
			}
			return s.tell(c, tx, d.User)
		})
	if err != nil {
		return d, err
	}
	s.mail.Removed(removed)
	d.ID = m.ID
	v, err := reading.Show(mailbox.InMemory(raw))
	if err != nil || len(v.Files) != len(d.Files) {
		return d, errs.Wrap(errs.Internal, err, "the draft is stored, but its files cannot be told apart")
	}
	d.Parts = nil
	for _, p := range v.Files {
		d.Parts = append(d.Parts, v.Number(p))
	}
	return d, nil
}

// Discard removes a draft for good.
func (s *Drafts) Discard(c *web.Call, user string, id int64) error {
	var removed []string
	err := s.mail.Store.Update(c.Context(), nil, func(tx mailbox.Tx) error {
		removed = nil
		if err := Remove(tx, user, id, &removed); err != nil {
			return err
		}
		return s.tell(c, tx, user)
	})
	if err == nil {
		s.mail.Removed(removed)
	}
	return err
}

// tell says that the drafts are others now.
func (s *Drafts) tell(c *web.Call, tx mailbox.Tx, user string) error {
	ev, err := c.Event(event.MailChanged, map[string]any{"user": s.mail.Address(user)})
	if err != nil {
		return err
	}
	ev.User = user
	tx.Emit(event.StreamMail, ev)
	tx.Emit(event.StreamMailOf(user), ev)
	return nil
}

// Remove takes a user's draft out of their mailbox; 0 is none. files gets the names of files to hand to
// email.Service.Removed after the commit. A draft that is not there any more is errs.Conflict.
func Remove(tx mailbox.Tx, user string, id int64, files *[]string) error {
	if id == 0 {
		return nil
	}
	m, err := tx.MessageByID(id)
	if errs.Is(err, errs.NotFound) || err == nil && (m.User != user || !slices.Contains(m.Keywords, mailbox.KeywordDraft)) {
		return errs.New(errs.Conflict, "this draft was changed, sent or removed in another window; open it again from Drafts, or keep what you have here as a new one")
	}
	if err != nil {
		return err
	}
	file, err := tx.RemoveMessage(m)
	if err == nil && file != "" {
		*files = append(*files, file)
	}
	return err
}

// message writes a draft as it is stored.
func (s *Drafts) message(c *web.Call, d Draft) ([]byte, error) {
	own, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("write draft: %w", err)
	}
	m := compose.Message{From: mail.Address{Address: s.mail.Address(d.User)}, To: addresses(d.To), Cc: addresses(d.Cc), Subject: oneLine(d.Subject), Text: d.Text, Date: c.Now.UTC(),
		MessageID: strings.ToLower(rand.Text()) + "@" + s.mail.Sender().Domain, Boundary: "part-" + rand.Text(), Fields: [][2]string{{field, fold(base64.StdEncoding.EncodeToString(own))}}}
	if a, err := mail.ParseAddress(d.From); err == nil {
		m.From = *a
	}
	if d.Answers != 0 {
		if t, err := s.mail.Store.MessageByID(c.Context(), d.Answers); err == nil && t.User == d.User {
			m.InReplyTo = t.MessageID
		}
	}
	for _, f := range d.Files {
		m.Files = append(m.Files, compose.File{Name: f.Name, Type: f.Type, Data: f.Content})
	}
	return m.Bytes(), nil
}

// fold parts a long text into words, between which a field may be folded.
func fold(s string) string {
	var words []string
	for len(s) > 60 {
		words, s = append(words, s[:60]), s[60:]
	}
	return strings.Join(append(words, s), " ")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// addresses are those of a typed list that can be read.
func addresses(list string) (out []mail.Address) {
	for _, a := range mime.Addresses(list, sending.MaxRecipients) {
		if p, err := mail.ParseAddress(a.String()); err == nil {
			out = append(out, *p)
		}
	}
	return out
}

// Open reads a draft of the caller; what is none of theirs is errs.NotFound.
func (s *Drafts) Open(c *web.Call, id int64) (Draft, error) {
	m, _, body, err := s.mail.OpenFor(c, id)
	if err != nil {
		return Draft{}, err
	}
	defer body.Close()
	if !slices.Contains(m.Keywords, mailbox.KeywordDraft) {
		return Draft{}, errs.New(errs.NotFound, "this message is no draft")
	}
	d, err := Read(m, body)
	if err != nil || d.Answers != 0 {
		return d, err
	}
	// Mail that was taken back, or that another program wrote, says whom it answers by the Message-ID alone.
	tree, err := mime.Scan(body.All())
	if err != nil {
		return d, fmt.Errorf("scan draft: %w", err)
	}
	if ids := mime.MessageIDs(tree.Get("In-Reply-To")); len(ids) > 0 {
		list, err := s.mail.Store.Thread(c.Context(), m.MailboxID, m.ThreadID)
		if err != nil {
			return d, err
		}
		for _, t := range list {
			if t.MessageID == ids[0] && t.ID != m.ID {
				d.Answers = t.ID
			}
		}
	}
	return d, nil
}

// Read reads a stored draft, also one that another program wrote.
func Read(m mailbox.Message, body *mailbox.Content) (Draft, error) {
	v, err := reading.Show(body)
	if err != nil {
		return Draft{}, err
	}
	d := Draft{From: v.Tree.Get("From"), To: list(v, "To"), Cc: list(v, "Cc"), Bcc: list(v, "Bcc"), Subject: m.Subject}
	if own, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(v.Tree.Get(field)), "")); err == nil && len(own) > 0 {
		var typed Draft
		if json.Unmarshal(own, &typed) == nil {
			d = typed
		}
	}
	d.ID, d.User, d.Text = m.ID, m.User, v.Text
	for _, p := range v.Files {
		data, err := io.ReadAll(io.LimitReader(p.Body(body), email.MaxAppend))
		if err != nil {
			return d, fmt.Errorf("read a draft's file: %w", err)
		}
		d.Files = append(d.Files, sending.File{Name: p.Name, Type: p.Type, Content: data})
		d.Parts = append(d.Parts, v.Number(p))
	}
	return d, nil
}

func list(v reading.Shown, field string) string {
	var out []string
	for _, a := range v.Addresses(field) {
		out = append(out, a.String())
	}
	return strings.Join(out, ", ")
}
