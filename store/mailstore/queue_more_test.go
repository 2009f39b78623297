package mailstore_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mtasts"
	"uniqverse/services/email/queue"
	"uniqverse/store/mailstore"
	"uniqverse/store/storetest"
)

func change(t *testing.T, st mailstore.Store, fn func(tx mailbox.Tx) error) {
	t.Helper()
	if err := st.Update(t.Context(), nil, fn); err != nil {
		t.Fatal(err)
	}
}

func claimAt(t *testing.T, st mailstore.Store, at time.Time, most int) []queue.Entry {
	t.Helper()
	got, err := st.Claim(t.Context(), queue.Want{Now: at, Lease: at.Add(queue.Lease), Most: most})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Mail for a paused domain is not handed out, nor in the way of other mail; resumed, it is due again. A lease that ran out in
// the meantime cannot be written to.
func TestEmailQueuePausedDomain(t *testing.T) {
	st, now := mailstore.New(storetest.Open(t)), time.Now().Truncate(time.Millisecond)
	enqueue(t, st, queue.Queued, now.Add(-time.Hour), many(300, "slow.example")...)
	enqueue(t, st, queue.Queued, now.Add(-time.Minute), "one@example.org")
	change(t, st, func(tx mailbox.Tx) error {
		return tx.SaveDomain(queue.Domain{Name: "slow.example", Paused: now, Reason: "x", Updated: now})
	})
	got := claimAt(t, st, now, 1)
	for range 300 {
		if len(got) > 0 {
			break
		}
		got = claimAt(t, st, now, 1)
	}
	if fmt.Sprint(recipients(got)) != "[one@example.org]" {
		t.Fatalf("%v", recipients(got))
	}
	if at, err := st.NextDue(t.Context(), nil, ""); err != nil || !at.Equal(now.Add(queue.Lease)) {
		t.Errorf("due at %v (%v)", at, err)
	}
	if d, err := st.Domains(t.Context()); err != nil || len(d) != 1 || d[0].Reason != "x" || d[0].Paused.IsZero() {
		t.Errorf("%+v, %v", d, err)
	}
	change(t, st, func(tx mailbox.Tx) error {
		if err := tx.SaveDomain(queue.Domain{Name: "slow.example"}); err != nil {
			return err
		}
		return tx.Advance("slow.example", 100)
	})
	if got := claimAt(t, st, now, 10); len(got) != queue.PerDomain {
		t.Errorf("after it was resumed: %v", recipients(got))
	}
	later := time.Now().Add(2 * time.Minute)
	if all, err := st.NextDue(t.Context(), []string{"slow.example"}, ""); err != nil || all.After(later.Add(queue.Lease)) {
		t.Errorf("%v, %v", all, err)
	}
	if waiting := claimAt(t, st, later, 16); len(waiting) != queue.PerDomain {
		t.Errorf("two minutes later: %v", recipients(waiting))
	}
}

// Of a domain whose hosts do not answer nothing is tried until its rest is over, then one entry, and what waited is spread.
func TestEmailQueueBacksOff(t *testing.T) {
	st, now := mailstore.New(storetest.Open(t)), time.Now().Truncate(time.Millisecond)
	enqueue(t, st, queue.Queued, now.Add(-time.Hour), many(200, "dead.example")...)
	until := now.Add(5 * time.Minute)
	change(t, st, func(tx mailbox.Tx) error {
		return tx.SaveDomain(queue.Domain{Name: "dead.example", Failures: 1, RetryAt: until, LastReply: "no answer", Updated: now})
	})
	for range 5 {
		if got := claimAt(t, st, now, 16); len(got) != 0 {
			t.Fatalf("%v", recipients(got))
		}
	}
	first, err := st.NextDue(t.Context(), nil, "")
	if err != nil || first.Before(until) {
		t.Fatalf("due at %v, want %v or later (%v)", first, until, err)
	}
	at := until.Add(time.Minute)
	if got := claimAt(t, st, at, 16); len(got) != 1 {
		t.Errorf("when its rest is over: %v", recipients(got))
	}
	if got := claimAt(t, st, at, 16); len(got) != 0 {
		t.Errorf("while the one is tried: %v", recipients(got))
	}
	// Whoever waited for as long as mail may wait is handed out all the same, to be given up.
	old := enqueueSince(t, st, at.Add(-queue.MaxAge), "old@dead.example")
	if got := claimAt(t, st, at, 16); len(got) != 1 || got[0].ID != old {
		t.Errorf("what waited too long: %v", recipients(got))
	}
	change(t, st, func(tx mailbox.Tx) error {
		if err := tx.SaveDomain(queue.Domain{Name: "dead.example"}); err != nil {
			return err
		}
		return tx.Advance("dead.example", 1000)
	})
	if got := claimAt(t, st, at, 16); len(got) != queue.PerDomain {
		t.Errorf("when it answers again: %v", recipients(got))
	}
}

func enqueueSince(t *testing.T, st mailstore.Store, since time.Time, to string) (id int64) {
	t.Helper()
	change(t, st, func(tx mailbox.Tx) error {
		local, domain, err := queue.Split(to)
		if err == nil {
			id, err = tx.Enqueue(queue.Entry{QueueID: "Q", RawID: 7, Recipient: local + "@" + domain, Domain: domain, State: queue.Queued, NextAt: since, Since: since})
		}
		return err
	})
	return id
}

// While nothing leaves, mail for the own domain does not wait.
func TestEmailQueueOnlyHome(t *testing.T) {
	st, now := mailstore.New(storetest.Open(t)), time.Now()
	enqueue(t, st, queue.Queued, now.Add(-time.Hour), many(50, "away.example")...)
	enqueue(t, st, queue.Queued, now.Add(-time.Minute), "me@home.example")
	if at, err := st.NextDue(t.Context(), nil, "home.example"); err != nil || at.Before(now.Add(-2*time.Minute)) {
		t.Errorf("due at %v (%v)", at, err)
	}
	got, err := st.Claim(t.Context(), queue.Want{Now: now, Lease: now.Add(queue.Lease), Most: 16, Only: "home.example"})
	if err != nil || fmt.Sprint(recipients(got)) != "[me@home.example]" {
		t.Errorf("%v, %v", recipients(got), err)
	}
}

// An entry keeps what its sender asked for; its attempts are listed, the newest MaxKept of them.
func TestEmailQueueKeepsTheParameters(t *testing.T) {
	st, now := mailstore.New(storetest.Open(t)), time.Now().UTC().Truncate(time.Millisecond)
	var id int64
	want := queue.Entry{QueueID: "Q", RawID: 7, User: "ann", Recipient: "a@example.org", Domain: "example.org", State: queue.Queued, NextAt: now, Since: now, NotBefore: now,
		Notify: "SUCCESS,DELAY", ORCPT: "rfc822;b@example.org", Return: "HDRS", EnvelopeID: "env 1", RequireTLS: true}
	change(t, st, func(tx mailbox.Tx) (err error) { id, err = tx.Enqueue(want); return err })
	change(t, st, func(tx mailbox.Tx) error {
		for n := range queue.MaxKept + 3 {
			if err := tx.AddAttempt(queue.Attempt{EntryID: id, Number: n + 1, Began: now, Ended: now.Add(time.Second), Verdict: "later", Host: "mx", TLS: "TLS 1.3", Reply: "451 later"}); err != nil {
				return err
			}
		}
		return nil
	})
	e, log, err := st.EntryAttempts(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want.ID, want.Created, want.Updated = id, e.Created, e.Updated
	if e != want {
		t.Errorf("\n%+v, want\n%+v", e, want)
	}
	if len(log) != queue.MaxKept || log[0].Number != 4 || log[0] != (queue.Attempt{EntryID: id, Number: 4, Began: now, Ended: now.Add(time.Second), Verdict: "later", Host: "mx", TLS: "TLS 1.3", Reply: "451 later"}) {
		t.Errorf("%d attempts, the first %+v", len(log), log[0])
	}
	if _, _, err := st.EntryAttempts(t.Context(), id+1); !errs.Is(err, errs.NotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}

func TestEmailQueueRules(t *testing.T) {
	st := mailstore.New(storetest.Open(t))
	change(t, st, func(tx mailbox.Tx) error {
		for _, r := range []queue.Rule{{Pattern: "a.example"}, {Pattern: "b.example"}, {Pattern: "a.example", Redirect: "qa@c.example"}} {
			if _, err := tx.AddRule(r); err != nil {
				return err
			}
		}
		return nil
	})
	list, err := st.Rules(t.Context())
	if err != nil || len(list) != 2 || list[0].Redirect != "qa@c.example" {
		t.Fatalf("%+v, %v", list, err)
	}
	change(t, st, func(tx mailbox.Tx) error { return tx.DropRule(list[0].ID) })
	err = st.Update(t.Context(), nil, func(tx mailbox.Tx) error { return tx.DropRule(list[0].ID) })
	if !errs.Is(err, errs.NotFound) {
		t.Errorf("a second time: %v", err)
	}
}

// What is finished long enough goes, with its attempts and the bodies that nothing refers to; what waits or is read stays.
func TestEmailQueueRetires(t *testing.T) {
	db := storetest.Open(t)
	st, now := mailstore.New(db), time.Now()
	raw := func(file string) (id int64) {
		change(t, st, func(tx mailbox.Tx) (err error) {
			r := mailbox.Raw{EnvelopeID: "E", SHA256: []byte{1}, Size: 1, Body: []byte("x"), Auth: []byte("{}"), Received: now, Prepended: []byte{}}
			if file != "" {
				r.Body, r.File = nil, file
			}
			id, err = tx.AddRaw(r)
			return err
		})
		return id
	}
	shared, alone, read := raw(""), raw("abcdefghijklmnopqrstuvwxyz.eml"), raw("")
	change(t, st, func(tx mailbox.Tx) error {
		box, _, err := tx.EnsureMailbox("ann", "mail")
		if err == nil {
			_, err = tx.AddMessage(mailbox.Message{MailboxID: box.ID, User: "ann", RawID: read, Received: now, Folders: []int64{1}})
		}
		return err
	})
	var ids []int64
	change(t, st, func(tx mailbox.Tx) error {
		for _, r := range []int64{shared, shared, alone, read} {
			id, err := tx.Enqueue(queue.Entry{QueueID: "Q", RawID: r, Recipient: "a@example.org", Domain: "example.org", State: queue.Queued, NextAt: now, Since: now})
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	drop := func(ids ...int64) {
		t.Helper()
		change(t, st, func(tx mailbox.Tx) error {
			for _, id := range ids {
				was, err := tx.EntryByID(id)
				if err != nil {
					return err
				}
				e, err := was.Act(queue.Drop, tx.Now())
				if err != nil {
					return err
				}
				if err := tx.SaveEntry(was, e); err != nil {
					return err
				}
				if err := tx.AddAttempt(queue.Attempt{EntryID: id, Number: 1}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	drop(ids[1:]...)
	if n, files, err := st.Retire(t.Context(), now.Add(-time.Minute), 10); n != 0 || len(files) != 0 || err != nil {
		t.Errorf("too early: %d, %v, %v", n, files, err)
	}
	n, files, err := st.Retire(t.Context(), time.Now().Add(time.Minute), 10)
	if n != 3 || err != nil || fmt.Sprint(files) != "[abcdefghijklmnopqrstuvwxyz.eml]" {
		t.Errorf("late enough: %d, %v, %v", n, files, err)
	}
	for id, want := range map[int64]bool{shared: true, alone: false, read: true} {
		if _, err := st.RawByID(t.Context(), id); (err == nil) != want {
			t.Errorf("body %d: %v", id, err)
		}
	}
	if _, log, err := st.EntryAttempts(t.Context(), ids[0]); err != nil || len(log) != 0 {
		t.Errorf("what waits: %v, %v", log, err)
	}
	drop(ids[0])
	if n, _, err := st.Retire(t.Context(), now.Add(-time.Minute), 0); n != 1 || err != nil {
		t.Errorf("beyond what is kept: %d, %v", n, err)
	}
	if _, err := st.RawByID(t.Context(), shared); !errs.Is(err, errs.NotFound) {
		t.Errorf("the body that the last entry was for: %v", err)
	}
	var attempts int
	if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM email_queue_attempts`).Scan(&attempts); err != nil || attempts != 0 {
		t.Errorf("%d attempts are left (%v)", attempts, err)
	}
}

// A start that finds a hundred thousand entries due takes no more than its workers can hold, none of a domain beyond its
// share, and each only once, however many claims it makes.
func TestEmailQueueOfManyStartsWithoutAHerd(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 100 000 rows")
	}
	db := storetest.Open(t)
	st, now := mailstore.New(db), time.Now().Truncate(time.Millisecond)
	for range 10 {
		change(t, st, func(tx mailbox.Tx) error {
			for n := range 10_000 {
				domain := fmt.Sprintf("d%d.example", n%500)
				if n%2 == 0 {
					domain = "big.example"
				}
				if _, err := tx.Enqueue(queue.Entry{QueueID: "Q", RawID: 7, Recipient: "r@" + domain, Domain: domain, State: queue.Queued, NextAt: now, Since: now}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	seen, busy := map[int64]bool{}, map[string]int{}
	var hand []queue.Entry
	for range 200 {
		got, err := st.Claim(t.Context(), queue.Want{Now: now, Lease: now.Add(queue.Lease), Most: queue.Workers - len(hand), Busy: busy})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got {
			if seen[e.ID] {
				t.Fatalf("entry %d was handed out twice", e.ID)
			}
			seen[e.ID] = true
			busy[e.Domain]++
		}
		hand = append(hand, got...)
		if len(hand) > queue.Workers || busy["big.example"] > queue.PerDomain {
			t.Fatalf("%d entries in hand, %d of one domain", len(hand), busy["big.example"])
		}
		done := hand[:len(hand)/2+1]
		change(t, st, func(tx mailbox.Tx) error {
			for _, was := range done {
				busy[was.Domain]--
				e, _ := was.Finish(queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}, now, 0.5)
				if err := tx.SaveEntry(was, e); err != nil {
					return err
				}
			}
			return nil
		})
		hand = append([]queue.Entry{}, hand[len(done):]...)
	}
	if len(seen) < 200*queue.PerDomain/2 {
		t.Errorf("in 200 claims only %d entries were handed out", len(seen))
	}
	texts, args := mailstore.QueueQueries()
	for name, text := range texts {
		if plan := strings.Join(planOf(t, db, text, args[name]), "; "); strings.Contains(plan, "B-TREE") || strings.Contains(plan, "SCAN email_queue") && !strings.Contains(plan, "INDEX") {
			t.Errorf("%s: %s", name, plan)
		}
	}
}

// What a process before this one was sending is tried again at once, and its attempt is noted; whoever held it writes nothing
// any more.
func TestEmailQueueRecovers(t *testing.T) {
	st, now := mailstore.New(storetest.Open(t)), time.Now()
	enqueue(t, st, queue.Queued, now.Add(-time.Second), "a@example.org", "b@example.org")
	lost := claimAt(t, st, now, 1)
	if n, err := st.Recover(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	e, log, err := st.EntryAttempts(t.Context(), lost[0].ID)
	if err != nil || e.State != queue.Queued || len(log) != 1 || log[0].Verdict != "stopped" || log[0].Number != 1 {
		t.Errorf("%+v %+v %v", e, log, err)
	}
	if got := claimAt(t, st, time.Now().Add(time.Second), 10); len(got) != 2 {
		t.Errorf("%v", recipients(got))
	}
	err = st.Update(t.Context(), nil, func(tx mailbox.Tx) error {
		late, _ := lost[0].Finish(queue.Result{Verdict: queue.Delivered}, now, 0)
		return tx.SaveEntry(lost[0], late)
	})
	if !errs.Is(err, errs.Conflict) {
		t.Errorf("whoever held it wrote: %v", err)
	}
}

// A policy is kept until it is over, the newest for a domain.
func TestEmailMTASTS(t *testing.T) {
	st, now := mailstore.New(storetest.Open(t)), time.Now().UTC().Truncate(time.Millisecond)
	want := mtasts.Policy{ID: "2", Mode: mtasts.Enforce, MX: []string{"mx.example.org", "*.example.net"}, MaxAge: time.Hour, Expires: now.Add(time.Hour)}
	for domain, p := range map[string]mtasts.Policy{"old.example": {ID: "1", Mode: mtasts.Testing, MX: []string{"x"}, Expires: now.Add(-time.Hour)}, "example.org": {ID: "1", Mode: mtasts.None, Expires: now.Add(time.Hour)}} {
		if err := st.SaveSTSPolicy(t.Context(), domain, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.SaveSTSPolicy(t.Context(), "example.org", want); err != nil {
		t.Fatal(err)
	}
	if got, err := st.STSPolicy(t.Context(), "example.org"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, domain := range []string{"old.example", "never.example"} {
		if got, err := st.STSPolicy(t.Context(), domain); err != nil || got.Mode != "" {
			t.Errorf("%s: %+v, %v", domain, got, err)
		}
	}
}
