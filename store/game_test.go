package store_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"uniqverse/services/game"
	"uniqverse/store"
	"uniqverse/store/storetest"
)

// A board against a plain sort, on every page from either end.
func TestBoardAgreesWithAPlainSort(t *testing.T) {
	db := storetest.Open(t)
	g := store.NewGame(db)
	type best struct {
		user  string
		score float64
		when  int
	}
	r := rand.New(rand.NewPCG(3, 4))
	plain := map[string]best{}
	must(t, g.Update(t.Context(), nil, func(tx game.Tx) error {
		for i := range 400 {
			user, score := fmt.Sprint("u", r.IntN(60)), float64(r.IntN(12))
			had, known := plain[user]
			better := !known || score > had.score
			if better {
				plain[user] = best{user, score, i}
			}
			now, improved, err := tx.Submit("s", "m", user, score)
			if err != nil {
				return err
			}
			if improved != better || now != plain[user].score {
				t.Errorf("%s %g: best %g, improved %v", user, score, now, improved)
			}
		}
		_, _, err := tx.Submit("s", "other", "u1", 1e9)
		return err
	}))
	var want []best
	for _, b := range plain {
		want = append(want, b)
	}
	slices.SortFunc(want, func(a, b best) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.when, b.when)) })
	b, ok, err := g.Board(t.Context(), "s", "m")
	if err != nil || !ok || b.Players != int64(len(want)) {
		t.Fatalf("board %+v %v %v, %d players", b, ok, err, len(want))
	}
	for _, limit := range []int{1, 7, 50, 200} {
		for offset := 0; offset <= len(want)+3; offset++ {
			rows, err := g.Ranks(t.Context(), b, limit, offset)
			must(t, err)
			end := min(offset+limit, len(want))
			if n := max(0, end-offset); len(rows) != n {
				t.Fatalf("limit %d offset %d: %d rows, want %d", limit, offset, len(rows), n)
			}
			for i, row := range rows {
				if w := want[offset+i]; row.UserID != w.user || row.Score != w.score || row.Rank != int64(offset+i+1) {
					t.Fatalf("limit %d offset %d row %d: %+v, want %+v", limit, offset, i, row, w)
				}
			}
		}
	}
	for i, w := range want {
		row, ok, err := g.RankOf(t.Context(), b.ID, w.user)
		if err != nil || !ok || row.Rank != int64(i+1) || row.Score != w.score {
			t.Errorf("%s: %+v %v %v, want rank %d", w.user, row, ok, err, i+1)
		}
	}
	if _, ok, err := g.RankOf(t.Context(), b.ID, "nobody"); ok || err != nil {
		t.Errorf("nobody has a rank: %v", err)
	}
}
