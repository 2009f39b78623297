// Command store measures durable single-row writes: how many rows of 200 bytes a second are
// committed and fsynced, by one writer and by 64, in a transaction of their own and through the
// store's group commit; beside them, how many fsyncs a second the disk itself can do. Run it
// from the root of the tree:
//
//	go run ./bench/store                          3 seconds for each figure, in the system's temporary folder
//	go run ./bench/store -dir /srv/data -d 10s    on the disk that is to be judged
//
// The rounds are interleaved and the median is printed, because the speed of a disk changes
// from minute to minute. A folder in memory (tmpfs) makes every figure meaningless.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	_ "modernc.org/sqlite"

	"uniqverse/store"
)

const rounds = 3

func main() {
	dir := flag.String("dir", "", "folder on the disk to measure; the system's temporary folder when left out")
	d := flag.Duration("d", 3*time.Second, "time for each figure")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *dir, *d/rounds); err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		os.Exit(1)
	}
}

// figure is one line of the table: measure returns writes a second.
type figure struct {
	what    string
	measure func(ctx context.Context, dir string, d time.Duration) (float64, error)
	rates   []float64
}

func run(ctx context.Context, out io.Writer, parent string, d time.Duration) error {
	figures := []*figure{
		{what: "append 4 kB and fsync, one file", measure: fsyncs},
		{what: "1 writer, a transaction each", measure: own(1)},
		{what: "64 writers, a transaction each", measure: own(64)},
		{what: "1 writer, group commit", measure: grouped(1)},
		{what: "64 writers, group commit", measure: grouped(64)},
	}
	for range rounds {
		for _, f := range figures {
			dir, err := os.MkdirTemp(parent, "uniqverse-bench-*")
			if err != nil {
				return err
			}
			rate, err := f.measure(ctx, dir, d)
			os.RemoveAll(dir)
			if err != nil {
				return fmt.Errorf("%s: %w", f.what, err)
			}
			f.rates = append(f.rates, rate)
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "durable single-row writes\tmedian/s\tlowest\thighest\tto the disk's fsyncs\tto a transaction each\t")
	disk, each := median(figures[0].rates), map[bool]float64{false: median(figures[1].rates), true: median(figures[2].rates)}
	for i, f := range figures {
		m, against := median(f.rates), "-"
		if i > 0 {
			against = fmt.Sprintf("x %.1f", m/each[strings.HasPrefix(f.what, "64")])
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\tx %.2f\t%s\t\n", f.what, m, slices.Min(f.rates), slices.Max(f.rates), m/disk, against)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d rounds of %s each. Again: go run ./bench/store -d %s (and -dir to name the disk)\n", rounds, d.Round(time.Millisecond), (d * rounds).Round(time.Millisecond))
	return err
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// fsyncs is what the disk can do at most with one write at a time.
func fsyncs(_ context.Context, dir string, d time.Duration) (float64, error) {
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	page, n, start := make([]byte, 4096), 0, time.Now()
	for time.Since(start) < d {
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

var row = strings.Repeat("x", 200)

const (
	table  = `CREATE TABLE item (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, body TEXT NOT NULL) STRICT; CREATE INDEX item_owner ON item (owner)`
	insert = `INSERT INTO item (owner, body) VALUES ($1, $2)`
)

// own writes the way that is usual without a group: one connection with the same settings, and a transaction
// for each row.
func own(writers int) func(context.Context, string, time.Duration) (float64, error) {
	return func(ctx context.Context, dir string, d time.Duration) (float64, error) {
		dsn := "file://" + (&url.URL{Path: filepath.ToSlash(filepath.Join(dir, "own.db"))}).EscapedPath() +
			"?_pragma=busy_timeout(5000)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)&_journal_mode=WAL&_txlock=immediate"
		db, err := sql.Open("sqlite", dsn)
		if err != nil {
			return 0, err
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		if _, err := db.ExecContext(ctx, table); err != nil {
			return 0, err
		}
		st, err := db.PrepareContext(ctx, insert)
		if err != nil {
			return 0, err
		}
		defer st.Close()
		return rate(writers, d, func(w int) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			if _, err := tx.StmtContext(ctx, st).ExecContext(ctx, w, row); err != nil {
				tx.Rollback()
				return err
			}
			return tx.Commit()
		})
	}
}

// grouped writes through the store, as the services do.
func grouped(writers int) func(context.Context, string, time.Duration) (float64, error) {
	return func(ctx context.Context, dir string, d time.Duration) (float64, error) {
		db, err := store.Open(ctx, store.Options{Dir: dir})
		if err != nil {
			return 0, err
		}
		defer db.Close()
		if err := db.Write(ctx, nil, func(tx *store.Tx) error {
			_, err := tx.Exec(table)
			return err
		}); err != nil {
			return 0, err
		}
		return rate(writers, d, func(w int) error {
			return db.Write(ctx, nil, func(tx *store.Tx) error {
				_, err := tx.Exec(insert, w, row)
				return err
			})
		})
	}
}

// rate runs write in a closed loop of so many goroutines and counts what was acknowledged.
func rate(writers int, d time.Duration, write func(writer int) error) (float64, error) {
	var done atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, writers)
	start := time.Now()
	for w := range writers {
		wg.Go(func() {
			for time.Since(start) < d {
				if err := write(w); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(done.Load()) / time.Since(start).Seconds(), nil
	}
}
