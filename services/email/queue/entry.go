package queue

import (
	"slices"
	"strings"
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

// The Reasons of entries that are here for package chaos alone, and must never leave this host.
const (
	Simulated    = "a chaos rule simulates this delivery; nothing is sent"
	BouncesLater = "a chaos rule reports this message as failed"
)

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

	Notify     string    // what the sender wants reports of (RFC 3461): "" for failure and delay, NEVER, or a list of SUCCESS, FAILURE, DELAY
	ORCPT      string    // the recipient as the sender first wrote it, type;address, decoded; "" when that is Recipient
	Return     string    // FULL or HDRS: how much of the message a report brings back; "" leaves it to us
	EnvelopeID string    // of the sender, for reports; "" for none
	RequireTLS bool      // no host may get it that is not verified and does not promise the same (RFC 8689)
	NotBefore  time.Time // zero unless it was scheduled

	State      State
	Reason     string    // why it is held; "" otherwise
	Since      time.Time // when it began to wait for delivery: enqueued, released, or its scheduled time
	Attempts   int       // begun so far
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
	TLS        string // "TLS 1.3, verified", "TLS 1.2"; "" when the host got the message without, or none
	BadMailbox bool   // the next host says that there is no such mailbox: it is not tried again for other messages
	// NoAnswer says that no host was reached at all, so that there is no use in trying other mail of the domain just now;
	// with Everything, none of any domain: it was the host that takes all our mail.
	NoAnswer, Everything bool
	Relayed              bool // delivered to a host that sends no reports of success (RFC 3461): we have to
}

// Outcome is what a result means to the sender.
type Outcome int

// The outcomes of an attempt.
const (
	Waits   Outcome = iota // nothing to tell
	Arrived                // mail.sent
	Late                   // a report that it takes longer
	Failed                 // mail.bounced, and a report
	Relayed                // mail.sent, and a report that it left for a host that will send none
)

// interval is how long an entry waits after each attempt that failed for now; after the last it is given up.
func interval() []time.Duration {
	return []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
		4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour}
}

// The sender hears that delivery takes longer after the fifth attempt, not quite two hours in, or after two hours.
const (
	lateAfter = 5
	lateTime  = 2 * time.Hour
)

// MaxAge is how long an entry waits for delivery before it is given up, however few attempts its domain allowed.
const MaxAge = 5 * 24 * time.Hour

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
		if r.Relayed && e.Wants("SUCCESS") {
			return e, Relayed
		}
		return e, Arrived
	case Permanent:
		e.State = Bounced
		return e, Failed
	case Interrupted:
		e.State, e.NextAt = Queued, now
		return e, Waits
	}
	wait, again := Wait(e.Attempts, jitter)
	if !again || e.Expired(now) {
		e.State = Bounced
		e.LastReply = "given up after " + count(e.Attempts, "attempt") + "; the last reply was: " + e.LastReply
		return e, Failed
	}
	e.State, e.NextAt = Queued, now.Add(wait)
	if (e.Attempts >= lateAfter || !e.Since.IsZero() && now.Sub(e.Since) >= lateTime) && !e.Delayed {
		e.Delayed = true
		return e, Late
	}
	return e, Waits
}

// Expired reports whether the entry waited as long as it may.
func (e Entry) Expired(now time.Time) bool { return !e.Since.IsZero() && now.Sub(e.Since) >= MaxAge }

// Wants reports whether the sender wants a report of SUCCESS, FAILURE or DELAY.
func (e Entry) Wants(what string) bool {
	if e.Notify == "" {
		return what != "SUCCESS"
	}
	return slices.Contains(strings.Split(e.Notify, ","), what)
}

// Waiting reports whether the entry still waits for the time that its sender chose, so that they can take it back.
func (e Entry) Waiting(now time.Time) bool {
	return (e.State == Queued || e.State == Held) && e.Attempts == 0 && e.NotBefore.After(now)
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
		if e.State != Queued { // it begins to wait now
			e.Since, e.Delayed = now, false
		}
		if e.State == Bounced {
			e.Attempts = 0
		}
		e.State, e.NextAt = Queued, now
		if e.NotBefore.After(now) && a == Release {
			e.NextAt, e.Since = e.NotBefore, e.NotBefore
		}
	}
	return e, nil
}

// Redirect returns a waiting entry on its way to another address, which is as Split returns it. Reports name the
// recipient that its sender wrote.
func (e Entry) Redirect(local, domain string, now time.Time) (Entry, error) {
	released := e
	var err error
	if e.State == Held {
		released, err = e.Act(Release, now)
	} else {
		released, err = e.Act(Retry, now)
	}
	if err != nil {
		return e, err
	}
	if released.ORCPT == "" {
		released.ORCPT = "rfc822;" + e.Recipient
		if !ascii(e.Recipient) {
			released.ORCPT = "utf-8;" + e.Recipient
		}
	}
	released.Recipient, released.Domain, released.Attempts = local+"@"+domain, domain, 0
	return released, nil
}

// Can reports whether the action is for an entry of this state.
func (e Entry) Can(a Action) bool {
	_, err := e.Act(a, e.Updated)
	return err == nil
}
