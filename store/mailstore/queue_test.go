package mailstore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/store"
	"uniqverse/store/mailstore"
	"uniqverse/store/storetest"
)

// enqueue adds entries for these recipients and returns their ids.
func enqueue(t *testing.T, st mailstore.Store, state queue.State, at time.Time, recipients ...string) (ids []int64) {
	t.Helper()
	err := st.Update(t.Context(), nil, func(tx mailbox.Tx) error {
		for _, r := range recipients {
			local, domain, err := queue.Split(r)
			if err != nil {
				return err
			}
			id, err := tx.Enqueue(queue.Entry{QueueID: "Q", RawID: 7, MessageID: 8, User: "ann", ReversePath: "ann@vezeuniqverse.com", Recipient: local + "@" + domain, Domain: domain, State: state, NextAt: at, Reason: string(state)})
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func recipients(list []queue.Entry) (out []string) {
	for _, e := range list {
		out = append(out, e.Recipient)
	}
	return out
}

func many(n int, domain string) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("r%d@%s", i, domain))
	}
	return out
}

// What is due is handed out once, in the order of time, and no domain gets more than its share.
func TestEmailQueueClaims(t *testing.T) {
	st, now := mailstore.New(storetest.Open(t)), time.Now().Truncate(time.Millisecond)
	enqueue(t, st, queue.Queued, now.Add(time.Hour), "later@example.org")
	enqueue(t, st, queue.Held, now, "held@example.org")
	enqueue(t, st, queue.Queued, now.Add(-time.Minute), many(6, "big.example")...)
	enqueue(t, st, queue.Queued, now.Add(-time.Second), "one@example.org", "two@example.org")
	claim := func(at time.Time, most int, busy map[string]int) []queue.Entry {
		t.Helper()
		got, err := st.Claim(t.Context(), queue.Want{Now: at, Lease: at.Add(queue.Lease), Most: most, Busy: busy})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	due := func(want time.Time, full ...string) {
		t.Helper()
		if at, err := st.NextDue(t.Context(), full, ""); err != nil || !at.Equal(want) {
			t.Errorf("due at %v, want %v (%v)", at, want, err)
		}
	}
	due(now.Add(-time.Minute))
	due(now.Add(-time.Second), "big.example")
	if got := recipients(claim(now, 3, map[string]int{"big.example": 3})); fmt.Sprint(got) != "[r0@big.example one@example.org two@example.org]" {
		t.Errorf("first %v", got)
	}
	if got := recipients(claim(now, 10, map[string]int{"big.example": queue.PerDomain})); len(got) != 0 {
		t.Errorf("of a domain that has enough: %v", got)
	}
	got := claim(now, 10, nil)
	if len(got) != queue.PerDomain || got[0].Attempts != 1 || got[0].State != queue.Sending || !got[0].LeaseUntil.Equal(now.Add(queue.Lease)) || got[0].User != "ann" || got[0].RawID != 7 || got[0].MessageID != 8 {
		t.Errorf("then %+v", got)
	}
	if got := recipients(claim(now, 10, nil)); fmt.Sprint(got) != "[r5@big.example]" {
		t.Errorf("at last %v", got)
	}
	due(now.Add(queue.Lease))
	if again := claim(now.Add(queue.Lease), 20, nil); len(again) != 2+queue.PerDomain || again[0].Attempts != 2 {
		t.Errorf("when the leases are over: %v", recipients(again))
	}
	counts, err := st.Counts(t.Context())
	if err != nil || counts[queue.Queued] != 1 || counts[queue.Held] != 1 || counts[queue.Sending] != 8 {
		t.Errorf("%v, %v", counts, err)
	}
}

// planOf asks the engine how it answers a query.
func planOf(t *testing.T, db *store.DB, text string, args []any) []string {
	t.Helper()
	rows, err := db.Query(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
	plan, err := store.CollectRows(rows, err, func(r store.RowScanner) (detail string, err error) {
		var id, parent, unused int
		return detail, r.Scan(&id, &parent, &unused, &detail)
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// What is due is found in the order of an index: no claim sorts or reads the whole queue.
func TestEmailQueueIsReadInOrder(t *testing.T) {
	db := storetest.Open(t)
	texts, args := mailstore.QueueQueries()
	for name, text := range texts {
		plan := planOf(t, db, text, args[name])
		for _, step := range plan {
			if strings.Contains(step, "TEMP B-TREE") || strings.Contains(step, "email_queue") && !strings.Contains(step, "USING") {
				t.Errorf("%s: %q", name, plan)
			}
		}
	}
}

// A result is written by who holds the entry, and by nobody else.
func TestEmailQueueResults(t *testing.T) {
	st, now := mailstore.New(storetest.Open(t)), time.Now()
	id := enqueue(t, st, queue.Queued, now, "one@example.org")[0]
	first, err := st.Claim(t.Context(), queue.Want{Now: now, Lease: now.Add(queue.Lease), Most: 1})
	if err != nil || len(first) != 1 {
		t.Fatal(first, err)
	}
	second, err := st.Claim(t.Context(), queue.Want{Now: now.Add(queue.Lease), Lease: now.Add(2 * queue.Lease), Most: 1})
	if err != nil || len(second) != 1 {
		t.Fatal(second, err)
	}
	save := func(was queue.Entry, r queue.Result) error {
		return st.Update(t.Context(), nil, func(tx mailbox.Tx) error {
			e, _ := was.Finish(r, now, 0)
			return tx.SaveEntry(was, e)
		})
	}
	if err := save(first[0], queue.Result{Verdict: queue.Permanent, Reply: "550 late"}); !errs.Is(err, errs.Conflict) {
		t.Errorf("the first holder wrote its result: %v", err)
	}
	if err := save(second[0], queue.Result{Verdict: queue.Delivered, Reply: "250 ok", Host: "mx"}); err != nil {
		t.Error(err)
	}
	err = st.Update(t.Context(), nil, func(tx mailbox.Tx) error {
		e, err := tx.EntryByID(id)
		if e.State != queue.Sent || e.LastReply != "250 ok" || e.Host != "mx" || !e.LeaseUntil.IsZero() || e.Attempts != 2 {
			t.Errorf("%+v", e)
		}
		_, missing := tx.EntryByID(id + 1)
		if !errs.Is(missing, errs.NotFound) {
			t.Errorf("an entry that is not there: %v", missing)
		}
		n, err2 := tx.EnqueuedSince("ann", now.Add(-time.Hour))
		if n != 1 || err2 != nil {
			t.Errorf("%d entries of ann, %v", n, err2)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEmailQueueLists(t *testing.T) {
	st, now := mailstore.New(storetest.Open(t)), time.Now()
	enqueue(t, st, queue.Held, now, many(3, "a.example")...)
	enqueue(t, st, queue.Queued, now, many(2, "b.example")...)
	list := func(state queue.State, p web.Paging) string {
		t.Helper()
		got, err := st.Entries(t.Context(), queue.Filter{State: state}, p)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(recipients(got))
	}
	if got := list("", web.Paging{Limit: 2}); got != "[r1@b.example r0@b.example]" {
		t.Error(got)
	}
	if got := list(queue.Held, web.Paging{Before: 3}); got != "[r1@a.example r0@a.example]" {
		t.Error(got)
	}
	if n, err := st.ReleaseHeld(t.Context(), "another reason"); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := st.ReleaseHeld(t.Context(), "held"); n != 3 || err != nil {
		t.Error(n, err)
	}
	if got := list(queue.Held, web.Paging{}); got != "[]" {
		t.Error(got)
	}
}

func TestEmailSuppressions(t *testing.T) {
	st := mailstore.New(storetest.Open(t))
	change := func(fn func(tx mailbox.Tx) error) {
		t.Helper()
		if err := st.Update(t.Context(), nil, fn); err != nil {
			t.Fatal(err)
		}
	}
	change(func(tx mailbox.Tx) error {
		return tx.Suppress(queue.Suppression{Address: "a@example.org", Reason: "one", Created: tx.Now()})
	})
	change(func(tx mailbox.Tx) error {
		return tx.Suppress(queue.Suppression{Address: "a@example.org", Reason: "two", Created: tx.Now()})
	})
	if s, err := st.SuppressionOf(t.Context(), "a@example.org"); err != nil || s.Reason != "two" {
		t.Errorf("%+v, %v", s, err)
	}
	if list, err := st.Suppressions(t.Context(), web.Paging{}); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	change(func(tx mailbox.Tx) error { return tx.Unsuppress("a@example.org") })
	if _, err := st.SuppressionOf(t.Context(), "a@example.org"); !errs.Is(err, errs.NotFound) {
		t.Errorf("after it was taken off: %v", err)
	}
}
