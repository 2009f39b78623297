package chatstore_test

import (
	"context"
	"testing"
	"time"
	"unicode/utf8"

	"uniqverse/services/chat"
	"uniqverse/services/chat/search"
	"uniqverse/store"
	"uniqverse/store/chatstore"
)

// FuzzSearch holds that whatever somebody types, the index understands what it is asked.
func FuzzSearch(f *testing.F) {
	for _, q := range []string{"warp", `"a b" -c d*`, "NEAR(a, 2) OR {x}: ^y", "has:file ''\"", "\u0301 ½ \U0001e900 ª"} {
		f.Add(q)
	}
	db, err := store.Open(context.Background(), store.Options{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { db.Close() })
	s := chatstore.NewSearch(db)
	f.Fuzz(func(t *testing.T, typed string) {
		q, err := search.Parse(typed)
		if err != nil || !utf8.ValidString(typed) {
			return
		}
		if _, err := s.Search(context.Background(), chat.Viewer{User: 1}, q, 0, 0, time.Now(), 10); err != nil {
			t.Fatalf("%q as %s: %v", typed, q.Match(), err)
		}
	})
}
