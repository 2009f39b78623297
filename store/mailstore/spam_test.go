package mailstore_test

import (
	"fmt"
	"testing"

	"uniqverse/internal/errs"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/spam"
	"uniqverse/store/mailstore"
	"uniqverse/store/storetest"
)

// What everybody counts is how many mailboxes have something, however often each counts it, takes it back, forgets its rarest
// words or halves its counts.
func TestEmailSpamCounts(t *testing.T) {
	st := mailstore.New(storetest.Open(t))
	do := func(fn func(tx mailbox.Tx) error) {
		t.Helper()
		if err := st.Update(t.Context(), nil, fn); err != nil {
			t.Fatal(err)
		}
	}
	count := func(box int64, kind, by int, words ...string) {
		t.Helper()
		do(func(tx mailbox.Tx) error { return tx.CountSpam(box, kind, by, words, []string{"from:a@b.example"}) })
	}
	state := func() string {
		t.Helper()
		words, err := st.SpamWords(t.Context(), []int64{0, 1, 2}, []string{"a", "b", "c"})
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for box := range int64(3) {
			p, err := st.SpamProfile(t.Context(), box)
			if err != nil {
				t.Fatal(err)
			}
			out += fmt.Sprintf("%d: %v %d words %v; ", box, p.Trained, p.Words, words[box])
		}
		return out
	}
	expect := func(what, want string) {
		t.Helper()
		if got := state(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", what, got, want)
		}
	}
	count(1, spam.Spam, 1, "a", "b")
	count(1, spam.Spam, 1, "a")
	count(2, spam.Spam, 1, "a")
	count(2, spam.Ham, 1, "c")
	expect("counted", "0: {1 2} 3 words map[a:{0 2} b:{0 1} c:{1 0}]; 1: {0 2} 2 words map[a:{0 2} b:{0 1}]; 2: {1 1} 2 words map[a:{0 1} c:{1 0}]; ")
	standings, err := st.SpamStandings(t.Context(), []int64{0, 1, 2}, []string{"from:a@b.example"})
	if err != nil || standings[0]["from:a@b.example"].Spam != 1 || standings[0]["from:a@b.example"].Ham != 0 || standings[1]["from:a@b.example"].Spam != 2 {
		t.Errorf("%+v, %v", standings, err)
	}
	count(1, spam.Spam, -1, "a")
	expect("one taken back", "0: {1 2} 3 words map[a:{0 2} b:{0 1} c:{1 0}]; 1: {0 1} 2 words map[a:{0 1} b:{0 1}]; 2: {1 1} 2 words map[a:{0 1} c:{1 0}]; ")
	count(1, spam.Spam, -1, "a", "b")
	count(1, spam.Spam, -1, "a", "b") // once too often
	expect("all taken back", "0: {1 1} 2 words map[a:{0 1} c:{1 0}]; 1: {0 0} 0 words map[]; 2: {1 1} 2 words map[a:{0 1} c:{1 0}]; ")
	for range 5 {
		count(1, spam.Ham, 1, "a")
	}
	count(1, spam.Ham, 1, "b")
	do(func(tx mailbox.Tx) error { return tx.HalveSpam(1) })
	expect("halved", "0: {2 1} 3 words map[a:{1 1} b:{1 0} c:{1 0}]; 1: {3 0} 2 words map[a:{3 0} b:{1 0}]; 2: {1 1} 2 words map[a:{0 1} c:{1 0}]; ")
	do(func(tx mailbox.Tx) error { return tx.TrimSpam(1, 1) })
	expect("trimmed", "0: {2 1} 2 words map[a:{1 1} c:{1 0}]; 1: {3 0} 1 words map[a:{3 0}]; 2: {1 1} 2 words map[a:{0 1} c:{1 0}]; ")
	if over, err := st.SpamOver(t.Context(), 1, 100); err != nil || len(over) != 1 || over[0].Mailbox != 2 {
		t.Errorf("%+v, %v", over, err)
	}
	err = st.Update(t.Context(), nil, func(tx mailbox.Tx) error { return tx.CountSpam(1, spam.None, 1, nil, nil) })
	if err == nil || errs.Is(err, errs.NotFound) {
		t.Errorf("a kind that is none: %v", err)
	}
}

// A list is bounded, and what is beyond the bound is not kept.
func TestEmailSpamListIsBounded(t *testing.T) {
	st := mailstore.New(storetest.Open(t))
	for i := range 4 {
		err := st.Update(t.Context(), nil, func(tx mailbox.Tx) error {
			_, err := tx.ListSender(1, spam.Listed{Sender: fmt.Sprintf("%d.example", i)}, 3)
			return err
		})
		if errs.Is(err, errs.Conflict) != (i == 3) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if p, err := st.SpamProfile(t.Context(), 1); err != nil || p.Listed != 3 {
		t.Errorf("%+v, %v", p, err)
	}
}
