package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/store"
)

// Run checks every promise of package store that does not depend on the engine. open returns
// a store on new, empty storage when dir is new, and on what is there when dir was used before.
func Run(t *testing.T, open func(t *testing.T, opts store.Options) *store.DB) {
	for name, test := range map[string]func(*testing.T, opener){
		"a write is read after it returned":         readYourWrite,
		"a failing function rolls back alone":       failAlone,
		"a panicking function rolls back alone":     panicAlone,
		"a constraint has its kind":                 constraints,
		"an ended context is skipped":               endedContext,
		"64 writers":                                manyWriters,
		"events come in the order of commits":       eventOrder,
		"a repeat answers as the first did":         onceRepeats,
		"the same key at the same time":             onceConcurrent,
		"a failed request may be repeated":          onceFailed,
		"ids and epoch live as long as the data":    identity,
		"one clock in a transaction":                oneClock,
		"rows left open do no harm":                 openRows,
		"after closing, everything is refused":      closed,
		"what waits is written before closing":      closeDrains,
		"the store says that it is well":            check,
		"a statement inside the rows of its own":    nestedRows,
		"a repeat is remembered over a restart":     onceRestart,
		"a function that ends its goroutine at all": goexit,
	} {
		t.Run(name, func(t *testing.T) { test(t, opener{t, open}) })
	}
}

type opener struct {
	t    *testing.T
	open func(*testing.T, store.Options) *store.DB
}

// fresh opens a new store with a table to write to.
func (o opener) fresh(change ...func(*store.Options)) *store.DB {
	o.t.Helper()
	opts := store.Options{Dir: o.t.TempDir()}
	for _, c := range change {
		c(&opts)
	}
	db := o.open(o.t, opts)
	must(o.t, db.Write(o.t.Context(), nil, func(tx *store.Tx) error {
		_, err := tx.Exec(`CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)`)
		return err
	}))
	return db
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func add(name string) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO item (name) VALUES ($1)`, name)
		return err
	}
}

func names(t testing.TB, db *store.DB) []string {
	t.Helper()
	rows, err := db.Query(context.Background(), `SELECT name FROM item ORDER BY id`)
	must(t, err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		var n string
		must(t, rows.Scan(&n))
		all = append(all, n)
	}
	must(t, rows.Err())
	return all
}

func want(t testing.TB, db *store.DB, expect ...string) {
	t.Helper()
	if got := names(t, db); !slices.Equal(got, expect) {
		t.Errorf("stored %q, want %q", got, expect)
	}
}

// together runs the functions so that they share a transaction: the first holds the writer
// until the others wait in line.
func together(t testing.TB, db *store.DB, fns ...func(*store.Tx) error) []error {
	t.Helper()
	errsOf := make([]error, len(fns))
	started, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		db.Write(context.Background(), nil, func(*store.Tx) error { close(started); <-release; return nil })
	})
	<-started
	for i, fn := range fns {
		lined := make(chan struct{})
		wg.Go(func() { errsOf[i] = db.Write(signalled{context.Background(), lined, new(sync.Once)}, nil, fn) })
		<-lined
	}
	close(release)
	wg.Wait()
	return errsOf
}

// signalled is a context that tells when Write begins to wait on it, which is after the job stands in line.
type signalled struct {
	context.Context
	lined chan struct{}
	once  *sync.Once
}

func (s signalled) Done() <-chan struct{} {
	s.once.Do(func() { close(s.lined) })
	return nil
}

func readYourWrite(t *testing.T, o opener) {
	db := o.fresh()
	for i := range 20 {
		name := fmt.Sprint("item", i)
		must(t, db.Write(t.Context(), nil, add(name)))
		var n int
		must(t, db.QueryRow(t.Context(), `SELECT count(*) FROM item WHERE name = $1`, name).Scan(&n))
		if n != 1 {
			t.Fatalf("%s is not there after Write returned", name)
		}
	}
}

func failAlone(t *testing.T, o opener) {
	db := o.fresh()
	boom := errors.New("boom")
	got := together(t, db, add("a"),
		func(tx *store.Tx) error { must(t, add("lost")(tx)); return boom },
		add("b"), add("a"), add("c"))
	if got[0] != nil || !errors.Is(got[1], boom) || got[2] != nil || !errs.Is(got[3], errs.Conflict) || got[4] != nil {
		t.Errorf("outcomes %v", got)
	}
	want(t, db, "a", "b", "c")
	if err := db.Write(t.Context(), nil, func(tx *store.Tx) error { must(t, add("lost")(tx)); return boom }); !errors.Is(err, boom) {
		t.Errorf("alone: %v", err)
	}
	want(t, db, "a", "b", "c")
}

func panicAlone(t *testing.T, o opener) {
	db := o.fresh()
	got := together(t, db, add("a"), func(tx *store.Tx) error { must(t, add("lost")(tx)); panic("oh") }, add("b"))
	if got[0] != nil || !errs.Is(got[1], errs.Internal) || got[2] != nil {
		t.Errorf("outcomes %v", got)
	}
	if err := db.Write(t.Context(), nil, func(tx *store.Tx) error { panic("again") }); !errs.Is(err, errs.Internal) {
		t.Errorf("alone: %v", err)
	}
	want(t, db, "a", "b")
}

func constraints(t *testing.T, o opener) {
	db := o.fresh()
	must(t, db.Write(t.Context(), nil, add("a")))
	if err := db.Write(t.Context(), nil, add("a")); !errs.Is(err, errs.Conflict) {
		t.Errorf("unique: %v", err)
	}
	err := db.Write(t.Context(), nil, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO item (name) VALUES ($1)`, nil)
		return err
	})
	if !errs.Is(err, errs.Invalid) {
		t.Errorf("not null: %v", err)
	}
	err = db.Write(t.Context(), nil, func(tx *store.Tx) error {
		var id int64
		return tx.QueryRow(`INSERT INTO item (name) VALUES ($1) RETURNING id`, "a").Scan(&id)
	})
	if !errs.Is(err, errs.Conflict) {
		t.Errorf("unique through QueryRow: %v", err)
	}
	want(t, db, "a")
}

func endedContext(t *testing.T, o opener) {
	db := o.fresh()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	err := db.Write(ctx, nil, func(*store.Tx) error { ran = true; return nil })
	if !errors.Is(err, context.Canceled) || ran {
		t.Errorf("before: ran %v, %v", ran, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	started, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { db.Write(t.Context(), nil, func(*store.Tx) error { close(started); <-release; return nil }) })
	<-started
	var late error
	wg.Go(func() { late = db.Write(ctx, nil, func(*store.Tx) error { ran = true; return nil }) })
	cancel()
	var inTurn error
	mine, cancelMine := context.WithCancel(t.Context())
	wg.Go(func() {
		inTurn = db.Write(mine, nil, func(tx *store.Tx) error { cancelMine(); return add("kept")(tx) })
	})
	close(release)
	wg.Wait()
	if !errors.Is(late, context.Canceled) || ran {
		t.Errorf("in line: ran %v, %v", ran, late)
	}
	if inTurn != nil {
		t.Errorf("cancelled during its turn: %v", inTurn)
	}
	want(t, db, "kept")
}

func manyWriters(t *testing.T, o opener) {
	db := o.fresh()
	const writers, each = 64, 5
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := db.Write(context.Background(), nil, add(fmt.Sprintf("%d/%d", w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all := names(t, db)
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != writers*each {
		t.Errorf("%d rows of %d", n, writers*each)
	}
}

func eventOrder(t *testing.T, o opener) {
	var mu sync.Mutex
	var heard []string
	db := o.fresh(func(opts *store.Options) {
		opts.Publish = func(stream string, evs []event.Event) {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range evs {
				heard = append(heard, e.Type)
			}
		}
	})
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 5 {
				name := fmt.Sprintf("%d/%d", w, i)
				err := db.Write(context.Background(), nil, func(tx *store.Tx) error {
					if i == 3 {
						tx.Emit("s", event.Event{Type: "never"})
						return errors.New("no")
					}
					tx.Emit("s", event.Event{Type: name})
					return add(name)(tx)
				})
				mu.Lock()
				if err == nil && !slices.Contains(heard, name) {
					t.Errorf("%s was not published before Write returned", name)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	if stored := names(t, db); !slices.Equal(stored, heard) {
		t.Errorf("published %v\nstored    %v", heard, stored)
	}
}

func answer(once *web.Once, body string, ran *int, fn func(*store.Tx) error) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		*ran++
		once.Status, once.Body, once.Location = 201, []byte(body), "/there"
		return fn(tx)
	}
}

func onceRepeats(t *testing.T, o opener) {
	db := o.fresh()
	ran := 0
	first := &web.Once{Caller: "pilot", Key: "k", Fingerprint: "f"}
	must(t, db.Write(t.Context(), first, answer(first, `{"n":1}`, &ran, add("a"))))
	again := &web.Once{Caller: "pilot", Key: "k", Fingerprint: "f"}
	must(t, db.Write(t.Context(), again, answer(again, `{"n":2}`, &ran, add("b"))))
	if ran != 1 || !again.Replayed || first.Replayed || again.Status != 201 || string(again.Body) != `{"n":1}` || again.Location != "/there" {
		t.Errorf("ran %d times, repeat got %+v", ran, again)
	}
	other := &web.Once{Caller: "pilot", Key: "k", Fingerprint: "g"}
	err := db.Write(t.Context(), other, answer(other, `{}`, &ran, add("c")))
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind != errs.Invalid || len(e.Fields) != 1 || e.Fields[0].Field != "Idempotency-Key" || ran != 1 {
		t.Errorf("other parameters: %v", err)
	}
	somebody := &web.Once{Caller: "copilot", Key: "k", Fingerprint: "g"}
	must(t, db.Write(t.Context(), somebody, answer(somebody, `{}`, &ran, add("d"))))
	want(t, db, "a", "d")
}

func onceConcurrent(t *testing.T, o opener) {
	db := o.fresh()
	ran, replayed := 0, 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			once := &web.Once{Caller: "pilot", Key: "k", Fingerprint: "f"}
			err := db.Write(context.Background(), once, answer(once, `{"n":1}`, &ran, add(fmt.Sprint(i)))) // ran: the writer's goroutine alone
			mu.Lock()
			defer mu.Unlock()
			if once.Replayed {
				replayed++
			}
			if err != nil || string(once.Body) != `{"n":1}` {
				t.Errorf("%v %s", err, once.Body)
			}
		})
	}
	wg.Wait()
	if ran != 1 || replayed != 31 || len(names(t, db)) != 1 {
		t.Errorf("ran %d times, replayed %d, %d rows", ran, replayed, len(names(t, db)))
	}
}

func onceFailed(t *testing.T, o opener) {
	db := o.fresh()
	ran := 0
	once := &web.Once{Caller: "pilot", Key: "k", Fingerprint: "f"}
	err := db.Write(t.Context(), once, answer(once, `{}`, &ran, func(*store.Tx) error { return errs.Missing("name") }))
	if !errs.Is(err, errs.Invalid) {
		t.Fatal(err)
	}
	once = &web.Once{Caller: "pilot", Key: "k", Fingerprint: "f"}
	must(t, db.Write(t.Context(), once, answer(once, `{}`, &ran, add("a"))))
	if ran != 2 || once.Replayed {
		t.Errorf("ran %d times, %+v", ran, once)
	}
}

func onceRestart(t *testing.T, o opener) {
	dir := t.TempDir()
	ran := 0
	for range 2 {
		db := o.open(t, store.Options{Dir: dir})
		once := &web.Once{Caller: "pilot", Key: "k", Fingerprint: "f"}
		must(t, db.Write(t.Context(), once, answer(once, `{}`, &ran, func(*store.Tx) error { return nil })))
		must(t, db.Close())
	}
	if ran != 1 {
		t.Errorf("ran %d times", ran)
	}
}

func identity(t *testing.T, o opener) {
	dir := t.TempDir()
	db := o.open(t, store.Options{Dir: dir})
	epoch := db.Epoch()
	first, err := db.ReserveIDs(t.Context(), 100)
	must(t, err)
	must(t, db.Close())
	db = o.open(t, store.Options{Dir: dir})
	second, err := db.ReserveIDs(t.Context(), 1)
	must(t, err)
	if first < 1 || second < first+100 || epoch == "" || db.Epoch() != epoch {
		t.Errorf("ids %d, %d; epochs %q, %q", first, second, epoch, db.Epoch())
	}
	if other := o.open(t, store.Options{Dir: t.TempDir()}); other.Epoch() == epoch {
		t.Error("two databases have one epoch")
	}
	if _, err := db.ReserveIDs(t.Context(), 0); !errs.Is(err, errs.Invalid) {
		t.Errorf("no ids: %v", err)
	}
}

func oneClock(t *testing.T, o opener) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	var ev event.Event
	db := o.fresh(func(opts *store.Options) {
		opts.Now = func() time.Time { now = now.Add(time.Second); return now }
		opts.Publish = func(_ string, evs []event.Event) { ev = evs[0] }
	})
	must(t, db.Write(t.Context(), nil, func(tx *store.Tx) error {
		if !tx.Now().Equal(tx.Now()) || tx.Now().Year() != 2030 {
			t.Errorf("clock %v, then %v", tx.Now(), tx.Now())
		}
		tx.Emit("s", event.Event{Type: "x"})
		return nil
	}))
	if ev.At.Year() != 2030 {
		t.Errorf("event at %v", ev.At)
	}
}

func openRows(t *testing.T, o opener) {
	db := o.fresh()
	must(t, db.Write(t.Context(), nil, add("a")))
	for range 3 {
		got := together(t, db, func(tx *store.Tx) error {
			rows, err := tx.Query(`SELECT name FROM item`)
			must(t, err)
			rows.Next() // and no Close
			return errors.New("left in a hurry")
		}, func(tx *store.Tx) error {
			_, err := tx.Query(`SELECT name FROM item`)
			return err
		})
		if got[0] == nil || got[1] != nil {
			t.Errorf("outcomes %v", got)
		}
	}
	must(t, db.Write(t.Context(), nil, add("b")))
	want(t, db, "a", "b")
}

func nestedRows(t *testing.T, o opener) {
	db := o.fresh()
	must(t, db.Write(t.Context(), nil, func(tx *store.Tx) error { return errors.Join(add("a")(tx), add("b")(tx)) }))
	var pairs []string
	must(t, db.Write(t.Context(), nil, func(tx *store.Tx) error {
		each := func(do func(string) error) error {
			rows, err := tx.Query(`SELECT name FROM item ORDER BY id`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var n string
				if err := errors.Join(rows.Scan(&n), do(n)); err != nil {
					return err
				}
			}
			return rows.Err()
		}
		return each(func(x string) error {
			return each(func(y string) error { pairs = append(pairs, x+y); return nil })
		})
	}))
	if !slices.Equal(pairs, []string{"aa", "ab", "ba", "bb"}) {
		t.Errorf("pairs %v", pairs)
	}
}

func closed(t *testing.T, o opener) {
	db := o.fresh()
	must(t, db.Close())
	must(t, db.Close())
	if err := db.Write(t.Context(), nil, add("a")); !errs.Is(err, errs.Unavailable) {
		t.Errorf("write: %v", err)
	}
	if _, err := db.Query(t.Context(), `SELECT name FROM item`); !errs.Is(err, errs.Unavailable) {
		t.Errorf("read: %v", err)
	}
	if err := db.Check(t.Context()); !errs.Is(err, errs.Unavailable) {
		t.Errorf("check: %v", err)
	}
}

func closeDrains(t *testing.T, o opener) {
	dir := t.TempDir()
	db := o.fresh(func(opts *store.Options) { opts.Dir = dir })
	started, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		db.Write(context.Background(), nil, func(*store.Tx) error { close(started); <-release; return nil })
	})
	<-started
	lined := make(chan struct{})
	var err error
	wg.Go(func() { err = db.Write(signalled{context.Background(), lined, new(sync.Once)}, nil, add("in line")) })
	<-lined
	wg.Go(func() { db.Close() })
	close(release)
	wg.Wait()
	must(t, err)
	want(t, o.open(t, store.Options{Dir: dir}), "in line")
}

func check(t *testing.T, o opener) {
	db := o.fresh()
	must(t, db.Check(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Check(ctx); err == nil {
		t.Error("an ended context says that all is well")
	}
}

func goexit(t *testing.T, o opener) {
	db := o.fresh()
	err := db.Write(t.Context(), nil, func(*store.Tx) error { runtime.Goexit(); return nil })
	if !errs.Is(err, errs.Unavailable) {
		t.Errorf("its own caller: %v", err)
	}
	if err := db.Write(t.Context(), nil, add("a")); !errs.Is(err, errs.Unavailable) {
		t.Errorf("the next: %v", err)
	}
	if err := db.Check(t.Context()); !errs.Is(err, errs.Unavailable) {
		t.Errorf("check: %v", err)
	}
}
