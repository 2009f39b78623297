package email

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"uniqverse/services/email/htmlmail"
	"uniqverse/services/email/mime"
	"uniqverse/smtpd/senderauth"
)

// The bounds of what is decoded of a message.
const (
	snippetRunes = 160
	snippetText  = 32 << 10  // bytes of plain text read for a snippet
	snippetHTML  = 256 << 10 // bytes of HTML read for one: style sheets come first
	shownText    = 1 << 20   // bytes of text shown of a message
	shownHTML    = 5 << 20   // bytes of HTML shown of a message
)

// reading is what was understood of a message.
type reading struct {
	tree        *mime.Tree
	domain      string // ours, in ASCII
	plain, html bool   // there is readable text of the kind
	snippet     string
	attachments []*mime.Part
	encrypted   bool
	faults      []string
}

// read makes sense of a message as far as that goes. It never fails: what is broken is named
// in faults, and even a fault of our own parser leaves a message that can be stored.
func (s *Service) read(c *content) (r reading) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("a message could not be parsed; it is stored as it came", "panic", fmt.Sprint(p))
			r = reading{tree: &mime.Tree{Size: c.size}, domain: s.ascii, faults: []string{mime.FaultInternal}}
		}
	}()
	tree, err := mime.Scan(c.all())
	if err != nil {
		s.Log.Error("a message could not be read back; it is stored as it came", slog.Any("err", err))
		return reading{tree: &mime.Tree{Size: c.size}, domain: s.ascii, faults: []string{mime.FaultInternal}}
	}
	r = reading{tree: tree, domain: s.ascii}
	plain, html := bodies(tree)
	r.plain, r.html = len(plain) > 0, html != nil
	for i := range tree.Parts {
		p := &tree.Parts[i]
		if isFile(tree, p, html != nil) {
			r.attachments = append(r.attachments, p)
		}
		r.encrypted = r.encrypted || p.Type == "application/pgp-encrypted" || p.Type == "application/pkcs7-mime"
	}
	if r.plain {
		r.snippet = r.start(plain[0], c, snippetText, false)
	}
	if r.snippet == "" && r.html {
		r.snippet = r.start(html, c, snippetHTML, true)
	}
	r.faults = tree.Faults
	return r
}

// start returns the start of a part's text on one line.
func (r *reading) start(p *mime.Part, src io.ReaderAt, limit int64, isHTML bool) string {
	text, faults, err := p.Text(src, limit)
	if err != nil {
		faults = append(faults, mime.FaultInternal)
	}
	for _, f := range faults {
		r.tree.Fault(f)
	}
	if isHTML {
		text = htmlmail.Text(text, 4*snippetRunes)
	}
	return mime.Line(text[:min(len(text), 16<<10)], snippetRunes)
}

// bodies returns the parts that hold a message's readable text: every plain one that is no
// file, and the first HTML one.
func bodies(t *mime.Tree) (plain []*mime.Part, html *mime.Part) {
	for i := range t.Parts {
		p := &t.Parts[i]
		if p.IsMultipart() || p.IsAttachment() || p.Size() == 0 {
			continue
		}
		switch {
		case p.Type == "text/html":
			if html == nil {
				html = p
			}
		case len(plain) < 50: // text/plain, and text of any other kind, which is better shown than hidden
			plain = append(plain, p)
		}
	}
	return plain, html
}

// isFile reports whether people would call a part a file of the message. An image that the
// HTML shows is not one.
func isFile(t *mime.Tree, p *mime.Part, hasHTML bool) bool {
	if !p.IsAttachment() || p.Depth == 0 && p.Size() == 0 {
		return false
	}
	inline := hasHTML && p.ContentID != "" && p.Disposition != "attachment" && strings.HasPrefix(p.Type, "image/")
	return !inline
}

// flags are the words that a list shows for what was found.
func (r *reading) flags(nullSender bool, spamScore float64) []string {
	h := func(name string) string { return strings.ToLower(r.tree.Get(name)) }
	auto := h("Auto-Submitted")
	precedence := h("Precedence")
	var out []string
	for _, f := range []struct {
		word string
		set  bool
	}{
		{"attachment", len(r.attachments) > 0},
		{"auto", auto != "" && !strings.HasPrefix(auto, "no") || precedence == "bulk" || precedence == "auto_reply"},
		{"bounce", nullSender},
		{"encrypted", r.encrypted},
		{"html", r.html},
		{"list", h("List-Id") != "" || h("List-Unsubscribe") != "" || precedence == "list"},
		{"malformed", len(r.faults) > 0},
		{"spam", spamScore >= SpamAt},
	} {
		if f.set {
			out = append(out, f.word)
		}
	}
	return out
}

// shown is what a message's page and the API show of its body.
type shown struct {
	text     string
	htmlPart *mime.Part
	tree     *mime.Tree
	files    []*mime.Part
}

// show decodes the text of a message for reading.
func show(c *content) (shown, error) {
	tree, err := mime.Scan(c.all())
	if err != nil {
		return shown{}, fmt.Errorf("scan stored message: %w", err)
	}
	plain, html := bodies(tree)
	v := shown{tree: tree, htmlPart: html}
	var texts []string
	left := int64(shownText)
	for _, p := range plain {
		text, _, err := p.Text(c, max(left, 0))
		if err != nil {
			return v, fmt.Errorf("decode stored message: %w", err)
		}
		left -= int64(len(text))
		if text = strings.Trim(text, "\n"); text != "" {
			texts = append(texts, text)
		}
	}
	v.text = strings.Join(texts, "\n\n")
	if v.text == "" && html != nil {
		raw, _, err := html.Text(c, shownHTML)
		if err != nil {
			return v, fmt.Errorf("decode stored message: %w", err)
		}
		v.text = htmlmail.Text(raw, shownText)
	}
	for i := range tree.Parts {
		if p := &tree.Parts[i]; isFile(tree, p, html != nil) {
			v.files = append(v.files, p)
		}
	}
	return v, nil
}

// number is a part's number in addresses: its place in the tree, -1 for a part of another.
func (v shown) number(p *mime.Part) int {
	for i := range v.tree.Parts {
		if &v.tree.Parts[i] == p {
			return i
		}
	}
	return -1
}

// decodeAuth reads what was stored of the sender's checks.
func decodeAuth(raw json.RawMessage) (r senderauth.Results, err error) {
	err = json.Unmarshal(raw, &r)
	return r, err
}
