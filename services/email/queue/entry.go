package queue

import (
	"time"

	"uniqverse/internal/errs"
)

// State is where an entry stands. See the package comment.
type State string

// The states of an entry.
const (
	Queued  State = "queued"
	Held    State = "held"
	Sending State = "sending"
	Sent    State = "sent"
	Bounced State = "bounced"
	Dropped State = "dropped"
)

// States returns every state, the ones that wait first.
func States() []State { return []State{Queued, Held, Sending, Sent, Bounced, Dropped} }

// HeldBySetting is the Reason of entries that are held because the installation sends nothing by itself.
const HeldBySetting = "this installation sends nothing to other hosts by itself (EMAIL_OUTBOUND); release it to send it"

// HeldByPerson is the Reason of entries that an administrator holds.
const HeldByPerson = "held by an administrator"

// Entry is one message on its way to one recipient.
type Entry struct {
	ID          int64
	QueueID     string // of the message: its recipients share it
	RawID       int64  // the stored message
	MessageID   int64  // the sender's copy, 0 for none
	User        string // local part of the sender's mailbox, which reports go to
	ReversePath string // "" is the null sender: nothing is reported
	Recipient   string // the domain in ASCII
	Domain      string // of the recipient, in lower case and ASCII

	State      State
	Reason     string // why it is held; "" otherwise
	Attempts   int    // begun so far
	NextAt     time.Time
	LeaseUntil time.Time // zero unless sending
	Delayed    bool      // the sender was told that it takes longer
	LastReply  string    // of the last attempt, one line; "" before the first
	Host       string    // that was talked to last, "" for none
	Created    time.Time
	Updated    time.Time
}

// Verdict is how an attempt ended.
type Verdict int

// The verdicts of an attempt.
const (
	Temporary   Verdict = iota // try again later
	Delivered                  // the next host said 250
	Permanent                  // it never will
	Interrupted                // we stopped in the middle
)

// Result is what an attempt came to.
type Result struct {
	Verdict    Verdict
	Reply      string // one line: "550 5.1.1 No such user", or what went wrong on our side
	Host       string // "mx.example.org [192.0.2.1]"; "" when none was reached
	BadMailbox bool   // the next host says that there is no such mailbox: it is not tried again for other messages
}

// Outcome is what a result means to the sender.
type Outcome int

// The outcomes of an attempt.
const (
	Waits   Outcome = iota // nothing to tell
	Arrived                // mail.sent
	Late                   // a report that it takes longer
	Failed                 // mail.bounced, and a report
)

// interval is how long an entry waits after each attempt that failed for now; after the last it is given up.
func interval() []time.Duration {
	return []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
		4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour}
}

// lateAfter is the attempt after which the sender hears that delivery takes longer.
const lateAfter = 5

// MaxAttempts is how often an entry is tried before it is given up.
func MaxAttempts() int { return len(interval()) + 1 }

// Wait returns how long to wait after the attempt with this number (from 1), and false when it was the last. jitter,
// from 0 to 1, spreads entries that failed together over a fifth of the time.
func Wait(attempt int, jitter float64) (time.Duration, bool) {
	all := interval()
	if attempt > len(all) {
		return 0, false
	}
	d := all[max(attempt, 1)-1]
	return d - d/10 + time.Duration(jitter*float64(d)/5), true
}

// Finish returns the entry after an attempt, and what the sender has to be told.
func (e Entry) Finish(r Result, now time.Time, jitter float64) (Entry, Outcome) {
	e.LeaseUntil, e.Updated = time.Time{}, now
	if r.Verdict != Interrupted || r.Reply != "" {
		e.LastReply, e.Host = r.Reply, r.Host
	}
	switch r.Verdict {
	case Delivered:
		e.State = Sent
		return e, Arrived
	case Permanent:
		e.State = Bounced
		return e, Failed
	case Interrupted:
		e.State, e.NextAt = Queued, now
		return e, Waits
	}
	wait, again := Wait(e.Attempts, jitter)
	if !again {
		e.State = Bounced
		e.LastReply = "given up after " + count(e.Attempts, "attempt") + "; the last reply was: " + e.LastReply
		return e, Failed
	}
	e.State, e.NextAt = Queued, now.Add(wait)
	if e.Attempts >= lateAfter && !e.Delayed {
		e.Delayed = true
		return e, Late
	}
	return e, Waits
}

// Action is what a person does with an entry.
type Action string

// The actions of a person.
const (
	Release Action = "release" // send what is held
	Retry   Action = "retry"   // do not wait for the next attempt; a bounced one begins anew
	Hold    Action = "hold"
	Drop    Action = "drop"
)

// Act returns the entry after an action, or errs.Conflict where its state forbids it.
func (e Entry) Act(a Action, now time.Time) (Entry, error) {
	allowed := false
	switch a {
	case Release:
		allowed = e.State == Held
	case Retry:
		allowed = e.State == Queued || e.State == Bounced
	case Hold:
		allowed = e.State == Queued
	case Drop:
		allowed = e.State == Queued || e.State == Held
	}
	switch {
	case e.State == Sending:
		return e, errs.New(errs.Conflict, "this mail is being sent right now; try again in a minute")
	case !allowed:
		return e, errs.New(errs.Conflict, "this mail is %s, and %s is not for such mail", e.State, a)
	}
	e.Updated, e.Reason = now, ""
	switch a {
	case Hold:
		e.State, e.Reason = Held, HeldByPerson
	case Drop:
		e.State = Dropped
	default:
		if e.State == Bounced {
			e.Attempts, e.Delayed = 0, false
		}
		e.State, e.NextAt = Queued, now
	}
	return e, nil
}

// Can reports whether the action is for an entry of this state.
func (e Entry) Can(a Action) bool {
	_, err := e.Act(a, e.Updated)
	return err == nil
}
