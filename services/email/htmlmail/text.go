package htmlmail

import (
	"strings"

	"golang.org/x/net/html"
)

// Elements that begin a new line of text.
const lines = `address article aside blockquote br center dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section table td th tr ul`

// Text returns what a person would read of src, without markup, at most limit bytes or a
// little more: blanks are put together, blocks stand on lines of their own.
func Text(src string, limit int) string {
	drop, block := words(dropped+" style head"), words(lines)
	z := html.NewTokenizer(strings.NewReader(src))
	var b strings.Builder
	skip, depth := "", 0
	for b.Len() < limit {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		switch kind {
		case html.TextToken:
			if skip == "" {
				appendText(&b, string(z.Text()))
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			raw, _ := z.TagName()
			name := string(raw)
			switch {
			case skip == name && kind == html.EndTagToken:
				if depth--; depth == 0 {
					skip = ""
				}
			case skip == name && kind == html.StartTagToken:
				depth++
			case skip != "":
				// A body ends a head that was never closed.
				if skip == "head" && name == "body" {
					skip = ""
				}
			case drop[name]:
				if kind == html.StartTagToken && name != "embed" {
					skip, depth = name, 1
				}
			case block[name] && b.Len() > 0 && !strings.HasSuffix(b.String(), "\n"):
				b.WriteByte('\n')
			}
		}
	}
	return strings.TrimSpace(b.String())
}

// appendText adds words with one blank between them.
func appendText(b *strings.Builder, s string) {
	fields := strings.Fields(s)
	if len(fields) == 0 {
		if s != "" {
			blank(b)
		}
		return
	}
	if strings.TrimLeft(s, " \t\r\n") != s {
		blank(b)
	}
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(f)
	}
	if strings.TrimRight(s, " \t\r\n") != s {
		b.WriteByte(' ')
	}
}

// blank adds a blank unless one is there, or nothing at all.
func blank(b *strings.Builder) {
	if s := b.String(); s != "" && s[len(s)-1] != ' ' && s[len(s)-1] != '\n' {
		b.WriteByte(' ')
	}
}
