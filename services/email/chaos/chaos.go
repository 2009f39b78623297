// Package chaos makes mail fail on purpose, for people who test how their programs take it: a rule names for whom, at which
// stage, and how. Nothing fails that no rule names, so one program is tested without hurting another.
//
// # Stages and effects
//
//	tls      the handshake (STARTTLS or from the first byte); the pattern is the server name that the peer asks for. Fails.
//	auth     sign-in; the pattern is the user's address. Reply, delay, drop or rate.
//	mail     MAIL FROM; the pattern is the sender's address. Reply, delay, drop or rate.
//	rcpt     RCPT TO; the pattern is the recipient's address. Reply, delay, drop, rate or greylist.
//	data     after the message came, before it is stored; the pattern is any recipient's address. Reply, delay or drop.
//	deliver  what becomes of a message later. To an address here: it is delivered and, after the delay, a bounce goes to its sender.
//	         To an address elsewhere: the delivery is simulated with the reply, also a good one, and nothing leaves this host.
//
// A pattern is an address, a domain, "*.domain" or "*". Of several rules the first made that matches and strikes, by its
// probability, decides. rate is a true token bucket, of the rule and the peer's address: so many a minute pass, then 421 until the
// next is free. greylist refuses the first attempt of a sender to a recipient and takes the ones after the delay.
//
// Every refusal stands among the refusals with the rule "chaos" and the number of ours. It is no part of spam filtering or of the
// policy: those are package spam and smtpd/policy.
//
// A Chaos is safe for concurrent use. Rules are read from the store when one changes and every few seconds, so that a second
// process on the same store follows.
package chaos

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/smtpd"
)

// The stages of a rule.
const (
	StageTLS     = "tls"
	StageAuth    = "auth"
	StageMail    = "mail"
	StageRcpt    = "rcpt"
	StageData    = "data"
	StageDeliver = "deliver"
)

// The effects of a rule.
const (
	EffectReply    = "reply"
	EffectDelay    = "delay"
	EffectDrop     = "drop"
	EffectRate     = "rate"
	EffectGreylist = "greylist"
	EffectFail     = "fail" // of TLS
)

// The bounds of rules.
const (
	MaxRules     = 100
	MaxDelay     = 20 * time.Second // that a peer is kept waiting: below what a command may take
	MaxLater     = 24 * time.Hour   // of a bounce, and of the greylist
	maxGreylist  = 10_000           // pairs that are remembered
	maxBuckets   = 10_000
	refreshEvery = 5 * time.Second
)

// Rule is one way to fail.
type Rule struct {
	ID          int64
	Pattern     string // in lower case
	Stage       string
	Effect      string
	Code        int    // of EffectReply: 400 to 599, at StageDeliver also 250
	Enhanced    string // "" is x.0.0
	Text        string // "" is a standard sentence
	Delay       time.Duration
	PerMinute   int // of EffectRate
	Probability int // in percent, 1 to 100
	Enabled     bool
	Note        string
	Hits        int64 // how often it struck
	LastHit     time.Time
	Created     time.Time
}

// matches reports whether a rule is meant for an address or a host name.
func (r Rule) matches(subject string) bool {
	subject = strings.ToLower(subject)
	if r.Pattern == "*" || r.Pattern == subject {
		return true
	}
	domain := subject
	if i := strings.LastIndexByte(subject, '@'); i >= 0 {
		domain = subject[i+1:]
	}
	if rest, ok := strings.CutPrefix(r.Pattern, "*."); ok {
		return strings.HasSuffix(domain, "."+rest)
	}
	return !strings.Contains(r.Pattern, "@") && r.Pattern == domain
}

// reply is what a peer hears of a rule that refuses.
func (r Rule) reply(code int, enhanced, text string) *smtpd.Reply {
	if r.Text != "" {
		text = r.Text
	}
	if r.Enhanced != "" {
		enhanced = r.Enhanced
	}
	return &smtpd.Reply{Code: code, Enhanced: enhanced, Text: text, Rule: "chaos", Detail: "chaos rule " + itoa(r.ID) + " for " + r.Pattern + " at " + r.Stage}
}

// Store keeps the rules.
type Store interface {
	web.Transactor[Tx]
	// ChaosRules returns all rules, the first made first.
	ChaosRules(ctx context.Context) ([]Rule, error)
}

// Tx changes the rules.
type Tx interface {
	Now() time.Time
	ChaosRule(id int64) (Rule, error)
	// AddChaosRule stores a rule and returns it with its id; errs.Conflict where there are MaxRules.
	AddChaosRule(r Rule) (Rule, error)
	SaveChaosRule(r Rule) error
	RemoveChaosRule(id int64) error
	// HitChaosRule adds to how often a rule struck.
	HitChaosRule(id, hits int64, last time.Time) error
}

// Options is all that a Chaos needs. Store, Log and Now are required.
type Options struct {
	Store  Store
	Log    *slog.Logger
	Now    func() time.Time
	Random func() float64                            // from 0 to 1; nil is random
	Sleep  func(context.Context, time.Duration) bool // false when ctx ended first; nil waits
}

// Chaos strikes by the rules. Make one with New.
type Chaos struct {
	o Options

	mu      sync.Mutex
	rules   []Rule
	hits    map[int64]int64     // not written yet
	last    map[int64]time.Time // of them
	buckets map[bucket]*rate.Limiter
	seen    map[[2]string]time.Time // of the greylist: when a pair of sender and recipient came first
}

type bucket struct {
	rule int64
	peer netip.Addr
}

// New returns a chaos without rules; Run and Refresh read them.
func New(o Options) *Chaos {
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	return &Chaos{o: o, hits: map[int64]int64{}, last: map[int64]time.Time{}, buckets: map[bucket]*rate.Limiter{}, seen: map[[2]string]time.Time{}}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Refresh reads the rules.
func (c *Chaos) Refresh(ctx context.Context) error {
	rules, err := c.o.Store.ChaosRules(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rules = rules
	return nil
}

// Run keeps the rules fresh and writes down how often they struck, until ctx ends.
func (c *Chaos) Run(ctx context.Context) error {
	for {
		if err := c.Refresh(ctx); err != nil && ctx.Err() == nil {
			c.o.Log.Warn("chaos: the rules cannot be read", "err", err.Error())
		}
		more := c.o.Sleep(ctx, refreshEvery)
		c.flush(context.WithoutCancel(ctx))
		if !more {
			return nil
		}
	}
}

// flush writes down how often rules struck.
func (c *Chaos) flush(ctx context.Context) {
	c.mu.Lock()
	hits, last := c.hits, c.last
	c.hits, c.last = map[int64]int64{}, map[int64]time.Time{}
	c.mu.Unlock()
	if len(hits) == 0 {
		return
	}
	err := c.o.Store.Update(ctx, nil, func(tx Tx) error {
		for id, n := range hits {
			if err := tx.HitChaosRule(id, n, last[id]); err != nil && !errs.Is(err, errs.NotFound) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		c.o.Log.Warn("chaos: counts were lost", "err", err.Error())
	}
}

// strike returns the first rule of a stage that is meant for one of the subjects and strikes now.
func (c *Chaos) strike(stage string, subjects ...string) (Rule, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.rules {
		if !r.Enabled || r.Stage != stage {
			continue
		}
		for _, s := range subjects {
			if !r.matches(s) {
				continue
			}
			if r.Probability < 100 && c.o.Random()*100 >= float64(r.Probability) {
				break
			}
			c.hits[r.ID]++
			c.last[r.ID] = c.o.Now()
			return r, true
		}
	}
	return Rule{}, false
}

// meant reports whether a rule of a stage is meant for a subject, whatever its probability.
func (c *Chaos) meant(stage, subject string) (Rule, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.rules {
		if r.Enabled && r.Stage == stage && r.matches(subject) {
			return r, true
		}
	}
	return Rule{}, false
}

// act does what a rule says to a peer: nil lets the command go on.
func (c *Chaos) act(ctx context.Context, r Rule, s smtpd.Session, to string) error {
	c.o.Log.Info("chaos strikes", "rule", r.ID, "stage", r.Stage, "effect", r.Effect, "pattern", r.Pattern, "peer", s.RemoteIP.String())
	if r.Delay > 0 && r.Effect != EffectGreylist && !c.o.Sleep(ctx, min(r.Delay, MaxDelay)) {
		return errs.Wrap(errs.Unavailable, ctx.Err(), "the wait took too long")
	}
	switch r.Effect {
	case EffectReply:
		class := itoa(int64(r.Code / 100))
		return r.reply(r.Code, class+".0.0", "Refused by a chaos rule")
	case EffectDrop:
		reply := r.reply(421, "4.3.0", "The connection is dropped by a chaos rule")
		reply.HangUp = true
		return reply
	case EffectRate:
		if wait := c.wait(r, s.RemoteIP); wait > 0 {
			return r.reply(421, "4.7.0", "Too many messages: try again in "+itoa(int64(wait.Seconds())+1)+" seconds")
		}
	case EffectGreylist:
		if wait := c.grey(r, s.ReversePath, to); wait > 0 {
			return r.reply(451, "4.7.1", "You are new here: try again in "+itoa(int64(wait.Seconds())+1)+" seconds")
		}
	}
	return nil
}

// wait takes a token of the rule's bucket for a peer and returns how long it is until there is one.
func (c *Chaos) wait(r Rule, peer netip.Addr) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := bucket{r.ID, peer}
	b := c.buckets[at]
	want := rate.Limit(float64(r.PerMinute) / 60)
	if b == nil || b.Limit() != want {
		if len(c.buckets) >= maxBuckets {
			clear(c.buckets)
		}
		b = rate.NewLimiter(want, max(r.PerMinute, 1))
		c.buckets[at] = b
	}
	now := c.o.Now()
	res := b.ReserveN(now, 1)
	wait := res.DelayFrom(now)
	if wait > 0 {
		res.CancelAt(now)
	}
	return wait
}

// grey returns how long a pair of sender and recipient has to wait.
func (c *Chaos) grey(r Rule, from, to string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	pair, now := [2]string{strings.ToLower(from), strings.ToLower(to)}, c.o.Now()
	first, ok := c.seen[pair]
	if !ok || now.Before(first) || now.Sub(first) > MaxLater {
		if len(c.seen) >= maxGreylist {
			clear(c.seen)
		}
		c.seen[pair], first = now, now
		return max(r.Delay, time.Second)
	}
	return first.Add(r.Delay).Sub(now)
}
