// Package push tells mail programs of changes at an address that they name (RFC 8620 section 7.2), encrypted for the device when it
// gives a key (RFC 8291).
//
// Nothing but one code goes to an address before whoever reads it has brought that code back. Then it is told which states
// changed, never what; what was told last is kept, so that nothing is missed over a restart, and changes that come while an
// address does not answer are told together. An address that says that it is gone (404, 410), or that does not answer for hours, is
// forgotten, and so is one whose password or session has ended. Where it may lie is decided by package reach, as for webhooks.
//
// A subscription belongs to the person and, when it was made with an app password, to that password. Whether a credential
// has ended is asked of the request that made the subscription, or changed it last: after a restart nobody remembers it, and
// a subscription ends with its time, a week at most.
//
// Push is safe for concurrent use.
package push

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/reach"
	"uniqverse/services/email/jmap/account"
)

// The bounds of push subscriptions.
const (
	Life       = 7 * 24 * time.Hour // at most; a client renews in time
	maxOf      = 20                 // of one mailbox
	maxNew     = 40                 // of one mailbox in an hour: each sends a request to an address
	maxURL     = 2000
	maxDevice  = 255
	maxTypes   = 50
	maxKey     = 200
	within     = 10 * time.Second // for an answer
	atOnce     = 8                // addresses that are told
	settle     = 250 * time.Millisecond
	maxTries   = 13 // in a row, over about five hours
	longestGap = time.Hour
)

// Subscription is an address that is told of changes.
type Subscription struct {
	ID           string
	MailboxID    int64
	User         string // local part of the mailbox
	Credential   string // names the app password that it was made with; "" for sessions and tokens
	Device       string
	URL          string
	P256DH, Auth []byte // empty for none
	Code         string
	Verified     bool
	Expires      time.Time
	Types        []string // nil for all
	Told         map[string]string
}

// Store keeps subscriptions; each change is one durable transaction.
type Store interface {
	PushSubscriptions(ctx context.Context) ([]Subscription, error)
	AddPush(ctx context.Context, s Subscription) error
	// SavePush writes Verified, Expires and Types; errs.NotFound when it is gone.
	SavePush(ctx context.Context, s Subscription) error
	ToldPush(ctx context.Context, id string, states map[string]string) error
	RemovePush(ctx context.Context, id string) error
}

// Options make a Push; all are required.
type Options struct {
	Store    Store
	Accounts *account.Accounts
	// States returns the state of each type of a mailbox.
	States  func(ctx context.Context, mailbox int64) (map[string]string, error)
	Hub     hub.Hub
	Targets reach.Targets // where addresses may lie
	Log     *slog.Logger
	Now     func() time.Time
}

// live is a subscription while the program runs.
type live struct {
	Subscription
	still func(context.Context) error // nil when nobody knows
	sent  bool                        // the code was
	dirty bool                        // something may have changed
	busy  bool
	tries int // that failed, in a row
	after time.Time
}

// Push is the push subscriptions. Make one with New.
type Push struct {
	Options
	client sender
	kick   chan struct{}

	mu     sync.Mutex // guards what follows
	loaded bool
	all    map[string]*live
	fresh  map[int64][]time.Time // when a mailbox made some
}

// New returns push subscriptions that are told while Run runs.
func New(o Options) *Push {
	return &Push{Options: o, client: sender{o.Targets.Client(within)}, kick: make(chan struct{}, 1), all: map[string]*live{}, fresh: map[int64][]time.Time{}}
}

// load reads what is kept, once.
func (p *Push) load(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loaded {
		return nil
	}
	list, err := p.Store.PushSubscriptions(ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		p.all[s.ID] = &live{Subscription: s, dirty: true}
	}
	p.loaded = true
	return nil
}

func (p *Push) look() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// Run tells of changes until ctx ends.
func (p *Push) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { p.listen(ctx) })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	complained := false
	for {
		if err := p.load(ctx); err == nil {
			p.round(ctx, &running)
		} else if !complained && ctx.Err() == nil {
			p.Log.Error("push subscriptions cannot be read; it is tried again every second", "err", err.Error())
			complained = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-p.kick:
		}
	}
}

// listen notes whose mail changes. The states are the truth, the hub is the hint.
func (p *Push) listen(ctx context.Context) {
	for ctx.Err() == nil {
		sub, err := p.Hub.Subscribe(ctx, event.StreamMail, nil)
		p.changed("") // whatever happened before
		for err == nil {
			var m hub.Message
			if m, err = sub.Next(ctx); err == nil && m.Event.User != "" {
				p.changed(m.Event.User)
			}
		}
		if sub != nil {
			sub.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(settle):
		}
	}
}

// changed notes that something of a user may have changed; "" for everybody.
func (p *Push) changed(user string) {
	p.mu.Lock()
	found := false
	for _, l := range p.all {
		if user == "" || l.User == user {
			if !l.dirty && l.after.Before(p.Now()) {
				l.after = p.Now().Add(settle) // what comes together is told together
			}
			l.dirty, found = true, found || !l.dirty
		}
	}
	p.mu.Unlock()
	if found {
		time.AfterFunc(settle+10*time.Millisecond, p.look)
	}
}

// round begins with what is due.
func (p *Push) round(ctx context.Context, running *sync.WaitGroup) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, busy := p.Now(), 0
	for _, l := range p.all {
		if l.busy {
			busy++
		}
	}
	for _, l := range p.all {
		ended := !l.Expires.After(now)
		due := l.Verified && l.dirty || !l.Verified && !l.sent
		if l.busy || busy >= atOnce || !ended && (!due || l.after.After(now)) {
			continue
		}
		l.busy = true
		busy++
		was := *l
		l.dirty = false
		running.Go(func() { p.serve(ctx, was) })
	}
}

// gone says that a subscription has to be forgotten, and why.
type gone struct{ why string }

func (g gone) Error() string { return g.why }

// serve tells one subscription what there is to tell, once.
func (p *Push) serve(ctx context.Context, was live) {
	told, wait, err := p.tell(ctx, was)
	var end gone
	if errors.As(err, &end) {
		if err := p.Store.RemovePush(ctx, was.ID); err == nil || errs.Is(err, errs.NotFound) {
			p.Log.Info("a push subscription has ended", "user", was.User, "why", end.why)
			p.forget(was.ID)
			return
		}
	}
	if told != nil && err == nil {
		err = p.Store.ToldPush(ctx, was.ID, told)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.all[was.ID]
	if l == nil {
		return
	}
	l.busy = false
	if err != nil {
		if ctx.Err() != nil {
			return
		}
		l.dirty = true
		l.tries++
		l.after = p.Now().Add(max(wait, min(longestGap, 5*time.Second<<min(l.tries-1, 10))))
		return
	}
	l.tries, l.sent = 0, true
	if told != nil {
		l.Told = told
	}
	if l.dirty || !was.Verified && l.Verified {
		defer p.look()
	}
}

func (p *Push) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, id)
}

// tell sends the code, or the states that changed, which it returns; nil when there was nothing to tell. wait is how long the
// address asks to be left alone.
func (p *Push) tell(ctx context.Context, was live) (told map[string]string, wait time.Duration, err error) {
	switch {
	case !was.Expires.After(p.Now()):
		return nil, 0, gone{"its time is over"}
	case was.tries >= maxTries:
		return nil, 0, gone{"the address has not answered for hours"}
	case was.still != nil && errs.Is(was.still(ctx), errs.Unauthenticated):
		return nil, 0, gone{"the credential that it was made with has ended"}
	}
	what := map[string]any{"@type": "PushVerification", "pushSubscriptionId": was.ID, "verificationCode": was.Code}
	if was.Verified {
		now, err := p.States(ctx, was.MailboxID)
		if errs.Is(err, errs.NotFound) {
			return nil, 0, gone{"the mailbox is gone"}
		}
		if err != nil {
			return nil, 0, err
		}
		changed := changedOf(was.Told, now, was.Types)
		if len(changed) == 0 {
			return nil, 0, nil
		}
		told = now
		what = map[string]any{"@type": "StateChange", "changed": map[string]any{account.ID(account.PrefixAccount, was.MailboxID): changed}}
	}
	status, wait, err := p.client.do(outgoing{ctx: ctx, to: was.Subscription, what: what})
	switch {
	case err != nil:
		return nil, wait, err
	case status == 404 || status == 410:
		return nil, 0, gone{"the address says that it is gone"}
	case status < 200 || status > 299:
		return nil, wait, errors.New("the address refuses")
	}
	return told, 0, nil
}

// changedOf returns the states that are others than those told, of the wanted types.
func changedOf(told, now map[string]string, types []string) map[string]string {
	out := map[string]string{}
	for name, state := range now {
		if told[name] != state && (types == nil || slices.Contains(types, name)) {
			out[name] = state
		}
	}
	return out
}
