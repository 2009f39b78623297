package webmail

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/compose"
	"uniqverse/services/email/drafts"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/sending"
	"uniqverse/templates"
)

// The bounds of what a page sends.
const (
	maxForm     = 28 << 20 // bytes of the form, files and all
	undoSeconds = 10       // for which a sent mail can be taken back
)

// composeParams choose what the page begins with.
type composeParams struct {
	User    string `json:"user,omitempty" max:"320" doc:"whose mailbox; the caller's when left out"`
	Draft   int64  `json:"draft,omitempty" min:"0" doc:"the draft to go on with"`
	Reply   int64  `json:"reply,omitempty" min:"0" doc:"the message to answer"`
	All     bool   `json:"all,omitempty" doc:"answer everybody"`
	Forward int64  `json:"forward,omitempty" min:"0" doc:"the message to pass on"`
	Whole   bool   `json:"whole,omitempty" doc:"pass it on as a file"`
	To      string `json:"to,omitempty" max:"10000"`
	Subject string `json:"subject,omitempty" max:"500"`
	Text    string `json:"text,omitempty" max:"100000"`
}

// writeParams are the page's form.
type writeParams struct {
	Draft    int64  `json:"draft,omitempty" min:"0" doc:"the version that it goes on from; 0 for a new mail"`
	User     string `json:"user,omitempty" max:"320" doc:"whose mailbox; the caller's when left out"`
	From     string `json:"from,omitempty" max:"400"`
	To       string `json:"to,omitempty" max:"20000" doc:"addresses, parted by commas"`
	Cc       string `json:"cc,omitempty" max:"20000"`
	Bcc      string `json:"bcc,omitempty" max:"20000"`
	Subject  string `json:"subject,omitempty" max:"500"`
	Text     string `json:"text,omitempty" max:"500000"`
	Markdown bool   `json:"markdown,omitempty" doc:"lay the text out: Markdown becomes HTML beside it"`
	Answers  int64  `json:"answers,omitempty" min:"0" doc:"the message that it answers"`
	Forwards int64  `json:"forwards,omitempty" min:"0" doc:"the message that it passes on"`
	Keep     []int  `json:"keep,omitempty" max:"50" doc:"numbers of the draft's files that stay"`
	Take     []int  `json:"take,omitempty" max:"50" doc:"numbers of the passed-on message's parts to put with it; -1 is the whole message"`
	SendAt   string `json:"send_at,omitempty" max:"40" doc:"when it is sent, as RFC 3339 or 2026-12-24T18:00 in UTC"`
	Do       string `json:"do" web:"required" max:"20" doc:"save, send or discard"`
}

// Written is the answer to the page's form.
type Written struct {
	Draft int64         `json:"draft"` // its number now; 0 when there is none any more
	Files []WrittenFile `json:"files"`
	Sent  api.EmailSent `json:"sent,omitzero"`
	Next  string        `json:"next"` // the page to go to
}

// WrittenFile is a file of a draft.
type WrittenFile struct {
	Part int    `json:"part"`
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// refused is a form that is shown again: what is wrong, and the draft that keeps what was typed.
type refused struct {
	error
	draft drafts.Draft
}

func (r refused) Unwrap() error { return r.error }

// author is whose mailbox a mail is written from.
func (w *Pages) author(c *web.Call, user string) (string, error) {
	if user == "" {
		user = c.Caller.User
	}
	box, err := w.mail.MailboxOf(c, user)
	return box.User, err
}

// write saves, sends or discards what the page's form holds.
func (w *Pages) write(c *web.Call, in writeParams) (Written, error) {
	user, err := w.author(c, in.User)
	if err != nil {
		return Written{}, err
	}
	d, err := w.typed(c, user, in)
	if err != nil {
		return Written{}, err
	}
	switch in.Do {
	case "save":
		if d, err = w.drafts.Save(c, d); err != nil {
			return Written{}, err
		}
		return written(d, in.User), nil
	case "discard":
		if in.Draft != 0 {
			err = w.drafts.Discard(c, user, in.Draft)
		}
		return Written{Files: []WrittenFile{}, Next: inboxParams{User: in.User}.query(0, 0)}, err
	case "send":
	default:
		return Written{}, errs.BadField("do", "must be save, send or discard")
	}
	sent, err := w.send(c, d, in.SendAt)
	switch {
	case err == nil:
		next := inboxParams{User: in.User, Folder: mailbox.RoleSent}.query(0, 0)
		return Written{Files: []WrittenFile{}, Sent: sent, Next: next + "&sent=" + url.QueryEscape(sent.QueueID)}, nil
	case c.WantsPage() && errs.KindOf(err) != errs.Conflict: // nothing of it is lost: also the files, which no page can show again
		if saved, saveErr := w.drafts.Save(c, d); saveErr == nil {
			return Written{}, refused{err, saved}
		}
	}
	return Written{}, err
}

func written(d drafts.Draft, user string) Written {
	q := url.Values{"draft": {strconv.FormatInt(d.ID, 10)}}
	if user != "" {
		q.Set("user", user)
	}
	out := Written{Draft: d.ID, Files: []WrittenFile{}, Next: "/compose?" + q.Encode()}
	for i, f := range d.Files {
		w := WrittenFile{Part: -1, Name: f.Name, Size: int64(len(f.Content))}
		if i < len(d.Parts) {
			w.Part = d.Parts[i]
		}
		out.Files = append(out.Files, w)
	}
	return out
}

// typed makes a draft of a form: with the files that stay, those that are taken over from another message, and the new ones.
func (w *Pages) typed(c *web.Call, user string, in writeParams) (drafts.Draft, error) {
	d := drafts.Draft{ID: in.Draft, User: user, From: in.From, To: in.To, Cc: in.Cc, Bcc: in.Bcc, Subject: in.Subject, Text: strings.ReplaceAll(in.Text, "\r\n", "\n"),
		Markdown: in.Markdown, Answers: in.Answers, Forwards: in.Forwards}
	if len(in.Keep) > 0 && in.Draft != 0 {
		old, err := w.drafts.Open(c, in.Draft)
		if errs.Is(err, errs.NotFound) {
			return d, errs.New(errs.Conflict, "this draft was changed, sent or removed in another window; open it again from Drafts")
		}
		if err != nil {
			return d, err
		}
		for i, f := range old.Files {
			if slices.Contains(in.Keep, old.Parts[i]) {
				d.Files = append(d.Files, f)
			}
		}
	}
	if len(in.Take) > 0 && in.Forwards != 0 {
		taken, err := w.take(c, in.Forwards, in.Take)
		if err != nil {
			return d, err
		}
		d.Files = append(d.Files, taken...)
	}
	for _, f := range c.Files() {
		d.Files = append(d.Files, sending.File{Name: compose.FileName(f.Name), Type: f.Type, Content: f.Data})
	}
	if len(d.Files) > sending.MaxFiles {
		return d, errs.BadField("attachments", "must be at most %d", sending.MaxFiles)
	}
	return d, nil
}

// split parts what was typed as addresses; a local part alone stays as it is.
func split(list string) (out []string) {
	quoted, from := false, 0
	cut := func(to int) {
		if s := strings.TrimSpace(list[from:to]); s != "" {
			out = append(out, s)
		}
		from = to + 1
	}
	for i, r := range list {
		switch {
		case r == '"':
			quoted = !quoted
		case !quoted && (r == ',' || r == ';' || r == '\n'):
			cut(i)
		}
	}
	if from < len(list) {
		cut(len(list))
	}
	return out
}

// send sends a draft, and removes it and marks what it answers in the same transaction.
func (w *Pages) send(c *web.Call, d drafts.Draft, at string) (api.EmailSent, error) {
	l := sending.Letter{From: d.From, To: split(d.To), Cc: split(d.Cc), Bcc: split(d.Bcc), Subject: d.Subject, Text: d.Text, Files: d.Files, Undo: undoSeconds}
	if at != "" {
		if len(at) == len("2026-12-24T18:00") {
			at += ":00Z"
		}
		l.SendAt, l.Undo = at, 0
	}
	if l.Text == "" && len(l.Files) > 0 {
		l.Text = "\n"
	}
	if d.Markdown && l.Text != "" {
		l.HTML = layOut(l.Text)
	}
	if l.From == "" {
		l.From = w.mail.Address(d.User)
	}
	mark := map[int64]string{d.Answers: mailbox.KeywordAnswered, d.Forwards: mailbox.KeywordForwarded}
	delete(mark, 0)
	if d.Answers != 0 {
		m, _, body, err := w.mail.OpenFor(c, d.Answers)
		if err == nil {
			if tree, err := mime.Scan(body.All()); err == nil && m.MessageID != "" {
				l.InReplyTo = m.MessageID
				l.References = append(mime.MessageIDs(tree.Get("References")), l.References...)
				if len(l.References) == 0 {
					l.References = mime.MessageIDs(tree.Get("In-Reply-To"))
				}
			}
			body.Close()
		} else if !errs.Is(err, errs.NotFound) {
			return api.EmailSent{}, err
		}
	}
	l.References = slices.DeleteFunc(l.References, func(id string) bool { return !plainID(id) })
	if !plainID(l.InReplyTo) {
		l.InReplyTo = ""
	}
	var removed []string
	sent, err := w.mail.Sender().Send(c, l, func(tx mailbox.Tx, _ int64) error {
		removed = nil
		for id, word := range mark {
			if err := setKeyword(tx, d.User, id, word); err != nil {
				return err
			}
		}
		return drafts.Remove(tx, d.User, d.ID, &removed)
	})
	if err == nil {
		w.mail.Removed(removed)
	}
	return sent, err
}

// plainID says whether a Message-ID can be written into a field as it is.
func plainID(id string) bool {
	return len(id) <= 250 && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' })
}

// setKeyword marks a message of the user; one that is gone is nobody's business any more.
func setKeyword(tx mailbox.Tx, user string, id int64, word string) error {
	m, err := tx.MessageByID(id)
	if errs.Is(err, errs.NotFound) || err == nil && (m.User != user || slices.Contains(m.Keywords, word)) {
		return nil
	}
	if err != nil {
		return err
	}
	words, err := mailbox.CleanKeywords(append(slices.Clone(m.Keywords), word))
	if err != nil {
		return err
	}
	return tx.SetKeywords(m, words)
}

// again shows a refused form with what was typed in it.
func (w *Pages) again(c *web.Call, err error) (web.Page, bool) {
	var r refused
	if !errors.As(err, &r) {
		return web.Page{}, false
	}
	v, showErr := w.composeView(c, c.Form("user"), r.draft)
	if showErr != nil {
		return web.Page{}, false
	}
	v.Errors = templates.FieldErrors{}
	var e *errs.Error
	if errors.As(err, &e) {
		for _, f := range e.Fields {
			v.Errors[f.Field] = f.Detail
		}
		if len(e.Fields) == 0 {
			v.Errors[""] = e.Detail
		}
	}
	v.SendAt = c.Form("send_at")
	return web.Page{Template: templates.PageCompose, Title: "Write", Data: v}, true
}

func (w *Pages) composePage(c *web.Call, in composeParams) (web.Page, error) {
	user, err := w.author(c, in.User)
	if err != nil {
		return web.Page{}, err
	}
	d := drafts.Draft{User: user, To: in.To, Subject: in.Subject, Text: in.Text}
	var take []templates.Attachment
	switch {
	case in.Draft != 0:
		d, err = w.drafts.Open(c, in.Draft)
	case in.Reply != 0:
		d, err = w.answer(c, user, in.Reply, in.All)
	case in.Forward != 0:
		d, take, err = w.passOn(c, user, in.Forward, in.Whole)
	}
	if err != nil {
		return web.Page{}, err
	}
	v, err := w.composeView(c, in.User, d)
	if err != nil {
		return web.Page{}, err
	}
	v.Take = take
	if in.Draft == 0 && v.Signature != "" {
		v.Text = withSignature(v.Text, v.Signature, in.Reply != 0 || in.Forward != 0)
	}
	title := "Write"
	if d.Subject != "" {
		title = d.Subject
	}
	return web.Page{Template: templates.PageCompose, Title: title, Data: v}, nil
}

// withSignature puts the signature below what is written and above what is quoted.
func withSignature(text, signature string, quotes bool) string {
	sign := "\n\n-- \n" + signature + "\n"
	if quotes {
		return sign + text
	}
	return text + sign
}

func (w *Pages) composeView(c *web.Call, user string, d drafts.Draft) (templates.ComposeView, error) {
	v := templates.ComposeView{User: user, Mailbox: w.mail.Address(d.User), Draft: d.ID, To: d.To, Cc: d.Cc, Bcc: d.Bcc, Subject: d.Subject, Text: d.Text, Markdown: d.Markdown,
		Answers: d.Answers, Forwards: d.Forwards, MaxBytes: sending.MaxMessage, Undo: undoSeconds, Now: c.Now.UTC().Format("2006-01-02T15:04"), BackURL: inboxParams{User: user}.query(0, 0)}
	for i, f := range d.Files {
		a := templates.Attachment{Name: f.Name, Type: f.Type, Size: int64(len(f.Content))}
		if i < len(d.Parts) {
			a.Part = d.Parts[i]
		}
		v.Files = append(v.Files, a)
	}
	own, err := w.addresses(c, d.User)
	if err != nil {
		return v, err
	}
	for _, a := range own {
		v.From = append(v.From, templates.Option{Value: a, Label: a, Selected: d.From == a})
	}
	box, err := w.mail.MailboxOf(c, d.User)
	if err != nil || box.ID == 0 {
		return v, err
	}
	v.Signature, err = w.mail.Store.Pref(c.Context(), box.ID, prefSignature)
	return v, err
}

// prefSignature is what a new mail ends with.
const prefSignature = "signature"

// addresses are those that somebody may write from: their own, and their aliases.
func (w *Pages) addresses(c *web.Call, user string) ([]string, error) {
	out := []string{w.mail.Address(user)}
	all, err := w.mail.Store.Aliases(c.Context())
	for _, a := range all {
		if a.Alias != "*" && slices.Contains(a.Targets, user) {
			out = append(out, w.mail.Address(a.Alias))
		}
	}
	return out, err
}

type signatureParams struct {
	User      string `json:"user,omitempty" max:"320" doc:"whose; the caller's when left out"`
	Signature string `json:"signature,omitempty" max:"2000" doc:"what a new mail ends with; empty is none"`
	Next      string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

// Signature is the answer to a change of it.
type Signature struct {
	Signature string `json:"signature"`
}

func (w *Pages) setSignature(c *web.Call, tx mailbox.Tx, in signatureParams) (Signature, error) {
	text := strings.TrimSpace(strings.ReplaceAll(in.Signature, "\r\n", "\n"))
	return Signature{text}, w.setPref(c, tx, in.User, prefSignature, text)
}

// setPref stores a choice of a mailbox's owner.
func (w *Pages) setPref(c *web.Call, tx mailbox.Tx, user, name, value string) error {
	if user == "" {
		user = c.Caller.User
	}
	local, err := w.mail.Named(user)
	if err != nil {
		return err
	}
	if err := c.Caller.ActAs(local, "email.admin"); err != nil {
		return err
	}
	box, _, err := tx.EnsureMailbox(local, mailbox.MadeByMail)
	if err != nil {
		return err
	}
	return tx.SetPref(box.ID, name, value)
}

// when writes a time as a quotation begins with.
func when(t time.Time) string { return t.UTC().Format("Mon, 2 Jan 2006 at 15:04 UTC") }

// headline introduces what is quoted.
func headline(m mailbox.Message) string {
	date := m.Date
	if date.IsZero() {
		date = m.Received
	}
	return fmt.Sprintf("On %s, %s wrote:", when(date), mime.Line(m.From, 200))
}
