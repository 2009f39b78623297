package statstore_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/services/email/stats"
	"uniqverse/store"
	"uniqverse/store/statstore"
	"uniqverse/store/storetest"
)

// Days are ranges of the index of folders: no message is read, and the index is never walked whole.
func TestDaysAreIndexRanges(t *testing.T) {
	db := storetest.Open(t)
	for what, query := range statstore.Queries() {
		rows, err := db.Query(t.Context(), "EXPLAIN QUERY PLAN "+query, []any{1, 30, 1}[:2+strings.Count(query, "$3")]...)
		plan, err := store.CollectRows(rows, err, func(row store.RowScanner) (detail string, err error) {
			var id, parent, unused int
			return detail, row.Scan(&id, &parent, &unused, &detail)
		})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		ranges := 0
		for _, step := range plan {
			if strings.Contains(step, "USING PRIMARY KEY (folder_id=? AND received_at>") {
				ranges++
			} else if strings.Contains(step, " p ") || strings.Contains(step, "email_messages") {
				t.Errorf("%s: %s", what, step)
			}
		}
		if ranges != 2 || what == "one mailbox" && !slices.ContainsFunc(plan, func(s string) bool {
			return strings.Contains(s, "f USING INDEX") && strings.Contains(s, "(mailbox_id=?")
		}) {
			t.Errorf("%s: %q", what, plan)
		}
	}
}

// A day ends where the next begins, and drafts are nobody's mail yet.
func TestCame(t *testing.T) {
	db := storetest.Open(t)
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	err := db.Write(t.Context(), nil, func(tx *store.Tx) error {
		for i, role := range []string{"inbox", "sent", "junk", "drafts", ""} {
			if _, err := tx.Exec(`INSERT INTO email_folders (id, mailbox_id, name, role, created_modseq, modseq, counts_modseq) VALUES ($1, $2, $3, $4, 1, 1, 1)`, i+1, 1+i/4, role+"x", role); err != nil {
				return err
			}
			for n, ms := range []int64{-1, 0, 86400000 - 1, 86400000, 2*86400000 - 1, 2 * 86400000} {
				if _, err := tx.Exec(`INSERT INTO email_placed (folder_id, received_at, message_id) VALUES ($1, $2, $3)`, i+1, from.UnixMilli()+ms, n); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := statstore.New(db)
	for box, n := range map[int64]int64{0: 4, 1: 2} { // of received; the folder without a role is another's
		got, err := s.Came(t.Context(), box, from, 2)
		want := []stats.Count{{Day: 0, Kind: "junk", N: 2}, {Day: 0, Kind: "received", N: n}, {Day: 0, Kind: "sent", N: 2}, {Day: 1, Kind: "junk", N: 2}, {Day: 1, Kind: "received", N: n}, {Day: 1, Kind: "sent", N: 2}}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("mailbox %d: %v, %v", box, got, err)
		}
	}
}
