package templates

import "time"

// PageWebhooks is the page of a mailbox's outgoing webhooks.
const PageWebhooks = "email_webhooks" // WebhooksView, email /webhooks

// WebhooksView is the webhooks of a mailbox, or of all. Its forms; the first is answered with the page itself, which shows the
// secret, the others with a redirect to /webhooks?{Of}:
//
//	POST /webhooks {url, events…, user, all}
//	POST /webhooks/{id} {enabled, of} · /webhooks/{id}/delete {of}
//	POST /webhooks/{id}/deliveries/{id}/replay {of}
type WebhooksView struct {
	User     string // whose, "" for the reader
	All      bool   // those of all mailboxes
	Of       string // the same as a query
	Types    []string
	Most     int
	Webhooks []WebhookRow // newest first
	Made     string       // the address of what was made just now, "" for nothing, and
	Secret   string       // the one time that its secret can be read
	Typed    string       // as typed into a form that was refused
	Errors   FieldErrors
}

// WebhookRow is one webhook.
type WebhookRow struct {
	ID         int64
	URL        string
	Events     []string // none for all
	Enabled    bool
	Reason     string // why it is off
	Failures   int
	Deliveries []WebhookDelivery // the newest
}

// WebhookDelivery is something that was sent, or waits to be.
type WebhookDelivery struct {
	ID     int64
	Type   string
	State  string // waiting, delivered, dropped
	At     time.Time
	Tries  int
	Status int    // of the last answer, 0 for none
	Error  string // of the last attempt
}
