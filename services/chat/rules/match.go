package rules

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"uniqverse/internal/errs"
)

// plain brings a text to NFKC without what shows nothing.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf { // nearly every letter: none of these is among the others
			return r
		}
		if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Me, r) || r == 0x115f || r == 0x1160 || r == 0x3164 || r == 0xfe0f {
			return -1
		}
		return r
	}, norm.NFKC.String(s))
}

// split returns the words of a text, folded. Letters that stand alone one after the other are one word.
func split(s string) []string {
	var out []string
	var word strings.Builder
	letters, spaced := 0, false // of the word; the last word of out was put together
	flush := func() {
		if letters == 0 {
			return
		}
		last := len(out) - 1
		if letters == 1 && last >= 0 && (spaced || utf8.RuneCountInString(out[last]) == 1) {
			out[last] += word.String()
			spaced = true
		} else {
			out = append(out, word.String())
			spaced = false
		}
		word.Reset()
		letters = 0
	}
	for _, r := range norm.NFKD.String(strings.ToLower(s)) {
		switch {
		case r >= utf8.RuneSelf && unicode.Is(unicode.Mn, r):
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			word.WriteRune(r)
			letters++
		default:
			flush()
		}
	}
	flush()
	return out
}

// glob is a word in which * stands for any letters.
type glob []string

func globs(phrase string) ([]glob, error) {
	var out []glob
	for _, word := range strings.Fields(plain(phrase)) {
		var g glob
		for _, part := range strings.Split(word, "*") {
			g = append(g, strings.Join(split(part), ""))
		}
		if strings.Join(g, "") == "" {
			return nil, errs.BadField("words", "has %q, in which no letter or digit is", phrase)
		}
		out = append(out, g)
	}
	if len(out) == 0 {
		return nil, errs.BadField("words", "has a word without a letter or digit")
	}
	return out, nil
}

func (g glob) is(word string) bool {
	if len(g) == 1 {
		return word == g[0]
	}
	if !strings.HasPrefix(word, g[0]) {
		return false
	}
	word = word[len(g[0]):]
	for _, part := range g[1 : len(g)-1] {
		i := strings.Index(word, part)
		if i < 0 {
			return false
		}
		word = word[i+len(part):]
	}
	return strings.HasSuffix(word, g[len(g)-1])
}

func begin(words []string, phrase []glob) bool {
	if len(words) < len(phrase) {
		return false
	}
	for i, g := range phrase {
		if !g.is(words[i]) {
			return false
		}
	}
	return true
}

func phrases(field string, words []string) ([][]glob, error) {
	if len(words) > maxWords {
		return nil, errs.BadField(field, "must be at most %d", maxWords)
	}
	var out [][]glob
	for _, w := range words {
		if utf8.RuneCountInString(w) > maxWord {
			return nil, errs.BadField(field, "must be at most %d characters each", maxWord)
		}
		g, err := globs(w)
		if err != nil {
			return nil, errs.BadField(field, "has %q, in which a word has no letter or digit", w)
		}
		out = append(out, g)
	}
	return out, nil
}

func keywords(r Rule) (func(*look) (string, bool), error) {
	if len(r.Words) == 0 {
		return nil, errs.BadField("words", "is required for a rule of kind keyword")
	}
	all, err := phrases("words", r.Words)
	if err != nil {
		return nil, err
	}
	except, err := phrases("except", r.Except)
	if err != nil {
		return nil, err
	}
	return func(l *look) (string, bool) {
		for i := range l.words {
			for _, phrase := range all {
				if begin(l.words[i:], phrase) && !anyBegins(l.words[i:], except) {
					return strings.Join(l.words[i:i+len(phrase)], " "), true
				}
			}
		}
		return "", false
	}, nil
}

func anyBegins(words []string, all [][]glob) bool {
	for _, phrase := range all {
		if begin(words, phrase) {
			return true
		}
	}
	return false
}

// link finds what a chat program makes a link of: an address with a scheme, or that begins with www., or a bare name
// with a path or with one of the endings that people use for links.
func link() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(?:[a-z][a-z0-9+.-]{1,20}://|www\.)[^\s<>"]+|\b(?:[\pL\pN-]+\.)+(?:com|net|org|io|gg|me|ru|co|tv|xyz|info|biz|app|dev|link|shop|site|online|top|club)\b(?:/[^\s<>"]*)?`)
}

func linked(r Rule) (func(*look) (string, bool), error) {
	lists := map[string][]string{}
	for field, names := range map[string][]string{"allow": r.Allow, "deny": r.Deny} {
		if len(names) > maxWords {
			return nil, errs.BadField(field, "must be at most %d", maxWords)
		}
		for _, name := range names {
			d, err := domain(name)
			if err != nil || !strings.Contains(d, ".") {
				return nil, errs.BadField(field, "has %q, which is no domain", name)
			}
			lists[field] = append(lists[field], d)
		}
	}
	find := link()
	return func(l *look) (string, bool) {
		for _, found := range find.FindAllString(l.plain, 50) {
			host := hostOf(found)
			switch {
			case under(host, lists["deny"]), len(lists["allow"]) > 0 && !under(host, lists["allow"]), len(r.Allow)+len(r.Deny) == 0:
				return host, true
			}
		}
		return "", false
	}, nil
}

// hostOf returns the host of a link; a link without one that can be read is its own.
func hostOf(found string) string {
	if !strings.Contains(found, "://") {
		found = "http://" + found
	}
	u, err := url.Parse(strings.ReplaceAll(found, `\`, "/"))
	if err != nil || u.Hostname() == "" {
		return found
	}
	host, err := domain(u.Hostname())
	if err != nil {
		return strings.ToLower(u.Hostname())
	}
	return host
}

func under(host string, domains []string) bool {
	for _, d := range domains {
		if host == d || strings.HasSuffix(host, "."+d) {
			return true
		}
	}
	return false
}

func capitals(s string, percent int) (string, bool) {
	letters, upper := 0, 0
	for _, r := range s {
		if unicode.IsUpper(r) {
			upper++
		}
		if unicode.IsUpper(r) || unicode.IsLower(r) {
			letters++
		}
	}
	return fmt.Sprintf("%d of %d letters are capitals", upper, letters), letters >= 10 && upper*100 > percent*letters
}
