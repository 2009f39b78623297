package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

// Options say where the store is and what it tells others.
type Options struct {
	// Dir is the data folder; it is made (0700) when it does not exist. The database is
	// uniqverse.db (0600) in it.
	Dir string
	// Log hears of slow, failed and background work; nil is silent.
	Log *slog.Logger
	// Now is the clock of transactions; nil means time.Now.
	Now func() time.Time
	// Publish takes the events of committed functions, on the writer's goroutine: it must not
	// block and must not write. nil drops them. It is called first after the first Write, so it may close
	// over a hub that is made from this DB's Epoch and ReserveIDs.
	Publish func(stream string, evs []event.Event)
}

// DB is the open store.
type DB struct{}

// Open opens the database, makes it when there is none, and brings its schema up to date. An error is
// one sentence for the person who starts the program: which file, what, and the mend.
func Open(ctx context.Context, opts Options) (*DB, error) {
	return nil, errors.New("store: opening comes with the next commit")
}

// Write runs fn in a durable transaction, together with whatever else waits, and returns
// after the commit. fn runs on the writer's goroutine and must not wait for anything but tx.
// An error of fn rolls back what it did and is returned as it is (driver errors become
// kinds of errs). A ctx that ends before fn's turn gives its error, and fn never runs; once it is
// fn's turn, Write waits for the outcome. errs.Unavailable: nothing was changed, try again later.
//
// With once, an earlier answer under the same caller and key is put into once, Replayed is
// set and fn is not run; with another fingerprint the error is errs.Invalid. Otherwise the
// answer that fn puts into once is stored with its effect.
func (db *DB) Write(ctx context.Context, once *web.Once, fn func(tx *Tx) error) error {
	return errors.New("store: writing comes with the next commit")
}

// Query reads on the pool of readers; close the rows, and soon: an open read keeps the log
// of changes growing. Pass errors through dbError.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return nil, errors.New("store: reading comes with the next commit")
}

// QueryRow reads one row on the pool of readers; Scan gives sql.ErrNoRows when there is none.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row { return nil }

// Epoch returns the random name of this database, made with it.
func (db *DB) Epoch() string { return "" }

// ReserveIDs durably sets aside n event ids and returns the first; ids only grow, also over
// restarts. It is what hub.LocalOptions.Reserve asks for.
func (db *DB) ReserveIDs(ctx context.Context, n int64) (first int64, err error) { return 0, nil }

// Check reports within ctx whether the store reads and its writer lives; /health asks it.
func (db *DB) Check(ctx context.Context) error { return nil }

// Close runs what waits, refuses what comes later with errs.Unavailable, and closes the files.
func (db *DB) Close() error { return nil }
