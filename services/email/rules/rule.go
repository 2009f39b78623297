package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"uniqverse/internal/errs"
)

// The bounds of rules.
const (
	MaxRules      = 100 // of one mailbox
	MaxConditions = 20  // of one rule
	MaxActions    = 10
	MaxPatterns   = 40 // conditions of one mailbox that are wildcards or regular expressions
	maxValue      = 500
)

// Condition asks one thing of a message.
type Condition struct {
	Not    bool   `json:"not,omitempty"`
	Field  string `json:"field"`            // one of Fields
	Header string `json:"header,omitempty"` // with the field header: its name
	Op     string `json:"op"`               // contains, is, matches (* and ?), regex, over or under
	Value  string `json:"value"`
}

// Action does one thing to a message.
type Action struct {
	Do    string `json:"do"` // one of Actions
	Value string `json:"value,omitempty"`
}

// Fields returns what conditions can ask for, each with the operators that it takes.
func Fields() map[string][]string {
	text, number := []string{"contains", "is", "matches", "regex"}, []string{"over", "under"}
	return map[string][]string{
		"from": text, "to": text, "recipient": text, "subject": text, "body": text, "header": text, "list_id": text, "file": text,
		"size": number, "score": number, "attachment": {"is"}, "junk": {"is"}, "auth": {"is"},
	}
}

// Actions returns what rules can do, and whether it takes a value.
func Actions() map[string]bool {
	return map[string]bool{"move": true, "label": true, "star": false, "read": false, "redirect": true, "trash": false, "stop": false}
}

// Conditions are those of one rule. In JSON they are a list of objects, in a form a line each.
type Conditions []Condition

// ActionList are the actions of one rule. In JSON they are a list of objects, in a form a line each.
type ActionList []Action

// UnmarshalJSON reads a list of objects, or the lines of a form as one string.
func (c *Conditions) UnmarshalJSON(b []byte) error {
	return readJSON(b, (*[]Condition)(c), c.UnmarshalText)
}

// UnmarshalJSON reads a list of objects, or the lines of a form as one string.
func (a *ActionList) UnmarshalJSON(b []byte) error {
	return readJSON(b, (*[]Action)(a), a.UnmarshalText)
}

func readJSON[T any](b []byte, list *[]T, text func([]byte) error) error {
	if trimmed := bytes.TrimSpace(b); len(trimmed) > 0 && trimmed[0] == '"' {
		var s string
		if err := json.Unmarshal(trimmed, &s); err != nil {
			return err
		}
		return text([]byte(s))
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(list); err != nil {
		return errors.New("must be a list of objects with the fields that the documentation of rules names: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// UnmarshalText reads a condition from each line: [not] field [name] operator value.
func (c *Conditions) UnmarshalText(b []byte) error {
	*c = nil
	for line := range strings.Lines(string(b)) {
		word, rest := cutWord(line)
		if word == "" {
			continue
		}
		var x Condition
		if strings.EqualFold(word, "not") {
			x.Not = true
			word, rest = cutWord(rest)
		}
		x.Field = strings.ToLower(word)
		if x.Field == "header" {
			x.Header, rest = cutWord(rest)
		}
		x.Op, rest = cutWord(rest)
		x.Op, x.Value = strings.ToLower(x.Op), rest
		*c = append(*c, x)
	}
	return nil
}

// UnmarshalText reads an action from each line: what to do, and its value.
func (a *ActionList) UnmarshalText(b []byte) error {
	*a = nil
	for line := range strings.Lines(string(b)) {
		if word, rest := cutWord(line); word != "" {
			*a = append(*a, Action{strings.ToLower(word), rest})
		}
	}
	return nil
}

// cutWord parts a line after its first word.
func cutWord(line string) (word, rest string) {
	line = strings.TrimSpace(line)
	i := strings.IndexFunc(line, unicode.IsSpace)
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.TrimSpace(line[i:])
}

// String writes a condition as a form takes it.
func (c Condition) String() string {
	words := []string{c.Field, c.Op, c.Value}
	if c.Field == "header" {
		words = slices.Insert(words, 1, c.Header)
	}
	if c.Not {
		words = slices.Insert(words, 0, "not")
	}
	return strings.Join(words, " ")
}

// String writes an action as a form takes it.
func (a Action) String() string { return strings.TrimSpace(a.Do + " " + a.Value) }

// Rule is one rule of a mailbox.
type Rule struct {
	ID         int64
	Mailbox    int64
	Position   int // rules are asked from the lowest
	Name       string
	Enabled    bool
	Any        bool // one condition is enough; else all must hold
	Conditions Conditions
	Actions    ActionList
	Hits       int64
	LastHit    time.Time
	Created    time.Time
	Updated    time.Time
}

// asksJunk reports whether a rule is about junk, and so is asked about it.
func (r Rule) asksJunk() bool {
	return slices.ContainsFunc(r.Conditions, func(c Condition) bool { return c.Field == "junk" || c.Field == "score" })
}

// patterns counts the conditions that are wildcards or regular expressions.
func (r Rule) patterns() (n int) {
	for _, c := range r.Conditions {
		if c.Op == "matches" || c.Op == "regex" {
			n++
		}
	}
	return n
}

// check refuses a rule that cannot work, with errs.Invalid.
func (r Rule) check() error {
	switch {
	case strings.TrimSpace(r.Name) == "":
		return errs.Missing("name")
	case len(r.Conditions) == 0:
		return errs.BadField("conditions", "must have one condition at least")
	case len(r.Conditions) > MaxConditions:
		return errs.BadField("conditions", "must be at most %d", MaxConditions)
	case len(r.Actions) == 0:
		return errs.BadField("actions", "must have one action at least")
	case len(r.Actions) > MaxActions:
		return errs.BadField("actions", "must be at most %d", MaxActions)
	}
	for _, c := range r.Conditions {
		if _, err := c.compile(); err != nil {
			return errs.BadField("conditions", "has %q: %s", c.String(), err)
		}
	}
	for _, a := range r.Actions {
		takes, known := Actions()[a.Do]
		switch {
		case !known:
			return errs.BadField("actions", "has %q: there are move, label, star, read, redirect, trash and stop", a.String())
		case takes && strings.TrimSpace(a.Value) == "":
			return errs.BadField("actions", "has %q, which needs a value", a.Do)
		case !takes && a.Value != "":
			return errs.BadField("actions", "has %q, and %s takes no value", a.String(), a.Do)
		case len(a.Value) > maxValue || strings.ContainsFunc(a.Value, unicode.IsControl):
			return errs.BadField("actions", "has a value that is no line of at most %d bytes", maxValue)
		}
	}
	return nil
}

// test is a condition that can be asked.
type test func(f *Facts) bool

// compile makes a condition ready. Its error says what is wrong with it.
func (c Condition) compile() (test, error) {
	ops, known := Fields()[c.Field]
	switch {
	case !known:
		return nil, errors.New("there is nothing of this name to ask for")
	case !slices.Contains(ops, c.Op):
		return nil, fmt.Errorf("%s goes with %s", c.Field, strings.Join(ops, ", "))
	case len(c.Value) > maxValue || strings.ContainsFunc(c.Value, unicode.IsControl):
		return nil, fmt.Errorf("the value must be a line of at most %d bytes", maxValue)
	case c.Value == "" && c.Op != "is":
		return nil, errors.New("the value is missing")
	case (c.Field == "header") != (c.Header != ""):
		return nil, errors.New("the name of the header field belongs to header, and to nothing else")
	case strings.ContainsFunc(c.Header, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }) || len(c.Header) > 100:
		return nil, errors.New("this is no name of a header field")
	}
	t, err := c.plain()
	if err != nil || !c.Not {
		return t, err
	}
	return func(f *Facts) bool { return !t(f) }, nil
}

// plain is compile without not.
func (c Condition) plain() (test, error) {
	switch c.Field {
	case "size", "score":
		limit, err := strconv.ParseFloat(c.Value, 64)
		if err != nil || limit != limit || limit < -1e12 || limit > 1e12 {
			return nil, errors.New("the value must be a number")
		}
		return func(f *Facts) bool {
			x := f.Score
			if c.Field == "size" {
				x = float64(f.Size)
			}
			return c.Op == "over" && x > limit || c.Op == "under" && x < limit
		}, nil
	case "attachment", "junk":
		want := strings.ToLower(c.Value)
		if want != "yes" && want != "no" {
			return nil, errors.New("the value must be yes or no")
		}
		return func(f *Facts) bool {
			x := f.Junk
			if c.Field == "attachment" {
				x = f.Attachment
			}
			return x == (want == "yes")
		}, nil
	case "auth":
		check, result, ok := strings.Cut(strings.ToLower(c.Value), "=")
		if !ok || !slices.Contains([]string{"spf", "dkim", "dmarc"}, check) || result == "" {
			return nil, errors.New("the value must be spf, dkim or dmarc with a result, such as dmarc=pass")
		}
		return func(f *Facts) bool { return f.auth(check) == result }, nil
	}
	match, err := c.matcher()
	if err != nil {
		return nil, err
	}
	return func(f *Facts) bool { return slices.ContainsFunc(f.texts(c), match) }, nil
}

// matcher compares a text, whatever its case.
func (c Condition) matcher() (func(string) bool, error) {
	value := strings.ToLower(c.Value)
	switch c.Op {
	case "contains":
		return func(s string) bool { return strings.Contains(strings.ToLower(s), value) }, nil
	case "is":
		return func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), c.Value) }, nil
	}
	pattern := "(?i)" + c.Value
	if c.Op == "matches" {
		pattern = "(?is)^" + strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(c.Value)) + "$"
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, errors.New("the value is no regular expression (RE2): " + err.Error())
	}
	return re.MatchString, nil
}
