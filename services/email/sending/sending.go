// Package sending takes mail from people and services over HTTP: POST /api/send and POST /jmap/send. It reads what they
// want, checks that it is theirs to send and that its recipients can be reached, writes the message (package compose does)
// and hands it to the mail service, which stores, signs and queues it in one transaction.
//
// It delivers nothing itself, and knows no queue: mail that waits for its time is taken back through package queue. An
// Idempotency-Key makes a call safe to repeat; it never sends twice. A Sender is safe for concurrent use.
package sending

import (
	"context"
	"time"

	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/smtpd"
)

// Mail is a mail that is to be accepted.
type Mail struct {
	Envelope  *smtpd.Envelope
	Message   *smtpd.Message
	NotBefore time.Time // when it is sent and delivered; zero for at once
	Free      bool      // the limit on outgoing mail does not hold
}

// Placed says where an accepted mail is.
type Placed struct {
	Copy      int64 // the sender's copy
	Delivered int   // mailboxes here that have it
	Queued    int   // entries in the queue
}

// Sender is what the mail service lends for sending. All fields are required.
type Sender struct {
	Store        mailbox.Store
	Domain       string                                                    // in ASCII
	Address      func(user string) string                                  // of a mailbox here
	Ours         func(domain string) bool                                  // whether a domain is the mail domain
	Named        func(user string) (string, error)                         // the mailbox that a request names
	Targets      func(ctx context.Context, alias string) ([]string, error) // the mailboxes that may write under an alias
	CheckHere    func(ctx context.Context, local string) error             // whether mail for a local part can be delivered
	CheckOutside func(ctx context.Context, to string) error                // whether mail to another host is taken
	// Accept takes a mail over; run runs the transaction that stores it.
	Accept func(ctx context.Context, m Mail, run func(store func(tx mailbox.Tx) (Placed, error)) error) error
}

// Endpoints returns the routes.
func (s *Sender) Endpoints() []web.Endpoint {
	send, anySender := web.NeedsToken("email.send"), web.NeedsToken("")
	send.Describe = "from the caller's own address and aliases; from others with email.admin"
	anySender.Describe = "email.send or email.admin"
	return []web.Endpoint{
		web.Query("POST", "/api/send", send, "Send a mail from one's own address, at once or at a time of one's choice", s.send).Status(202).MaxBody(maxSend).TakesFiles("attachments"),
		web.Query("POST", "/jmap/send", anySender, "Send a notice: for services, and for people as themselves", s.notify).Status(202).MaxBody(maxNotice),
	}
}
