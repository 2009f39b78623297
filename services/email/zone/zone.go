// Package zone is what belongs in the DNS for the mail domain: which records to publish, whether they are there, and what to
// do where they are not. It also has the keys of outgoing mail under its care (GET /api/dkim, POST /api/dkim/rotate) and
// publishes the domain's own MTA-STS policy when that is switched on (RFC 8461).
//
// It changes no DNS, signs nothing (package signer does) and enforces nothing. A check asks the resolver that the mail checks
// use, all records at the same time, within ten seconds; a DNS that does not answer makes a record "unknown", never wrong.
//
// A Zone is safe for concurrent use. Run activates new keys once they are published and removes old ones.
package zone

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"time"

	"uniqverse/services/email/mtasts"
	"uniqverse/services/email/signer"
)

// Resolver answers the look-ups; *dnsclient.Client is one. Errors are *net.DNSError: IsNotFound, or temporary.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// Keys are the keys of outgoing mail; *signer.Signer is one.
type Keys interface {
	// Records returns what the DNS must say for the signatures to hold.
	Records() ([]signer.Record, error)
	// Rotate makes a new pair that waits for its records, unless there is one.
	Rotate() error
	// Activate signs with the pair that waits; errs.Conflict without one.
	Activate() error
	// Reminder says what should be done about the keys; "" is nothing.
	Reminder() (string, error)
	// Tidy activates a pair that is published and removes old ones; it says what it did.
	Tidy(ctx context.Context, published func(context.Context, signer.Record) bool) (string, error)
}

// Options is all that a Zone needs. Domain, Keys, Resolver, Log and Now are required.
type Options struct {
	Domain   string // the mail domain in ASCII, which is also the name that this server gives itself
	Keys     Keys
	Resolver Resolver
	Policy   mtasts.Mode // of our own MTA-STS policy; None or "" publishes none
	Log      *slog.Logger
	Now      func() time.Time
}

// Zone is the guide. Make one with New.
type Zone struct{ Options }

// ReportUser is the local part of the address that DMARC reports about our domain go to.
const ReportUser = "dmarc-reports"

// tlsUser is the local part of the address that reports about TLS with our hosts go to.
const tlsUser = "tls-reports"

// policyAge is how long our policy holds: long enough to be of use, short enough to mend a mistake.
const policyAge = 7 * 24 * time.Hour

// tidyEvery is how often keys are looked after.
const tidyEvery = 10 * time.Minute

// New returns a zone; it asks nobody yet.
func New(o Options) (*Zone, error) {
	if o.Domain == "" || o.Keys == nil || o.Resolver == nil || o.Log == nil || o.Now == nil {
		return nil, errors.New("zone: Domain, Keys, Resolver, Log and Now are required")
	}
	return &Zone{o}, nil
}

// policy is our own MTA-STS policy, and the id of its record: another text has another one. ok is false when there is none.
func (z *Zone) policy() (p mtasts.Policy, ok bool) {
	if z.Policy != mtasts.Testing && z.Policy != mtasts.Enforce {
		return p, false
	}
	p = mtasts.Policy{Mode: z.Policy, MX: []string{z.Domain, "*." + z.Domain}, MaxAge: policyAge}
	sum := sha256.Sum256([]byte(p.Text()))
	p.ID = hex.EncodeToString(sum[:8])
	return p, true
}

// Run looks after the keys until ctx ends.
func (z *Zone) Run(ctx context.Context) error {
	var reminded time.Time
	t := time.NewTicker(tidyEvery)
	defer t.Stop()
	for {
		if did, err := z.Keys.Tidy(ctx, z.published); err != nil {
			z.Log.Error("the DKIM keys cannot be looked after", "err", err.Error())
		} else if did != "" {
			z.Log.Info(did)
		}
		if now := z.Now(); now.Sub(reminded) >= 24*time.Hour || now.Before(reminded) {
			if what, err := z.Keys.Reminder(); err == nil && what != "" {
				z.Log.Warn(what)
			}
			reminded = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// published reports whether a key's record is in the DNS as it should be.
func (z *Zone) published(ctx context.Context, r signer.Record) bool {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := z.Resolver.LookupTXT(ctx, r.Name)
	return err == nil && len(found) == 1 && sameKey(found[0], r.Value)
}
