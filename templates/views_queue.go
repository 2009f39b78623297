package templates

import "time"

// PageQueue is the name of the page of outbound mail: QueueView, email /queue.
const PageQueue = "email_queue"

// QueueView is the mail on its way to other hosts. Its forms, each answered with a redirect to the form's next:
//
//	POST /queue/{id}/{release|retry|hold|drop} {next}
//	POST /queue/unsuppress {address, next}
type QueueView struct {
	Here         string // as Link.Href: this page, with the state that it shows
	HoldAll      bool   // nothing is sent to other hosts until a person releases it
	Filters      []Tab
	Rows         []OutboundRow
	Suppressions []SuppressionRow
	Pager        Pager
}

// OutboundRow is one message on its way to one recipient.
type OutboundRow struct {
	ID, MessageID int64 // MessageID is the sender's copy; 0 is none
	QueueID       string
	From          string // "" is the null sender
	Recipient     string
	State         string // queued, held, sending, sent, bounced, dropped
	Reason        string // why it is held
	Attempts      int
	Next          time.Time // of the next attempt; zero is none
	LastReply     string
	Host          string
	Created       time.Time
	Actions       []string // what may be done with it: release, retry, hold, drop
}

// Tone returns how its state is coloured.
func (r OutboundRow) Tone() string {
	switch r.State {
	case "sent":
		return "ok"
	case "bounced":
		return "bad"
	case "held":
		return "warn"
	case "queued", "sending":
		return "info"
	}
	return "sun"
}

// SuppressionRow is an address that no mail is sent to.
type SuppressionRow struct {
	Address, Reason string
	Created         time.Time
}
