package e2e_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// contractEventTypes are the types that the contract lists, written out.
func contractEventTypes(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(raw), "\nTypes: ")
	if !ok {
		t.Fatal("the contract has no list of types")
	}
	list, _, _ = strings.Cut(list, ". ")
	var all []string
	for _, m := range regexp.MustCompile("`([a-z_.|]+)`").FindAllStringSubmatch(list, -1) {
		words := strings.Split(m[1], "|")
		stem := words[0][:strings.LastIndexByte(words[0], '.')+1]
		all = append(all, words[0])
		for _, w := range words[1:] {
			all = append(all, stem+w)
		}
	}
	if len(all) < 30 {
		t.Fatalf("found only %d types: %v", len(all), all)
	}
	return all
}
