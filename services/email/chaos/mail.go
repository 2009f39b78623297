package chaos

import (
	"context"
	"crypto/tls"
	"errors"
	"strconv"
	"time"

	"uniqverse/services/email/queue"
	"uniqverse/smtpd"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// Backend stands before the one that takes mail and lets the rules strike first.
type Backend struct {
	smtpd.Backend
	chaos *Chaos
}

// Before returns a backend that asks the rules before next.
func (c *Chaos) Before(next smtpd.Backend) *Backend { return &Backend{next, c} }

// Authenticate implements smtpd.Backend.
func (b *Backend) Authenticate(ctx context.Context, s smtpd.Session, user, password string) (string, error) {
	if r, ok := b.chaos.strike(StageAuth, user); ok {
		if err := b.chaos.act(ctx, r, s, ""); err != nil {
			return "", err
		}
	}
	return b.Backend.Authenticate(ctx, s, user, password)
}

// CheckSender implements smtpd.Backend.
func (b *Backend) CheckSender(ctx context.Context, s smtpd.Session, from string) error {
	if r, ok := b.chaos.strike(StageMail, from); ok {
		if err := b.chaos.act(ctx, r, s, ""); err != nil {
			return err
		}
	}
	return b.Backend.CheckSender(ctx, s, from)
}

// CheckRecipient implements smtpd.Backend.
func (b *Backend) CheckRecipient(ctx context.Context, s smtpd.Session, to string) error {
	if r, ok := b.chaos.strike(StageRcpt, to); ok {
		if err := b.chaos.act(ctx, r, s, to); err != nil {
			return err
		}
	}
	return b.Backend.CheckRecipient(ctx, s, to)
}

// Deliver implements smtpd.Backend.
func (b *Backend) Deliver(ctx context.Context, env *smtpd.Envelope, msg *smtpd.Message) error {
	if r, ok := b.chaos.strike(StageData, env.Recipients...); ok {
		if err := b.chaos.act(ctx, r, smtpd.Session{RemoteIP: env.RemoteIP, ReversePath: env.ReversePath}, ""); err != nil {
			return err
		}
	}
	return b.Backend.Deliver(ctx, env, msg)
}

// errTLS is why a handshake fails; the peer sees an alert.
var errTLS = errors.New("a chaos rule makes TLS fail")

// TLS returns a copy of a configuration whose handshakes fail where a rule says so.
func (c *Chaos) TLS(keys *tls.Config) *tls.Config {
	out := keys.Clone()
	inner := keys.GetConfigForClient
	out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if _, ok := c.strike(StageTLS, hello.ServerName); ok {
			return nil, errTLS
		}
		if inner != nil {
			return inner(hello)
		}
		return nil, nil
	}
	return out
}

// Simulates reports whether deliveries to the address are simulated, and how long they wait: they are then tried although mail to
// other hosts is held, and nothing leaves.
func (c *Chaos) Simulates(recipient string) (after time.Duration, ok bool) {
	r, ok := c.meant(StageDeliver, recipient)
	return r.Delay, ok
}

// Bounces returns after which time a message that was delivered to the address here is reported as failed to its sender, and
// whether it is.
func (c *Chaos) Bounces(recipient string) (after time.Duration, ok bool) {
	r, ok := c.strike(StageDeliver, recipient)
	return r.Delay, ok && r.Code >= 400
}

// Around makes attempts as rules say, or leaves them to next; see Deliver.
func (c *Chaos) Around(next queue.Deliverer) queue.Deliverer { return deliverer{c, next} }

type deliverer struct {
	chaos *Chaos
	next  queue.Deliverer
}

// Deliver implements queue.Deliverer.
func (d deliverer) Deliver(ctx context.Context, job queue.Job) queue.Result {
	return d.chaos.Deliver(ctx, job, d.next)
}

// Deliver makes an attempt: as a rule says, or by next where none is meant. An entry that is in the queue for chaos alone never gets
// to next.
func (c *Chaos) Deliver(ctx context.Context, job queue.Job, next queue.Deliverer) queue.Result {
	why, to := job.Entry.Reason, job.Entry.Recipient
	only := why == queue.Simulated || why == queue.BouncesLater
	r, ok := c.meant(StageDeliver, to)
	switch {
	case !ok && only:
		return queue.Result{Verdict: queue.Temporary, Reply: "451 4.3.0 the chaos rule that simulates this delivery is gone", Host: "chaos"}
	case !ok:
		return next.Deliver(ctx, job)
	case why != queue.BouncesLater: // whose rule struck when the message came
		if _, struck := c.strike(StageDeliver, to); !struck && !only {
			return next.Deliver(ctx, job)
		} else if !struck {
			r.Code, r.Enhanced, r.Text = 250, "", ""
		}
	}
	enhanced, text := r.Enhanced, r.Text
	if enhanced == "" {
		enhanced = itoa(int64(r.Code/100)) + ".0.0"
	}
	if text == "" {
		text = "simulated by a chaos rule; nothing was sent"
	}
	out := queue.Result{Reply: strconv.Itoa(r.Code) + " " + enhanced + " " + text, Host: "chaos", Verdict: queue.Permanent}
	switch r.Code / 100 {
	case 2:
		out.Verdict = queue.Delivered
	case 4:
		out.Verdict = queue.Temporary
	}
	return out
}
