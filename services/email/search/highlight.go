package search

import (
	"html"
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// Mark writes a text as HTML with what a query found between <mark> and </mark>; everything else is escaped. Words that
// must not match, and those of columns other than the text's and Anywhere, are not marked.
func (q Query) Mark(text string, column Column) string {
	var b strings.Builder
	last := 0
	for _, s := range q.spans(text, column) {
		b.WriteString(html.EscapeString(text[last:s.from]))
		b.WriteString("<mark>" + html.EscapeString(text[s.from:s.to]) + "</mark>")
		last = s.to
	}
	b.WriteString(html.EscapeString(text[last:]))
	return b.String()
}

// Excerpt returns about most bytes of a text around the first place where the query's words stand, on one line; found is
// false, and the start of the text comes, where they do not.
func (q Query) Excerpt(text string, column Column, most int) (excerpt string, found bool) {
	from := 0
	if list := q.spans(text, column); len(list) > 0 {
		found = true
		if from = max(list[0].from-most/4, 0); from > 0 {
			if i := strings.IndexFunc(text[from:list[0].from], unicode.IsSpace); i >= 0 {
				from += i + 1
			}
			for from < len(text) && text[from]&0xc0 == 0x80 {
				from++
			}
		}
	}
	end := min(from+most, len(text))
	for end > from && end < len(text) && text[end]&0xc0 == 0x80 {
		end--
	}
	excerpt = strings.Join(strings.Fields(text[from:end]), " ")
	if from > 0 {
		excerpt = "… " + excerpt
	}
	return excerpt, found
}

// span is a place in a text, in bytes.
type span struct{ from, to int }

// word is one word of a text as the index knows it.
type word struct {
	span
	plain string // in lower case, without accents
}

// maxWords bounds how many words of a text are looked at.
const maxWords = 20_000

// words cuts a text into words as the index does: runs of letters, digits and marks.
func words(text string) []word {
	var out []word
	from := -1
	end := func(to int) {
		if from >= 0 && len(out) < maxWords {
			out = append(out, word{span{from, to}, plain(text[from:to])})
		}
		from = -1
	}
	for i, r := range text {
		switch in := unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || unicode.Is(unicode.Co, r); {
		case in && from < 0:
			from = i
		case !in:
			end(i)
		}
	}
	end(len(text))
	return out
}

// plain takes case and accents off a word.
func plain(s string) string {
	ascii := true
	for i := 0; i < len(s); i++ {
		ascii = ascii && s[i] < 0x80
	}
	if !ascii {
		if t, _, err := transform.String(transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC), s); err == nil {
			s = t
		}
	}
	return strings.ToLower(s)
}

// spans returns where the query's words stand in a text, in order, without overlaps.
func (q Query) spans(text string, column Column) []span {
	var wanted [][]string
	var prefix []bool
	for _, t := range q.Texts {
		if t.Not || t.Column != Anywhere && t.Column != column {
			continue
		}
		var phrase []string
		for _, w := range words(t.Words) {
			phrase = append(phrase, w.plain)
		}
		if len(phrase) > 0 {
			wanted, prefix = append(wanted, phrase), append(prefix, t.Prefix)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	all := words(text)
	var out []span
	for i := 0; i < len(all); i++ {
		best := 0
		for n, phrase := range wanted {
			if len(phrase) > best && stands(all[i:], phrase, prefix[n]) {
				best = len(phrase)
			}
		}
		if best > 0 {
			out = append(out, span{all[i].from, all[i+best-1].to})
			i += best - 1
		}
	}
	return out
}

// stands reports whether a phrase begins a list of words.
func stands(list []word, phrase []string, prefix bool) bool {
	if len(list) < len(phrase) {
		return false
	}
	for i, w := range phrase {
		last := i == len(phrase)-1
		if list[i].plain != w && !(last && prefix && strings.HasPrefix(list[i].plain, w)) {
			return false
		}
	}
	return true
}
