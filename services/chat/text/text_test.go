package text_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"uniqverse/internal/errs"
	"uniqverse/services/chat/text"
)

const domain = "vezeuniqverse.com"

func TestInDomain(t *testing.T) {
	for address, want := range map[string]bool{
		"a@vezeuniqverse.com": true, "A.b-c_d+e@VezeUniqverse.COM": true, "jürgen@vezeuniqverse.com": true,
		"x@evil@vezeuniqverse.com": false, `"x@evil"@vezeuniqverse.com`: false, "x@evil.vezeuniqverse.com": false, "x@vezeuniqverse.com.evil.org": false,
		"x@vezeuniqverse.com.": false, "@vezeuniqverse.com": false, "x@": false, "x": false, "": false, "x y@vezeuniqverse.com": false,
		"x@evilvezeuniqverse.com": false, ".x@vezeuniqverse.com": false, "x.@vezeuniqverse.com": false, "x..y@vezeuniqverse.com": false,
		"x\n@vezeuniqverse.com": false, "x,y@vezeuniqverse.com": false, "x@vezeuniqverse.com\n": false, "x@ vezeuniqverse.com": false,
		"x@ｖezeuniqverse.com": true, // full-width letters are the same name in IDNA
	} {
		if got := text.InDomain(address, domain); got != want {
			t.Errorf("InDomain(%q) = %v", address, got)
		}
	}
	if !text.InDomain("x@xn--bcher-kva.example", "bücher.example") || text.InDomain("x@y", "") {
		t.Error("international and empty domains")
	}
}

func FuzzInDomain(f *testing.F) {
	f.Add("x@evil@vezeuniqverse.com")
	f.Fuzz(func(t *testing.T, address string) {
		if text.InDomain(address, domain) && (strings.Count(address, "@") != 1 || !utf8.ValidString(address)) {
			t.Errorf("%q passed", address)
		}
	})
}

func TestFields(t *testing.T) {
	raw, err := os.ReadFile("testdata/text.txt")
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
		field, rest, _ := strings.Cut(row, " ")
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		given, _ := strconv.Unquote(quoted)
		want := strings.TrimSpace(rest[len(quoted):])
		got, err := clean(field, given)
		switch {
		case strings.HasPrefix(want, "! "):
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want[2:]) {
				t.Errorf("%s: %q, %v", row, got, err)
			}
		case want == "=":
			if err != nil || got != given {
				t.Errorf("%s: %q, %v", row, got, err)
			}
		default:
			if stored, bad := strconv.Unquote(want); bad != nil || err != nil || got != stored {
				t.Errorf("%s: %q, %v", row, got, err)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d cases were read", n)
	}
}

func clean(field, given string) (string, error) {
	switch field {
	case "line":
		return text.Line(given)
	case "name":
		return text.RoomName(given)
	case "handle":
		return text.Handle(given, domain)
	case "emoji":
		return given, text.Emoji(given)
	default:
		return strings.Join(text.Mentions(given, 20), " "), nil
	}
}

func TestLengths(t *testing.T) {
	for name, tc := range map[string]struct {
		field string
		fits  string
	}{
		"line": {"line", strings.Repeat("é", text.MaxLine)}, "name": {"name", strings.Repeat("é", text.MaxRoomName)},
		"handle": {"handle", strings.Repeat("é", text.MaxHandle-1)}, "emoji": {"emoji", strings.Repeat("🚀", text.MaxEmoji)},
	} {
		if _, err := clean(tc.field, tc.fits); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := clean(tc.field, tc.fits+string([]rune(tc.fits)[:1])); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s that is one too long: %v", name, err)
		}
	}
	if n := len(text.Mentions(strings.Repeat("@a", 1)+strings.Repeat(" @b @c @d @e", 300), 3)); n != 4 {
		t.Errorf("%d names", n)
	}
}

// FuzzLine holds that no line turns what stands behind it.
func FuzzLine(f *testing.F) {
	f.Add("a \u2067b\u202e\u2069\u2069 c")
	f.Fuzz(func(t *testing.T, given string) {
		line, err := text.Line(given)
		if err != nil || !utf8.ValidString(given) {
			return
		}
		open := 0
		for _, r := range line {
			switch {
			case r >= 0x202a && r <= 0x202e:
				t.Fatalf("%q has an embedding", line)
			case r >= 0x2066 && r <= 0x2068:
				open++
			case r == 0x2069:
				open--
			}
			if open < 0 {
				t.Fatalf("%q ends what it did not begin", line)
			}
		}
		if open != 0 {
			t.Fatalf("%q leaves its direction open", line)
		}
		if again, err := text.Line(line); err != nil || again != line {
			t.Fatalf("%q becomes %q, then %q: %v", given, line, again, err)
		}
	})
}
