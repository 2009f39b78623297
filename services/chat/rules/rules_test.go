package rules_test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/services/chat/rules"
	"uniqverse/services/chat/text"
)

// rows are the lines of a file that hold a case, cut at |.
func rows(t *testing.T, file string, least int) [][]string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			out = append(out, strings.Split(line, " | "))
		}
	}
	if len(out) < least {
		t.Fatalf("%s has only %d cases", file, len(out))
	}
	return out
}

func TestRules(t *testing.T) {
	for _, row := range rows(t, "testdata/lines.txt", 50) {
		var r rules.Rule
		if err := json.Unmarshal([]byte(row[0]), &r); err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		r.Name, r.Action = "rule", rules.Block
		if err := r.Check(); err != nil {
			t.Errorf("%s: %v", row[0], err)
			continue
		}
		line, err := strconv.Unquote(row[1])
		if err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		m, met := rules.New([]rules.Rule{r}).Meet(rules.Line{Text: line, Mentions: len(text.Mentions(line, 20)), Role: "member"})
		if got := map[bool]string{true: m.What, false: "-"}[met]; got != row[2] {
			t.Errorf("%s | %s: %s, want %s", row[0], row[1], got, row[2])
		}
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	for _, row := range rows(t, "testdata/refused.txt", 20) {
		var r rules.Rule
		if err := json.Unmarshal([]byte(row[0]), &r); err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		if err := r.Check(); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), row[1]) {
			t.Errorf("%s: %v, want something about %s", row[0], err, row[1])
		}
	}
}

func TestTheStrictestRuleCounts(t *testing.T) {
	set := rules.New([]rules.Rule{
		{Name: "flagged", Kind: rules.Keyword, Words: []string{"gold"}, Action: rules.Flag}, {Name: "hidden", Kind: rules.Keyword, Words: []string{"gold"}, Action: rules.Hide},
		{Name: "timed", Kind: rules.Keyword, Words: []string{"free gold"}, Action: rules.TimeOut, For: 60}, {Name: "broken", Kind: rules.Regex, Pattern: "(", Action: rules.Block},
	})
	for line, want := range map[string]string{"gold": "hidden", "free gold": "timed", "silver": ""} {
		if m, _ := set.Meet(rules.Line{Text: line}); m.Name != want {
			t.Errorf("%s meets %q, want %q", line, m.Name, want)
		}
	}
}

func TestSayingItAgain(t *testing.T) {
	r, now := rules.NewRecent(), time.Now()
	again := func(user int64, line string) int { return r.Again(1, user, line, time.Minute, now) }
	r.Said(1, 2, "Buy gold!", now)
	r.Said(1, 2, "b u y GOLD", now)
	r.Said(1, 2, "!!!", now)
	if again(2, "buy gold") != 2 || again(3, "buy gold") != 0 || again(2, "buy silver") != 0 || again(2, "!!!") != 0 {
		t.Error(again(2, "buy gold"), again(3, "buy gold"), again(2, "buy silver"), again(2, "!!!"))
	}
	now = now.Add(time.Hour)
	if again(2, "buy gold") != 0 {
		t.Error("an hour later it still counts")
	}
	set := rules.New([]rules.Rule{{Name: "again", Kind: rules.Duplicates, Limit: 2, Window: 60, Action: rules.Block}})
	for n, want := range map[int]bool{0: false, 1: false, 2: true, 3: true} {
		if _, met := set.Meet(rules.Line{Text: "x", Again: func(time.Duration) int { return n }}); met != want {
			t.Errorf("said %d times before: %v", n, met)
		}
	}
}

func FuzzMeet(f *testing.F) {
	f.Add("f*k scam*", "a b c http://x.org/%zz \u200b")
	f.Fuzz(func(t *testing.T, word, line string) {
		r := rules.Rule{Name: "r", Kind: rules.Keyword, Action: rules.Block, Words: []string{word}}
		all := []rules.Rule{{Name: "l", Kind: rules.Links, Action: rules.Block}, {Name: "c", Kind: rules.Caps, Limit: 50, Action: rules.Flag}}
		if r.Check() == nil {
			all = append(all, r)
		}
		rules.New(all).Meet(rules.Line{Text: line})
	})
}
