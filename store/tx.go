package store

import (
	"database/sql"
	"errors"
	"time"

	"uniqverse/internal/event"
)

// Tx is the transaction that a function given to DB.Write works in. It is valid until the
// function returns.
type Tx struct {
	now time.Time
}

// Exec runs a statement that returns no rows. Errors are kinds of errs: a unique constraint
// is errs.Conflict, any other constraint errs.Invalid, a full or failing disk errs.Unavailable.
func (tx *Tx) Exec(query string, args ...any) (sql.Result, error) {
	return nil, errors.New("store: writing comes with the next commit")
}

// Query runs a statement that returns rows; it sees what the transaction did. Rows still open
// when the function returns are closed.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	return nil, errors.New("store: writing comes with the next commit")
}

// QueryRow runs a statement that returns at most one row (INSERT … RETURNING among them);
// Scan it always, and pass Scan's error through dbError.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row { return nil }

// Now is the time of this transaction: one clock for everything that the function writes.
func (tx *Tx) Now() time.Time { return tx.now }

// Emit publishes ev on the stream after the commit, before Write returns.
func (tx *Tx) Emit(stream string, ev event.Event) {}
