package webmail

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/lint"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/xray"
	"uniqverse/templates"
)

// maxSource bounds what is shown of a message's source, in bytes; the whole is at …/raw.
const maxSource = 256 << 10

// look fills in what one of the views of a message shows; a view that there is none of is the usual one.
func (w *Pages) look(c *web.Call, view string, v *templates.MessageView, m mailbox.Message, raw mailbox.Raw, show reading.Shown, body *mailbox.Content) error {
	here := "/messages/" + strconv.FormatInt(m.ID, 10)
	found := view == ""
	for _, t := range [][2]string{{"", "Message"}, {"text", "Text"}, {"source", "Source"}, {"headers", "Headers"}, {"parts", "Parts"}, {"auth", "Authentication"}, {"journey", "Journey"}, {"lint", "Lint"}} {
		tab := templates.Tab{Label: t[1], Href: here, Current: t[0] == view}
		if t[0] != "" {
			tab.Href += "?view=" + t[0]
		}
		if t[0] == "text" && show.HTMLPart == nil {
			continue
		}
		found = found || tab.Current
		v.Views = append(v.Views, tab)
	}
	if !found {
		v.Views[0].Current = true
		return nil
	}
	v.View = view
	switch view {
	case "source":
		head := make([]byte, min(maxSource, body.Size))
		if _, err := io.ReadFull(io.NewSectionReader(body, 0, body.Size), head); err != nil {
			return fmt.Errorf("read stored message: %w", err)
		}
		v.Source = strings.ToValidUTF8(string(raw.Prepended)+string(head), "\uFFFD")
		v.Clipped = body.Size > maxSource
	case "headers":
		for _, f := range email.FieldList(raw, show.Tree) {
			v.Headers = append(v.Headers, templates.Header{Name: f.Name, Value: f.Value, Ours: f.Ours})
		}
	case "parts":
		v.Parts = w.parts(c, m, show)
	case "auth":
		r, err := reading.Auth(raw.Auth)
		if err == nil && raw.AuthUser == "" && raw.RemoteIP != "" {
			for _, k := range xray.Explain(r, raw.RemoteIP, raw.HELO) {
				v.Xray = append(v.Xray, templates.XrayCheck{Name: k.Name, Result: k.Result, Says: k.Says, Publish: k.Publish})
			}
		}
	case "journey":
		v.Journey = w.journey(m, raw, v.Folder)
	case "lint":
		return w.lint(v, m, raw, show, body)
	}
	return nil
}

func (w *Pages) parts(c *web.Call, m mailbox.Message, show reading.Shown) (out []templates.PartRow) {
	for i := range show.Tree.Parts {
		p := &show.Tree.Parts[i]
		row := templates.PartRow{Number: i, Depth: p.Depth, Type: p.Type, Name: p.Name, Encoding: p.Encoding, Disposition: p.Disposition, Size: p.Size()}
		if !p.IsMultipart() {
			row.URL = token(c, fmt.Sprintf("/api/messages/%d/parts/%d", m.ID, i), nil)
		}
		out = append(out, row)
	}
	return out
}

// journey tells what is known of the message's way, in its order.
func (w *Pages) journey(m mailbox.Message, raw mailbox.Raw, folder string) []templates.Step {
	var out []templates.Step
	add := func(title, format string, args ...any) {
		out = append(out, templates.Step{At: raw.Received, Title: title, Text: fmt.Sprintf(format, args...)})
	}
	from := raw.ReversePath
	if from == "" {
		from = "the null sender"
	}
	switch {
	case raw.Mode == "draft" || raw.Mode == "import" || raw.Mode == "local":
		add("Put here", "It did not come over SMTP: %s.", map[string]string{"draft": "it was written here", "import": "it was brought in from elsewhere", "local": "this server wrote it"}[raw.Mode])
	case raw.AuthUser != "":
		add("Handed in", "%s signed in and handed it in (%s), for %s.", raw.AuthUser, raw.Mode, strings.Join(raw.Recipients, ", "))
	default:
		tls := "without TLS"
		if raw.TLS != "" {
			tls = "over " + raw.TLS
		}
		add("Received", "From the host %s, which called itself %s, %s. The envelope: from %s to %s. Number %s.", raw.RemoteIP, raw.HELO, tls, from, strings.Join(raw.Recipients, ", "), raw.EnvelopeID)
		add("Sender checked", "SPF %s, DKIM %s, DMARC %s.", m.SPF, m.DKIM, m.DMARC)
		if r, err := reading.Auth(raw.Auth); err == nil {
			for _, p := range r.Policy {
				add("Policy", "Rule %s: a server that refuses would have answered %d %s %s. %s", p.Rule, p.Code, p.Enhanced, p.Text, p.Detail)
			}
		}
	}
	if len(raw.Faults) > 0 {
		add("Read", "Broken in it: %s. It was stored as it came.", strings.ReplaceAll(strings.Join(raw.Faults, ", "), "_", " "))
	}
	if raw.AuthUser == "" {
		add("Judged", "The spam filter gave %.1f points.", m.SpamScore)
		for _, r := range raw.SpamReasons {
			out[len(out)-1].Items = append(out[len(out)-1].Items, fmt.Sprintf("%s %+.1f", strings.ReplaceAll(r.Rule, "_", " "), r.Score))
		}
	}
	if m.Recipient != "" && raw.AuthUser == "" && raw.Mode != "draft" {
		add("Addressed", "It was for %s; the mailbox is %s.", m.Recipient, w.mail.Address(m.User))
	}
	if folder != "" {
		out = append(out, templates.Step{At: m.Received, Title: "Now", Text: "It lies in " + folder + "."})
	}
	return out
}

func (w *Pages) lint(v *templates.MessageView, m mailbox.Message, raw mailbox.Raw, show reading.Shown, body *mailbox.Content) error {
	in := lint.Message{Tree: show.Tree, Raw: body.All(), Date: m.Date, Received: m.Received, Submitted: raw.AuthUser != ""}
	for i := range show.Tree.Parts {
		p := &show.Tree.Parts[i]
		in.Plain = in.Plain || p.Type == "text/plain" && !p.IsAttachment()
	}
	if show.HTMLPart != nil {
		src, _, err := show.HTMLPart.Text(body, reading.ShownHTML)
		if err != nil {
			return fmt.Errorf("decode stored message: %w", err)
		}
		in.HTML = src
	}
	findings, links := lint.Check(in)
	for _, f := range findings {
		v.Lint = append(v.Lint, templates.LintRow{Tone: f.Level, Title: f.Title, Detail: f.Detail})
	}
	for _, l := range links {
		v.Links = append(v.Links, templates.LinkRow{Text: l.Text, URL: l.URL, Odd: l.Odd})
	}
	return nil
}
