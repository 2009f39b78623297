package search

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"uniqverse/internal/errs"
)

const (
	maxQuery = 500 // characters
	maxTerms = 20
)

// Query is what somebody looks for.
type Query struct {
	Terms  []term
	From   string    // handle "@pilot", "" for anybody's
	In     string    // name of a room, "" for all
	Before time.Time // lines from before it; zero for no bound
	After  time.Time // lines from it on; zero for no bound
	Files  bool      // only lines with files
}

// term is a word or words in a row.
type term struct {
	words  []string // folded
	prefix bool     // the last word may go on
	not    bool     // must not be there
}

// Parse reads what was typed; errs.Invalid for what cannot be looked for.
func Parse(q string) (Query, error) {
	var out Query
	if len([]rune(q)) > maxQuery {
		return out, errs.BadField("q", "must be at most %d characters", maxQuery)
	}
	for rest := strings.TrimSpace(q); rest != ""; rest = strings.TrimLeftFunc(rest, unicode.IsSpace) {
		var word word
		word, rest = next(rest)
		if err := out.add(word); err != nil {
			return Query{}, err
		}
		if len(out.Terms) > maxTerms {
			return Query{}, errs.BadField("q", "must not have more than %d words", maxTerms)
		}
	}
	if out.Files && len(out.Terms) == 0 {
		return out, nil
	}
	for _, t := range out.Terms {
		if !t.not {
			return out, nil
		}
	}
	return Query{}, errs.BadField("q", "needs a word to look for, or has:attachment")
}

// word is one piece of a query: name:text, with quotes taken off.
type word struct {
	name, text string
	quoted     bool
	not        bool
}

// next takes the first piece off a query that does not begin with a space.
func next(q string) (w word, rest string) {
	if q[0] == '-' && len(q) > 1 {
		w.not, q = true, q[1:]
	}
	if name, after, ok := strings.Cut(q, ":"); ok && isFilter(name) {
		w.name, q = strings.ToLower(name), after
	}
	if strings.HasPrefix(q, `"`) {
		w.quoted = true
		w.text, rest, _ = strings.Cut(q[1:], `"`)
		return w, rest
	}
	end := strings.IndexFunc(q, func(r rune) bool { return unicode.IsSpace(r) || r == '"' })
	if end < 0 {
		end = len(q)
	}
	w.text = q[:end]
	return w, q[end:]
}

func isFilter(name string) bool {
	switch strings.ToLower(name) {
	case "from", "in", "before", "after", "has":
		return true
	}
	return false
}

func (q *Query) add(w word) error {
	if w.name != "" && w.not {
		return errs.BadField("q", "can leave out words with -, but not %s:", w.name)
	}
	if w.name != "" && strings.TrimSpace(w.text) == "" {
		return errs.BadField("q", "has %s: with nothing after it", w.name)
	}
	var err error
	switch w.name {
	case "from":
		q.From = "@" + strings.TrimPrefix(w.text, "@")
	case "in":
		q.In = strings.TrimPrefix(w.text, "#")
	case "before":
		q.Before, err = day(w)
	case "after":
		q.After, err = day(w)
	case "has":
		switch strings.ToLower(w.text) {
		case "attachment", "attachments", "file", "files":
			q.Files = true
		default:
			err = errs.BadField("q", "knows has:attachment, and no other has:")
		}
	default:
		t := term{words: Words(w.text), not: w.not, prefix: !w.quoted && strings.HasSuffix(w.text, "*")}
		if len(t.words) > 0 { // signs alone are in no index
			q.Terms = append(q.Terms, t)
		}
	}
	return err
}

func day(w word) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, w.text)
	if err != nil {
		return t, errs.BadField("q", "has %s: with what is no day such as 2026-11-27", w.name)
	}
	return t, nil
}

// Match is the query in the index's syntax, each word quoted; "" when there are no words.
func (q Query) Match() string {
	var b strings.Builder
	for _, not := range []bool{false, true} {
		for _, t := range q.Terms {
			if t.not != not {
				continue
			}
			switch {
			case not:
				b.WriteString(" NOT ")
			case b.Len() > 0:
				b.WriteString(" AND ")
			}
			words, open := asked(t.words)
			b.WriteString(`"` + strings.Join(words, " ") + `"`)
			if t.prefix || open {
				b.WriteString(" *")
			}
		}
	}
	return b.String()
}

// Words splits a text: runs of letters and digits, without case and accents, and each character of a script without spaces.
func Words(text string) []string {
	var out []string
	for _, s := range spans(text) {
		out = append(out, s.word)
	}
	return out
}

// span is a word and where it stands in a text, in bytes.
type span struct {
	start, end int
	word       string // folded
}

func spans(text string) []span {
	var out []span
	start, alone := -1, false
	end := func(at int) {
		if start >= 0 {
			out = append(out, span{start, at, fold(text[start:at])})
		}
		start = -1
	}
	for i, r := range text {
		switch {
		case start >= 0 && unicode.Is(unicode.Mn, r): // goes with what it stands on
		case unspaced(r) && (unicode.IsLetter(r) || unicode.IsNumber(r)): // a word of its own
			end(i)
			start, alone = i, true
		case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Co, r):
			if start < 0 || alone {
				end(i)
				start, alone = i, false
			}
		default:
			end(i)
		}
	}
	end(len(text))
	return out
}

// fold takes case and accents away.
func fold(word string) string {
	ascii := true
	for i := range len(word) {
		ascii = ascii && word[i] < 0x80
	}
	if ascii {
		return strings.ToLower(word)
	}
	if isUnspaced(word) { // their marks are part of the character
		return norm.NFC.String(word)
	}
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(word))
}
