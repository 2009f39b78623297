package xengine

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// LabelToxic marks a text that must not be posted.
const LabelToxic = "toxic"

// Options configure an Engine; the zero value knows Phrases().
type Options struct {
	Phrases []string // refused phrases of one or more words; nil means Phrases()
}

// Phrases returns the phrases that are refused by default: the seed's list, and its most
// common variants. It is short on purpose: in a game "I will kill you" is no threat.
func Phrases() []string {
	return []string{
		"kill yourself", "kill your self", "kill urself", "kill ur self", "kys",
		"hang yourself", "go hang yourself", "neck yourself", "drink bleach",
		"slur1", "slur2",
	}
}

// Engine labels texts.
type Engine struct {
	first map[string][][]string // phrases as folded words, by their first word
}

// New returns an engine for the phrases; those without a letter or digit are left out.
func New(opts Options) *Engine {
	if opts.Phrases == nil {
		opts.Phrases = Phrases()
	}
	e := &Engine{first: map[string][][]string{}}
	for _, p := range opts.Phrases {
		w := words(p)
		if len(w) == 0 {
			continue
		}
		e.first[w[0]] = append(e.first[w[0]], w)
		if len(w) > 1 { // "k i l l y o u r s e l f" arrives as one word
			whole := strings.Join(w, "")
			e.first[whole] = append(e.first[whole], []string{whole})
		}
	}
	return e
}

// Moderate returns the labels that the text deserves, none for a harmless one. It takes time in
// proportion to the text and fails only with the context's error.
func (e *Engine) Moderate(ctx context.Context, text string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := words(text)
	for i := range w {
		for _, phrase := range e.first[w[i]] {
			if begins(w[i:], phrase) {
				return []string{LabelToxic}, nil
			}
		}
	}
	return nil, nil
}

func begins(w, phrase []string) bool {
	if len(w) < len(phrase) {
		return false
	}
	for i := range phrase {
		if w[i] != phrase[i] {
			return false
		}
	}
	return true
}

// words splits a text into folded words. A run of single letters is one word: "k.y.s" is "kys".
func words(text string) []string {
	var out []string
	var word strings.Builder
	spaced := false // the last word of out was put together from single letters
	flush := func() {
		if word.Len() == 0 {
			return
		}
		w := word.String()
		word.Reset()
		single := utf8.RuneCountInString(w) == 1
		last := len(out) - 1
		if single && last >= 0 && (spaced || utf8.RuneCountInString(out[last]) == 1) {
			out[last] += w
			spaced = true
			return
		}
		out = append(out, w)
		spaced = false
	}
	for _, r := range norm.NFKD.String(text) {
		switch {
		case invisible(r):
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			word.WriteRune(plain(unicode.ToLower(r)))
		default:
			flush()
		}
	}
	flush()
	return out
}

// invisible characters part no words: accents split off by the decomposition, zero-width and
// direction marks, soft hyphens, and letters that show nothing.
func invisible(r rune) bool {
	if r < utf8.RuneSelf { // nearly every letter: none of the tables has one of these
		return false
	}
	switch r {
	case 0x115f, 0x1160, 0x3164, 0xffa0: // Hangul fillers
		return true
	}
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf)
}

// plain maps letters that look Latin, and digits that stand for letters, to the Latin letter. Phrases
// are folded in the same way, so a digit in a phrase still matches.
func plain(r rune) rune {
	const (
		from = "аеорсухіјѕкмтнԁԛԝһυοαερικτνƅıɩ01345789"
		to   = "aeopcyxijskmthdqwhyoaepiktvbiioieastbg"
	)
	if r < utf8.RuneSelf && (r < '0' || r > '9') { // nearly every letter of nearly every line
		return r
	}
	i := 0
	for _, f := range from {
		if f == r {
			return rune(to[i])
		}
		i++
	}
	return r
}
