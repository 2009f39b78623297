package message

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"uniqverse/services/email/htmlmail"
	mailmime "uniqverse/services/email/mime"
)

// maxBodyValue bounds the text of one part that is decoded, in bytes.
const maxBodyValue = 32 << 20

// BodyProperties are those of an EmailBodyPart that have a name of their own.
func BodyProperties() []string {
	return []string{"partId", "blobId", "size", "headers", "name", "type", "charset", "disposition", "cid", "language", "location", "subParts"}
}

// DefaultBodyProperties are those that are returned when none are asked for.
func DefaultBodyProperties() []string {
	return []string{"partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location"}
}

// Value is an EmailBodyValue.
type Value struct {
	Value             string `json:"value"`
	IsEncodingProblem bool   `json:"isEncodingProblem"`
	IsTruncated       bool   `json:"isTruncated"`
}

// Structure returns the tree of the body with these properties of each part; subParts are always there where there are any.
func (p *Parsed) Structure(properties []string) map[string]any {
	return p.structure(0, properties, true)
}

// List returns the parts of textBody, htmlBody or attachments; the parts have no subParts.
func (p *Parsed) List(name string, properties []string) []map[string]any {
	lists := p.lists()
	which := map[string][]int{"textBody": lists.text, "htmlBody": lists.html, "attachments": lists.attachments}[name]
	out := []map[string]any{}
	for _, n := range which {
		out = append(out, p.structure(n, properties, false))
	}
	return out
}

func (p *Parsed) structure(n int, properties []string, deep bool) map[string]any {
	t := &p.tree.Parts[n]
	out := map[string]any{}
	for _, name := range properties {
		if name == "subParts" {
			continue
		}
		out[name] = p.partProperty(n, name)
	}
	if t.IsMultipart() && (deep || slices.Contains(properties, "subParts")) {
		subs := []map[string]any{}
		for _, k := range p.parts[n].kids {
			subs = append(subs, p.structure(k, properties, deep))
		}
		out["subParts"] = subs
	} else if slices.Contains(properties, "subParts") {
		out["subParts"] = nil
	}
	return out
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (p *Parsed) partProperty(n int, name string) any {
	t := &p.tree.Parts[n]
	switch name {
	case "partId":
		if t.IsMultipart() {
			return nil
		}
		return strconv.Itoa(n)
	case "blobId":
		if t.IsMultipart() {
			return nil
		}
		return p.Blob(n)
	case "size":
		if t.IsMultipart() {
			return 0
		}
		size, err := io.Copy(io.Discard, t.Body(p.src))
		if err != nil {
			return t.Size()
		}
		return size
	case "headers":
		return headersOf(p.fieldsOf(n))
	case "name":
		return orNull(t.Name)
	case "type":
		return t.Type
	case "charset":
		switch {
		case t.Charset != "":
			return t.Charset
		case strings.HasPrefix(t.Type, "text/"):
			return "us-ascii"
		}
		return nil
	case "disposition":
		return orNull(p.disposition(n))
	case "cid":
		return orNull(t.ContentID)
	case "language":
		return p.language(n)
	case "location":
		if v, _ := (Field{Name: "Content-Location", Form: "Text"}).Value(p.fieldsOf(n)).(string); v != "" {
			return v
		}
		return nil
	}
	if f, ok := ParseField(name); ok {
		return f.Value(p.fieldsOf(n))
	}
	return nil
}

// disposition is the value as it stands: what is not known is taken for an attachment, but shown as it is.
func (p *Parsed) disposition(n int) string {
	for _, f := range p.fieldsOf(n) {
		if f.Is("Content-Disposition") {
			kind, _ := mailmime.Params(mailmime.Value(f))
			return kind
		}
	}
	return ""
}

func (p *Parsed) language(n int) any {
	text, _ := (Field{Name: "Content-Language", Form: "Text"}).Value(p.fieldsOf(n)).(string)
	var out []string
	for tag := range strings.SplitSeq(text, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			out = append(out, tag)
		}
	}
	if out == nil {
		return nil
	}
	return out
}

// bodyLists are the parts as a reader takes them: what to show as text, what as HTML, and the files.
type bodyLists struct {
	text, html, attachments []int
}

func isInlineMedia(kind string) bool {
	return strings.HasPrefix(kind, "image/") || strings.HasPrefix(kind, "audio/") || strings.HasPrefix(kind, "video/")
}

// lists runs the algorithm of RFC 8621 section 4.1.4.
func (p *Parsed) lists() bodyLists {
	var l bodyLists
	text, html := &l.text, &l.html
	p.sort([]int{0}, "mixed", false, html, text, &l.attachments)
	return l
}

func (p *Parsed) sort(parts []int, multipart string, inAlternative bool, html, text, attachments *[]int) {
	textLen, htmlLen := -1, -1
	if text != nil {
		textLen = len(*text)
	}
	if html != nil {
		htmlLen = len(*html)
	}
	for i, n := range parts {
		t := &p.tree.Parts[n]
		if t.IsMultipart() {
			sub := strings.TrimPrefix(t.Type, "multipart/")
			p.sort(p.parts[n].kids, sub, inAlternative || sub == "alternative", html, text, attachments)
			continue
		}
		inline := t.Disposition != "attachment" && (t.Type == "text/plain" || t.Type == "text/html" || isInlineMedia(t.Type)) &&
			(i == 0 || multipart != "related" && (isInlineMedia(t.Type) || t.Name == ""))
		if !inline {
			*attachments = append(*attachments, n)
			continue
		}
		if multipart == "alternative" {
			switch {
			case t.Type == "text/plain" && text != nil:
				*text = append(*text, n)
			case t.Type == "text/html" && html != nil:
				*html = append(*html, n)
			case t.Type != "text/plain" && t.Type != "text/html":
				*attachments = append(*attachments, n)
			}
			continue
		}
		if inAlternative {
			switch t.Type {
			case "text/plain":
				html = nil
			case "text/html":
				text = nil
			}
		}
		if text != nil {
			*text = append(*text, n)
		}
		if html != nil {
			*html = append(*html, n)
		}
		if (text == nil || html == nil) && isInlineMedia(t.Type) {
			*attachments = append(*attachments, n)
		}
	}
	if multipart == "alternative" && text != nil && html != nil {
		if textLen == len(*text) && htmlLen != len(*html) {
			*text = append(*text, (*html)[htmlLen:]...)
		}
		if htmlLen == len(*html) && textLen != len(*text) {
			*html = append(*html, (*text)[textLen:]...)
		}
	}
}

// Fetch says which texts of the body are wanted.
type Fetch struct {
	Text, HTML, All bool
	MaxBytes        int64 // of each, in UTF-8; 0 is no limit
}

// Values returns the texts of the body by part id.
func (p *Parsed) Values(f Fetch) map[string]Value {
	wanted := map[int]bool{}
	lists := p.lists()
	if f.Text {
		for _, n := range lists.text {
			wanted[n] = true
		}
	}
	if f.HTML {
		for _, n := range lists.html {
			wanted[n] = true
		}
	}
	if f.All {
		for n := range p.tree.Parts {
			wanted[n] = true
		}
	}
	out := map[string]Value{}
	for n := range wanted {
		if t := &p.tree.Parts[n]; strings.HasPrefix(t.Type, "text/") && !t.IsMultipart() {
			out[strconv.Itoa(n)] = p.value(n, f.MaxBytes)
		}
	}
	return out
}

func (p *Parsed) value(n int, most int64) Value {
	t := &p.tree.Parts[n]
	text, faults, err := t.Text(p.src, maxBodyValue)
	v := Value{Value: text, IsEncodingProblem: err != nil || len(faults) > 0}
	if strings.ContainsRune(text, utf8.RuneError) && (t.Charset == "" || strings.EqualFold(t.Charset, "utf-8")) {
		v.IsEncodingProblem = true
	}
	if most > 0 && int64(len(text)) > most {
		v.Value, v.IsTruncated = Truncate(text, int(most), t.Type == "text/html"), true
	}
	return v
}

// Truncate cuts a text to at most most bytes, at a character, and HTML not within a tag.
func Truncate(text string, most int, isHTML bool) string {
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	text = text[:most]
	if isHTML {
		if lt := strings.LastIndexByte(text, '<'); lt > strings.LastIndexByte(text, '>') {
			text = text[:lt]
		}
	}
	return text
}

// Text returns the readable text of the message, at most most bytes of it.
func (p *Parsed) Text(most int) string {
	lists := p.lists()
	var b strings.Builder
	for _, n := range lists.text {
		t := &p.tree.Parts[n]
		if !strings.HasPrefix(t.Type, "text/") || b.Len() >= most {
			continue
		}
		text, _, err := t.Text(p.src, int64(4*most))
		if err != nil {
			continue
		}
		if t.Type == "text/html" {
			text = htmlmail.Text(text, most)
		}
		b.WriteString(text + "\n")
	}
	if b.Len() > most {
		return Truncate(b.String(), most, false)
	}
	return b.String()
}

// Preview is the start of the text on one line, at most 256 characters.
func (p *Parsed) Preview() string { return mailmime.Line(p.Text(16<<10), 255) }
