package smtpd

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"

	"uniqverse/internal/errs"
)

// Reply is an error that says exactly what the peer is answered. Text is one line of ASCII
// without secrets; the cause, if any, goes to the log alone.
type Reply struct {
	Code     int    // 400 to 599
	Enhanced string // RFC 3463, for example "5.1.1"; its class fits the code
	Text     string
	Err      error

	Rule   string // the rule that refuses, one word such as dmarc or quota, for who looks it up; "" for none
	Detail string // the finding behind it, for the journal and not for the peer; "" for none

	HangUp bool // the connection is closed, and the peer hears nothing
}

// Error returns the reply as it is sent, and the cause.
func (r *Reply) Error() string {
	s := fmt.Sprintf("%d %s %s", r.Code, r.Enhanced, r.Text)
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (r *Reply) Unwrap() error { return r.Err }

// UnknownUser is the answer for an address at our domain that nobody has.
func UnknownUser() *Reply {
	return &Reply{Code: 550, Enhanced: "5.1.1", Text: "No such user here; check the address", Rule: "unknown_user"}
}

// RelayDenied is the answer for a recipient elsewhere.
func RelayDenied() *Reply {
	return &Reply{Code: 550, Enhanced: "5.7.1", Text: "Relaying denied: the recipient is not at this host", Rule: "relay"}
}

// QuotaExceeded is the answer for a mailbox that is full; the peer tries again later.
func QuotaExceeded() *Reply {
	return &Reply{Code: 452, Enhanced: "4.2.2", Text: "The mailbox is full; try again later", Rule: "quota"}
}

// StorageFull is the answer when the disk is: temporary, the peer keeps the message.
func StorageFull(cause error) *Reply {
	return &Reply{Code: 452, Enhanced: "4.3.1", Text: "Not enough storage now; try again later", Err: cause, Rule: "unavailable"}
}

// Unavailable is the answer when we fail: temporary, the peer keeps the message.
func Unavailable(cause error) *Reply {
	return &Reply{Code: 451, Enhanced: "4.3.0", Text: "The service is not available now; try again later", Err: cause, Rule: "unavailable"}
}

// Closing is the answer when we are on our way out: temporary, and the connection closes.
func Closing(cause error) *Reply {
	r := shuttingDown()
	r.Err, r.Rule = cause, "unavailable"
	return r
}

// replyFor turns an error of the Backend into what the peer is told. The rule that matters:
// what we do not know is temporary, and its text is ours, so that neither a mail nor a
// secret is lost to a message of the database.
func replyFor(err error) *Reply {
	var r *Reply
	if errors.As(err, &r) {
		if r.Code < 400 || r.Code > 599 {
			return Unavailable(err)
		}
		return &Reply{Code: r.Code, Enhanced: r.Enhanced, Text: oneLine(r.Text), Err: err, Rule: r.Rule, Detail: oneLine(r.Detail), HangUp: r.HangUp}
	}
	if diskFull(err) {
		return StorageFull(err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return Unavailable(err)
	}
	var e *errs.Error
	if !errors.As(err, &e) {
		return Unavailable(err)
	}
	out := &Reply{Text: oneLine(e.Detail), Err: err}
	switch e.Kind {
	case errs.NotFound:
		out.Code, out.Enhanced = 550, "5.1.1"
	case errs.Denied:
		out.Code, out.Enhanced = 550, "5.7.1"
	case errs.Unauthenticated:
		out.Code, out.Enhanced = 530, "5.7.0"
	case errs.Malformed, errs.Invalid, errs.Unsupported:
		out.Code, out.Enhanced = 550, "5.6.0"
	case errs.TooLarge:
		out.Code, out.Enhanced = 552, "5.3.4"
	case errs.Limited:
		out.Code, out.Enhanced = 451, "4.7.1"
	case errs.Conflict:
		out.Code, out.Enhanced = 450, "4.2.0"
	default:
		return Unavailable(err)
	}
	return out
}

// diskFull recognises a full disk; Windows has a number of its own for it.
func diskFull(err error) bool {
	const errorDiskFull = syscall.Errno(112)
	return errors.Is(err, syscall.ENOSPC) || (runtime.GOOS == "windows" && errors.Is(err, errorDiskFull))
}

// oneLine makes text fit for a reply: printable ASCII, at most 400 bytes. A text with line
// breaks could otherwise add replies of its own.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, s)
	if len(s) > 400 {
		s = s[:400]
	}
	return strings.TrimSpace(s)
}
