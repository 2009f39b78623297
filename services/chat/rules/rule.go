package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"uniqverse/internal/errs"
	"uniqverse/services/chat/text"
)

// The kinds of rules.
const (
	Keyword    = "keyword"    // one of Words stands in the line
	Regex      = "regex"      // Pattern matches
	Mentions   = "mentions"   // it mentions more than Limit people
	Links      = "links"      // it links to what is in Deny, or to what is not in Allow; without both, to anything
	Duplicates = "duplicates" // its author said the same Limit times already within Window seconds
	Caps       = "caps"       // more than Limit percent of at least 10 letters are capitals
)

// What a rule does with a line that it matches, the mildest first.
const (
	Flag    = "flag"    // the line stands, and a moderator sees it in the queue
	Alert   = "alert"   // as Flag, and moderators are told at once
	Hide    = "hide"    // only its author and moderators see it, until one has decided
	Block   = "block"   // it is refused
	TimeOut = "timeout" // it is refused, and its author muted for For seconds
)

const (
	maxWords   = 500
	maxWord    = 80 // characters
	maxPattern = 500
)

// Rule is what somebody wrote down.
type Rule struct {
	Name    string   `json:"name" doc:"what the rule is called, 1 to 80 characters; people whose lines it refuses read it"`
	Kind    string   `json:"kind" doc:"keyword, regex, mentions, links, duplicates or caps"`
	Action  string   `json:"action" doc:"flag, alert, hide, block or timeout"`
	Words   []string `json:"words,omitempty" doc:"keyword: words or words in a row, * for any letters"`
	Except  []string `json:"except,omitempty" doc:"keyword: words that are allowed although a * matches them"`
	Pattern string   `json:"pattern,omitempty" doc:"regex: in the syntax of RE2"`
	Allow   []string `json:"allow,omitempty" doc:"links: the only domains that may be linked to"`
	Deny    []string `json:"deny,omitempty" doc:"links: the domains that may not be linked to"`
	Limit   int      `json:"limit,omitempty" doc:"mentions and duplicates: how many are allowed; caps: percent"`
	Window  int      `json:"window_s,omitempty" doc:"duplicates: within how many seconds; 60 when left out"`
	For     int      `json:"for_s,omitempty" doc:"timeout: seconds that the author is muted; 600 when left out"`
	Exempt  []string `json:"exempt,omitempty" doc:"roles to which it does not apply: owner, moderator, member, guest"`
	Off     bool     `json:"off,omitempty" doc:"true keeps the rule and does not apply it"`
}

// Check refuses a rule that cannot be applied, or has fields that its kind does not know, and fills in what was left out.
func (r *Rule) Check() error {
	r.Name = strings.TrimSpace(r.Name)
	if n := utf8.RuneCountInString(r.Name); !text.Shows(r.Name) || n > 80 {
		return errs.BadField("name", "must be 1 to 80 characters")
	}
	if err := text.OneLine("name", r.Name); err != nil {
		return err
	}
	if !slices.Contains([]string{Flag, Alert, Hide, Block, TimeOut}, r.Action) {
		return errs.BadField("action", "must be flag, alert, hide, block or timeout")
	}
	if r.Action == TimeOut && r.For == 0 {
		r.For = 600
	}
	if r.Action != TimeOut && r.For != 0 || r.For < 0 || r.For > 28*24*3600 {
		return errs.BadField("for_s", "goes with the action timeout, and is 1 to %d", 28*24*3600)
	}
	for _, role := range r.Exempt {
		if !slices.Contains([]string{"owner", "moderator", "member", "guest"}, role) {
			return errs.BadField("exempt", "must hold owner, moderator, member or guest")
		}
	}
	if err := r.own(); err != nil {
		return err
	}
	_, err := compile(*r)
	return err
}

// own checks the fields that belong to the rule's kind.
func (r *Rule) own() error {
	knows := map[string][]string{Keyword: {"words", "except"}, Regex: {"pattern"}, Mentions: {"limit"}, Links: {"allow", "deny"}, Duplicates: {"limit", "window_s"}, Caps: {"limit"}}
	if knows[r.Kind] == nil {
		return errs.BadField("kind", "must be keyword, regex, mentions, links, duplicates or caps")
	}
	for _, f := range []struct {
		name  string
		given bool
	}{{"words", len(r.Words) > 0}, {"except", len(r.Except) > 0}, {"pattern", r.Pattern != ""}, {"allow", len(r.Allow) > 0}, {"deny", len(r.Deny) > 0},
		{"limit", r.Limit != 0}, {"window_s", r.Window != 0}} {
		if f.given && !slices.Contains(knows[r.Kind], f.name) {
			return errs.BadField(f.name, "does not belong to a rule of kind %s", r.Kind)
		}
	}
	most := map[string]int{Mentions: 20, Duplicates: 20, Caps: 99}
	least := map[string]int{Mentions: 0, Duplicates: 1, Caps: 1}
	if hi, ok := most[r.Kind]; ok && (r.Limit < least[r.Kind] || r.Limit > hi) {
		return errs.BadField("limit", "must be %d to %d", least[r.Kind], hi)
	}
	if r.Kind == Duplicates && r.Window == 0 {
		r.Window = 60
	}
	if r.Window < 0 || r.Window > 3600 {
		return errs.BadField("window_s", "must be 1 to 3600")
	}
	return nil
}

// Line is what rules look at.
type Line struct {
	Text     string
	Mentions int                            // people that it mentions
	Role     string                         // of its author; "" for none
	Again    func(window time.Duration) int // how often its author said the same within that time; nil for never
}

// Match is a rule that a line meets.
type Match struct {
	Rule
	What string // what of the line it was, for moderators
}

// Set is rules that are ready to be applied.
type Set struct{ rules []compiled }

type compiled struct {
	Rule
	match func(*look) (what string, is bool)
}

// look is a line while rules look at it.
type look struct {
	Line
	plain string   // after NFKC, without what shows nothing
	words []string // folded
}

// New returns the rules in the order of how strict they are; those that are off, or cannot be applied, are left out.
func New(all []Rule) *Set {
	s := &Set{}
	for _, r := range all {
		if c, err := compile(r); err == nil && !r.Off {
			s.rules = append(s.rules, c)
		}
	}
	strict := []string{TimeOut, Block, Hide, Alert, Flag}
	slices.SortStableFunc(s.rules, func(a, b compiled) int { return slices.Index(strict, a.Action) - slices.Index(strict, b.Action) })
	return s
}

// Meet returns the strictest rule that a line meets, and whether there is one.
func (s *Set) Meet(line Line) (Match, bool) {
	if len(s.rules) == 0 {
		return Match{}, false
	}
	l := &look{Line: line, plain: plain(line.Text)}
	l.words = split(l.plain)
	for _, r := range s.rules {
		if line.Role != "" && slices.Contains(r.Exempt, line.Role) {
			continue
		}
		if what, is := r.match(l); is {
			return Match{r.Rule, what}, true
		}
	}
	return Match{}, false
}

func compile(r Rule) (compiled, error) {
	c := compiled{Rule: r}
	var err error
	switch r.Kind {
	case Keyword:
		c.match, err = keywords(r)
	case Regex:
		c.match, err = expression(r)
	case Links:
		c.match, err = linked(r)
	case Mentions:
		c.match = func(l *look) (string, bool) { return fmt.Sprintf("%d mentions", l.Mentions), l.Mentions > r.Limit }
	case Duplicates:
		c.match = func(l *look) (string, bool) {
			if l.Again == nil {
				return "", false
			}
			n := l.Again(time.Duration(r.Window) * time.Second)
			return fmt.Sprintf("said %d times", n+1), n >= r.Limit
		}
	case Caps:
		c.match = func(l *look) (string, bool) { return capitals(l.plain, r.Limit) }
	default:
		err = errs.BadField("kind", "is not known")
	}
	return c, err
}

func expression(r Rule) (func(*look) (string, bool), error) {
	if r.Pattern == "" || utf8.RuneCountInString(r.Pattern) > maxPattern {
		return nil, errs.BadField("pattern", "must be 1 to %d characters", maxPattern)
	}
	re, err := regexp.Compile(r.Pattern)
	if err != nil {
		return nil, errs.BadField("pattern", "is no regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if re.MatchString("") {
		return nil, errs.BadField("pattern", "must not match an empty text: it would meet every line")
	}
	return func(l *look) (string, bool) {
		at := re.FindStringIndex(l.plain)
		if at == nil {
			return "", false
		}
		return text.Clip(l.plain[at[0]:at[1]], 80), true
	}, nil
}

// domain returns a domain in the form in which it is compared.
func domain(name string) (string, error) {
	return idna.Lookup.ToASCII(strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(name, "*."), ".")))
}
