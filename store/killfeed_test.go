package store_test

import (
	"testing"

	"uniqverse/services/game/killfeed"
	"uniqverse/store"
	"uniqverse/store/storetest"
)

// Chat knows what it was told by the entry's id, so that nothing is told twice: an id that came again would hide what is new.
func TestKillfeedEntriesHaveIDsOfTheirOwn(t *testing.T) {
	s := store.NewKillfeed(storetest.Open(t))
	seen := map[int64]bool{}
	for range 3 {
		err := s.Update(t.Context(), nil, func(tx killfeed.Tx) error {
			return tx.AddEntry(killfeed.Entry{Kind: killfeed.Notice, Room: "hall", Text: "x", CreatedAt: tx.Now()})
		})
		if err != nil {
			t.Fatal(err)
		}
		waiting, err := s.Waiting(t.Context(), 10)
		if err != nil || len(waiting) != 1 || seen[waiting[0].ID] {
			t.Fatalf("waiting are %+v, %v; seen were %v", waiting, err, seen)
		}
		seen[waiting[0].ID] = true
		if err := s.Update(t.Context(), nil, func(tx killfeed.Tx) error { return tx.DropEntry(waiting[0].ID) }); err != nil {
			t.Fatal(err)
		}
	}
}
