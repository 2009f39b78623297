package search_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"uniqverse/internal/errs"
	"uniqverse/services/chat/search"
)

func TestParse(t *testing.T) {
	raw, err := os.ReadFile("testdata/queries.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for row := range strings.Lines(string(raw)) {
		row = strings.TrimSpace(row)
		if row == "" || row[0] == '#' {
			continue
		}
		n++
		quoted, err := strconv.QuotedPrefix(row)
		if err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		given, _ := strconv.Unquote(quoted)
		want := strings.TrimSpace(row[len(quoted):])
		q, err := search.Parse(given)
		if strings.HasPrefix(want, "! ") {
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want[2:]) {
				t.Errorf("%s: %v", row, err)
			}
			continue
		}
		if got := shape(q); err != nil || got != want {
			t.Errorf("%s\nis asked as %s, %v", row, got, err)
		}
	}
	if n < 40 {
		t.Errorf("only %d cases were read", n)
	}
	if _, err := search.Parse(strings.Repeat("x", 501)); !errs.Is(err, errs.Invalid) {
		t.Errorf("a long one: %v", err)
	}
}

func shape(q search.Query) string {
	out := []string{}
	add := func(sign, text string) {
		if text != "" {
			out = append(out, sign+text)
		}
	}
	day := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format(time.DateOnly)
	}
	add("", q.Match())
	add("f:", q.From)
	add("i:", q.In)
	add("b:", day(q.Before))
	add("a:", day(q.After))
	if q.Files {
		add("h", " ")
	}
	return strings.TrimSpace(strings.Join(out, " "))
}

func TestHighlight(t *testing.T) {
	long := strings.Repeat("word ", 100)
	for _, tc := range []struct{ q, text, want string }{
		{"gate", "Warp gate online", "Warp [gate] online"}, {"GATE", "gate, Gate!", "[gate], [Gate]!"}, {"cafe", "Café im cafe\u0301", "[Café] im [cafe\u0301]"},
		{`"warp gate"`, "gate warp gate warp", "gate [warp gate] warp"}, {"ga*", "gate gallop agate", "[gate] [gallop] agate"},
		{"gate -warp", "warp gate", "warp [gate]"}, {"it's", "it's", "[it's]"}, {"b", "<b>b</b>", "<[b]>[b]</[b]>"}, {"x", "", ""}, {"x", "none", "none"},
		{"needle", long + "needle " + long, "…" + strings.Repeat("word ", 12) + "[needle] " + strings.Repeat("word ", 34) + "wor…"},
		{"needle", "needle " + long, "[needle] " + strings.Repeat("word ", 46) + "wor…"},
		{"京都", "東京都の京都", "東[京都]の[京都]"}, {"京", "東京 x京", "東[京] x[京]"}, {"ガギ", "カ\u3099キ\u3099グ", "[カ\u3099キ\u3099]グ"}, {"한국", "한국어", "[한국]어"}, {"v2東京", "新v2東京", "新[v2東京]"},
		{"nothing", long, strings.Repeat("word ", 48) + "…"},
	} {
		q, err := search.Parse(tc.q)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, p := range q.Highlight(tc.text) {
			if p.Hit {
				got.WriteString("[" + p.Text + "]")
			} else {
				got.WriteString(p.Text)
			}
		}
		if got.String() != tc.want {
			t.Errorf("%s in %.20q:\n%q, want\n%q", tc.q, tc.text, got.String(), tc.want)
		}
	}
}

func TestIndexed(t *testing.T) {
	for text, want := range map[string]string{
		"warp GATE, café": "warp GATE, café", "": "", "東京都": "東京 京都 都", "東": "東", "Warp東京gate": "warp 東京 京 gate", "東京、大阪": "東京 京大 大阪 阪",
		"コーヒー": "コー ーヒ ヒー ー", "カ\u3099": "ガ", "한국어 ok": "한국 국어 어 ok", "𠀀𠀁": "𠀀𠀁 𠀁", "é東": "e 東",
	} {
		if got := search.Indexed(text); got != want {
			t.Errorf("%q goes into the index as %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`-"a b" from:x has:file c*`, "a b c")
	f.Fuzz(func(t *testing.T, given, text string) {
		if !utf8.ValidString(given) || !utf8.ValidString(text) {
			return // the edge refuses it
		}
		q, err := search.Parse(given)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if strings.Count(q.Match(), `"`)%2 != 0 || q.Match() == "" && !q.Files {
			t.Fatalf("%q is asked as %s", given, q.Match())
		}
		for _, p := range q.Highlight(text) {
			if p.Text != "…" && !strings.Contains(text, p.Text) {
				t.Fatalf("%q is no part of %q", p.Text, text)
			}
		}
	})
}
