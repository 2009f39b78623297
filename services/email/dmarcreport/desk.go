package dmarcreport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
)

// The bounds of a message that is looked at for a report.
const (
	maxMessage = 5 << 20
	maxFiles   = 20
	waiting    = 16 // messages that wait to be read; more are left in the mailbox unread
)

// Users are the mailboxes that reports about our domain go to.
func Users() []string { return []string{"dmarc-reports", "tls-reports"} }

// Store is what reports are kept in.
type Store interface {
	web.Transactor[mailbox.Tx]

	// AddReport keeps a report, unless it is known; of more than MaxReports it forgets the oldest.
	AddReport(ctx context.Context, r Report) (added bool, err error)
	// DMARCReports returns a page of reports with their rows, newest first.
	DMARCReports(ctx context.Context, p web.Paging) ([]Report, error)
	// DMARCDays sums up the days since then, oldest first.
	DMARCDays(ctx context.Context, since time.Time) ([]Day, error)
	Counts
}

// MaxReports is how many reports are kept.
const MaxReports = 5000

// Day is what reports say of a day.
type Day struct {
	Day              time.Time // its beginning
	Messages, Passed int64
}

// Options is all that a Desk needs. Store, Domain, Log and Now are required.
type Options struct {
	Store  Store
	Domain string // ours, in ASCII
	Send   bool   // count what arrives and report it to its domains
	// Mailboxes makes the mailboxes of Users at start: needed where one is not made by the first mail.
	Mailboxes bool
	// Resolver answers whether somebody agrees to get reports; required with Send.
	Resolver Resolver
	// Deliver hands a report to the mail service, as a user's submission; required with Send.
	Deliver func(ctx context.Context, env *smtpd.Envelope, msg *smtpd.Message) error
	Log     *slog.Logger
	Now     func() time.Time
}

// Desk reads and writes reports. Make one with New.
type Desk struct {
	Options
	letters chan []byte
	counter counter
}

// New returns a desk; it does nothing yet.
func New(o Options) (*Desk, error) {
	if o.Store == nil || o.Domain == "" || o.Log == nil || o.Now == nil || o.Send && (o.Resolver == nil || o.Deliver == nil) {
		return nil, errors.New("dmarcreport: Store, Domain, Log and Now are required, and Resolver and Deliver with Send")
	}
	return &Desk{Options: o, letters: make(chan []byte, waiting), counter: counter{seen: map[Key]int64{}}}, nil
}

// Before returns the backend with the desk before it.
func (d *Desk) Before(b smtpd.Backend) smtpd.Backend { return before{b, d} }

type before struct {
	smtpd.Backend
	d *Desk
}

// Deliver implements smtpd.Backend.
func (b before) Deliver(ctx context.Context, env *smtpd.Envelope, msg *smtpd.Message) error {
	var letter []byte
	if b.d.isReport(env) && msg.Size <= maxMessage {
		letter, _ = msg.Bytes() // what cannot be read here fails below, too
		letter = bytes.Clone(letter)
	}
	if err := b.Backend.Deliver(ctx, env, msg); err != nil {
		return err
	}
	if letter != nil {
		select {
		case b.d.letters <- letter:
		default:
			b.d.Log.Warn("too many DMARC reports at once; one stays in the mailbox unread", "from", env.ReversePath)
		}
	}
	if b.d.Send && env.User == "" && !env.Loopback {
		b.d.counter.add(b.d.Now(), env)
	}
	return nil
}

// isReport reports whether a message may be a report: it goes to the mailbox for them, and somebody vouches for its sender.
func (d *Desk) isReport(env *smtpd.Envelope) bool {
	if env.Auth.DMARC != senderauth.Pass && !env.Loopback {
		return false
	}
	return slices.ContainsFunc(env.Recipients, func(to string) bool {
		local, domain := mailbox.Split(to)
		return strings.EqualFold(local, Users()[0]) && strings.EqualFold(domain, d.Domain)
	})
}

// Run reads and writes until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	if d.Mailboxes {
		if err := d.makeMailboxes(ctx); err != nil && ctx.Err() == nil {
			d.Log.Error("the mailboxes for DMARC and TLS reports could not be made", "err", err.Error())
		}
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			d.flush(context.WithoutCancel(ctx))
			return nil
		case letter := <-d.letters:
			d.read(ctx, letter)
		case <-tick.C:
			if d.Send {
				d.flush(ctx)
				d.report(ctx)
			}
		}
	}
}

func (d *Desk) makeMailboxes(ctx context.Context) error {
	return d.Store.Update(ctx, nil, func(tx mailbox.Tx) error {
		for _, u := range Users() {
			if _, _, err := tx.EnsureMailbox(u, mailbox.MadeByProvision); err != nil {
				return err
			}
		}
		return nil
	})
}

// read keeps the reports that a message carries.
func (d *Desk) read(ctx context.Context, letter []byte) {
	tree, err := mime.Scan(bytes.NewReader(letter))
	if err != nil {
		return
	}
	src, seen := bytes.NewReader(letter), 0
	for i := range tree.Parts {
		p := &tree.Parts[i]
		if p.IsMultipart() || strings.HasPrefix(p.Type, "text/") && p.Type != "text/xml" {
			continue
		}
		if seen++; seen > maxFiles {
			return
		}
		file, err := io.ReadAll(io.LimitReader(p.Body(src), maxMessage))
		if err != nil {
			continue
		}
		text, err := Unpack(file)
		if err == nil {
			var r Report
			if r, err = Parse(text); err == nil && r.Domain != d.Domain && !strings.HasSuffix(r.Domain, "."+d.Domain) {
				err = errors.New("it is about " + r.Domain)
			}
			if err == nil {
				r.Received = d.Now()
				_, err = d.Store.AddReport(ctx, r)
			}
		}
		if err != nil && ctx.Err() == nil {
			d.Log.Warn("a DMARC report could not be read", "file", p.Name, "err", err.Error())
		}
	}
}
