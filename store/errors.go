package store

import (
	"context"
	"database/sql"
	"errors"

	"uniqverse/internal/errs"
	"uniqverse/store/engine"
)

// errFull marks what a full disk caused.
var errFull = errors.New("disk full")

// errShut marks what came to a store that was closed.
var errShut = errors.New("store closed")

// IsClosed reports whether an error of the store says that it was closed: whoever asks again asks another process.
func IsClosed(err error) bool { return errors.Is(err, errShut) }

// IsFull reports whether the disk, or the database's own bound, was full: nothing helps but
// space, whereas other errs.Unavailable errors may pass by themselves.
func IsFull(err error) bool { return errors.Is(err, errFull) }

// dbError turns an error of the driver into one of a kind of errs; nil, sql.ErrNoRows and
// errors that have a kind already pass unchanged. A context that ended is errs.Timeout or
// errs.Unavailable, with the context's error as its cause. Everything in this package that
// returns an error of database/sql passes it through here.
func dbError(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var kind *errs.Error
	if errors.As(err, &kind) {
		return err
	}
	switch engine.SQLite().Classify(err) {
	case engine.Unique:
		return errs.Wrap(errs.Conflict, err, "this exists already")
	case engine.Constraint:
		return errs.Wrap(errs.Invalid, err, "a value is outside what can be stored")
	case engine.TooBig:
		return errs.Wrap(errs.TooLarge, err, "this is larger than what can be stored")
	case engine.Full:
		return errs.Wrap(errs.Unavailable, errors.Join(errFull, err), "the disk is full; nothing was changed, try again when there is space")
	case engine.Busy:
		return &errs.Error{Kind: errs.Unavailable, Detail: "the database is busy; nothing was changed, try again", RetryAfter: engine.BusyWait, Err: err}
	case engine.IO, engine.Corrupt:
		return errs.Wrap(errs.Unavailable, err, "the database cannot be read or written; the log says why")
	}
	switch {
	case errors.Is(err, context.Canceled):
		return errs.Wrap(errs.Unavailable, err, "the request ended before the database had answered")
	case errors.Is(err, context.DeadlineExceeded):
		return errs.Wrap(errs.Timeout, err, "the database took too long; try again")
	case errors.Is(err, sql.ErrConnDone) || err.Error() == "sql: database is closed": // the latter has no name to compare with
		return errClosed(err)
	}
	return err
}

func errClosed(cause error) error {
	return &errs.Error{Kind: errs.Unavailable, Detail: "the store is shutting down; nothing was changed, try again in a moment", Err: errors.Join(errShut, cause)}
}

// gaveUp is the answer to a caller who left before it was their turn.
func gaveUp(cause error) error {
	return errs.Wrap(errs.Unavailable, cause, "the request ended before it was its turn to write; nothing was changed")
}
