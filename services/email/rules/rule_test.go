package rules

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/services/email/spam"
)

// facts are those of the message that testdata/rules.txt asks about.
func facts() *Facts {
	return &Facts{From: []string{"sale@shop.example", "Big Shop <sale@shop.example>"}, To: []string{"pilot+shop@vezeuniqverse.com", "other@example.org"}, Recipient: "pilot+shop@vezeuniqverse.com",
		Subject: "Your invoice (42)", ListID: "Shop news <news.shop.example>", Files: []string{"Invoice.PDF"}, Attachment: true, Size: 2000, Score: 1.5, SPF: "pass", DKIM: "none", DMARC: "pass",
		Sample: func() spam.Sample {
			return spam.Sample{Text: "Thank you for your order.\n\nKindly pay.", Fields: []spam.Field{{Name: "x-priority", Value: "1"}, {Name: "subject", Value: "x"}}}
		}}
}

func TestConditions(t *testing.T) {
	raw, err := os.ReadFile("testdata/rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(raw)) {
		text, want, ok := strings.Cut(strings.TrimSpace(line), " => ")
		if !ok {
			continue
		}
		n++
		var list Conditions
		if err := list.UnmarshalText([]byte(text)); err != nil || len(list) != 1 {
			t.Fatalf("%s: %v, %v", text, list, err)
		}
		ask, err := list[0].compile()
		got := ""
		switch {
		case err != nil:
			got = err.Error()
		case ask(facts()):
			got = "yes"
		default:
			got = "no"
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		var back Conditions
		if err := back.UnmarshalText([]byte(list[0].String())); err != nil || len(back) != 1 || back[0] != list[0] {
			t.Errorf("%+v is written as %q and read as %+v", list[0], list[0].String(), back)
		}
	}
	if n < 40 {
		t.Fatalf("%d conditions", n)
	}
}

func TestRulesCheck(t *testing.T) {
	good := Rule{Name: "x", Conditions: Conditions{{Field: "from", Op: "is", Value: "a"}}, Actions: ActionList{{Do: "star"}}}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Rule){
		"no name":              func(r *Rule) { r.Name = " " },
		"no condition":         func(r *Rule) { r.Conditions = nil },
		"many conditions":      func(r *Rule) { r.Conditions = slices.Repeat(r.Conditions, MaxConditions+1) },
		"no action":            func(r *Rule) { r.Actions = nil },
		"many actions":         func(r *Rule) { r.Actions = slices.Repeat(r.Actions, MaxActions+1) },
		"unknown action":       func(r *Rule) { r.Actions = ActionList{{Do: "explode"}} },
		"a value missing":      func(r *Rule) { r.Actions = ActionList{{Do: "move"}} },
		"a value too many":     func(r *Rule) { r.Actions = ActionList{{Do: "star", Value: "x"}} },
		"a value of two lines": func(r *Rule) { r.Actions = ActionList{{Do: "label", Value: "x\ny"}} },
		"a long value": func(r *Rule) {
			r.Conditions = Conditions{{Field: "from", Op: "is", Value: strings.Repeat("x", maxValue+1)}}
		},
		"a condition of 2 lines": func(r *Rule) { r.Conditions = Conditions{{Field: "from", Op: "is", Value: "x\ny"}} },
		"a header to nothing":    func(r *Rule) { r.Conditions = Conditions{{Field: "from", Header: "X", Op: "is", Value: "x"}} },
	} {
		r := good
		change(&r)
		if err := r.check(); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

func TestRulesAreReadFromJSONAndText(t *testing.T) {
	var c Conditions
	if err := json.Unmarshal([]byte(`[{"field":"from","op":"is","value":"a","not":true},{"field":"header","header":"X-Y","op":"contains","value":"b c"}]`), &c); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, x := range c {
		lines = append(lines, x.String())
	}
	if strings.Join(lines, "; ") != "not from is a; header X-Y contains b c" {
		t.Errorf("%q", lines)
	}
	if err := json.Unmarshal([]byte(`"from is a\n\n  not to is b  "`), &c); err != nil || len(c) != 2 || !c[1].Not || c[1].Value != "b" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{`[{"field":"from","colour":"red"}]`, `{"field":"from"}`, `[1]`, `7`} {
		if err := json.Unmarshal([]byte(bad), &c); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	var a ActionList
	if err := a.UnmarshalText([]byte("MOVE Projects/My Game\r\nstar\n")); err != nil || len(a) != 2 || a[0] != (Action{"move", "Projects/My Game"}) || a[1] != (Action{Do: "star"}) {
		t.Errorf("%+v, %v", a, err)
	}
}

// rule makes a rule of its text.
func rule(t *testing.T, id int64, any bool, conditions, actions string) compiled {
	t.Helper()
	r := Rule{ID: id, Name: conditions, Enabled: true, Any: any}
	if err := r.Conditions.UnmarshalText([]byte(conditions)); err != nil {
		t.Fatal(err)
	}
	if err := r.Actions.UnmarshalText([]byte(actions)); err != nil {
		t.Fatal(err)
	}
	c, err := compile(r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPlans(t *testing.T) {
	list := []compiled{
		rule(t, 1, false, "from contains shop\nsubject contains nothing", "move A"),
		rule(t, 2, true, "from contains shop\nsubject contains nothing", "label x\nlabel y"),
		rule(t, 3, false, "from contains shop", "move B\nlabel x\nread"),
		rule(t, 4, false, "from contains shop", "trash\nredirect a@b.example"),
		rule(t, 5, false, "attachment is yes", "star\nstop"),
		rule(t, 6, false, "attachment is yes", "label never"),
	}
	p := run(list, facts())
	if p.Move != "B" || strings.Join(p.Labels, " ") != "x y" || !p.Read || !p.Star || strings.Join(p.Redirect, " ") != "a@b.example" || len(p.Hits) != 4 {
		t.Errorf("%+v", p)
	}
	// Junk is left alone, but for rules that ask about it.
	junk := facts()
	junk.Junk = true
	list = append(list, rule(t, 7, false, "junk is yes", "label junk"))
	if p := run(list, junk); len(p.Hits) != 1 || p.Labels[0] != "junk" {
		t.Errorf("junk: %+v", p)
	}
}

func TestWhatIsKeptReadyFollowsTheRule(t *testing.T) {
	var c cache
	r := rule(t, 1, false, "from contains shop", "star").Rule
	if p := run(c.ready([]Rule{r}), facts()); !p.Star {
		t.Error("it does not hold")
	}
	r.Conditions = Conditions{{Field: "from", Op: "contains", Value: "bank"}}
	if p := run(c.ready([]Rule{r}), facts()); p.Star {
		t.Error("the old condition is asked")
	}
	r.Conditions, r.Actions = Conditions{{Field: "from", Op: "contains", Value: "shop"}}, ActionList{{Do: "read"}}
	if p := run(c.ready([]Rule{r}), facts()); p.Star || !p.Read {
		t.Errorf("the old action is done: %+v", p)
	}
}

func TestWhoIsAnswered(t *testing.T) {
	letter := func(change func(*Letter)) bool {
		l := Letter{Sender: "ann@example.org", Own: []string{"pilot@x.test", "alias@x.test"}, Named: []string{"pilot@x.test"}, Fields: map[string]string{}}
		change(&l)
		return l.Answered()
	}
	field := func(name, value string) func(*Letter) { return func(l *Letter) { l.Fields[name] = value } }
	from := func(sender string) func(*Letter) { return func(l *Letter) { l.Sender = sender } }
	for what, c := range map[string]struct {
		change func(*Letter)
		want   bool
	}{
		"a person":                  {func(*Letter) {}, true},
		"to an alias":               {func(l *Letter) { l.Named = []string{"Alias@x.test"} }, true},
		"auto-submitted: no":        {field("auto-submitted", "No"), true},
		"precedence first-class":    {field("precedence", "first-class"), true},
		"not named":                 {func(l *Letter) { l.Named = []string{"team@x.test"} }, false},
		"the null sender":           {from(""), false},
		"oneself":                   {from("Pilot@x.test"), false},
		"a daemon":                  {from("MAILER-DAEMON@example.org"), false},
		"a list's owner":            {from("owner-news@example.org"), false},
		"a list's bounces":          {from("news-bounces@example.org"), false},
		"no reply":                  {from("no-reply@example.org"), false},
		"junk":                      {func(l *Letter) { l.Junk = true }, false},
		"forged":                    {func(l *Letter) { l.Failed = true }, false},
		"thrown away":               {func(l *Letter) { l.Forwarded = true }, false},
		"an answer":                 {field("auto-submitted", "auto-replied"), false},
		"bulk":                      {field("precedence", "Bulk"), false},
		"a list":                    {field("list-id", "<news.example.org>"), false},
		"one that can unsubscribe":  {field("list-unsubscribe", "<mailto:x@y>"), false},
		"one that asks for silence": {field("x-auto-response-suppress", "All"), false},
	} {
		if got := letter(c.change); got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

func TestVacationTimes(t *testing.T) {
	now := time.Date(2026, 12, 24, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		v    Vacation
		want bool
	}{
		{Vacation{Enabled: true}, true}, {Vacation{}, false},
		{Vacation{Enabled: true, From: now}, true}, {Vacation{Enabled: true, From: now.Add(1)}, false},
		{Vacation{Enabled: true, To: now}, false}, {Vacation{Enabled: true, To: now.Add(1)}, true},
	} {
		if got := c.v.Active(now); got != c.want {
			t.Errorf("%+v: %v", c.v, got)
		}
	}
	for _, bad := range []Vacation{{Enabled: true}, {Enabled: true, Text: " "}, {Text: strings.Repeat("x", MaxAnswer+1)}, {Subject: "a\nb"}, {From: now, To: now}} {
		if bad.Check() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if err := (Vacation{Enabled: true, HTML: "<p>away", From: now, To: now.Add(time.Hour)}).Check(); err != nil {
		t.Error(err)
	}
}

// What is written in a rule, and what it is asked about, is anybody's: neither may end the program.
func FuzzConditions(f *testing.F) {
	f.Add("from contains x\nnot header A regex ^(a|b)+$", "aab")
	f.Add("subject matches *?*\nbody regex (?i)[\\x00-\\xff]", "\xff")
	f.Fuzz(func(t *testing.T, text, subject string) {
		var list Conditions
		if err := list.UnmarshalText([]byte(text)); err != nil {
			return
		}
		about := facts()
		about.Subject = subject
		for _, c := range list {
			if ask, err := c.compile(); err == nil {
				ask(about)
			}
		}
	})
}
