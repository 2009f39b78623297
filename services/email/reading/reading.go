// Package reading makes sense of a stored message as far as that goes: its text, its HTML, its files, the flags that lists
// show for it, and what is broken in it.
//
// It never fails for what a message holds: what cannot be understood is named in the faults. It decides nothing about
// spam and shows nothing (package htmlmail cleans HTML). Functions are safe for concurrent use; their results belong to the caller.
package reading

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"uniqverse/services/email/htmlmail"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/smtpd/senderauth"
)

// The bounds of what is decoded of a message.
const (
	snippetRunes = 160
	snippetText  = 32 << 10  // bytes of plain text read for a snippet
	snippetHTML  = 256 << 10 // bytes of HTML read for one: style sheets come first
	ShownText    = 1 << 20   // bytes of text shown of a message
	ShownHTML    = 5 << 20   // bytes of HTML shown of a message
)

// Reading is what was understood of a message.
type Reading struct {
	Tree        *mime.Tree
	Plain, HTML bool   // there is readable text of the kind
	Snippet     string // start of the text on one line, at most 160 characters
	Attachments []*mime.Part
	Encrypted   bool
	Faults      []string // what is broken, one word each

	first string // the whole text of the first plain part, where it was decoded for the snippet; "" where not
}

// Read makes sense of a message as far as that goes. It never fails: what is broken is named
// in Faults, and even a fault of our own parser leaves a message that can be stored.
func Read(c *mailbox.Content, log *slog.Logger) (r Reading) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("a message could not be parsed; it is stored as it came", "panic", fmt.Sprint(p))
			r = Reading{Tree: &mime.Tree{Size: c.Size}, Faults: []string{mime.FaultInternal}}
		}
	}()
	tree, err := mime.Scan(c.All())
	if err != nil {
		log.Error("a message could not be read back; it is stored as it came", slog.Any("err", err))
		return Reading{Tree: &mime.Tree{Size: c.Size}, Faults: []string{mime.FaultInternal}}
	}
	r = Reading{Tree: tree}
	plain, html := bodies(tree)
	r.Plain, r.HTML = len(plain) > 0, html != nil
	for i := range tree.Parts {
		p := &tree.Parts[i]
		if isFile(tree, p, html != nil) {
			r.Attachments = append(r.Attachments, p)
		}
		r.Encrypted = r.Encrypted || p.Type == "application/pgp-encrypted" || p.Type == "application/pkcs7-mime"
	}
	if r.Plain {
		text := r.decode(plain[0], c, snippetText)
		if plain[0].Size() < snippetText {
			r.first = text
		}
		r.Snippet = mime.Line(text[:min(len(text), 16<<10)], snippetRunes)
	}
	if r.Snippet == "" && r.HTML {
		text := htmlmail.Text(r.decode(html, c, snippetHTML), 4*snippetRunes)
		r.Snippet = mime.Line(text[:min(len(text), 16<<10)], snippetRunes)
	}
	r.Faults = tree.Faults
	return r
}

// decode returns the start of a part's text, and notes what is broken in it.
func (r *Reading) decode(p *mime.Part, src io.ReaderAt, limit int64) string {
	text, faults, err := p.Text(src, limit)
	if err != nil {
		faults = append(faults, mime.FaultInternal)
	}
	for _, f := range faults {
		r.Tree.Fault(f)
	}
	return text
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

// Flags are the words that a list shows for what was found; spam is what the filter says.
func (r *Reading) Flags(nullSender, spam bool) []string {
	h := func(name string) string { return strings.ToLower(r.Tree.Get(name)) }
	auto := h("Auto-Submitted")
	precedence := h("Precedence")
	var out []string
	for _, f := range []struct {
		word string
		set  bool
	}{
		{"attachment", len(r.Attachments) > 0},
		{"auto", auto != "" && !strings.HasPrefix(auto, "no") || precedence == "bulk" || precedence == "auto_reply"},
		{"bounce", nullSender},
		{"encrypted", r.Encrypted},
		{"html", r.HTML},
		{"list", h("List-Id") != "" || h("List-Unsubscribe") != "" || precedence == "list"},
		{"malformed", len(r.Faults) > 0},
		{"spam", spam},
	} {
		if f.set {
			out = append(out, f.word)
		}
	}
	return out
}

// Shown is what a message's page and the API show of its body.
type Shown struct {
	Text     string     // at most ShownText bytes; made from the HTML when there is no other
	HTMLPart *mime.Part // nil for none
	Tree     *mime.Tree
	Files    []*mime.Part
}

// Show decodes the text of a message for reading.
func Show(c *mailbox.Content) (Shown, error) {
	tree, err := mime.Scan(c.All())
	if err != nil {
		return Shown{}, fmt.Errorf("scan stored message: %w", err)
	}
	return show(tree, c, "")
}

// Show is what Show of the package returns for a message that was read, from the same bytes.
func (r *Reading) Show(c *mailbox.Content) (Shown, error) { return show(r.Tree, c, r.first) }

// show decodes the text of a message; first is that of its first plain part where it is known.
func show(tree *mime.Tree, c *mailbox.Content, first string) (Shown, error) {
	plain, html := bodies(tree)
	v := Shown{Tree: tree, HTMLPart: html}
	var texts []string
	left := int64(ShownText)
	for i, p := range plain {
		text := first
		if i > 0 || first == "" {
			var err error
			if text, _, err = p.Text(c, max(left, 0)); err != nil {
				return v, fmt.Errorf("decode stored message: %w", err)
			}
		}
		left -= int64(len(text))
		if text = strings.Trim(text, "\n"); text != "" {
			texts = append(texts, text)
		}
	}
	v.Text = strings.Join(texts, "\n\n")
	if v.Text == "" && html != nil {
		raw, _, err := html.Text(c, ShownHTML)
		if err != nil {
			return v, fmt.Errorf("decode stored message: %w", err)
		}
		v.Text = htmlmail.Text(raw, ShownText)
	}
	for i := range tree.Parts {
		if p := &tree.Parts[i]; isFile(tree, p, html != nil) {
			v.Files = append(v.Files, p)
		}
	}
	return v, nil
}

// Number is a part's number in addresses: its place in the tree, -1 for a part of another.
func (v Shown) Number(p *mime.Part) int {
	for i := range v.Tree.Parts {
		if &v.Tree.Parts[i] == p {
			return i
		}
	}
	return -1
}

// Addresses reads an address list of the header, at most 100.
func (v Shown) Addresses(field string) []mime.Address { return mime.Addresses(v.Tree.Get(field), 100) }

// Auth reads what was stored of the sender's checks.
func Auth(raw json.RawMessage) (r senderauth.Results, err error) {
	err = json.Unmarshal(raw, &r)
	return r, err
}
