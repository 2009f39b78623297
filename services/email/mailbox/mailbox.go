package mailbox

import "time"

// Who a mailbox was made by. Outside of demo identity, only those made on purpose receive.
const (
	MadeByMail      = "mail"      // an RCPT or a delivery
	MadeByProvision = "provision" // POST /api/mailboxes
)

// Mailbox is one person's mail.
type Mailbox struct {
	ID       int64
	User     string // local part, in lower case
	MadeBy   string
	Created  time.Time
	Messages int64
	Unread   int64
	Bytes    int64 // size of its messages

	Modseq   int64 // of the newest change to what is in it
	KeptFrom int64 // what changed up to it cannot be told any more
}

// Alias is another local part for one or more mailboxes.
type Alias struct {
	Alias   string   `json:"alias"`   // "*" is the catch-all
	Targets []string `json:"targets"` // local parts
}

// LabelCount is a label and how many messages carry it.
type LabelCount struct {
	Label string
	Count int
}
