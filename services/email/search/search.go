// Package search is how people ask for mail: the query language of the search field, and where in a text its words stand.
//
// It reads queries and writes highlights; it finds nothing itself (store/mailstore runs a Query) and decides nothing about who may
// see what. Everything here is plain values and safe for concurrent use; time and memory are linear in the query.
//
// # The language
//
// Words are joined by "and"; case, accents and punctuation do not matter. A term with "-" or "!" before it must not match.
//
//	launch window          both words, anywhere in the message
//	"launch window"        the words in this order; launch* begins a word
//	from:ann to:pilot      in the author, in the recipients (To, Cc, Bcc)
//	subject:plan body:plan filename:pdf
//	has:attachment         also has:html, has:list, has:star, has:label; has:spam is the filter's word
//	is:unread              also read, starred, answered, forwarded, draft, bounce, auto, malformed, encrypted
//	label:"to do"  in:junk in a folder, by role, id or path
//	larger:1M  smaller:20k of the message, in bytes, k or M
//	before:2026-11-01  after:2026-11-01   received before the day, or on it and later (UTC); newer:7d and older:3m, too: days, weeks, months, years
//	id:<abc@example.org>   the Message-ID
package search

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"uniqverse/internal/errs"
)

// The bounds of a query.
const (
	MaxQuery = 500 // bytes
	MaxTerms = 30
)

// Column is the part of a message that a word is looked for in.
type Column string

// The columns. Anywhere is all of them.
const (
	Anywhere   Column = ""
	Subject    Column = "subject"
	Sender     Column = "sender"     // names and addresses of From
	Recipients Column = "recipients" // of To, Cc and Bcc
	Body       Column = "body"       // the text, or the text of the HTML
	Files      Column = "files"      // names of attachments
)

// Text is words that must stand one after the other.
type Text struct {
	Column Column
	Words  string // as written, at least one letter or digit in it
	Prefix bool   // the last word may go on
	Not    bool
}

// Flag is something that is so or not: a word of mailbox.Message.Flags, or one of unread, starred, label, answered,
// forwarded, draft.
type Flag struct {
	Name string
	Not  bool
}

// Name is a label, a folder or a Message-ID that the message must have, or must not.
type Name struct {
	Text string
	Not  bool
}

// Query is what was asked; all of it must hold. The zero value finds everything.
type Query struct {
	Texts         []Text
	Flags         []Flag
	Labels        []Name
	Folders       []Name // a role, the id of a folder, or its path
	IDs           []Name // Message-IDs without <>
	MinSize       int64  // bytes; 0 is none
	MaxSize       int64  // the message must be smaller; 0 is none
	After, Before time.Time
}

// Empty reports whether the query asks nothing.
func (q Query) Empty() bool {
	return len(q.Texts)+len(q.Flags)+len(q.Labels)+len(q.Folders)+len(q.IDs) == 0 && q.MinSize == 0 && q.MaxSize == 0 && q.After.IsZero() && q.Before.IsZero()
}

func bad(format string, args ...any) error { return errs.BadField("q", format, args...) }

// Parse reads a query. now is what newer: and older: count from. What cannot be understood is errs.Invalid with the
// field q and a sentence that says what can.
func Parse(text string, now time.Time) (Query, error) {
	var q Query
	if len(text) > MaxQuery {
		return q, bad("must be at most %d bytes", MaxQuery)
	}
	if !utf8.ValidString(text) {
		return q, bad("must be UTF-8")
	}
	terms := split(text)
	if len(terms) > MaxTerms {
		return q, bad("must have at most %d words", MaxTerms)
	}
	for _, t := range terms {
		if err := q.add(t, now); err != nil {
			return Query{}, err
		}
	}
	return q, nil
}

// term is one piece of a query.
type term struct {
	not    bool
	field  string // in lower case; "" for none
	value  string
	quoted bool
}

// split cuts a query into its terms: at white space that is not between quotes.
func split(text string) []term {
	var out []term
	for {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		if text == "" {
			return out
		}
		var t term
		if len(text) > 1 && (text[0] == '-' || text[0] == '!') {
			t.not, text = true, text[1:]
		}
		if i := strings.IndexByte(text, ':'); i > 0 && isField(text[:i]) {
			t.field, text = strings.ToLower(text[:i]), text[i+1:]
		}
		if strings.HasPrefix(text, `"`) {
			t.quoted = true
			t.value, text, _ = strings.Cut(text[1:], `"`)
		} else {
			end := strings.IndexFunc(text, unicode.IsSpace)
			if end < 0 {
				end = len(text)
			}
			t.value, text = text[:end], text[end:]
		}
		out = append(out, t)
	}
}

func isField(name string) bool {
	switch strings.ToLower(name) {
	case "from", "to", "cc", "bcc", "subject", "body", "text", "filename", "file", "has", "is", "label", "tag", "in", "larger", "smaller", "before", "after", "since", "newer", "older", "id":
		return true
	}
	return false
}

// speaks reports whether a text has something to look for.
func speaks(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

func (q *Query) add(t term, now time.Time) error {
	if strings.TrimSpace(t.value) == "" {
		if t.field == "" {
			return nil // a lone quote
		}
		return bad("has nothing after %s:", t.field)
	}
	switch t.field {
	case "", "text":
		return q.addText(Anywhere, t)
	case "from":
		return q.addText(Sender, t)
	case "to", "cc", "bcc":
		return q.addText(Recipients, t)
	case "subject":
		return q.addText(Subject, t)
	case "body":
		return q.addText(Body, t)
	case "filename", "file":
		return q.addText(Files, t)
	case "has", "is":
		return q.addFlag(t)
	case "label", "tag":
		q.Labels = append(q.Labels, Name{t.value, t.not})
	case "in":
		q.Folders = append(q.Folders, Name{t.value, t.not})
	case "id":
		q.IDs = append(q.IDs, Name{strings.Trim(t.value, "<>"), t.not})
	case "larger", "smaller":
		return q.addSize(t)
	default:
		return q.addTime(t, now)
	}
	return nil
}

func (q *Query) addText(c Column, t term) error {
	words, prefix := t.value, false
	if !t.quoted {
		words, prefix = strings.CutSuffix(words, "*")
	}
	if !speaks(words) {
		if t.field == "" {
			return nil // punctuation finds nothing, and hides nothing
		}
		return bad("has no word after %s:", t.field)
	}
	q.Texts = append(q.Texts, Text{Column: c, Words: words, Prefix: prefix, Not: t.not})
	return nil
}

func (q *Query) addFlag(t term) error {
	name := strings.ToLower(t.value)
	switch name {
	case "attachment", "html", "list", "spam", "unread", "starred", "answered", "forwarded", "draft", "bounce", "auto", "malformed", "encrypted", "label":
	case "read":
		name, t.not = "unread", !t.not
	case "attachments", "file", "files":
		name = "attachment"
	case "star", "flagged":
		name = "starred"
	case "labels", "tag", "tagged":
		name = "label"
	case "replied":
		name = "answered"
	default:
		return bad("knows no %s:%s; there are attachment, html, list, spam, label and unread, read, starred, answered, forwarded, draft, bounce, auto, malformed, encrypted", t.field, name)
	}
	q.Flags = append(q.Flags, Flag{name, t.not})
	return nil
}

func (q *Query) addSize(t term) error {
	text := strings.ToLower(t.value)
	unit := int64(1)
	for suffix, n := range map[string]int64{"k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20} {
		if s, ok := strings.CutSuffix(text, suffix); ok && s != "" && s[len(s)-1] >= '0' && s[len(s)-1] <= '9' {
			text, unit = s, n
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return bad("must have a size after %s:, such as 500k or 2M", t.field)
	}
	if (t.field == "larger") != t.not {
		q.MinSize = max(q.MinSize, n*unit)
	} else if q.MaxSize == 0 || n*unit < q.MaxSize {
		q.MaxSize = n * unit
	}
	return nil
}

func (q *Query) addTime(t term, now time.Time) error {
	var at time.Time
	switch t.field {
	case "newer", "older":
		n, err := strconv.Atoi(t.value[:len(t.value)-1])
		if err != nil || n < 1 || n > 10_000 {
			return bad("must have a time after %s:, such as 7d, 2w, 3m or 1y", t.field)
		}
		switch t.value[len(t.value)-1] {
		case 'd':
			at = now.AddDate(0, 0, -n)
		case 'w':
			at = now.AddDate(0, 0, -7*n)
		case 'm':
			at = now.AddDate(0, -n, 0)
		case 'y':
			at = now.AddDate(-n, 0, 0)
		default:
			return bad("must have a time after %s:, such as 7d, 2w, 3m or 1y", t.field)
		}
	default:
		for _, layout := range []string{"2006-01-02", "2006/01/02", time.RFC3339, "2006-01", "2006"} {
			var err error
			if at, err = time.Parse(layout, t.value); err == nil {
				break
			}
		}
		if at.IsZero() {
			return bad("must have a day after %s:, such as 2026-11-01", t.field)
		}
	}
	from := t.field == "after" || t.field == "since" || t.field == "newer"
	if from != t.not {
		if at.After(q.After) {
			q.After = at
		}
	} else if q.Before.IsZero() || at.Before(q.Before) {
		q.Before = at
	}
	return nil
}
