package store

import (
	"context"
	"database/sql"
	"time"

	"uniqverse/internal/event"
)

// Tx is the transaction that a function given to DB.Write works in. It is valid until the
// function returns.
type Tx struct {
	w      *writer
	now    time.Time
	events []emitted
	ends   []func(stored bool)
	undos  []func()
	rows   map[string]*sql.Rows // by text: what must be closed, and statements that are in use
	bytes  int                  // size of the values given so far
	broken error                // the engine may have undone everything: no statement may follow
}

// emitted is an event on its way to a stream.
type emitted struct {
	stream string
	ev     event.Event
}

// Exec runs a statement that returns no rows. Errors are kinds of errs: a unique constraint
// is errs.Conflict, any other constraint errs.Invalid, a full or failing disk errs.Unavailable.
// After such an Unavailable the transaction is lost, and every call repeats the error.
func (tx *Tx) Exec(query string, args ...any) (sql.Result, error) {
	if tx.broken != nil {
		return nil, tx.broken
	}
	tx.count(args)
	if st := tx.statement(query); st != nil {
		r, err := st.ExecContext(context.Background(), args...)
		return r, tx.note(err)
	}
	r, err := tx.w.conn.ExecContext(context.Background(), query, args...)
	return r, tx.note(err)
}

// Insert runs an INSERT of one row into a table whose key is an integer that the engine gives, and returns that. Errors are those of Exec.
func (tx *Tx) Insert(query string, args ...any) (id int64, err error) {
	r, err := tx.Exec(query, args...) // cheaper than RETURNING
	if err != nil {
		return 0, err
	}
	id, err = r.LastInsertId()
	return id, tx.note(err)
}

// Query runs a statement that returns rows; it sees what the transaction did. Rows still open
// when the function returns are closed. Errors are those of Exec.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	if tx.broken != nil {
		return nil, tx.broken
	}
	tx.count(args)
	var rows *sql.Rows
	var err error
	if st := tx.statement(query); st != nil {
		rows, err = st.QueryContext(context.Background(), args...)
	} else {
		rows, err = tx.w.conn.QueryContext(context.Background(), query, args...)
		query += "\x00" // not the cached statement: remember the rows under a name of their own
	}
	if err != nil {
		return nil, tx.note(err)
	}
	if tx.rows == nil {
		tx.rows = map[string]*sql.Rows{}
	}
	for tx.open(query) {
		query += "\x00"
	}
	tx.rows[query] = rows
	return rows, nil
}

// QueryRow runs a statement that returns at most one row (INSERT … RETURNING among them);
// Scan it always, and pass Scan's error through dbError.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row {
	if tx.broken != nil {
		over, cancel := context.WithCancel(context.Background())
		cancel() // the only way to make a Row that fails; Write returns tx.broken in any case
		return tx.w.conn.QueryRowContext(over, query, args...)
	}
	tx.count(args)
	if st := tx.statement(query); st != nil {
		return st.QueryRowContext(context.Background(), args...)
	}
	return tx.w.conn.QueryRowContext(context.Background(), query, args...)
}

// Now is the time of this transaction: one clock for everything that the function writes.
func (tx *Tx) Now() time.Time { return tx.now }

// Emit publishes ev on the stream after the commit, before Write returns. ev.At is set to
// Now when it is zero.
func (tx *Tx) Emit(stream string, ev event.Event) {
	if ev.At.IsZero() {
		ev.At = tx.now
	}
	tx.events = append(tx.events, emitted{stream, ev})
}

// AtEnd has f called when the transaction is over: on the writer's goroutine, before what it emitted is published and
// before anybody is told that it is stored. stored is false when it came to nothing. f must not wait, and not write.
func (tx *Tx) AtEnd(f func(stored bool)) { tx.ends = append(tx.ends, f) }

// OnUndo has f called when what the function did is undone: at once, before the next function of the same transaction
// runs. The last given is called first.
func (tx *Tx) OnUndo(f func()) { tx.undos = append(tx.undos, f) }

// BeforeCommit has f called once before the commit, however many functions of the transaction ask for it by the same key,
// also when what this one did is undone. Its error undoes everything.
func (tx *Tx) BeforeCommit(key any, f func(*Tx) error) {
	if tx.w.last == nil {
		tx.w.last = map[any]func(*Tx) error{}
	}
	tx.w.last[key] = f
}

// Beside is DB.Beside for what works inside a transaction.
func (tx *Tx) Beside(key any, make func() any) any { return tx.w.beside.of(key, make) }

// statement returns the prepared statement for the text; nil when it has none to give: rows of it
// are still open (running it again would take them away), or it cannot be prepared alone.
func (tx *Tx) statement(query string) *sql.Stmt {
	if tx.open(query) {
		return nil
	}
	return tx.w.prepared(query)
}

// open reports whether rows of the text are still being read.
func (tx *Tx) open(query string) bool {
	r := tx.rows[query]
	if r == nil {
		return false
	}
	_, err := r.Columns() // fails once they are closed, and only then
	return err == nil
}

// note remembers an error after which the engine may have no transaction any more.
func (tx *Tx) note(err error) error {
	if err == nil {
		return nil
	}
	lost := tx.w.d.Classify(err).Lost()
	err = dbError(err)
	if lost {
		tx.broken = err
	}
	return err
}

func (tx *Tx) count(args []any) {
	for _, a := range args {
		switch v := a.(type) {
		case string:
			tx.bytes += len(v)
		case []byte:
			tx.bytes += len(v)
		}
	}
}

// done closes what the function left open.
func (tx *Tx) done() {
	for _, r := range tx.rows {
		r.Close()
	}
}
