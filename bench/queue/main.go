// Command queue measures the queue of outgoing mail: it fills a database with entries that are all due at once, as a host
// finds them that was away for a day, and runs the queue on it against a next host that takes everything at once. Run it
// from the root of the tree:
//
//	go run ./bench/queue                      100,000 entries, 10 seconds, in the system's temporary folder
//	go run ./bench/queue -n 10000 -dir /srv   on the disk that is to be judged
//
// It prints how long a claim takes with all of them due, when the first attempt begins, how many attempts a second are
// claimed, made and written down (two durable transactions each, shared by those at the same time).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/store"
	"uniqverse/store/mailstore"
)

func main() {
	n := flag.Int("n", 100_000, "entries that are due")
	dir := flag.String("dir", "", "folder on the disk to measure; the system's temporary folder when left out")
	d := flag.Duration("d", 10*time.Second, "how long the queue runs")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *dir, *n, *d); err != nil {
		fmt.Fprintln(os.Stderr, "queue:", err)
		os.Exit(1)
	}
}

// timed is a store whose claims are timed.
type timed struct {
	mailstore.Store
	mu     sync.Mutex
	claims []time.Duration
}

// Claim implements queue.Store.
func (t *timed) Claim(ctx context.Context, w queue.Want) ([]queue.Entry, error) {
	began := time.Now()
	out, err := t.Store.Claim(ctx, w)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.claims = append(t.claims, time.Since(began))
	return out, err
}

// office has a message for everybody, and tells nobody anything.
type office struct{}

func (office) Outgoing(context.Context, queue.Entry) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader("From: a\r\n\r\nx\r\n")), 14, nil
}

func (office) Tell(context.Context, queue.Entry, queue.Outcome) (func(mailbox.Tx) error, error) {
	return nil, nil
}

func (office) TakenBack(context.Context, mailbox.Tx, []queue.Entry) (int64, error) { return 0, nil }

func (office) Gone([]string) {}

// host takes everything at once.
type host struct {
	began time.Time
	first atomic.Int64 // ns after began
	done  atomic.Int64
}

// Deliver implements queue.Deliverer.
func (h *host) Deliver(context.Context, queue.Job) queue.Result {
	h.first.CompareAndSwap(0, int64(time.Since(h.began)))
	h.done.Add(1)
	return queue.Result{Verdict: queue.Delivered, Reply: "250 2.0.0 ok", Host: "mx.example"}
}

// fill adds entries that are due, half of them for one domain and the rest for a thousand.
func fill(ctx context.Context, st mailstore.Store, n int) error {
	now := time.Now()
	for from := 0; from < n; from += 10_000 {
		err := st.Update(ctx, nil, func(tx mailbox.Tx) error {
			for i := from; i < min(from+10_000, n); i++ {
				domain := "big.example"
				if i%2 == 1 {
					domain = fmt.Sprintf("d%d.example", i%2000)
				}
				if _, err := tx.Enqueue(queue.Entry{QueueID: "Q", RawID: 1, Recipient: fmt.Sprintf("r%d@%s", i, domain), Domain: domain, State: queue.Queued, NextAt: now, Since: now}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func run(ctx context.Context, out io.Writer, parent string, n int, d time.Duration) error {
	dir, err := os.MkdirTemp(parent, "queue-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer db.Close()
	st := &timed{Store: mailstore.New(db)}
	began := time.Now()
	if err := fill(ctx, st.Store, n); err != nil {
		return err
	}
	filled := time.Since(began)
	h := &host{began: time.Now()}
	q, err := queue.New(queue.Options[mailbox.Tx]{Store: st, Office: office{}, Deliverer: h, Log: slog.New(slog.DiscardHandler), Now: time.Now, Metrics: metrics.NewSet()})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if err := q.Run(ctx); err != nil {
		return err
	}
	slices.Sort(st.claims)
	at := func(p float64) time.Duration {
		if len(st.claims) == 0 {
			return 0
		}
		return st.claims[int(p*float64(len(st.claims)-1))].Round(time.Microsecond)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "entries due\t%d, added in %v\n", n, filled.Round(time.Millisecond))
	fmt.Fprintf(w, "start to the first attempt\t%v\n", time.Duration(h.first.Load()).Round(time.Microsecond))
	fmt.Fprintf(w, "a claim\tmedian %v, 99 of 100 below %v, %d in all\n", at(0.5), at(0.99), len(st.claims))
	fmt.Fprintf(w, "attempts\t%d, %.0f a second\n", h.done.Load(), float64(h.done.Load())/d.Seconds())
	return w.Flush()
}
