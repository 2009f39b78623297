package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/queue"
)

// memory is a Store for the bubble of synctest, where a database's files cannot go. It does what package store does.
type memory struct {
	mu       sync.Mutex
	entries  []queue.Entry
	listed   []queue.Suppression
	domains  []queue.Domain
	attempts []queue.Attempt
	broken   error // what every claim fails with
	looked   int   // times that it was asked what is due
	asked    int   // claims that failed
	refuses  int   // transactions that are still to fail
}

type memoryTx struct{ m *memory }

func (m *memory) Update(_ context.Context, _ *web.Once, fn func(memoryTx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuses > 0 {
		m.refuses--
		return errs.New(errs.Unavailable, "locked")
	}
	return fn(memoryTx{m})
}

func due(e queue.Entry) (time.Time, bool) {
	switch e.State {
	case queue.Queued:
		return e.NextAt, true
	case queue.Sending:
		return e.LeaseUntil, true
	}
	return time.Time{}, false
}

func (m *memory) Claim(_ context.Context, w queue.Want) (out []queue.Entry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		m.asked++
		return nil, m.broken
	}
	running := map[string]int{}
	for d, n := range w.Busy {
		running[d] = n
	}
	for i := range m.entries {
		e := &m.entries[i]
		if at, ok := due(*e); !ok || at.After(w.Now) || len(out) == w.Most || running[e.Domain] >= queue.PerDomain || w.Only != "" && w.Only != e.Domain {
			continue
		}
		running[e.Domain]++
		e.State, e.LeaseUntil, e.Attempts, e.Updated = queue.Sending, w.Lease, e.Attempts+1, w.Now
		out = append(out, *e)
	}
	return out, nil
}

func (m *memory) NextDue(_ context.Context, full []string, only string) (first time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looked++
	for _, e := range m.entries {
		if at, ok := due(e); ok && !slices.Contains(full, e.Domain) && (only == "" || only == e.Domain) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first, nil
}

func (m *memory) Entries(context.Context, queue.Filter, web.Paging) ([]queue.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.entries), nil
}

func (m *memory) EntryAttempts(context.Context, int64) (queue.Entry, []queue.Attempt, error) {
	return queue.Entry{}, nil, errs.New(errs.NotFound, "none")
}

func (m *memory) Retire(context.Context, time.Time, int) (int, []string, error) { return 0, nil, nil }

func (m *memory) DomainState(_ context.Context, name string) (queue.Domain, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return memoryTx{m}.DomainState(name)
}

func (m *memory) Recover(context.Context) (int64, error) { return 0, nil }

func (m *memory) Domains(context.Context) ([]queue.Domain, error) { return nil, nil }

func (m *memory) Rules(context.Context) ([]queue.Rule, error) { return nil, nil }

func (m *memory) Counts(context.Context) (map[queue.State]int64, error) { return nil, nil }

func (m *memory) ReleaseHeld(context.Context, string) (int64, error) { return 0, nil }

func (m *memory) Suppressions(context.Context, web.Paging) ([]queue.Suppression, error) {
	return m.listed, nil
}

func (m *memory) SuppressionOf(context.Context, string) (queue.Suppression, error) {
	return queue.Suppression{}, errs.New(errs.NotFound, "none")
}

func (tx memoryTx) Now() time.Time { return time.Now() }

func (tx memoryTx) Enqueue(e queue.Entry) (int64, error) {
	e.ID = int64(len(tx.m.entries) + 1)
	tx.m.entries = append(tx.m.entries, e)
	return e.ID, nil
}

func (tx memoryTx) EntryByID(id int64) (queue.Entry, error) { return tx.m.entries[id-1], nil }

func (tx memoryTx) SaveEntry(was, e queue.Entry) error {
	if tx.m.entries[e.ID-1] != was {
		return errs.New(errs.Conflict, "changed")
	}
	tx.m.entries[e.ID-1] = e
	return nil
}

func (tx memoryTx) EnqueuedSince(string, time.Time) (int, error) { return 0, nil }

func (tx memoryTx) Suppress(s queue.Suppression) error {
	tx.m.listed = append(tx.m.listed, s)
	return nil
}

func (tx memoryTx) Unsuppress(string) error { return nil }

func (tx memoryTx) EntriesOf(string) ([]queue.Entry, error) { return nil, nil }

func (tx memoryTx) AddAttempt(a queue.Attempt) error {
	tx.m.attempts = append(tx.m.attempts, a)
	return nil
}

func (tx memoryTx) DomainState(name string) (queue.Domain, error) {
	for _, d := range tx.m.domains {
		if d.Name == name {
			return d, nil
		}
	}
	return queue.Domain{Name: name}, nil
}

func (tx memoryTx) SaveDomain(d queue.Domain) error {
	tx.m.domains = append(slices.DeleteFunc(tx.m.domains, func(x queue.Domain) bool { return x.Name == d.Name }), d)
	return nil
}

func (tx memoryTx) Advance(string, int) error { return nil }

func (tx memoryTx) Rules() ([]queue.Rule, error) { return nil, nil }

func (tx memoryTx) AddRule(queue.Rule) (int64, error) { return 0, nil }

func (tx memoryTx) DropRule(int64) error { return nil }

// office remembers what senders were told.
type office struct{ told []queue.Outcome }

func (o *office) Outgoing(context.Context, queue.Entry) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader("x")), 1, nil
}

func (o *office) Tell(_ context.Context, _ queue.Entry, out queue.Outcome) (func(memoryTx) error, error) {
	return func(memoryTx) error { o.told = append(o.told, out); return nil }, nil
}

func (o *office) Gone([]string) {}

func (o *office) TakenBack(context.Context, memoryTx, []queue.Entry) (int64, error) { return 0, nil }

// host makes attempts: each takes a while, and ends with result.
type host struct {
	mu      sync.Mutex
	takes   time.Duration
	result  queue.Result
	running map[string]int
	most    map[string]int // at the same time, by domain; "" is all together
	at      []time.Time
}

func (h *host) Deliver(ctx context.Context, job queue.Job) queue.Result {
	h.count(job.Entry.Domain, 1)
	defer h.count(job.Entry.Domain, -1)
	select {
	case <-time.After(h.takes):
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.result
	case <-ctx.Done():
		return queue.Result{Verdict: queue.Interrupted, Reply: "stopped"}
	}
}

// attempts returns how many there were so far.
func (h *host) attempts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.at)
}

func (h *host) count(domain string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n > 0 {
		h.at = append(h.at, time.Now())
	}
	for _, d := range []string{domain, ""} {
		h.running[d] += n
		h.most[d] = max(h.most[d], h.running[d])
	}
}

// begin runs a queue in the bubble; stop ends it and waits.
func begin(t *testing.T, m *memory, h *host, o *office) (q *queue.Queue[memoryTx], stop func()) {
	t.Helper()
	h.running, h.most = map[string]int{}, map[string]int{}
	q, err := queue.New(queue.Options[memoryTx]{Store: m, Office: o, Deliverer: h, Home: "home.example", Log: slog.New(slog.DiscardHandler), Now: time.Now, Metrics: metrics.NewSet(), Jitter: func() float64 { return 0.5 }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	return q, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func entry(n int, domain string) queue.Entry {
	return queue.Entry{ID: int64(n), State: queue.Queued, Recipient: fmt.Sprintf("r%d@%s", n, domain), Domain: domain, NextAt: time.Now()}
}

// Attempts are made at their times, to the second, until the entry is given up.
func TestAttemptsAreOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h, o, began := &memory{}, &host{result: queue.Result{Reply: "450 later"}}, &office{}, time.Now()
		m.entries = append(m.entries, entry(1, "example.org"))
		_, stop := begin(t, m, h, o)
		time.Sleep(72 * time.Hour)
		stop()
		var got []time.Duration
		for _, at := range h.at {
			got = append(got, at.Sub(began).Round(time.Second))
		}
		want := []time.Duration{0}
		for n := 1; n < queue.MaxAttempts(); n++ {
			d, _ := queue.Wait(n, 0.5)
			want = append(want, want[n-1]+d)
		}
		if !slices.Equal(got, want) || m.entries[0].State != queue.Bounced {
			t.Errorf("attempts at %v, want %v; then %+v", got, want, m.entries[0])
		}
		if told := slices.DeleteFunc(o.told, func(o queue.Outcome) bool { return o == queue.Waits }); !slices.Equal(told, []queue.Outcome{queue.Late, queue.Failed}) {
			t.Errorf("the sender was told %v", told)
		}
	})
}

// No domain gets more than its share at the same time, and a slow one holds back no other.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h := &memory{}, &host{takes: time.Second, result: queue.Result{Verdict: queue.Delivered}}
		for n := range 40 {
			m.entries = append(m.entries, entry(n+1, "big.example"))
		}
		for n := range 40 {
			m.entries = append(m.entries, entry(n+41, fmt.Sprintf("d%d.example", n%20)))
		}
		_, stop := begin(t, m, h, &office{})
		time.Sleep(time.Minute)
		stop()
		for _, e := range m.entries {
			if e.State != queue.Sent || e.Attempts != 1 {
				t.Fatalf("%+v", e)
			}
		}
		if h.most["big.example"] != queue.PerDomain || h.most[""] != queue.Workers {
			t.Errorf("at the same time: %d for one domain, %d in all", h.most["big.example"], h.most[""])
		}
	})
}

// What is added or changed is seen at once when the queue is woken.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h := &memory{}, &host{result: queue.Result{Verdict: queue.Delivered}}
		q, stop := begin(t, m, h, &office{})
		synctest.Wait()
		if err := m.Update(t.Context(), nil, func(tx memoryTx) error { _, err := tx.Enqueue(entry(1, "example.org")); return err }); err != nil {
			t.Fatal(err)
		}
		q.Wake()
		synctest.Wait()
		if m.entries[0].State != queue.Sent {
			t.Errorf("%+v", m.entries[0])
		}
		stop()
	})
}

// Stopped in the middle of an attempt, the entry is due again at once and the attempt is over within the drain.
func TestStopInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h := &memory{}, &host{takes: time.Hour}
		m.entries = append(m.entries, entry(1, "example.org"))
		_, stop := begin(t, m, h, &office{})
		synctest.Wait()
		began := time.Now()
		stop()
		if e := m.entries[0]; e.State != queue.Queued || e.Attempts != 1 || e.NextAt.After(time.Now()) || time.Since(began) > 3*time.Second {
			t.Errorf("%+v after %v", e, time.Since(began))
		}
	})
}

// A store that fails is asked again after a pause that grows to a minute, not in a loop, and the mail goes out when it is back.
func TestBrokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h := &memory{broken: errors.New("disk")}, &host{result: queue.Result{Verdict: queue.Permanent, Reply: "550 5.1.1 no", BadMailbox: true}}
		m.entries = append(m.entries, entry(1, "example.org"))
		_, stop := begin(t, m, h, &office{})
		time.Sleep(10 * time.Minute)
		m.mu.Lock()
		m.broken = nil
		m.mu.Unlock()
		m.mu.Lock()
		asked := m.asked
		m.mu.Unlock()
		if asked < 12 || asked > 17 {
			t.Errorf("in ten minutes the store was asked %d times", asked)
		}
		time.Sleep(2 * time.Minute)
		stop()
		if m.entries[0].State != queue.Bounced || len(m.listed) != 1 || m.listed[0].Address != "r1@example.org" {
			t.Errorf("%+v, %+v", m.entries[0], m.listed)
		}
	})
}

// A store that cannot write for a while costs no second attempt: the result is written when it can again.
func TestResultOutlastsALockedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h := &memory{refuses: 5}, &host{result: queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}}
		m.entries = append(m.entries, entry(1, "example.org"))
		_, stop := begin(t, m, h, &office{})
		time.Sleep(30 * time.Second)
		if now, _ := m.Entries(t.Context(), queue.Filter{}, web.Paging{}); now[0].State != queue.Sending {
			t.Errorf("while the store is locked: %+v", now[0])
		}
		time.Sleep(time.Hour)
		stop()
		if e := m.entries[0]; e.State != queue.Sent || e.Attempts != 1 || len(h.at) != 1 {
			t.Errorf("%+v after %d attempts", e, len(h.at))
		}
	})
}

// A store that never takes the result has the attempt made again when the lease is over, and no earlier.
func TestResultThatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h, began := &memory{refuses: 1000}, &host{result: queue.Result{Verdict: queue.Delivered, Reply: "250 ok"}}, time.Now()
		m.entries = append(m.entries, entry(1, "example.org"))
		_, stop := begin(t, m, h, &office{})
		time.Sleep(queue.Lease + time.Minute)
		stop()
		if len(h.at) != 2 || h.at[1].Sub(began) < queue.Lease {
			t.Errorf("attempts at %v", h.at)
		}
	})
}

// A domain whose hosts do not answer is left alone as a whole, longer each time, and is forgiven when they answer.
func TestDomainIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h := &memory{}, &host{takes: time.Second, result: queue.Result{Reply: "the host did not answer in time", NoAnswer: true}}
		m.entries = append(m.entries, entry(1, "dead.example"), entry(2, "dead.example"))
		_, stop := begin(t, m, h, &office{})
		time.Sleep(10 * time.Second)
		d, _ := m.DomainState(t.Context(), "dead.example")
		if d.Failures != 1 || d.LastReply != "the host did not answer in time" || time.Until(d.RetryAt) < 4*time.Minute || time.Until(d.RetryAt) > 5*time.Minute {
			t.Errorf("after two attempts at the same time: %+v", d)
		}
		time.Sleep(6 * time.Minute)
		if d, _ = m.DomainState(t.Context(), "dead.example"); d.Failures != 2 || time.Until(d.RetryAt) < 8*time.Minute {
			t.Errorf("after the next: %+v", d)
		}
		m.mu.Lock()
		h.mu.Lock()
		h.result = queue.Result{Reply: "451 4.3.0 busy"}
		h.mu.Unlock()
		m.mu.Unlock()
		time.Sleep(20 * time.Minute)
		if d, _ = m.DomainState(t.Context(), "dead.example"); d.Failures != 0 || d.Blocked(time.Now()) {
			t.Errorf("when it answers: %+v", d)
		}
		stop()
	})
}

// When the host that takes all our mail does not answer, nothing is tried but mail that stays here.
func TestEverythingIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h := &memory{}, &host{result: queue.Result{Reply: "the connection failed", NoAnswer: true, Everything: true}}
		for n := range 20 {
			m.entries = append(m.entries, entry(n+1, fmt.Sprintf("d%d.example", n)))
		}
		q, stop := begin(t, m, h, &office{})
		time.Sleep(4 * time.Minute)
		if n := h.attempts(); n > queue.Workers {
			t.Errorf("%d attempts", n)
		}
		m.mu.Lock()
		e := entry(21, "home.example")
		m.entries = append(m.entries, e)
		m.mu.Unlock()
		q.Wake()
		synctest.Wait()
		if e := m.entries[20]; e.Attempts != 1 {
			t.Errorf("mail that stays here: %+v", e)
		}
		stop()
	})
}

// The clock set back by a day: what was due stays due soon, and nothing runs in a loop.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := new(atomic.Int64)
		m, h := &memory{}, &host{result: queue.Result{Reply: "451 later"}}
		m.entries = append(m.entries, entry(1, "a.example"))
		h.running, h.most = map[string]int{}, map[string]int{}
		q, err := queue.New(queue.Options[memoryTx]{Store: m, Office: &office{}, Deliverer: h, Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet(),
			Now: func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }, Jitter: func() float64 { return 0.5 }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- q.Run(ctx) }()
		time.Sleep(time.Minute)
		back.Store(int64(24 * time.Hour))
		time.Sleep(time.Hour)
		m.mu.Lock()
		asked := m.looked
		m.mu.Unlock()
		if n := h.attempts(); n != 1 {
			t.Errorf("%d attempts while the clock is behind", n)
		}
		if asked > 200 {
			t.Errorf("in an hour the store was asked %d times", asked)
		}
		time.Sleep(24 * time.Hour)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := h.attempts(); n < 3 {
			t.Errorf("%d attempts when the clock has caught up", n)
		}
	})
}

// The host that takes all our mail answers 4xx for two days and is back: every mail is sent once, within its schedule, and its
// sender was told once that it takes longer.
func TestHostIsBackAfterDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h, o := &memory{}, &host{takes: time.Second, result: queue.Result{Reply: "451 4.3.0 out of order", Host: "mx"}}, &office{}
		for n := range 50 {
			m.entries = append(m.entries, entry(n+1, fmt.Sprintf("d%d.example", n%5)))
		}
		_, stop := begin(t, m, h, o)
		time.Sleep(40 * time.Hour)
		before := len(h.at)
		h.mu.Lock()
		h.result = queue.Result{Verdict: queue.Delivered, Reply: "250 ok", Host: "mx"}
		h.mu.Unlock()
		time.Sleep(24 * time.Hour)
		stop()
		late, arrived := 0, 0
		for _, out := range o.told {
			switch out {
			case queue.Late:
				late++
			case queue.Arrived:
				arrived++
			case queue.Failed:
				t.Error("a mail was given up")
			}
		}
		if late != 50 || arrived != 50 || len(h.at) != before+50 || before != 9*50 {
			t.Errorf("%d attempts before, %d in all; told of %d that take longer and %d that arrived", before, len(h.at), late, arrived)
		}
		for _, e := range m.entries {
			if e.State != queue.Sent {
				t.Errorf("%+v", e)
			}
		}
		if len(m.attempts) != len(h.at) {
			t.Errorf("%d attempts are kept, and %d were made", len(m.attempts), len(h.at))
		}
	})
}
