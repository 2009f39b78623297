// Package errs gives every error of UniQVerse a kind that an edge can answer with.
//
// A package that knows why something went wrong says so with a Kind and one sentence that
// may be shown to the caller; the edges (web, smtpd, ws) turn the kind into an HTTP status,
// an SMTP reply or a close code. It is not a logger and not a list of all messages: the
// cause stays wrapped inside, for the log, and is never shown.
//
// Values are immutable after creation and safe for concurrent use.
package errs

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of failure an error is, in the words that the edges map from.
type Kind string

// The kinds, with the HTTP status that package web answers each with.
const (
	Malformed       Kind = "malformed"        // 400: the request cannot be read at all
	Unauthenticated Kind = "unauthenticated"  // 401: no token, or one that does not hold
	Denied          Kind = "denied"           // 403: scope, domain or owner
	NotFound        Kind = "not_found"        // 404
	NotAllowed      Kind = "method"           // 405: the path exists, the method does not
	Conflict        Kind = "conflict"         // 409: the state forbids it
	TooLarge        Kind = "too_large"        // 413
	Unsupported     Kind = "unsupported_type" // 415: a content type that is not read
	Invalid         Kind = "invalid"          // 422: a field is missing or wrong
	Limited         Kind = "limited"          // 429: too often; RetryAfter says when
	Internal        Kind = "internal"         // 500: our fault; the cause is in the log
	Upstream        Kind = "upstream"         // 502: a service that we asked answered wrongly
	Unavailable     Kind = "unavailable"      // 503: the store, the hub or a service is down
	Timeout         Kind = "timeout"          // 504: a service that we asked did not answer in time
)

// Field names one wrong field of a request and what to do about it.
type Field struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Error is an error with a kind and one sentence for the caller.
type Error struct {
	Kind       Kind
	Detail     string        // shown to the caller: says what to do next, holds no secret
	Fields     []Field       // only with Invalid
	RetryAfter time.Duration // only with Limited and Unavailable; 0 means unknown
	Err        error         // the cause, for the log only; may be nil
}

// Error returns the detail and the cause, for logs; callers are shown Detail alone.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Detail + ": " + e.Err.Error()
	}
	return e.Detail
}

// Unwrap returns the cause, so that errors.Is and errors.As see it.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error of the kind whose detail is formatted like fmt.Sprintf.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// Wrap returns an error of the kind with a cause that is kept for the log.
// A nil cause gives nil, so that `return errs.Wrap(…, err, …)` is safe.
func Wrap(kind Kind, cause error, format string, args ...any) error {
	if cause == nil {
		return nil
	}
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...), Err: cause}
}

// Missing returns an Invalid error that names one absent field.
func Missing(field string) *Error {
	return BadField(field, "is required")
}

// BadField returns an Invalid error that names one wrong field; detail completes "<field> …".
func BadField(field, format string, args ...any) *Error {
	d := fmt.Sprintf(format, args...)
	return &Error{Kind: Invalid, Detail: field + " " + d, Fields: []Field{{Field: field, Detail: d}}}
}

// Limit returns a Limited error that names when to try again.
func Limit(after time.Duration, format string, args ...any) *Error {
	e := New(Limited, format, args...)
	e.RetryAfter = after
	return e
}

// KindOf returns the kind of the first Error in the chain, Internal for any other error
// and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of the kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
