// Package refusals keeps a week of the mail that was not taken, with the rule that refused it and the finding
// behind it, so that nobody has to guess why a message did not come.
//
// It is a diary and not a promise: what is told while more than maxWaiting refusals wait to be written is
// dropped and counted, and what waits when the process is killed is lost. It keeps Keep long, and no more than
// MostKept rows. Who may read a row: whoever it concerns, which is the mailbox that missed the
// message or the user whose submission was refused, and administrators of mail.
//
// A Journal is safe for concurrent use; Refused never waits.
package refusals

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/smtpd"
)

// What is kept.
const (
	Keep     = 7 * 24 * time.Hour
	MostKept = 100_000
)

const (
	maxWaiting = 1024             // refusals that are not written yet
	maxBatch   = 256              // in one transaction
	maxPeople  = 10               // mailboxes that one recipient is looked up for
	pause      = time.Second      // between two batches, so that a flood of refusals is a trickle of writes
	mostPause  = 10 * time.Second // between two tries to write one while the store cannot be written
	sweepEvery = time.Hour
)

// Refusal is a row: one message, refused for one recipient.
type Refusal struct {
	ID        int64
	At        time.Time
	Mailbox   string // local part of whom it concerns; "" for nobody here
	Sender    string // reverse-path in lower case; "" is the null sender
	Recipient string // in lower case; "" when none was named yet
	Mode      string // of the listener
	Peer      string // IP address
	HELO      string
	User      string // local part of who had signed in; "" for nobody
	Verb      string // MAIL, RCPT or DATA
	Message   string // id of the message; "" before its content came
	Code      int
	Enhanced  string
	Text      string // what the peer was told
	Rule      string // one word; "" for none
	Detail    string // the finding behind it; "" for none
}

// Filter chooses rows. "" chooses all.
type Filter struct {
	web.Paging
	Mailbox string // that it concerns
	Address string // of the sender or the recipient, in lower case
	Rule    string
}

// Store keeps the rows.
type Store interface {
	// AddRefusals writes the rows durably.
	AddRefusals(ctx context.Context, rows []Refusal) error
	// Refusals returns a page, newest first.
	Refusals(ctx context.Context, f Filter) ([]Refusal, error)
	// SweepRefusals removes rows from before a time, and of the others the oldest beyond most.
	SweepRefusals(ctx context.Context, before time.Time, most int) (int64, error)
	// Greylisted returns who was put off since a time and has not come again, the last first, most of them at most.
	Greylisted(ctx context.Context, since time.Time, most int) ([]Waiting, error)
	// GreylistRelease lets the next attempt in at once; errs.NotFound when nobody waits so.
	GreylistRelease(ctx context.Context, w Waiting) error
}

// Options is all that a Journal needs; everything is required.
type Options struct {
	Store Store
	// Owners returns the local parts of the mailboxes that an address of this installation leads to; none
	// for any other.
	Owners func(ctx context.Context, address string) ([]string, error)
	// Named reads the user that a request names and returns its local part; errs.Denied for another domain.
	Named   func(user string) (local string, err error)
	Domain  string // the mail domain
	Log     *slog.Logger
	Now     func() time.Time
	Metrics *metrics.Set
}

// Journal hears of refusals and writes them. Make one with New.
type Journal struct {
	Options
	told    chan smtpd.Refusal
	kept    *metrics.Counter
	dropped *metrics.Counter
}

var _ smtpd.Journal = (*Journal)(nil)

// New returns a journal; nothing is written before Run.
func New(o Options) (*Journal, error) {
	if o.Store == nil || o.Owners == nil || o.Named == nil || o.Domain == "" || o.Log == nil || o.Now == nil || o.Metrics == nil {
		return nil, errors.New("refusals: Store, Owners, Named, Domain, Log, Now and Metrics are required")
	}
	return &Journal{Options: o, told: make(chan smtpd.Refusal, maxWaiting),
		kept:    o.Metrics.GetOrCreateCounter(`uniqverse_mail_refusals_total{result="kept"}`),
		dropped: o.Metrics.GetOrCreateCounter(`uniqverse_mail_refusals_total{result="dropped"}`)}, nil
}

// Refused takes a refusal, or drops it when too many wait.
func (j *Journal) Refused(r smtpd.Refusal) {
	select {
	case j.told <- r:
	default:
		j.dropped.Inc()
	}
}

// Run writes what is told and forgets what is old, until ctx ends; then it writes what waits.
func (j *Journal) Run(ctx context.Context) error {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	j.sweep(ctx)
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			for len(j.told) > 0 && end.Err() == nil {
				j.write(end, j.batch(<-j.told))
			}
			return nil
		case <-sweep.C:
			j.sweep(ctx)
		case first := <-j.told:
			j.write(ctx, j.batch(first))
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

// batch takes what else waits.
func (j *Journal) batch(first smtpd.Refusal) []smtpd.Refusal {
	all := []smtpd.Refusal{first}
	for len(all) < maxBatch {
		select {
		case r := <-j.told:
			all = append(all, r)
		default:
			return all
		}
	}
	return all
}

func (j *Journal) write(ctx context.Context, told []smtpd.Refusal) {
	var rows []Refusal
	for _, r := range told {
		rows = append(rows, j.rows(ctx, r)...)
	}
	for len(rows) > 0 {
		n := min(len(rows), maxBatch)
		if err := j.add(ctx, rows[:n]); err != nil {
			j.dropped.Add(len(rows))
			j.Log.Warn("refused mail could not be noted", "rows", len(rows), "err", err.Error())
			return
		}
		j.kept.Add(n)
		rows = rows[n:]
	}
}

// add stores rows, also when the store cannot be written for a while: that is when mail is put off.
func (j *Journal) add(ctx context.Context, rows []Refusal) error {
	for wait := pause; ; wait = min(2*wait, mostPause) {
		err := j.Store.AddRefusals(ctx, rows)
		if !errs.Is(err, errs.Unavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// rows is a refusal as it is kept: a row for each mailbox that it concerns.
func (j *Journal) rows(ctx context.Context, r smtpd.Refusal) []Refusal {
	s := r.Session
	row := Refusal{At: r.At, Sender: strings.ToLower(r.From), Mode: s.Mode.String(), Peer: s.RemoteIP.String(), HELO: line(s.HELO, 255), Verb: r.Verb, Message: r.ID,
		Code: r.Reply.Code, Enhanced: r.Reply.Enhanced, Text: line(r.Reply.Text, 400), Rule: r.Reply.Rule, Detail: line(r.Reply.Detail, 1000)}
	if s.User != "" { // whose mail was not taken: theirs to know, not the recipients'
		row.User, _, _ = strings.Cut(s.User, "@")
		row.Mailbox = row.User
	}
	if len(r.To) == 0 {
		return []Refusal{row}
	}
	var rows []Refusal
	for _, to := range r.To {
		row.Recipient = strings.ToLower(to)
		if s.User != "" {
			rows = append(rows, row)
			continue
		}
		owners, err := j.Owners(ctx, to)
		if err != nil || len(owners) == 0 {
			owners = []string{""} // nobody's here, or not known now: administrators can still find it
		}
		for _, o := range owners[:min(len(owners), maxPeople)] {
			row.Mailbox = o
			rows = append(rows, row)
		}
	}
	return rows
}

func (j *Journal) sweep(ctx context.Context) {
	if _, err := j.Store.SweepRefusals(ctx, j.Now().Add(-Keep), MostKept); err != nil && ctx.Err() == nil {
		j.Log.Warn("old refusals could not be removed", "err", err.Error())
	}
}

// line makes text from outside one line of at most max bytes.
func line(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > max {
		s = strings.ToValidUTF8(s[:max], "")
	}
	return s
}
