package search

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Chinese, Japanese and Korean are written without spaces between words, or with endings that are part of them, so a run of
// their characters is no word that anybody would look for. Such a run is in the index as each pair of neighbours and its last
// character alone: 東京都 as 東京, 京都 and 都. What is looked for are the same pairs in a row; one character alone is looked for as what
// a pair begins with.

// unspaced reports whether a character is of a script that is indexed by pairs.
func unspaced(r rune) bool {
	return r >= 0x1100 && (unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) || r == 'ー' || r == 'ｰ')
}

func isUnspaced(word string) bool {
	r, _ := utf8.DecodeRuneInString(word)
	return unspaced(r)
}

// Indexed returns a text as it goes into the index: itself, but for runs of characters that are indexed by pairs.
func Indexed(text string) string {
	if !strings.ContainsFunc(text, unspaced) {
		return text
	}
	var b strings.Builder
	all := spans(text)
	for i, s := range all {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if b.WriteString(s.word); i+1 == len(all) || !isUnspaced(s.word) || !isUnspaced(all[i+1].word) {
			continue
		}
		b.WriteString(all[i+1].word)
	}
	return b.String()
}

// asked returns words in a row as the index has them, and whether the last may go on.
func asked(words []string) (out []string, open bool) {
	for i, w := range words {
		last := i+1 == len(words)
		switch {
		case !isUnspaced(w):
			out = append(out, w)
		case !last && isUnspaced(words[i+1]):
			out = append(out, w+words[i+1])
		case !last: // the end of a run, and more follows
			out = append(out, w)
		case i == 0 || !isUnspaced(words[i-1]):
			out, open = append(out, w), true
		}
	}
	return out, open
}
