package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/store/engine"
)

// What one transaction carries at most. The bounds keep the time short that a caller waits
// for others; what is over stays in line for the next transaction.
const (
	batchJobs  = 256
	batchBytes = 4 << 20
	batchTime  = 20 * time.Millisecond
)

// maxPrepared bounds the statements kept; texts that are built at run time could be endless.
const maxPrepared = 512

// idleAfter is how long nothing is written before the log is moved into the database file.
const idleAfter = time.Second

// slowJob is what a function may take before the log names it: all others wait for it.
const slowJob = 250 * time.Millisecond

// job is one caller's function on its way through the writer.
type job struct {
	ctx    context.Context
	once   *web.Once
	fn     func(*Tx) error
	turn   atomic.Int32  // waiting, then taken by the writer or given up by the caller
	done   chan struct{} // closed when err is final
	err    error
	events []emitted
	ends   []func(stored bool)
}

// The values of job.turn.
const (
	waiting int32 = iota
	taken
	givenUp
)

// writer owns the connection that writes. Everything but the queue belongs to its goroutine.
type writer struct {
	d       engine.Dialect
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	now     func() time.Time
	publish func(string, []event.Event)
	log     *slog.Logger
	beside  *beside
	last    map[any]func(*Tx) error // what is left to do before the commit
	dirty   bool                    // something was committed since the log was moved
	batch   []*job                  // in work: answered by die when the goroutine ends early

	busySince atomic.Int64 // unix ns of the batch in work, 0 when idle
	failing   atomic.Bool  // the last transaction could not be written

	wake     chan struct{} // holds one token when the queue got its first job, or was closed
	finished chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex // guards queue and closed
	queue  []*job
	closed bool
}

func newWriter(d engine.Dialect, conn *sql.Conn, opts Options) *writer {
	return &writer{d: d, conn: conn, beside: &beside{}, stmts: map[string]*sql.Stmt{}, now: opts.Now, publish: opts.Publish, log: opts.Log,
		wake: make(chan struct{}, 1), finished: make(chan struct{})}
}

// do hands fn to the writer and waits for its outcome.
func (w *writer) do(ctx context.Context, once *web.Once, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return gaveUp(err)
	}
	j := &job{ctx: ctx, once: once, fn: fn, done: make(chan struct{})}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errClosed(nil)
	}
	w.queue = append(w.queue, j)
	first := len(w.queue) == 1
	w.mu.Unlock()
	if first {
		w.rouse()
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		if j.turn.CompareAndSwap(waiting, givenUp) {
			return gaveUp(context.Cause(ctx))
		}
		<-j.done // its turn has come: only the outcome tells what is stored
		return j.err
	}
}

func (w *writer) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// close refuses new jobs, waits for those in line, and ends the goroutine.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.rouse()
	<-w.finished
}

// run is the writer's goroutine.
func (w *writer) run() {
	defer w.die()
	idle := time.NewTimer(idleAfter)
	defer idle.Stop()
	for {
		// Whoever was answered last is about to come with the next write: letting them run
		// first makes one transaction of many.
		runtime.Gosched()
		batch, open := w.take()
		if len(batch) == 0 {
			if !open {
				w.tidy()
				return
			}
			idle.Reset(idleAfter)
			select {
			case <-w.wake:
			case <-idle.C:
				w.tidy()
				<-w.wake
			}
			continue
		}
		w.busySince.Store(time.Now().UnixNano())
		w.batch = batch
		for len(w.batch) > 0 {
			n := w.commit(w.batch)
			w.batch = w.batch[n:]
		}
		w.busySince.Store(0)
	}
}

// take removes a bounded batch from the queue.
func (w *writer) take() (batch []*job, open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), batchJobs)
	batch = w.queue[:n:n]
	w.queue = w.queue[n:]
	if len(w.queue) == 0 {
		w.queue = nil
	}
	return batch, !w.closed
}

// die answers everybody when the goroutine ends, so that nobody waits for ever.
func (w *writer) die() {
	w.mu.Lock()
	left := append(w.batch, w.queue...)
	w.queue, w.closed = nil, true
	w.mu.Unlock()
	if len(left) > 0 {
		w.log.Error("store: the writer ended with work in line", "jobs", len(left))
		w.exec("ROLLBACK")
		settle(left, false)
		for _, j := range left {
			w.answer(j, errClosed(errors.New("the writer ended early")))
		}
	}
	close(w.finished)
}

func (w *writer) answer(j *job, err error) {
	select {
	case <-j.done:
	default:
		j.err = err
		close(j.done)
	}
}

// commit runs jobs from the front in one transaction, publishes their events, answers their
// callers, and returns how many it dealt with: at least one.
func (w *writer) commit(batch []*job) int {
	if err := w.exec(w.d.Begin); err != nil {
		w.fail(batch, err)
		return len(batch)
	}
	defer clear(w.last)
	start, bytes, n, stored := time.Now(), 0, 0, 0
	for _, j := range batch {
		if n > 0 && (bytes > batchBytes || time.Since(start) > batchTime) {
			break
		}
		n++
		if !j.turn.CompareAndSwap(waiting, taken) {
			continue // the caller has left with an answer
		}
		if j.ctx.Err() != nil {
			j.err = gaveUp(context.Cause(j.ctx))
			continue
		}
		size, lost := w.runJob(j, len(batch) > 1)
		bytes += size
		if lost {
			w.exec("ROLLBACK") // the engine may have done so already
			w.fail(batch[:n], j.err)
			return n
		}
		if j.err == nil {
			stored++
		}
	}
	last, err := "COMMIT", error(nil)
	if stored == 0 {
		last = "ROLLBACK"
	} else {
		err = w.finish()
	}
	if err == nil {
		err = w.exec(last)
	}
	if err != nil {
		w.exec("ROLLBACK")
		w.fail(batch[:n], err)
		return n
	}
	if stored > 0 {
		w.dirty = true
		w.failing.Store(false)
	}
	settle(batch[:n], true)
	w.tell(batch[:n])
	for _, j := range batch[:n] {
		w.answer(j, j.err)
	}
	return n
}

// finish does what functions left to be done once.
func (w *writer) finish() (err error) {
	tx := &Tx{w: w, now: w.now()}
	defer tx.done()
	for _, f := range w.last {
		if err := f(tx); err != nil {
			return err
		}
	}
	return tx.broken
}

// fail answers jobs whose transaction came to nothing. Those with an error of their own are told the
// common cause as well: their error may rest on what was undone.
func (w *writer) fail(jobs []*job, cause error) {
	w.failing.Store(true)
	err := dbError(cause)
	if !errs.Is(err, errs.Unavailable) {
		err = errs.Wrap(errs.Unavailable, err, "the change could not be stored; nothing was changed, try again")
	}
	w.log.Error("store: transaction not stored", "jobs", len(jobs), "err", cause)
	settle(jobs, false)
	for _, j := range jobs {
		if j.once != nil && j.turn.Load() == taken {
			j.once.Replayed = false // what it was found in is undone
		}
		w.answer(j, err)
	}
}

// settle says what became of the functions to whom it may concern.
func settle(jobs []*job, committed bool) {
	for _, j := range jobs {
		for _, end := range j.ends {
			end(committed && j.err == nil)
		}
		j.ends = nil
	}
}

// tell publishes the events of stored jobs: runs of one stream in one call.
func (w *writer) tell(jobs []*job) {
	if w.publish == nil {
		return
	}
	var stream string
	var evs []event.Event
	flush := func() {
		if len(evs) == 0 {
			return
		}
		defer func() {
			if p := recover(); p != nil {
				w.log.Error("store: publishing panicked", "stream", stream, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
		}()
		w.publish(stream, evs)
	}
	for _, j := range jobs {
		if j.err != nil {
			continue
		}
		for _, e := range j.events {
			if e.stream != stream {
				flush()
				stream, evs = e.stream, nil
			}
			evs = append(evs, e.ev)
		}
	}
	flush()
}

// runJob runs one function, in a savepoint when others share the transaction. The outcome is in
// j.err. lost means that the transaction is gone, or must go, with everything in it.
func (w *writer) runJob(j *job, shared bool) (size int, lost bool) {
	if shared {
		if err := w.exec("SAVEPOINT job"); err != nil {
			j.err = dbError(err)
			return 0, true
		}
	}
	tx := &Tx{w: w, now: w.now()}
	began := time.Now()
	j.err = w.guarded(tx, j)
	tx.done()
	j.ends = tx.ends
	if j.err != nil {
		for _, undo := range slices.Backward(tx.undos) {
			undo()
		}
	}
	if spent := time.Since(began); spent > slowJob {
		w.log.Warn("store: a slow transaction held up all others", "ms", spent.Milliseconds(), "jobs_in_line", w.inLine())
	}
	if tx.broken != nil || w.d.Classify(j.err).Lost() {
		if j.err == nil {
			j.err = tx.broken
		}
		return tx.bytes, true
	}
	if j.err == nil {
		j.events = tx.events
	}
	switch {
	case j.err == nil && shared:
		if err := w.exec("RELEASE job"); err != nil {
			j.err = dbError(err)
			return tx.bytes, true
		}
	case j.err != nil && shared:
		if err := errors.Join(w.exec("ROLLBACK TO job"), w.exec("RELEASE job")); err != nil {
			return tx.bytes, true
		}
	}
	return tx.bytes, false
}

// guarded runs the function with its memory of repeats; a panic is an error like any other.
func (w *writer) guarded(tx *Tx, j *job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			stack := string(debug.Stack())
			w.log.Error("store: a transaction's function panicked", "panic", fmt.Sprint(p), "stack", stack)
			err = errs.Wrap(errs.Internal, fmt.Errorf("panic: %v", p), "something went wrong on our side; nothing was changed")
		}
	}()
	if j.once == nil {
		return dbError(j.fn(tx))
	}
	found, err := tx.recall(j.once)
	if err != nil || found {
		return err
	}
	if err := j.fn(tx); err != nil {
		return dbError(err)
	}
	return tx.remember(j.once)
}

func (w *writer) inLine() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue)
}

// tidy moves the log into the file when something was written.
func (w *writer) tidy() {
	if !w.dirty {
		return
	}
	w.dirty = false
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.d.Tidy(ctx, w.conn); err != nil {
		w.log.Warn("store: the write-ahead log could not be moved into the database", "err", err)
	}
}

// exec runs a statement of the writer's own.
func (w *writer) exec(query string) error {
	if st := w.prepared(query); st != nil {
		_, err := st.ExecContext(context.Background())
		return err
	}
	_, err := w.conn.ExecContext(context.Background(), query)
	return err
}

// prepared returns the statement for the text, or nil when it cannot be kept: then the text is run as it is,
// and the engine says what is wrong with it.
func (w *writer) prepared(query string) *sql.Stmt {
	if st := w.stmts[query]; st != nil {
		return st
	}
	if len(w.stmts) >= maxPrepared {
		return nil
	}
	st, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil
	}
	w.stmts[query] = st
	return st
}
