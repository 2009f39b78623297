// Package htmlmail makes the HTML of a mail fit to be shown, and text of it.
//
// Clean keeps what gives a mail its looks (tables, fonts, style sheets) and takes out what acts or
// calls home: scripts, forms, frames, embedded objects, SVG, meta and base elements, event
// attributes, addresses other than web, mail and telephone links, and every image that is not
// in the mail itself, unless there is another address for it.
//
// It is one of two walls, not the only one: its output is for a document of its own, served
// with a Content-Security-Policy that has sandbox without allow-scripts and default-src 'none'
// (see Policy). It is not for putting mail into a page of ours.
//
// One pass over the tokens, in time linear to the input; all functions are pure and safe for
// concurrent use.
package htmlmail

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
)

// Policy is the Content-Security-Policy that a document made by Clean is served with. Links
// open in a tab of their own, which is why pop-ups leave the sandbox; nothing else does.
const Policy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// PolicyWithImages is Policy for a document whose images from elsewhere were given addresses of ours.
const PolicyWithImages = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// Images says what becomes of a mail's images. Each function returns an address, "" for none; nil has none.
type Images struct {
	Held      func(id string) string  // of an image in the mail, by its Content-ID: a data: URL
	Elsewhere func(url string) string // of one that lies elsewhere, by its address on the web
}

// Clean returns a whole HTML document with what may be shown of src.
func Clean(src string, images Images) []byte {
	c := cleaner{images: images, keep: words(kept), drop: words(dropped), attrs: words(attributes)}
	c.out.Grow(len(src) + 128)
	c.out.WriteString("<!doctype html>\n<html><head><meta charset=\"utf-8\"><title>Mail</title></head><body>\n")
	c.run(src)
	c.out.WriteString("\n</body></html>\n")
	return c.out.Bytes()
}

// What is kept of a mail's elements: looks and structure. Anything else loses its tags and
// keeps its text, except for what stands in dropped.
const kept = `a abbr address article aside b bdi bdo big blockquote body br caption center cite code col colgroup dd del dfn dir div dl dt em
	figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark menu nav ol p pre q rp rt ruby s samp section small
	span strike strong style sub sup table tbody td tfoot th thead time tr tt u ul var wbr`

// What is dropped with everything in it.
const dropped = `applet audio canvas datalist embed frameset iframe math noembed noframes noscript object plaintext script select svg template textarea title video xmp`

// What is kept of any element's attributes; href, src and style are looked at one by one.
const attributes = `align alt bgcolor border cellpadding cellspacing class color cols colspan datetime dir face height hspace id lang noshade
	nowrap rowspan rules scope size span start summary title type valign value vspace width`

// words makes a set of a list.
func words(list string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}

type cleaner struct {
	out               bytes.Buffer
	images            Images
	keep, drop, attrs map[string]bool

	skip  string // the dropped element around the current token, "" for none
	depth int    // of skip within itself
	css   bool   // within a style element

	open, over int // elements around the current token that an end tag has to close, and those of them that were left out
}

// maxDepth bounds how deep elements lie in each other: what lies deeper keeps its text. Browsers give up at about 500.
const maxDepth = 400

// closes says whether an element stays open until its end tag. Those that the next one of their kind ends are not counted.
func closes(name string) bool {
	switch name {
	case "br", "hr", "img", "wbr", "col", "p", "li", "dd", "dt", "td", "th", "tr", "tbody", "thead", "tfoot", "colgroup", "rp", "rt", "style", "caption":
		return false
	}
	return true
}

func (c *cleaner) run(src string) {
	z := html.NewTokenizer(strings.NewReader(src))
	for {
		kind := z.Next()
		switch kind {
		case html.ErrorToken:
			return
		case html.TextToken:
			c.text(z)
		case html.StartTagToken, html.SelfClosingTagToken:
			c.start(z, kind == html.SelfClosingTagToken)
		case html.EndTagToken:
			c.end(z)
		}
	}
}

func (c *cleaner) text(z *html.Tokenizer) {
	switch {
	case c.skip != "":
	case c.css:
		c.out.WriteString(cleanCSS(string(z.Raw())))
	default:
		c.out.WriteString(html.EscapeString(string(z.Text())))
	}
}

func (c *cleaner) start(z *html.Tokenizer, selfClosing bool) {
	raw, hasAttr := z.TagName()
	name := string(raw)
	if c.skip != "" {
		if name == c.skip && !selfClosing {
			c.depth++
		}
		return
	}
	if c.drop[name] {
		if !selfClosing && name != "embed" {
			c.skip, c.depth = name, 1
		}
		return
	}
	if !c.keep[name] {
		return
	}
	if name == "body" {
		name = "div" // the document has one already; its colours are kept
	}
	if closes(name) {
		if c.open == maxDepth {
			c.over++
			return
		}
		c.open++
	}
	c.out.WriteByte('<')
	c.out.WriteString(name)
	for hasAttr {
		var k, v []byte
		k, v, hasAttr = z.TagAttr()
		c.attribute(name, string(k), string(v))
	}
	if name == "a" {
		c.out.WriteString(` target="_blank" rel="noopener noreferrer nofollow"`)
	}
	c.out.WriteByte('>')
	c.css = name == "style"
}

func (c *cleaner) end(z *html.Tokenizer) {
	raw, _ := z.TagName()
	name := string(raw)
	if c.skip != "" {
		if name == c.skip {
			if c.depth--; c.depth == 0 {
				c.skip = ""
			}
		}
		return
	}
	if !c.keep[name] {
		return
	}
	if name == "body" {
		name = "div"
	}
	if name == "style" {
		c.css = false
	}
	if closes(name) {
		switch {
		case c.over > 0:
			c.over--
			return
		case c.open > 0:
			c.open--
		}
	}
	c.out.WriteString("</" + name + ">")
}

// attribute writes one attribute of an element, if it may stay.
func (c *cleaner) attribute(element, name, value string) {
	switch {
	case name == "href" && element == "a":
		value = link(value)
	case name == "src" && element == "img":
		value = c.picture(value)
	case name == "style":
		value = cleanCSS(value)
	case !c.attrs[name]:
		return
	}
	if value == "" && name != "alt" {
		return
	}
	c.out.WriteString(" " + name + `="` + html.EscapeString(value) + `"`)
}

// link returns the address of a link that may be followed, "" for any other.
func link(v string) string {
	v = strings.TrimSpace(stripControls(v))
	scheme, _, ok := strings.Cut(v, ":")
	if ok {
		switch strings.ToLower(scheme) {
		case "http", "https", "mailto", "tel":
			return v
		}
	}
	return ""
}

// picture returns the address of an image that lies in the mail, or that somebody asked for, "" for any other: an image elsewhere
// tells its sender who read the mail, and when.
func (c *cleaner) picture(v string) string {
	v = strings.TrimSpace(stripControls(v))
	low := strings.ToLower(v[:min(len(v), 32)])
	switch {
	case strings.HasPrefix(low, "cid:"):
		if c.images.Held != nil {
			return c.images.Held(strings.Trim(v[4:], "<>"))
		}
		return ""
	case elsewhere(low):
		if c.images.Elsewhere != nil {
			return c.images.Elsewhere(absolute(v))
		}
		return ""
	}
	for _, t := range []string{"png", "jpeg", "jpg", "gif", "webp"} {
		if strings.HasPrefix(low, "data:image/"+t+";base64,") {
			return v
		}
	}
	return ""
}

// elsewhere reports whether an address, in lower case, is one of the web.
func elsewhere(low string) bool {
	return strings.HasPrefix(low, "http://") || strings.HasPrefix(low, "https://") || strings.HasPrefix(low, "//")
}

func absolute(v string) string {
	if strings.HasPrefix(v, "//") {
		return "https:" + v
	}
	return v
}

// Calls reports whether the HTML of a mail shows an image that lies elsewhere.
func Calls(src string) bool {
	z := html.NewTokenizer(strings.NewReader(src))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return false
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			for isImage := string(name) == "img"; isImage && more; {
				var k, v []byte
				k, v, more = z.TagAttr()
				if value := strings.TrimSpace(stripControls(string(v))); string(k) == "src" && elsewhere(strings.ToLower(value[:min(len(value), 32)])) {
					return true
				}
			}
		}
	}
}

// stripControls takes out what browsers skip in addresses and what could hide a scheme.
func stripControls(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// cleanCSS makes what could load something meaningless. Escapes go first: they could hide it.
func cleanCSS(s string) string {
	if strings.Contains(s, `\`) {
		s = strings.ReplaceAll(s, `\`, "")
	}
	low := lowerASCII(s)
	var b strings.Builder
	done := 0
	for i := 0; i < len(low); i++ {
		for _, bad := range []string{"url(", "@import", "image-set(", "expression(", "-moz-binding", "behavior:", "</", "src("} {
			if low[i] == bad[0] && strings.HasPrefix(low[i:], bad) {
				b.WriteString(s[done:i])
				b.WriteString("x-x")
				done = i + len(bad) - 1
				i = done - 1
				break
			}
		}
	}
	b.WriteString(s[done:])
	return b.String()
}

// lowerASCII lowers letters without changing a single offset.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 32
		}
	}
	return string(b)
}
