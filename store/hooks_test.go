package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"uniqverse/internal/event"
	"uniqverse/store"
)

// What a function asks for to be done at its undoing, before the commit and at the end is done then, and before anybody hears of the outcome.
func TestTransactionsTellOfTheirEnd(t *testing.T) {
	var mu sync.Mutex
	var said []string
	say := func(s string) { mu.Lock(); said = append(said, s); mu.Unlock() }
	db, err := store.Open(context.Background(), store.Options{Dir: t.TempDir(), Publish: func(string, []event.Event) { say("published") }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := func(name string, fail error) []string {
		said = nil
		err := db.Write(context.Background(), nil, func(tx *store.Tx) error {
			tx.AtEnd(func(stored bool) {
				if stored {
					say("stored")
				} else {
					say("not stored")
				}
			})
			tx.OnUndo(func() { say("undo 1") })
			tx.OnUndo(func() { say("undo 2") })
			for range 2 {
				tx.BeforeCommit("k", func(tx *store.Tx) error {
					say("before")
					if name == "refused" {
						return errors.New("no")
					}
					_, err := tx.Exec(`INSERT INTO meta (key, value) VALUES ($1, 'x')`, name)
					return err
				})
			}
			tx.Emit("s", event.Event{Type: "t"})
			return fail
		})
		say("answered")
		if (err != nil) != (fail != nil || name == "refused") {
			t.Errorf("%s: %v", name, err)
		}
		return said
	}
	for name, want := range map[string][]string{"good": {"before", "stored", "published", "answered"}, "refused": {"before", "not stored", "answered"}} {
		if got := run(name, nil); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got, want := run("bad", errors.New("bad")), []string{"undo 2", "undo 1", "not stored", "answered"}; !slices.Equal(got, want) {
		t.Errorf("bad: %q, want %q", got, want)
	}
	var n int
	if err := db.QueryRow(context.Background(), `SELECT COUNT(*) FROM meta WHERE value = 'x'`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows of what is done before the commit, want 1 (%v)", n, err)
	}
}
