// Package webhook sends what waits for outgoing webhooks, signed after Standard Webhooks (https://www.standardwebhooks.com, version 1),
// and where it goes is guarded by package reach. The services that have webhooks say what waits, and keep it: they are the Source.
//
// # What is promised
//
// A delivery is sent until the other side answers 2xx, so a kill between that answer and its being written down sends it
// again: the header webhook-id is the same, by which a receiver knows a repeat. A webhook's deliveries are sent one at a
// time in the order of the Source; one that failed comes later, between others. It is repeated with growing pauses, nine
// times in two days, and then dropped. A webhook to which nothing could be delivered for three days, that answers 410, or for
// which too much waits, is switched off.
//
// # Where it sends
//
// Webhooks are addresses that users choose, so a connection goes to no host but a public one (package reach) unless Targets
// allow: what a name resolves to is checked when it is dialled, redirects are not followed, proxies not asked, and nothing
// of an answer but its status is shown to anybody.
//
// It knows no events and holds no rows. A Sender is safe for concurrent use.
package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/reach"
)

// MaxWaiting is how many deliveries of one webhook may wait.
const MaxWaiting = 10_000

const (
	keptFor = 7 * 24 * time.Hour
	failFor = 3 * 24 * time.Hour
)

// The states of a delivery.
const (
	Waiting   = "waiting"
	Delivered = "delivered"
	Dropped   = "dropped"
)

// Hook is an address that is sent to.
type Hook struct {
	ID        int64
	URL       string
	Secret    string
	WaitUntil time.Time // nothing is sent before
}

// Delivery is one message on its way to one webhook.
type Delivery struct {
	ID        int64
	Hook      int64
	MessageID string // the header webhook-id
	Body      string
	Tries     int // attempts so far
}

// Attempt is one try to deliver.
type Attempt struct {
	N      int      `json:"n"`
	At     api.Time `json:"at"`
	Status int      `json:"status"` // that was answered; 0 for no answer
	MS     int64    `json:"ms"`
	Error  string   `json:"error,omitempty"`
}

// Health is how a webhook did of late; the zero Health is that of one whose last delivery succeeded.
type Health struct {
	Failures     int // in a row
	FailingSince api.Time
	WaitUntil    time.Time
}

// Outcome is what became of a delivery and its webhook.
type Outcome struct {
	State  string
	DueAt  api.Time
	DoneAt api.Time // 0 while it waits
	Health
}

// Source is what a Sender asks of the service whose webhooks it sends to.
type Source interface {
	// Hooks returns the webhooks that are enabled. What happened until now is among what is Due when it returns.
	Hooks(ctx context.Context) ([]Hook, error)
	// Due returns the first waiting deliveries of a webhook whose time has come, in the order of the events.
	Due(ctx context.Context, hook int64, now time.Time, most int) ([]Delivery, error)
	// Waits returns how many deliveries of a webhook wait.
	Waits(ctx context.Context, hook int64) (int, error)
	// Attempted writes down an attempt and what Settle makes of it; a webhook that was removed meanwhile is no error.
	Attempted(ctx context.Context, d Delivery, a Attempt) (off string, err error)
	// SwitchOff disables a webhook and tells its people why.
	SwitchOff(ctx context.Context, hook int64, why string) error
	// Forget removes deliveries that were done before the time, at most most, and returns how many.
	Forget(ctx context.Context, before time.Time, most int) (int, error)
}

// Options make a Sender; all are required.
type Options struct {
	Source  Source
	Hub     hub.Hub
	Stream  string // on it something is told of when there may be something to send
	Targets reach.Targets
	Log     *slog.Logger
	Now     func() time.Time
}

// Sender sends to webhooks. Make one with New.
type Sender struct {
	o      Options
	client *http.Client
	kick   chan struct{} // there may be something to send
}

// New returns a sender, which does nothing before Run.
func New(o Options) *Sender {
	return &Sender{o: o, client: o.Targets.Client(attemptTime), kick: make(chan struct{}, 1)}
}
