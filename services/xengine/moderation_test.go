package xengine_test

import (
	"bufio"
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"uniqverse/services/xengine"
)

func TestModerate(t *testing.T) {
	f, err := os.Open("testdata/phrases.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e := xengine.New(xengine.Options{})
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		want, quoted, _ := strings.Cut(line, " ")
		text, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		labels, err := e.Moderate(context.Background(), text)
		if err != nil {
			t.Fatal(err)
		}
		got := "fine"
		if len(labels) > 0 {
			got = labels[0]
		}
		if got != want {
			t.Errorf("%s: %s, want %s", quoted, got, want)
		}
		n++
	}
	if n < 30 {
		t.Fatalf("only %d cases were read", n)
	}
}

func TestOwnPhrases(t *testing.T) {
	e := xengine.New(xengine.Options{Phrases: []string{"warp core", "!!"}})
	for text, want := range map[string]int{"the WARP core leaks": 1, "warp the core": 0, "kys": 0, "!!": 0} {
		labels, err := e.Moderate(context.Background(), text)
		if err != nil || len(labels) != want {
			t.Errorf("%q: %v, %v; want %d labels", text, labels, err, want)
		}
	}
}

func TestModerateEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := xengine.New(xengine.Options{}).Moderate(ctx, "kys"); err == nil {
		t.Error("no error after the context ended")
	}
}

func FuzzModerate(f *testing.F) {
	e := xengine.New(xengine.Options{})
	f.Add("kill yourself")
	f.Add("k\xffys")
	f.Fuzz(func(t *testing.T, text string) {
		whole, _ := e.Moderate(context.Background(), text)
		upper, _ := e.Moderate(context.Background(), text+" ")
		if len(whole) != len(upper) {
			t.Errorf("a space at the end changes the verdict on %q", text)
		}
	})
}
