// Package webhooks tells other programs of mail: that it came, that it was delivered, that it bounced. Each event is posted to the
// webhooks of its mailbox, and to those of all mailboxes.
//
// A delivery is a row that is written in the transaction of what it tells of: nothing that was committed is left out, and nothing is
// told that was not. How deliveries are signed, sent, repeated and given up, and where they may go, is package webhook;
// each attempt is kept for a week, and any delivery can be sent again by hand.
//
// A Service is safe for concurrent use.
package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/reach"
	"uniqverse/internal/web"
	"uniqverse/internal/webhook"
)

// How many webhooks there may be.
const (
	MaxOfUser = 10
	MaxOfAll  = 50 // of all mailboxes
)

// Types are the types of events that webhooks are told of.
func Types() []string {
	return []string{event.MailReceived, event.MailSent, event.MailBounced}
}

// Webhook is an address that is told of mail.
type Webhook struct {
	ID        int64    `json:"id"`
	User      string   `json:"user"` // local part of the mailbox; "" for all
	URL       string   `json:"url"`
	Events    []string `json:"events"` // the types that it is told of; empty for all
	CreatedAt api.Time `json:"created_at"`
	Enabled   bool     `json:"enabled"`
	Reason    string   `json:"reason,omitempty"` // why it is not enabled

	Failures     int      `json:"failures"`      // in a row
	FailingSince api.Time `json:"failing_since"` // null while the last delivery succeeded

	Secret    string    `json:"-"`
	WaitUntil time.Time `json:"-"` // nothing is sent before
}

// Delivery is one event on its way to one webhook.
type Delivery struct {
	ID        int64             `json:"id"`
	Webhook   int64             `json:"webhook_id"`
	MessageID string            `json:"message_id"` // the header webhook-id
	Type      string            `json:"type"`
	State     string            `json:"state"` // waiting, delivered or dropped
	DueAt     api.Time          `json:"due_at"`
	CreatedAt api.Time          `json:"created_at"`
	DoneAt    api.Time          `json:"done_at"` // null while it waits
	Attempts  []webhook.Attempt `json:"attempts"`

	Tries int    `json:"-"` // attempts so far
	Body  string `json:"-"`
}

// Store is what webhooks ask of the store. Rows that do not exist are errs.NotFound.
type Store interface {
	web.Transactor[Tx]
	Webhook(ctx context.Context, id int64) (Webhook, error)
	// Webhooks returns the webhooks of a mailbox ("" for those of all), the newest first.
	Webhooks(ctx context.Context, user string, page web.Paging, most int) ([]Webhook, error)
	// Enabled returns all webhooks that are enabled.
	Enabled(ctx context.Context) ([]Webhook, error)
	// Waits returns how many deliveries of a webhook wait.
	Waits(ctx context.Context, webhook int64) (int, error)
	// Due returns the first waiting deliveries of a webhook whose time has come.
	Due(ctx context.Context, webhook int64, now time.Time, most int) ([]Delivery, error)
	// Deliveries returns a webhook's deliveries with their attempts, the newest first.
	Deliveries(ctx context.Context, webhook int64, page web.Paging, most int) ([]Delivery, error)
}

// Tx changes webhooks inside one transaction.
type Tx interface {
	Now() time.Time
	CountWebhooks(user string) (int, error)
	Webhook(id int64) (Webhook, error)
	AddWebhook(w Webhook) (int64, error)
	SaveWebhook(w Webhook) error
	// DropWebhook removes a webhook with its deliveries.
	DropWebhook(id int64) error
	// Attempted stores an attempt and what came of it.
	Attempted(d Delivery, a webhook.Attempt) error
	// Delivery returns a delivery of a webhook.
	Delivery(webhook, id int64) (Delivery, error)
	// Again makes a delivery wait, due at once, and its webhook with it.
	Again(d Delivery) error
	// Forget removes deliveries that were done before the time, at most most, and returns how many.
	Forget(before time.Time, most int) (int, error)
}

// Options make a Service; all are required.
type Options struct {
	Store   Store
	Hub     hub.Hub
	Targets reach.Targets
	// Named returns the local part of the mailbox that a request names; another domain is errs.Denied.
	Named func(user string) (string, error)
	Log   *slog.Logger
	Now   func() time.Time
}

// Service is the webhooks of mail. Make one with New.
type Service struct {
	Options
	sender *webhook.Sender
}

// New returns a service whose deliveries wait for Run.
func New(o Options) (*Service, error) {
	if o.Store == nil || o.Hub == nil || o.Targets == "" || o.Named == nil || o.Log == nil || o.Now == nil {
		return nil, errors.New("webhooks: every option is required")
	}
	s := &Service{Options: o}
	s.sender = webhook.New(webhook.Options{Source: source{s}, Hub: o.Hub, Stream: event.StreamMail, Targets: o.Targets, Log: o.Log, Now: o.Now})
	return s, nil
}

// Run sends what waits, until ctx ends.
func (s *Service) Run(ctx context.Context) error { return s.sender.Run(ctx) }

// source is the webhooks as their sender sees them.
type source struct{ *Service }

var _ webhook.Source = source{}

// Hooks implements webhook.Source.
func (s source) Hooks(ctx context.Context) (out []webhook.Hook, err error) {
	all, err := s.Store.Enabled(ctx)
	for _, w := range all {
		out = append(out, webhook.Hook{ID: w.ID, URL: w.URL, Secret: w.Secret, WaitUntil: w.WaitUntil})
	}
	return out, err
}

// Due implements webhook.Source.
func (s source) Due(ctx context.Context, hook int64, now time.Time, most int) (out []webhook.Delivery, err error) {
	ds, err := s.Store.Due(ctx, hook, now, most)
	for _, d := range ds {
		out = append(out, webhook.Delivery{ID: d.ID, Hook: d.Webhook, MessageID: d.MessageID, Body: d.Body, Tries: d.Tries})
	}
	return out, err
}

// Waits implements webhook.Source.
func (s source) Waits(ctx context.Context, hook int64) (int, error) { return s.Store.Waits(ctx, hook) }

// Attempted implements webhook.Source.
func (s source) Attempted(ctx context.Context, sent webhook.Delivery, a webhook.Attempt) (off string, err error) {
	err = s.Store.Update(ctx, nil, func(tx Tx) error {
		w, err := tx.Webhook(sent.Hook)
		if errs.Is(err, errs.NotFound) { // removed meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		d, err := tx.Delivery(sent.Hook, sent.ID)
		if err != nil {
			return err
		}
		var o webhook.Outcome
		o, off = webhook.Settle(webhook.Health{Failures: w.Failures, FailingSince: w.FailingSince, WaitUntil: w.WaitUntil}, d.DueAt, a, tx.Now())
		d.Tries, d.State, d.DueAt, d.DoneAt = a.N, o.State, o.DueAt, o.DoneAt
		w.Failures, w.FailingSince, w.WaitUntil = o.Failures, o.FailingSince, o.WaitUntil
		if err := tx.Attempted(d, a); err != nil {
			return err
		}
		return tx.SaveWebhook(w)
	})
	return off, err
}

// SwitchOff implements webhook.Source; the page and the API say why.
func (s source) SwitchOff(ctx context.Context, id int64, why string) error {
	s.Log.Warn("webhooks: one is switched off", "webhook", id, "why", why)
	return s.Store.Update(ctx, nil, func(tx Tx) error {
		w, err := tx.Webhook(id)
		if err != nil {
			return err
		}
		w.Enabled, w.Reason = false, why
		return tx.SaveWebhook(w)
	})
}

// Forget implements webhook.Source.
func (s source) Forget(ctx context.Context, before time.Time, most int) (n int, err error) {
	err = s.Store.Update(ctx, nil, func(tx Tx) (err error) {
		n, err = tx.Forget(before, most)
		return err
	})
	return n, err
}
