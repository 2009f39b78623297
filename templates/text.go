package templates

import (
	"html/template"
	"regexp"
	"strings"
)

// Only these two schemes ever become a link, whatever a mail says.
var address = regexp.MustCompile(`https?://[^\s<>"'` + "`" + `\x{00AB}\x{00BB}\x{201C}\x{201D}]+|[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}\.[A-Za-z]{2,24}`)

// linkify escapes plain text and turns web and mail addresses in it into links. Line breaks stay as they are (the
// style sheet shows them). A link opens apart and tells the other side nothing about this page.
func linkify(text string) template.HTML {
	var b strings.Builder
	last := 0
	for _, m := range address.FindAllStringIndex(text, -1) {
		start, end := m[0], m[1]
		found := trimLink(text[start:end])
		b.WriteString(template.HTMLEscapeString(text[last:start]))
		b.WriteString(`<a rel="noopener noreferrer nofollow ugc" `)
		shown := template.HTMLEscapeString(found)
		if strings.HasPrefix(found, "http") && strings.Contains(found, "://") {
			b.WriteString(`target="_blank" href="` + shown)
		} else {
			b.WriteString(`href="mailto:` + shown)
		}
		b.WriteString(`">` + shown + `</a>`)
		last = start + len(found)
	}
	b.WriteString(template.HTMLEscapeString(text[last:]))
	return template.HTML(b.String())
}

// trimLink leaves out what usually ends the sentence and not the address; a closing bracket stays when it was opened.
func trimLink(s string) string {
	for s != "" {
		switch s[len(s)-1] {
		case '.', ',', ';', ':', '!', '?', '*', '_', '~':
		case ')':
			if strings.Count(s, "(") >= strings.Count(s, ")") {
				return s
			}
		case ']':
			if strings.Count(s, "[") >= strings.Count(s, "]") {
				return s
			}
		default:
			return s
		}
		s = s[:len(s)-1]
	}
	return s
}

// paragraphs parts plain text at its empty lines.
func paragraphs(text string) []string {
	var out []string
	for _, p := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}
