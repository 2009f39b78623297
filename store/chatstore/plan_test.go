package chatstore_test

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"uniqverse/store"
	"uniqverse/store/chatstore"
)

// Pages of a room are a range of an index, however many lines it has: nothing is scanned whole, and nothing sorted.
func TestPagesAreIndexRanges(t *testing.T) {
	db, err := store.Open(context.Background(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	queries, err := chatstore.HotQueries()
	if err != nil {
		t.Fatal(err)
	}
	for what, query := range queries {
		most := 0
		for _, m := range regexp.MustCompile(`\$(\d+)`).FindAllStringSubmatch(query, -1) {
			if n, err := strconv.Atoi(m[1]); err == nil {
				most = max(most, n)
			}
		}
		args := make([]any, most)
		for i := range args {
			args[i] = 1
		}
		if what == "a search" {
			args[6] = `"warp"`
		}
		rows, err := db.Query(context.Background(), "EXPLAIN QUERY PLAN "+query, args...)
		plan, err := store.CollectRows(rows, err, func(row store.RowScanner) (string, error) {
			var id, parent, unused int
			var detail string
			err := row.Scan(&id, &parent, &unused, &detail)
			return detail, err
		})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for _, step := range plan {
			virtual := strings.Contains(step, "VIRTUAL TABLE INDEX") && !strings.HasSuffix(step, "INDEX 0:")
			if strings.HasPrefix(step, "SCAN") && !virtual || strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("%s: %s\nin %s", what, step, strings.Join(plan, "; "))
			}
		}
		if len(plan) == 0 {
			t.Errorf("%s has no plan", what)
		}
	}
}
