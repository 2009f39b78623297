package hooks

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"uniqverse/internal/errs"
)

func TestPayloads(t *testing.T) {
	raw, err := os.ReadFile("testdata/payloads.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(string(raw), "\n")
	cases := 0
	for i, body := range all {
		if !strings.HasPrefix(body, "{") {
			continue
		}
		cases++
		want := strings.ReplaceAll(all[i+1], `\n`, "\n")
		var in map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &in); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		p, err := read(in)
		got := p.line()
		if err != nil {
			got = "! " + string(errs.KindOf(err))
		}
		if got != want {
			t.Errorf("line %d: %s\nbecomes %q, want %q", i+1, body, got, want)
		}
	}
	if cases < 10 {
		t.Errorf("only %d cases were found", cases)
	}
}

func FuzzPayload(f *testing.F) {
	raw, err := os.ReadFile("testdata/payloads.txt")
	if err != nil {
		f.Fatal(err)
	}
	for body := range strings.SplitSeq(string(raw), "\n") {
		if strings.HasPrefix(body, "{") {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body string) {
		var in map[string]json.RawMessage
		if json.Unmarshal([]byte(body), &in) != nil {
			return
		}
		p, err := read(in)
		if err == nil && !json.Valid(p.flags(Hook{})) {
			t.Error("flags that are no JSON")
		}
		p.line()
	})
}
