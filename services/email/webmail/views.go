package webmail

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/web"
	mailbody "uniqverse/services/email/body"
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
		for _, f := range mailbody.FieldList(raw, show.Tree) {
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
		var err error
		v.Journey, err = w.journey(c, m, raw)
		return err
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

// journey shows the message's way through this server.
func (w *Pages) journey(c *web.Call, m mailbox.Message, raw mailbox.Raw) ([]templates.Step, error) {
	way, err := w.ways.Tell(c.Context(), m, raw)
	if err != nil {
		return nil, err
	}
	var out []templates.Step
	for _, s := range way.Steps {
		step := templates.Step{Title: s.Title, Result: s.Result, Text: s.Text, Items: s.Items}
		if s.At != nil {
			step.At = s.At.Time()
		}
		if s.MS != nil {
			step.Took = time.Duration(*s.MS * float64(time.Millisecond))
		}
		out = append(out, step)
	}
	return out, nil
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
