package templates

import "time"

// The pages of outbound mail.
const (
	PageQueue      = "email_queue"       // QueueView, email /queue
	PageQueueEntry = "email_queue_entry" // QueueEntryView, email /queue/{id}
)

// QueueView is the mail on its way to other hosts. Its forms, each answered with a redirect to the form's next:
//
//	POST /queue/{id}/{release|retry|hold|drop} {next}
//	POST /queue/bulk {action, state, domain, to, next}
//	POST /queue/pause, /queue/resume {domain, reason, next}
//	POST /queue/rules {pattern, redirect, next}, /queue/rules/{id}/delete {next}
//	POST /queue/unsuppress {address, next}
type QueueView struct {
	Here         string // as Link.Href: this page, with the state that it shows
	HoldAll      bool   // nothing is sent to other hosts until a person releases it
	Paused       bool   // nothing leaves at all
	PauseReason  string
	State        string // that is shown, "" for all
	Domain       string // whose mail is shown, "" for all
	Filters      []Tab
	Bulk         []string // what may be done with all that is shown: release, retry, hold, drop
	Rows         []OutboundRow
	Domains      []QueueDomain // paused or in trouble
	Rules        []QueueRule
	Suppressions []SuppressionRow
	Pager        Pager
}

// QueueEntryView is one mail on its way, and how each attempt went. Its forms are those of QueueView's rows, and
//
//	POST /queue/{id}/release {to, next}
type QueueEntryView struct {
	OutboundRow
	Here     string // as Link.Href: this page
	Original string // the recipient that the sender wrote, where that is another one
	SendAt   time.Time
	Notify   string // what the sender wants reports of, in words
	Attempt  []AttemptRow
	CanMove  bool // it can be sent to another address
}

// AttemptRow is how one attempt went.
type AttemptRow struct {
	Number    int
	At        time.Time
	Took      time.Duration
	Verdict   string // delivered, later, refused, stopped
	Host, TLS string
	Reply     string
}

// Tone returns how its verdict is coloured.
func (r AttemptRow) Tone() string {
	switch r.Verdict {
	case "delivered":
		return "ok"
	case "refused":
		return "bad"
	case "later":
		return "warn"
	}
	return "sun"
}

// QueueDomain is a domain that is paused, or whose hosts do not answer.
type QueueDomain struct {
	Name      string // "*" is the host that takes all our mail
	Paused    bool
	Reason    string
	Failures  int
	Retry     time.Time
	LastReply string
}

// QueueRule lets mail out although everything is held.
type QueueRule struct {
	ID                int64
	Pattern, Redirect string
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
