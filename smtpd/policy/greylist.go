package policy

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
)

// What the greylist lives by.
const (
	Delay      = time.Minute         // a first attempt is put off so long
	RetryTime  = 24 * time.Hour      // within which it has to be made again; later it is a first one
	TrustTime  = 35 * 24 * time.Hour // who passed is let in without delay for so long after the last mail
	trustAgain = 24 * time.Hour      // how often the date of the last mail is written at most
	mostKept   = 200_000             // rows
	sweepEvery = 10 * time.Minute
)

// GreylistStore keeps what was seen. Its methods are durable when they return, and may be called from several
// processes at the same time.
type GreylistStore interface {
	// GreylistMeet notes an attempt under each key and returns when each was first seen: now for one that was
	// not, or whose last attempt is before since.
	GreylistMeet(ctx context.Context, keys []string, now, since time.Time) (first []time.Time, err error)
	// GreylistTrusts reports whether one of the keys was trusted at since or later.
	GreylistTrusts(ctx context.Context, keys []string, since time.Time) (bool, error)
	// GreylistTrust notes that the keys are trusted now.
	GreylistTrust(ctx context.Context, keys []string, now time.Time) error
	// GreylistSweep forgets attempts that were last made before tried, who was last seen before trusted, and of the
	// rest the longest unseen beyond most.
	GreylistSweep(ctx context.Context, tried, trusted time.Time, most int) error
}

// Greylist puts off the first attempt of senders that nobody knows: programs that send spam seldom try again, mail
// servers do. What it goes by is the peer's network (a /24, or a /64 in IPv6), the reverse-path and the
// recipient. It asks after the message has come, when DMARC has said who it is from: a domain whose
// mail passed DMARC here before is let in from everywhere, and a network that has passed is let in with everything.
type Greylist struct {
	Store GreylistStore
	Now   func() time.Time
	Log   *slog.Logger
}

// Run forgets what is old, until ctx ends.
func (g *Greylist) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		now := g.Now()
		if err := g.Store.GreylistSweep(ctx, now.Add(-RetryTime), now.Add(-TrustTime), mostKept); err != nil && ctx.Err() == nil {
			g.Log.Warn("the greylist could not be swept", "err", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// wait returns how long the message has to wait, 0 for not at all.
func (g *Greylist) wait(ctx context.Context, env *smtpd.Envelope) (time.Duration, error) {
	if env.Loopback || !env.RemoteIP.IsValid() {
		return 0, nil
	}
	now := g.Now()
	known, err := g.Store.GreylistTrusts(ctx, trustKeys(env), now.Add(-TrustTime))
	if err != nil || known {
		return 0, err
	}
	network := networkOf(env.RemoteIP)
	keys := make([]string, 0, len(env.Recipients))
	for _, to := range env.Recipients {
		keys = append(keys, "try "+network+" "+strings.ToLower(env.ReversePath)+" "+strings.ToLower(to))
	}
	first, err := g.Store.GreylistMeet(ctx, keys, now, now.Add(-RetryTime))
	var longest time.Duration
	for _, t := range first {
		// A first attempt in the future is one from before the clock was set back: it has waited.
		if age := now.Sub(t); age >= 0 && Delay-age > longest {
			longest = Delay - age
		}
	}
	return longest, err
}

// passed remembers whom a delivered message came from.
func (g *Greylist) passed(ctx context.Context, env *smtpd.Envelope) error {
	if env.Loopback || !env.RemoteIP.IsValid() {
		return nil
	}
	now := g.Now()
	var stale []string
	for _, key := range trustKeys(env) {
		fresh, err := g.Store.GreylistTrusts(ctx, []string{key}, now.Add(-trustAgain))
		if err != nil {
			return err
		}
		if !fresh {
			stale = append(stale, key)
		}
	}
	if len(stale) == 0 {
		return nil
	}
	return g.Store.GreylistTrust(ctx, stale, now)
}

// trustKeys are what a message may be known by.
func trustKeys(env *smtpd.Envelope) []string {
	keys := []string{"net " + networkOf(env.RemoteIP)}
	if env.Auth.DMARC == senderauth.Pass {
		keys = append(keys, "domain "+env.Auth.Author.From)
	}
	return keys
}

func networkOf(ip netip.Addr) string {
	bits := 24
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ip.String()
	}
	return p.String()
}
