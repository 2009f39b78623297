package queue

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// How many attempts run at the same time.
const (
	Workers   = 16
	PerDomain = 4
)

// Lease is how long a worker has an entry; an attempt is ended well before.
const (
	Lease       = 15 * time.Minute
	attemptTime = 12 * time.Minute
)

// drain is how long attempts in hand may go on when the process stops.
const drain = 2 * time.Second

// Want is what a claim is for.
type Want struct {
	Now, Lease time.Time      // what is due at Now becomes sending until Lease
	Most       int            // entries
	Busy       map[string]int // attempts that run, by domain: none gets more than PerDomain together with those
	Only       string         // the one domain that entries may be for; "" is any
}

// Filter chooses entries of the queue; a zero field chooses all.
type Filter struct {
	State     State
	Domain    string
	Recipient string // the whole address
	QueueID   string
	User      string    // local part of the sender
	Raw       int64     // the stored message
	Waiting   time.Time // only what waits for a time after this one, and was not tried
}

// Store is what a queue is kept in. T is a transaction that can also do what the Office does.
type Store[T Tx] interface {
	web.Transactor[T]
	DomainStore

	// Claim durably hands out entries that are due: queued and their time has come, or sending and their lease is
	// over. Each becomes sending with one attempt more. Entries of a domain that is paused or backed off are put off
	// instead, some at a time, and of one that begins to be tried again there is one.
	Claim(ctx context.Context, w Want) ([]Entry, error)
	// NextDue returns when the next entry is due; zero when none waits. Domains in full are left out; only is as in Want.
	NextDue(ctx context.Context, full []string, only string) (time.Time, error)
	// Entries returns a page of the queue, newest first.
	Entries(ctx context.Context, f Filter, p web.Paging) ([]Entry, error)
	// EntryAttempts returns an entry, or errs.NotFound, and what is known of its attempts, oldest first.
	EntryAttempts(ctx context.Context, id int64) (Entry, []Attempt, error)
	// Counts returns how many entries there are in each state.
	Counts(ctx context.Context) (map[State]int64, error)
	// Recover queues what is being sent, as the process that did it is gone, and notes that its attempts were cut off. It
	// returns how many entries that were.
	Recover(ctx context.Context) (int64, error)
	// ReleaseHeld queues what is held for this reason, and returns how many that were.
	ReleaseHeld(ctx context.Context, reason string) (int64, error)
	// Retire removes some entries that were finished before then, or beyond the newest keep that are finished, with
	// their attempts and with bodies that nothing refers to any more. It returns how many entries went, and the files
	// that nothing refers to.
	Retire(ctx context.Context, before time.Time, keep int) (entries int, files []string, err error)
	// Suppressions returns a page of the suppression list, newest first.
	Suppressions(ctx context.Context, p web.Paging) ([]Suppression, error)
	// SuppressionOf returns why mail to an address is refused, or errs.NotFound.
	SuppressionOf(ctx context.Context, address string) (Suppression, error)
}

// DomainStore is what is known of domains, and of what is released by itself.
type DomainStore interface {
	// DomainState returns what is known of a domain, or of AllDomains; the zero Domain with its name when that is nothing.
	DomainState(ctx context.Context, name string) (Domain, error)
	// Domains returns those that are paused or in trouble, in alphabetical order; at most 1000.
	Domains(ctx context.Context) ([]Domain, error)
	// Rules returns the rules, oldest first.
	Rules(ctx context.Context) ([]Rule, error)
}

// Tx is one transaction of a Store.
type Tx interface {
	DomainTx

	// Now is the transaction's time.
	Now() time.Time
	// Enqueue adds an entry and returns its id.
	Enqueue(e Entry) (int64, error)
	// EntryByID returns an entry, or errs.NotFound.
	EntryByID(id int64) (Entry, error)
	// EntriesOf returns the entries of one message, oldest first.
	EntriesOf(queueID string) ([]Entry, error)
	// SaveEntry writes an entry that was read as was. When it is not as it was any more: errs.Conflict.
	SaveEntry(was, e Entry) error
	// AddAttempt keeps how an attempt of an entry went; of the oldest beyond MaxKept it forgets one.
	AddAttempt(a Attempt) error
	// EnqueuedSince counts the entries of a sender since then.
	EnqueuedSince(user string, since time.Time) (int, error)
	// Suppress puts an address on the list, or changes its entry there.
	Suppress(s Suppression) error
	// Unsuppress takes an address off the list; one that is not there is no error.
	Unsuppress(address string) error
}

// DomainTx changes what is known of domains and what is released by itself.
type DomainTx interface {
	// DomainState returns what is known of a domain, or of AllDomains, as the store's does.
	DomainState(name string) (Domain, error)
	// SaveDomain writes what is known; what is nothing any more is forgotten.
	SaveDomain(d Domain) error
	// Advance lets up to most entries of a domain that were put off be due when they are due by themselves.
	Advance(domain string, most int) error
	// Rules returns the rules, oldest first.
	Rules() ([]Rule, error)
	// AddRule adds a rule, or changes the one with its pattern, and returns its id.
	AddRule(r Rule) (int64, error)
	// DropRule removes a rule; one that is not there is errs.NotFound.
	DropRule(id int64) error
}

// Office is the mail service as the queue needs it.
type Office[T Tx] interface {
	// Outgoing opens the message of an entry as it is sent; the caller closes it.
	Outgoing(ctx context.Context, e Entry) (body io.ReadCloser, size int64, err error)
	// Tell prepares what an outcome means to the sender. The function is run in the transaction that writes the
	// entry; it may be nil.
	Tell(ctx context.Context, e Entry, o Outcome) (func(tx T) error, error)
	// TakenBack makes a draft of what the sender has of a mail that they took back before its time, of which mail holds every
	// entry, and returns its id; 0 when they have nothing of it any more.
	TakenBack(ctx context.Context, tx T, mail []Entry) (int64, error)
	// Gone removes files of messages that nothing refers to any more.
	Gone(files []string)
}

// Job is one attempt.
type Job struct {
	Entry Entry
	Size  int64
	Body  io.Reader // the message with CRLF line ends
}

// Deliverer makes attempts; *courier.Courier is one. It returns when the context ends.
type Deliverer interface {
	Deliver(ctx context.Context, job Job) Result
}

// Options is all that a Queue needs. Store, Office, Deliverer, Log, Now and Metrics are required.
type Options[T Tx] struct {
	Store     Store[T]
	Office    Office[T]
	Deliverer Deliverer
	// HoldAll holds what is enqueued until a person releases it. When it is false, Run first releases what is
	// held for that reason.
	HoldAll bool
	// Home is our own domain in ASCII: mail for it that waits (for its time) is neither held nor paused, for it does
	// not leave this host. "" is none.
	Home string
	// Catch returns the mailbox here that gets an entry instead of another host; "" lets it leave. nil never catches.
	Catch   func(tx T, e Entry) (local string, err error)
	Log     *slog.Logger
	Now     func() time.Time
	Metrics *metrics.Set
	Jitter  func() float64 // from 0 to 1; nil is random
}

// Queue sends what waits. Make one with New.
type Queue[T Tx] struct {
	Options[T]
	wake chan struct{}

	mu   sync.Mutex
	busy map[string]int // attempts that run, by domain

	sent, bounced, later *metrics.Counter
}

// New returns a queue; it starts nothing.
func New[T Tx](o Options[T]) (*Queue[T], error) {
	if o.Store == nil || o.Office == nil || o.Deliverer == nil || o.Log == nil || o.Now == nil || o.Metrics == nil {
		return nil, errors.New("queue: Store, Office, Deliverer, Log, Now and Metrics are required")
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	q := &Queue[T]{Options: o, wake: make(chan struct{}, 1), busy: map[string]int{}}
	q.sent = o.Metrics.GetOrCreateCounter(`uniqverse_mail_attempts_total{result="sent"}`)
	q.bounced = o.Metrics.GetOrCreateCounter(`uniqverse_mail_attempts_total{result="bounced"}`)
	q.later = o.Metrics.GetOrCreateCounter(`uniqverse_mail_attempts_total{result="later"}`)
	return q, nil
}

// Wake lets Run look for due entries at once. It never waits.
func (q *Queue[T]) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run sends what is due until ctx ends. Attempts in hand then get a short time to end by themselves.
func (q *Queue[T]) Run(ctx context.Context) error {
	// Whatever is being sent now was claimed by a process before this one: no second one runs on the same store.
	if n, err := q.Store.Recover(ctx); err != nil {
		q.Log.Error("mail whose attempt was cut off waits until its lease is over", "err", err.Error())
	} else if n > 0 {
		q.Log.Warn("the attempts of some mail were cut off; it is tried again", "entries", n)
	}
	if !q.HoldAll {
		if n, err := q.Store.ReleaseHeld(ctx, HeldBySetting); err != nil {
			q.Log.Error("held mail could not be released", "err", err.Error())
		} else if n > 0 {
			q.Log.Info("mail that was held is sent now", "entries", n)
		}
	}
	var running sync.WaitGroup
	defer running.Wait()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drain, cancel) })()
	var swept time.Time
	wait := time.Second
	for ctx.Err() == nil {
		if now := q.Now(); now.Sub(swept) >= sweepEvery || now.Before(swept) {
			swept = now
			q.sweep(ctx)
		}
		entries, err := q.claim(ctx)
		if err != nil && ctx.Err() == nil {
			q.Log.Error("the mail queue cannot be read; it is tried again soon", "in", wait.String(), "err", err.Error())
			q.pause(ctx, wait)
			wait = min(2*wait, time.Minute)
			continue
		}
		wait = time.Second
		for _, e := range entries {
			running.Go(func() {
				defer q.done(e.Domain)
				q.attempt(work, e)
			})
		}
		if len(entries) == 0 {
			q.sleep(ctx)
		}
	}
	return nil
}

// claim takes what is due and counts it as busy.
func (q *Queue[T]) claim(ctx context.Context) ([]Entry, error) {
	q.mu.Lock()
	busy, running := map[string]int{}, 0
	for d, n := range q.busy {
		busy[d], running = n, running+n
	}
	q.mu.Unlock()
	now := q.Now()
	only, err := q.only(ctx, now)
	if err != nil {
		return nil, err
	}
	due, err := q.Store.NextDue(ctx, full(busy), only)
	if err != nil || due.IsZero() || due.After(now) || running >= Workers {
		return nil, err
	}
	entries, err := q.Store.Claim(ctx, Want{Now: now, Lease: now.Add(Lease), Most: Workers - running, Busy: busy, Only: only})
	q.mu.Lock()
	for _, e := range entries {
		q.busy[e.Domain]++
	}
	q.mu.Unlock()
	return entries, err
}

// full returns the domains that get no more attempts now.
func full(busy map[string]int) []string {
	var out []string
	for d, n := range busy {
		if n >= PerDomain {
			out = append(out, d)
		}
	}
	return out
}

// sleep waits until an entry is due, something changed, or a minute is over: the clock may have been set.
func (q *Queue[T]) sleep(ctx context.Context) {
	wait := time.Minute
	q.mu.Lock()
	free, busy := Workers, full(q.busy)
	for _, n := range q.busy {
		free -= n
	}
	q.mu.Unlock()
	if free > 0 {
		if only, err := q.only(ctx, q.Now()); err == nil {
			if due, err := q.Store.NextDue(ctx, busy, only); err == nil && !due.IsZero() {
				wait = min(wait, max(due.Sub(q.Now()), 10*time.Millisecond))
			}
		}
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-q.wake:
	case <-t.C:
	}
}

// pause waits, whatever happens: a store that fails is not asked faster because more mail comes in.
func (q *Queue[T]) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (q *Queue[T]) done(domain string) {
	q.mu.Lock()
	if q.busy[domain]--; q.busy[domain] == 0 {
		delete(q.busy, domain)
	}
	q.mu.Unlock()
	q.Wake()
}

// attempt sends one entry and writes down what came of it.
func (q *Queue[T]) attempt(ctx context.Context, e Entry) {
	log := q.Log.With("queue_id", e.QueueID, "recipient", e.Recipient, "attempt", e.Attempts)
	began := q.Now()
	r := q.deliver(ctx, e)
	next, outcome := e.Finish(r, q.Now(), q.Jitter())
	switch next.State {
	case Sent:
		q.sent.Inc()
	case Bounced:
		q.bounced.Inc()
	default:
		q.later.Inc()
	}
	log.Info("mail attempt", "state", string(next.State), "host", r.Host, "tls", r.TLS, "reply", r.Reply)
	done := Attempt{EntryID: e.ID, Number: e.Attempts, Began: began, Ended: q.Now(), Verdict: r.Verdict.word(), Host: r.Host, TLS: r.TLS, Reply: r.Reply}
	// A result that is not written repeats the attempt, so it is tried as long as the lease lasts: also while the process
	// stops, then once.
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := q.settle(context.WithoutCancel(ctx), e, next, outcome, r, done)
		if err == nil {
			return
		}
		if errs.Is(err, errs.Conflict) || ctx.Err() != nil || q.Now().Add(wait).After(e.LeaseUntil) {
			log.Error("the result of a mail attempt could not be written; the attempt is repeated when its lease is over", "err", err.Error())
			return
		}
		log.Warn("the result of a mail attempt could not be written yet", "err", err.Error())
		q.pause(ctx, wait)
	}
}

// deliver makes the attempt within its time.
func (q *Queue[T]) deliver(ctx context.Context, e Entry) Result {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	if e.Expired(q.Now()) {
		// Its domain's trouble may have kept it from ever being tried; there is no use in asking once for each mail.
		if d, err := q.Store.DomainState(ctx, e.Domain); err == nil && d.Failures > 0 {
			return Result{Reply: d.LastReply}
		}
	}
	body, size, err := q.Office.Outgoing(ctx, e)
	if err != nil {
		q.Log.Error("a queued message cannot be read", "queue_id", e.QueueID, "err", err.Error())
		return Result{Reply: "the stored message could not be read"}
	}
	defer body.Close()
	return q.Deliverer.Deliver(ctx, Job{Entry: e, Size: size, Body: body})
}

// settle writes the entry and what it says of its domain, and tells the sender, in one transaction.
func (q *Queue[T]) settle(ctx context.Context, was, e Entry, o Outcome, r Result, done Attempt) error {
	tell, err := q.Office.Tell(ctx, e, o)
	if err != nil {
		return err
	}
	return q.Store.Update(ctx, nil, func(tx T) error {
		if err := tx.SaveEntry(was, e); err != nil {
			return err
		}
		if err := tx.AddAttempt(done); err != nil {
			return err
		}
		if err := learn(tx, was, r); err != nil {
			return err
		}
		if o == Failed && r.BadMailbox {
			if err := tx.Suppress(Suppression{Address: Address(e.Recipient), Reason: e.LastReply, Created: tx.Now()}); err != nil {
				return err
			}
		}
		if tell == nil {
			return nil
		}
		return tell(tx)
	})
}
