// Package storetest opens stores for tests and holds the suite that every engine passes.
package storetest

import (
	"context"
	"testing"

	"uniqverse/store"
)

// Open opens a new store in a folder of the test's own and closes it when the test ends.
// Each change is applied to the options first, for a clock or to hear events.
func Open(t testing.TB, change ...func(*store.Options)) *store.DB {
	t.Helper()
	opts := store.Options{Dir: t.TempDir()}
	for _, c := range change {
		c(&opts)
	}
	db, err := store.Open(context.Background(), opts)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return db
}
