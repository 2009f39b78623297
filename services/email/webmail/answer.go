package webmail

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/drafts"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/sending"
	"uniqverse/templates"
)

// maxQuote bounds what is quoted of a message, in bytes.
const maxQuote = 100 << 10

// layOut makes HTML of Markdown. HTML within it is not taken over, nor are links that are none of the web or mail.
func layOut(text string) string {
	var b bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.Strikethrough, extension.Table, extension.Linkify)).Convert([]byte(text), &b); err != nil {
		return "" // a Buffer takes everything
	}
	return "<!doctype html>\n<html><body>\n" + b.String() + "</body></html>\n"
}

// quote puts "> " before each line.
func quote(text string) string {
	text = strings.TrimRight(text[:min(len(text), maxQuote)], "\n")
	if text == "" {
		return ""
	}
	var b strings.Builder
	for line := range strings.SplitSeq(strings.ToValidUTF8(text, ""), "\n") {
		if strings.HasPrefix(line, ">") {
			b.WriteString(">" + line + "\n")
		} else {
			b.WriteString(strings.TrimRight("> "+line, " ") + "\n")
		}
	}
	return b.String()
}

// prefixed is a subject with "Re: " or "Fwd: " before it, unless it has one.
func prefixed(prefix, subject string) string {
	head, _, ok := strings.Cut(strings.ToLower(subject), ":")
	same := map[string][]string{"Re": {"re", "aw", "sv", "antw"}, "Fwd": {"fwd", "fw", "wg"}}[prefix]
	if ok && slices.Contains(same, strings.TrimSpace(head)) {
		return subject
	}
	return prefix + ": " + subject
}

// source opens the message that is answered or passed on, of the user's own.
func (w *Pages) source(c *web.Call, user string, id int64) (mailbox.Message, reading.Shown, *mailbox.Content, error) {
	if !c.Caller.Demo && !c.Caller.Has("email.read") {
		return mailbox.Message{}, reading.Shown{}, nil, errs.New(errs.Denied, "answering a mail needs the scope email.read, and the token does not carry it")
	}
	m, _, body, err := w.mail.OpenFor(c, id)
	if err != nil {
		return m, reading.Shown{}, nil, err
	}
	v, err := reading.Show(body)
	if err != nil || m.User != user {
		body.Close()
		if err == nil {
			err = errs.New(errs.NotFound, "there is no such message in this mailbox")
		}
		return m, v, nil, err
	}
	return m, v, body, nil
}

// answer begins an answer: to whoever wants it, and with all to everybody but oneself.
func (w *Pages) answer(c *web.Call, user string, id int64, all bool) (drafts.Draft, error) {
	m, v, body, err := w.source(c, user, id)
	if err != nil {
		return drafts.Draft{}, err
	}
	defer body.Close()
	own, err := w.addresses(c, user)
	if err != nil {
		return drafts.Draft{}, err
	}
	mine := func(addr string) bool {
		local, domain := mailbox.Split(strings.ToLower(addr))
		return slices.ContainsFunc(own, func(o string) bool {
			l, d := mailbox.Split(o)
			return strings.EqualFold(d, domain) && l == mailbox.WithoutTag(local)
		})
	}
	to := v.Addresses("Reply-To")
	if len(to) == 0 {
		to = v.Addresses("From")
	}
	if len(to) > 0 && mine(to[0].Addr) { // to what one wrote oneself one adds something
		if others := v.Addresses("To"); len(others) > 0 {
			to = others
		}
	}
	var cc []mime.Address
	if all {
		cc = append(v.Addresses("To"), v.Addresses("Cc")...)
	}
	seen := map[string]bool{}
	texts := func(list []mime.Address, drop bool) string {
		var out []string
		for _, a := range list {
			key := strings.ToLower(a.Addr)
			if a.Addr == "" || seen[key] || drop && mine(a.Addr) {
				continue
			}
			seen[key] = true
			out = append(out, addressText(a))
		}
		return strings.Join(out, ", ")
	}
	d := drafts.Draft{User: user, To: texts(to, false), Subject: prefixed("Re", m.Subject), Answers: m.ID}
	d.Cc = texts(cc, true)
	if q := quote(v.Text); q != "" {
		d.Text = "\n\n" + headline(m) + "\n" + q
	}
	for _, o := range own {
		if strings.EqualFold(o, m.Recipient) {
			d.From = o
		}
	}
	return d, nil
}

// addressText writes an address as it can be read again.
func addressText(a mime.Address) string {
	if a.Name == "" {
		return a.Addr
	}
	if strings.ContainsAny(a.Name, `,;:<>()[]@"\.`) {
		return `"` + strings.NewReplacer(`\`, ``, `"`, `'`).Replace(a.Name) + `" <` + a.Addr + ">"
	}
	return a.String()
}

// passOn begins a message with another one in it, or with it as a file; take are the files to choose from.
func (w *Pages) passOn(c *web.Call, user string, id int64, whole bool) (d drafts.Draft, take []templates.Attachment, err error) {
	m, v, body, err := w.source(c, user, id)
	if err != nil {
		return d, nil, err
	}
	defer body.Close()
	d = drafts.Draft{User: user, Subject: prefixed("Fwd", m.Subject), Forwards: m.ID}
	if whole {
		return d, []templates.Attachment{{Part: wholeMessage, Name: emlName(m), Type: "message/rfc822", Size: m.Size}}, nil
	}
	var b strings.Builder
	b.WriteString("\n\n---------- Forwarded message ----------\n")
	for _, f := range []string{"From", "Date", "Subject", "To", "Cc"} {
		if value := mime.Line(mime.Header(v.Tree.Get(f)), 1000); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", f, value)
		}
	}
	text := v.Text[:min(len(v.Text), maxQuote)]
	d.Text = b.String() + "\n" + strings.ToValidUTF8(text, "") + "\n"
	for _, p := range v.Files {
		take = append(take, templates.Attachment{Part: v.Number(p), Name: p.Name, Type: p.Type, Size: decodedSize(p)})
	}
	return d, take, nil
}

// wholeMessage is the number of a part that is the message itself.
const wholeMessage = -1

func emlName(m mailbox.Message) string {
	name := mime.Line(m.Subject, 60)
	if name == "" {
		name = fmt.Sprintf("message-%d", m.ID)
	}
	return name + ".eml"
}

// take reads parts of a message that is passed on.
func (w *Pages) take(c *web.Call, id int64, parts []int) ([]sending.File, error) {
	m, _, body, err := w.mail.OpenFor(c, id)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	v, err := reading.Show(body)
	if err != nil {
		return nil, err
	}
	var out []sending.File
	if slices.Contains(parts, wholeMessage) {
		raw, err := io.ReadAll(body.All())
		if err != nil {
			return nil, fmt.Errorf("read stored message: %w", err)
		}
		out = append(out, sending.File{Name: emlName(m), Type: "message/rfc822", Content: raw})
	}
	for _, p := range v.Files {
		if slices.Contains(parts, v.Number(p)) {
			data, err := io.ReadAll(io.LimitReader(p.Body(body), email.MaxAppend))
			if err != nil {
				return nil, fmt.Errorf("read a part: %w", err)
			}
			out = append(out, sending.File{Name: p.Name, Type: p.Type, Content: data})
		}
	}
	return out, nil
}
