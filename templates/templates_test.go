package templates_test

import (
	"strings"
	"testing"
)

func TestEveryPageRenders(t *testing.T) {
	set := newSet(t)
	seen := map[string]bool{}
	for _, s := range samples() {
		var b strings.Builder
		if err := set.Render(&b, s.name, s.page); err != nil {
			t.Errorf("%s %s: %v", s.name, s.kind, err)
		}
		seen[s.name] = true
	}
	for _, n := range set.Names() {
		if !seen[n] {
			t.Errorf("page %s has no sample in sample_test.go", n)
		}
	}
}
