package smtpd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every row of docs/smtp.md has a dialogue, a case or a test with its number.
func TestEveryRowIsPinned(t *testing.T) {
	doc, err := os.ReadFile("../docs/smtp.md")
	if err != nil {
		t.Fatal(err)
	}
	pinned := map[string]bool{}
	number := regexp.MustCompile(`\b[Rr]ow (\d+)\b`)
	for _, glob := range []string{"../testdata/smtp/*.dlg", "../testdata/dkim/*.case", "*_test.go", "*/*_test.go", "../services/email/*_test.go", "../services/email/*/*_test.go", "../e2e/*_test.go"} {
		files, err := filepath.Glob(glob)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", glob, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range number.FindAllStringSubmatch(string(text), -1) {
				pinned[m[1]] = true
			}
		}
	}
	rows := 0
	for line := range strings.Lines(string(doc)) {
		if m := regexp.MustCompile(`^\| (\d+) \|`).FindStringSubmatch(line); m != nil {
			rows++
			if !pinned[m[1]] {
				t.Errorf("row %s is pinned by nothing: %s", m[1], line)
			}
			delete(pinned, m[1])
		}
	}
	if rows != 48 {
		t.Errorf("%d rows, want 48", rows)
	}
	for n := range pinned {
		t.Errorf("something pins row %s, which there is not", n)
	}
}
