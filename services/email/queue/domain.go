package queue

import (
	"context"
	"strings"
	"time"

	"uniqverse/internal/errs"
)

// AllDomains is the name under which everything that leaves this host is paused, or backed off when the host that takes
// all our mail does not answer.
const AllDomains = "*"

// Domain is what is known of a domain that is paused or whose hosts do not answer.
type Domain struct {
	Name      string    // in lower case and ASCII, or AllDomains
	Paused    time.Time // when a person paused it; zero for not
	Reason    string    // why it is paused
	Failures  int       // in a row, of all its hosts to answer
	RetryAt   time.Time // until then nothing is tried; zero for nothing
	LastReply string    // of the last failure
	Updated   time.Time
}

// Blocked reports whether nothing is tried for the domain now.
func (d Domain) Blocked(now time.Time) bool { return !d.Paused.IsZero() || d.RetryAt.After(now) }

// backOff returns how long a domain is left alone after so many failures: 5, 10, 20, 40 minutes, then an hour.
func backOff(failures int) time.Duration {
	return min(5*time.Minute<<min(failures-1, 4), time.Hour)
}

// advanceMost is how many entries are due again at once when a domain answers again or is resumed; the others are due at
// the end of the time for which they were put off, an hour at most.
const advanceMost = 5000

// learn writes what an attempt says of its domain. was is the entry as it was claimed.
func learn[T Tx](tx T, was Entry, r Result) error {
	name := was.Domain
	switch {
	case r.Verdict == Interrupted:
		return nil
	case r.NoAnswer && r.Everything:
		name = AllDomains
	}
	d, err := tx.DomainState(name)
	if err != nil {
		return err
	}
	if !r.NoAnswer {
		if d.Failures == 0 {
			return nil
		}
		d.Failures, d.RetryAt, d.LastReply, d.Updated = 0, time.Time{}, "", tx.Now()
		if err := tx.SaveDomain(d); err != nil {
			return err
		}
		if !d.Paused.IsZero() {
			return nil
		}
		return tx.Advance(name, advanceMost)
	}
	if d.Failures > 0 && !was.Updated.After(d.Updated) {
		return nil // it began before the last failure was known: the same trouble
	}
	d.Failures, d.LastReply, d.Updated = d.Failures+1, r.Reply, tx.Now()
	d.RetryAt = d.Updated.Add(backOff(d.Failures))
	return tx.SaveDomain(d)
}

// only returns the one domain that is tried while nothing leaves this host; "" is any.
func (q *Queue[T]) only(ctx context.Context, now time.Time) (string, error) {
	all, err := q.Store.DomainState(ctx, AllDomains)
	if err != nil || !all.Blocked(now) {
		return "", err
	}
	if q.Home == "" {
		return AllDomains, nil // which no entry is for
	}
	return q.Home, nil
}

// Rule lets mail out although everything is held.
type Rule struct {
	ID       int64
	Pattern  string // an address, a domain, or "*." and a domain for all below it
	Redirect string // the address that gets it instead; "" is its recipient
	Created  time.Time
}

// MaxRules is how many rules there may be.
const MaxRules = 200

// matches reports whether a rule is for a recipient, which is as Address returns it.
func (r Rule) matches(recipient string) bool {
	_, domain, _ := strings.Cut(recipient, "@")
	if i := strings.LastIndexByte(recipient, '@'); i >= 0 {
		domain = recipient[i+1:]
	}
	if below, ok := strings.CutPrefix(r.Pattern, "*."); ok {
		return strings.HasSuffix(domain, "."+below)
	}
	return r.Pattern == recipient || r.Pattern == domain
}

// normalPattern returns a rule's pattern as it is kept, or errs.Invalid.
func normalPattern(p string) (string, error) {
	wrong := errs.BadField("pattern", "must be an address (ann@example.org), a domain (example.org), or *. and a domain for all below it")
	if strings.Contains(p, "@") {
		if _, _, err := Split(p); err != nil {
			return "", wrong
		}
		return Address(p), nil
	}
	below, star := strings.CutPrefix(p, "*.")
	_, domain, err := Split("x@" + below)
	if err != nil {
		return "", wrong
	}
	if star {
		domain = "*." + domain
	}
	return domain, nil
}

// Admit adds an entry: to be sent when its time has come, or held where this installation sends nothing by itself and no
// rule lets the entry out; never to another host what Catch takes. Of e, what an enqueued entry is known by is set; see Entry.
func (q *Queue[T]) Admit(tx T, e Entry) (int64, error) {
	now := tx.Now()
	e.State, e.NextAt, e.Since = Queued, now, now
	if e.NotBefore.After(now) {
		e.NextAt, e.Since = e.NotBefore, e.NotBefore
	}
	if e.Domain == q.Home && q.Home != "" {
		return tx.Enqueue(e)
	}
	if q.Catch != nil {
		local, err := q.Catch(tx, e)
		if err != nil {
			return 0, err
		}
		if local != "" {
			if e, err = e.Redirect(local, q.Home, e.NextAt); err != nil {
				return 0, err
			}
			return tx.Enqueue(e)
		}
	}
	if !q.HoldAll {
		return tx.Enqueue(e)
	}
	rules, err := tx.Rules()
	if err != nil {
		return 0, err
	}
	address := Address(e.Recipient)
	for _, r := range rules {
		if !r.matches(address) {
			continue
		}
		if r.Redirect != "" {
			local, domain, err := Split(r.Redirect)
			if err != nil {
				return 0, err
			}
			if e, err = e.Redirect(local, domain, e.NextAt); err != nil {
				return 0, err
			}
		}
		return tx.Enqueue(e)
	}
	e.State, e.Reason = Held, HeldBySetting
	return tx.Enqueue(e)
}
