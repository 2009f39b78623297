package search_test

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/services/email/search"
)

// testdata/queries.txt: a query, a tab, and what is understood as JSON, or what its error says.
func TestQueries(t *testing.T) {
	f, err := os.Open("testdata/queries.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	cases := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		text, want, ok := strings.Cut(sc.Text(), "\t")
		if !ok || strings.HasPrefix(text, "#") {
			continue
		}
		cases++
		want = strings.TrimSpace(want)
		q, err := search.Parse(text, now)
		got := ""
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("%s: %v is not of the caller's making", text, err)
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", text, err, want)
			}
			continue
		}
		raw, err := json.Marshal(short(q))
		if err != nil {
			t.Fatal(err)
		}
		if got = string(raw); got != want {
			t.Errorf("%s is understood as\n%s, want\n%s", text, got, want)
		}
	}
	if cases < 20 {
		t.Fatalf("%d cases only", cases)
	}
}

// short is a query without what it does not ask.
func short(q search.Query) map[string]any {
	out := map[string]any{}
	set := func(name string, v any, has bool) {
		if has {
			out[name] = v
		}
	}
	set("texts", q.Texts, len(q.Texts) > 0)
	set("flags", q.Flags, len(q.Flags) > 0)
	set("labels", q.Labels, len(q.Labels) > 0)
	set("folders", q.Folders, len(q.Folders) > 0)
	set("ids", q.IDs, len(q.IDs) > 0)
	set("min", q.MinSize, q.MinSize > 0)
	set("max", q.MaxSize, q.MaxSize > 0)
	set("after", q.After.Format(time.RFC3339), !q.After.IsZero())
	set("before", q.Before.Format(time.RFC3339), !q.Before.IsZero())
	return out
}

func TestMarks(t *testing.T) {
	for _, c := range []struct{ query, text, want string }{
		{"launch", "The Launch, of <b>launches</b>", "The <mark>Launch</mark>, of &lt;b&gt;launches&lt;/b&gt;"},
		{"launch*", "launches", "<mark>launches</mark>"},
		{`"two words"`, "words two words", "words <mark>two words</mark>"},
		{"cafe", "Café", "<mark>Café</mark>"},
		{"-launch", "launch", "launch"},
		{"from:launch", "launch", "launch"},
		{"", "<x>", "&lt;x&gt;"},
	} {
		q, err := search.Parse(c.query, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := q.Mark(c.text, search.Body); got != c.want {
			t.Errorf("%s in %s is %s, want %s", c.query, c.text, got, c.want)
		}
	}
	q, _ := search.Parse("needle", time.Now())
	got, found := q.Excerpt(strings.Repeat("hay ", 1000)+"needle "+strings.Repeat("häy ", 1000), search.Body, 60)
	if !found || len(got) > 70 || !strings.Contains(got, "needle") {
		t.Errorf("the excerpt is %q, %v", got, found)
	}
}

// Whatever is asked, it is understood or refused, and marking never breaks the text.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{`from:ann -subject:"x y" larger:2M in:junk`, `"`, `newer:d older:`, `is:!`, "é* \x00", `-"`, `id:<>`, `before:9999-99-99`} {
		f.Add(s, "some text éa")
	}
	f.Fuzz(func(t *testing.T, query, text string) {
		q, err := search.Parse(query, time.Unix(1_700_000_000, 0))
		if err != nil {
			return
		}
		plain := strings.NewReplacer("<mark>", "", "</mark>", "").Replace(q.Mark(text, search.Body))
		none := search.Query{}.Mark(text, search.Body)
		if plain != none {
			t.Errorf("marking %q with %q changes it: %q", text, query, plain)
		}
		q.Excerpt(text, search.Body, 50)
	})
}
