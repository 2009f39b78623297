package e2e_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// claim is a sentence, table row or example of the contract's sections 1 to 6.
type claim struct {
	section string // "1. One executable, and what it listens on"
	text    string // with single blanks
}

var (
	sentenceEnd = regexp.MustCompile("[.](?:\\*\\*)? ([A-Z`*\"(])")
	blanks      = regexp.MustCompile(`\s+`)
)

// claims splits the contract: paragraphs and list entries into sentences, tables into rows, examples whole.
func claims(t *testing.T, contract string) []claim {
	t.Helper()
	var all []claim
	section, block, fenced := "", "", false
	add := func(text string) {
		if text = strings.TrimSpace(blanks.ReplaceAllString(text, " ")); text != "" && section != "" {
			all = append(all, claim{section, text})
		}
	}
	flush := func() {
		text := strings.TrimSpace(blanks.ReplaceAllString(block, " "))
		block = ""
		for at := sentenceEnd.FindStringSubmatchIndex(text); at != nil; at = sentenceEnd.FindStringSubmatchIndex(text) {
			add(text[:at[2]])
			text = text[at[2]:]
		}
		add(text)
	}
	for line := range strings.SplitSeq(contract, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			flush()
			fenced = !fenced
		case fenced:
			add(line)
		case strings.HasPrefix(line, "## "):
			flush()
			section = strings.TrimPrefix(line, "## ")
			if strings.HasPrefix(section, "7.") {
				section = "" // its rows are tests themselves: TestSeedChecks…
			}
		case strings.HasPrefix(line, "|"):
			flush()
			if !strings.HasPrefix(line, "|---") && !strings.HasPrefix(line, "| setting") {
				add(strings.Trim(line, "| "))
			}
		case strings.HasPrefix(line, "- "):
			flush()
			block = line[2:]
		case strings.TrimSpace(line) == "":
			flush()
		default:
			block += " " + line
		}
	}
	flush()
	if len(all) < 60 {
		t.Fatalf("found only %d sentences in the contract; they are split wrongly", len(all))
	}
	return all
}

// testNames are all test functions of the tree, as folder.TestName; the root's are main.TestName.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || len(d.Name()) > 2 && d.Name()[0] == '.') {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", filepath.Dir(path))
		folder := filepath.ToSlash(rel)
		if folder == "." {
			folder = "main"
		}
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv == nil && regexp.MustCompile(`^(Test|Fuzz|Example)`).MatchString(fn.Name.Name) {
				all[folder+"."+fn.Name.Name] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 200 {
		t.Fatalf("found only %d tests; the walk is wrong", len(all))
	}
	return all
}

// pinned is an entry of docs/contract-tests.md: a sentence and its tests.
type pinned struct {
	claim
	tests []string
}

// readPinned reads the list: "> sentence", then a line with the tests.
func readPinned(t *testing.T) []pinned {
	t.Helper()
	raw, err := os.ReadFile("../docs/contract-tests.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []pinned
	section := ""
	for line := range strings.SplitSeq(string(raw), "\n") {
		switch {
		case strings.HasPrefix(line, "## "):
			section = strings.TrimPrefix(line, "## ")
		case strings.HasPrefix(line, "> "):
			all = append(all, pinned{claim: claim{section, strings.TrimSpace(line[2:])}})
		case len(all) > 0:
			for _, m := range regexp.MustCompile("`([A-Za-z0-9/]+\\.(?:Test|Fuzz|Example)[A-Za-z0-9]*)`").FindAllStringSubmatch(line, -1) {
				all[len(all)-1].tests = append(all[len(all)-1].tests, m[1])
			}
		}
	}
	return all
}

// The list of sentences and tests is whole and true: each sentence of the contract's sections 1 to 6 is in it, in their
// order, nothing else is, and every test that it names exists.
func TestContractTestsAreListed(t *testing.T) {
	raw, err := os.ReadFile("../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	var have []claim
	exists := testNames(t)
	for _, p := range readPinned(t) {
		have = append(have, p.claim)
		if len(p.tests) == 0 {
			t.Errorf("no test is named for: %s", p.text)
		}
		for _, name := range p.tests {
			if !exists[name] {
				t.Errorf("there is no test %s, which is named for: %s", name, p.text)
			}
		}
	}
	want := claims(t, string(raw))
	for _, c := range want {
		if !slices.Contains(have, c) {
			t.Errorf("docs/contract-tests.md does not have, in section %q:\n> %s", c.section, c.text)
		}
	}
	for _, c := range have {
		if !slices.Contains(want, c) {
			t.Errorf("docs/contract-tests.md has what the contract does not say in section %q:\n> %s", c.section, c.text)
		}
	}
	if !t.Failed() && !slices.Equal(have, want) {
		t.Error("docs/contract-tests.md has the contract's sentences in another order, or one twice")
	}
}
