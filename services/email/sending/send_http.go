package sending

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/compose"
	"uniqverse/services/email/htmlmail"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/reading"
	"uniqverse/smtpd"
)

// The bounds of a mail that is handed in over HTTP.
const (
	maxNotice     = 4 << 20  // bytes of a service's request
	maxSend       = 36 << 20 // bytes of a person's, files and all
	MaxMessage    = 25 << 20 // bytes of the mail that is made of it: what the edge takes, too
	MaxRecipients = 100      // of one mail
	MaxFiles      = 50       // of one mail
)

// Who services write as: to the person of a ticket, and otherwise.
const (
	supportUser = "support"
	noticeUser  = "noreply"
)

// File is a file that goes with a mail.
type File struct {
	Name    string `json:"name"`
	Type    string `json:"type,omitempty"` // media type
	Content []byte `json:"content"`        // base64 in JSON
}

// Letter is a mail that somebody sends.
type Letter struct {
	From       string   `json:"from,omitempty" max:"400" doc:"an own address, with a name if wanted; the caller's when left out"`
	To         []string `json:"to,omitempty" max:"100" doc:"addresses, with names if wanted; a local part is one of this domain"`
	Cc         []string `json:"cc,omitempty" max:"100"`
	Bcc        []string `json:"bcc,omitempty" max:"100" doc:"get it too, and nobody sees that"`
	Subject    string   `json:"subject,omitempty" max:"500"`
	Text       string   `json:"text,omitempty" doc:"the text; made from the HTML when left out"`
	HTML       string   `json:"html,omitempty" doc:"the same as HTML, shown by programs that can"`
	InReplyTo  string   `json:"in_reply_to,omitempty" max:"300" doc:"Message-ID of the mail that is answered"`
	SendAt     string   `json:"send_at,omitempty" max:"40" doc:"when it is sent, RFC 3339, at most a year ahead; until then POST /api/scheduled/{queue_id}/cancel takes it back"`
	References []string `json:"references,omitempty" max:"100" doc:"Message-IDs of the thread, the first that came first"`
	Files      []File   `json:"attachments,omitempty" max:"50" doc:"files; in a multipart form the files of the field attachments"`
	Undo       int      `json:"undo_seconds,omitempty" min:"0" max:"600" doc:"send it so many seconds from now; until then it can be taken back"`

	at time.Time
}

// Check refuses what no mail can say.
func (p *Letter) Check() error {
	if p.SendAt != "" {
		var err error
		if p.at, err = time.Parse(time.RFC3339, p.SendAt); err != nil || p.Undo != 0 {
			return errs.BadField("send_at", "must be a time such as 2026-12-24T18:00:00Z, and goes without undo_seconds")
		}
	}
	if len(p.To)+len(p.Cc)+len(p.Bcc) == 0 {
		return errs.Missing("to")
	}
	if n := len(p.To) + len(p.Cc) + len(p.Bcc); n > MaxRecipients {
		return errs.BadField("to", "and cc and bcc must be at most %d addresses, and are %d", MaxRecipients, n)
	}
	if p.Text == "" && p.HTML == "" {
		return errs.Missing("text")
	}
	if strings.ContainsFunc(p.Subject, unicode.IsControl) {
		return errs.BadField("subject", "must be one line")
	}
	id := strings.Trim(p.InReplyTo, "<>")
	if strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' }) || id == "" && p.InReplyTo != "" {
		return errs.BadField("in_reply_to", "must be a Message-ID, such as <1234@example.org>")
	}
	p.InReplyTo = id
	for _, r := range p.References {
		if len(r) > 300 || strings.ContainsFunc(strings.Trim(r, "<>"), func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' }) {
			return errs.BadField("references", "must be Message-IDs, such as <1234@example.org>")
		}
	}
	return nil
}

// noticeParams are a mail that a service sends.
type noticeParams struct {
	To        string `json:"to" web:"required" max:"400" doc:"one address; a local part is one of this domain"`
	Subject   string `json:"subject" web:"required" max:"500"`
	Text      string `json:"text" web:"required"`
	HTML      string `json:"html,omitempty" doc:"the same as HTML"`
	InReplyTo string `json:"in_reply_to,omitempty" max:"300" doc:"Message-ID of the mail that is answered"`
	Ticket    int64  `json:"ticket,omitempty" min:"1" doc:"the ticket that it is about: an answer can be told by it"`
}

// Check refuses what no mail can say.
func (p *noticeParams) Check() error {
	m := Letter{To: []string{p.To}, Subject: p.Subject, Text: p.Text, InReplyTo: p.InReplyTo}
	err := m.Check()
	p.InReplyTo = m.InReplyTo
	return err
}

// draft is a mail on its way to accept.
type draft struct {
	Letter
	user   string // local part of the sender's mailbox
	from   mail.Address
	prefix string // of the Message-ID
	fields [][2]string
}

// atomic runs the transaction of a call, or answers as it did before.
type atomic func(fn func(tx mailbox.Tx) (api.EmailSent, error)) (any, error)

func (s *Sender) send(c *web.Call, in Letter) (any, error) {
	for _, f := range c.Files() {
		in.Files = append(in.Files, File{Name: f.Name, Type: f.Type, Content: f.Data})
	}
	run := func(fn func(tx mailbox.Tx) (api.EmailSent, error)) (any, error) {
		return web.Update(c, in, s.Store, fn)
	}
	return s.write(c, in, run)
}

// Send sends a mail as POST /api/send does, for a page. also, unless nil, runs in the transaction that stores it, with the
// number of the sender's copy. What is wrong with the mail is errs.Invalid with the field.
func (s *Sender) Send(c *web.Call, in Letter, also func(tx mailbox.Tx, copied int64) error) (sent api.EmailSent, err error) {
	if err := in.Check(); err != nil {
		return sent, err
	}
	run := func(fn func(tx mailbox.Tx) (api.EmailSent, error)) (any, error) {
		err := s.Store.Update(c.Context(), nil, func(tx mailbox.Tx) error {
			var err error
			if sent, err = fn(tx); err != nil || also == nil {
				return err
			}
			return also(tx, sent.ID)
		})
		return sent, err
	}
	_, err = s.write(c, in, run)
	return sent, err
}

func (s *Sender) write(c *web.Call, in Letter, run atomic) (any, error) {
	if len(in.Files) > MaxFiles {
		return nil, errs.BadField("attachments", "must be at most %d", MaxFiles)
	}
	d := draft{Letter: in, user: c.Caller.User}
	var err error
	if d.user, d.from, err = s.author(c, in.From); err != nil {
		return nil, err
	}
	return s.submit(c, d, run)
}

func (s *Sender) notify(c *web.Call, in noticeParams) (any, error) {
	if !c.Caller.Has("email.send") && !c.Caller.Has("email.admin") {
		return nil, errs.New(errs.Denied, "this address needs the scope email.send or email.admin, and the token carries neither")
	}
	run := func(fn func(tx mailbox.Tx) (api.EmailSent, error)) (any, error) {
		return web.Update(c, in, s.Store, fn)
	}
	d := draft{Letter: Letter{To: []string{in.To}, Subject: in.Subject, Text: in.Text, HTML: in.HTML, InReplyTo: in.InReplyTo}, user: c.Caller.User}
	if c.Caller.Server != "" || d.user == "" {
		if d.user = noticeUser; in.Ticket != 0 {
			d.user = supportUser
		}
		d.fields = append(d.fields, [2]string{"Auto-Submitted", "auto-generated"})
	}
	if in.Ticket != 0 {
		d.prefix = fmt.Sprintf("ticket-%d.", in.Ticket)
		d.fields = append(d.fields, [2]string{"X-Veze-Ticket", fmt.Sprint(in.Ticket)})
	}
	d.from = mail.Address{Address: s.Address(d.user)}
	return s.submit(c, d, run)
}

// author returns whose mailbox a mail is from and the address to write, which must be the caller's own or an alias of theirs.
func (s *Sender) author(c *web.Call, from string) (user string, addr mail.Address, err error) {
	if from == "" {
		if c.Caller.User == "" {
			return "", addr, errs.Missing("from")
		}
		return c.Caller.User, mail.Address{Address: s.Address(c.Caller.User)}, nil
	}
	if addr, err = s.parseAddress("from", from); err != nil {
		return "", addr, err
	}
	if user, err = s.Named(addr.Address); err != nil {
		return "", addr, err
	}
	local, _ := mailbox.Split(addr.Address)
	if local, err = mailbox.Canonical(local); err != nil {
		return "", addr, errs.BadField("from", "%s", err)
	}
	targets, err := s.Targets(c.Context(), local)
	if err != nil {
		return "", addr, err
	}
	if c.Caller.User != "" && slices.Contains(targets, c.Caller.User) {
		return c.Caller.User, addr, nil
	}
	return user, addr, c.Caller.ActAs(user, "email.admin")
}

// parseAddress reads one address as people write it; a local part alone is one of this domain.
func (s *Sender) parseAddress(field, text string) (mail.Address, error) {
	if name := strings.TrimPrefix(strings.TrimSpace(text), "@"); !strings.Contains(name, "@") && mailbox.DotAtom(name) {
		return mail.Address{Address: s.Address(name)}, nil
	}
	a, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsFunc(a.Address, unicode.IsControl) {
		return mail.Address{}, errs.BadField(field, "must be addresses such as ann@example.org, and %q is none", text)
	}
	return *a, nil
}

// recipients reads the lists of addresses and checks that mail can go there.
func (s *Sender) recipients(c *web.Call, d draft) (to, cc []mail.Address, all []string, err error) {
	for _, l := range []struct {
		field string
		texts []string
		shown *[]mail.Address
	}{{"to", d.To, &to}, {"cc", d.Cc, &cc}, {"bcc", d.Bcc, nil}} {
		for _, text := range l.texts {
			a, err := s.parseAddress(l.field, text)
			if err != nil {
				return nil, nil, nil, err
			}
			local, domain := mailbox.Split(a.Address)
			if s.Ours(domain) {
				err = s.CheckHere(c.Context(), local)
			} else {
				err = s.CheckOutside(c.Context(), a.Address)
			}
			var reply *smtpd.Reply
			if errors.As(err, &reply) {
				return nil, nil, nil, errs.BadField(l.field, "has %s: %s", a.Address, reply.Text)
			}
			if err != nil {
				return nil, nil, nil, err
			}
			same := func(b string) bool { // whoever is named twice gets it once
				l, d := mailbox.Split(b)
				return l == local && strings.EqualFold(d, domain)
			}
			if !slices.ContainsFunc(all, same) {
				all = append(all, a.Address)
			}
			if l.shown != nil {
				*l.shown = append(*l.shown, a)
			}
		}
	}
	return to, cc, all, nil
}

// submit composes a mail and hands it in: mailboxes here have it when submit returns, for others it is in the queue.
func (s *Sender) submit(c *web.Call, d draft, run atomic) (any, error) {
	when := d.at
	if d.Undo > 0 {
		when = c.Now.Add(time.Duration(d.Undo) * time.Second)
	}
	to, cc, all, err := s.recipients(c, d)
	if ahead := when.Sub(c.Now); err == nil && !when.IsZero() && (ahead <= 0 || ahead > 366*24*time.Hour) {
		err = errs.BadField("send_at", "must lie ahead, by a year at most")
	}
	if err != nil { // a repeated call is answered as the first one was, whatever the lists say by now
		return run(func(mailbox.Tx) (api.EmailSent, error) { return api.EmailSent{}, err })
	}
	text := d.Text
	if text == "" {
		text = htmlmail.Text(d.HTML, reading.ShownText)
	}
	id, received := rand.Text()[:16], c.Now.UTC()
	messageID := d.prefix + strings.ToLower(id) + "@" + s.Domain
	letter := compose.Message{From: d.from, To: to, Cc: cc, Subject: d.Subject, Text: text, HTML: d.HTML, InReplyTo: d.InReplyTo, References: d.References, Date: received,
		MessageID: messageID, Boundary: "part-" + rand.Text(), Fields: d.fields}
	for _, f := range d.Files {
		letter.Files = append(letter.Files, compose.File{Name: f.Name, Type: f.Type, Data: f.Content})
	}
	raw := letter.Bytes()
	if len(raw) > MaxMessage {
		return nil, errs.New(errs.TooLarge, "the mail has %d MB and may have at most %d, its files as they travel (a third larger) among them", len(raw)>>20, MaxMessage>>20)
	}
	trace := fmt.Appendf(nil, "Received: by %s with HTTP id %s; %s\r\n", s.Domain, id, received.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	m := Mail{NotBefore: when, Free: c.Caller.Demo || c.Caller.Server != "" || c.Caller.Has("email.admin"), Message: smtpd.NewMessage(trace, raw),
		Envelope: &smtpd.Envelope{ID: id, Mode: smtpd.Submission, ReversePath: d.from.Address, Recipients: all, User: s.Address(d.user), ReceivedAt: received,
			Traceparent: c.Trace().Traceparent()}}
	var out any
	err = s.Accept(c.Context(), m, func(store func(tx mailbox.Tx) (Placed, error)) error {
		var err error
		out, err = run(func(tx mailbox.Tx) (api.EmailSent, error) {
			p, err := store(tx)
			return api.EmailSent{ID: p.Copy, QueueID: id, MessageID: messageID, Delivered: p.Delivered, Queued: p.Queued, SendAt: api.TimeOf(when)}, err
		})
		return err
	})
	return out, asProblem(err)
}

// asProblem turns a reply that is meant for SMTP into an error for HTTP.
func asProblem(err error) error {
	var r *smtpd.Reply
	switch {
	case !errors.As(err, &r):
		return err
	case r.Code/100 == 4:
		return errs.Wrap(errs.Unavailable, err, "%s", r.Text)
	}
	return errs.BadField("to", "cannot be sent to: %s", r.Text)
}
