package api

import (
	"context"
)

// EmailQueueEntry is one message on its way to one recipient at another host.
type EmailQueueEntry struct {
	ID        int64  `json:"id"`
	QueueID   string `json:"queue_id"`   // of the message: its recipients share it
	MessageID int64  `json:"message_id"` // the sender's copy (GET /api/messages/{id}); 0 for none
	User      string `json:"user"`       // local part of the sender's mailbox
	From      string `json:"from"`       // reverse-path
	Recipient string `json:"recipient"`
	Domain    string `json:"domain"`
	State     string `json:"state"`  // queued, held, sending, sent, bounced, dropped
	Reason    string `json:"reason"` // why it is held
	Attempts  int    `json:"attempts"`
	NextAt    Time   `json:"next_at"`    // of the next attempt, where it is queued
	LastReply string `json:"last_reply"` // of the next host, or what went wrong
	Host      string `json:"host"`       // that was talked to last
	CreatedAt Time   `json:"created_at"`
	UpdatedAt Time   `json:"updated_at"`

	SendAt     Time   `json:"send_at"`               // when its sender wants it sent; null for at once
	Original   string `json:"original,omitempty"`    // the recipient that its sender wrote, where that is another one
	Notify     string `json:"notify,omitempty"`      // what the sender wants reports of (RFC 3461)
	EnvelopeID string `json:"envelope_id,omitempty"` // of the sender, for reports
	RequireTLS bool   `json:"require_tls,omitempty"`
}

// EmailQueueAttempt is how one attempt went.
type EmailQueueAttempt struct {
	Attempt int    `json:"attempt"`
	BeganAt Time   `json:"began_at"`
	EndedAt Time   `json:"ended_at"`
	Verdict string `json:"verdict"` // delivered, later, refused, stopped
	Host    string `json:"host"`
	TLS     string `json:"tls"`   // "TLS 1.3, verified", "TLS 1.2", "" without
	Code    int    `json:"code"`  // of the host's reply; 0 when there was none
	Reply   string `json:"reply"` // of the host, or what went wrong on our side
}

// EmailQueueDetail is an entry and its attempts, oldest first. One whose process died is missing.
type EmailQueueDetail struct {
	EmailQueueEntry
	Log []EmailQueueAttempt `json:"log"`
}

// EmailQueueDomain is a domain that is paused, or whose hosts do not answer. "*" is all that leaves.
type EmailQueueDomain struct {
	Domain    string `json:"domain"`
	Paused    bool   `json:"paused"`
	PausedAt  Time   `json:"paused_at"`
	Reason    string `json:"reason"`
	Failures  int    `json:"failures"` // in a row, of its hosts to answer
	RetryAt   Time   `json:"retry_at"` // nothing is tried before
	LastReply string `json:"last_reply"`
}

// EmailQueueDomains are the domains that are paused or in trouble.
type EmailQueueDomains struct {
	Paused  bool               `json:"paused"` // nothing at all leaves
	Domains []EmailQueueDomain `json:"domains"`
}

// EmailQueueRule lets mail out although everything is held.
type EmailQueueRule struct {
	ID        int64  `json:"id"`
	Pattern   string `json:"pattern"`            // an address, a domain, or *.domain
	Redirect  string `json:"redirect,omitempty"` // who gets it instead
	CreatedAt Time   `json:"created_at"`
}

// EmailQueueRules are all rules, oldest first.
type EmailQueueRules struct {
	Rules []EmailQueueRule `json:"rules"`
}

// EmailQueueChanged says what an action on many entries did.
type EmailQueueChanged struct {
	Changed int  `json:"changed"`
	Skipped int  `json:"skipped"` // their state forbids it
	More    bool `json:"more"`    // there are more than one call takes: ask again
}

// EmailQueue is one page of the queue, newest first, and how many entries there are in each state.
type EmailQueue struct {
	Counts  map[string]int64  `json:"counts"`
	Entries []EmailQueueEntry `json:"entries"`
}

// EmailScheduled is a mail that waits for its time.
type EmailScheduled struct {
	QueueID    string   `json:"queue_id"`
	MessageID  int64    `json:"message_id"` // the sender's copy; once it is taken back, the draft
	User       string   `json:"user"`
	SendAt     Time     `json:"send_at"`
	Recipients []string `json:"recipients"`
}

// EmailScheduledList is mail that waits for its time, the newest first.
type EmailScheduledList struct {
	Scheduled []EmailScheduled `json:"scheduled"`
}

// EmailSuppression is an address that no mail is sent to.
type EmailSuppression struct {
	ID        int64  `json:"id"`
	Address   string `json:"address"`
	Reason    string `json:"reason"`
	CreatedAt Time   `json:"created_at"`
}

// EmailSuppressions is one page of the suppression list, newest first.
type EmailSuppressions struct {
	Suppressions []EmailSuppression `json:"suppressions"`
}

// EmailNotice is a mail that a service sends on somebody's behalf (POST /jmap/send).
type EmailNotice struct {
	To        string `json:"to"`
	Subject   string `json:"subject"`
	Text      string `json:"text"`
	HTML      string `json:"html,omitempty"`
	InReplyTo string `json:"in_reply_to,omitempty"` // Message-ID of the mail that this one answers
	Ticket    int64  `json:"ticket,omitempty"`      // 0 for none
}

// EmailSent says where a mail went that was handed in.
type EmailSent struct {
	ID        int64  `json:"id"`       // the sender's copy (GET /api/messages/{id})
	QueueID   string `json:"queue_id"` // of the entries in the queue, if it has recipients elsewhere
	MessageID string `json:"message_id"`
	Delivered int    `json:"delivered"` // mailboxes here that have it
	Queued    int    `json:"queued"`    // recipients elsewhere, queued or held; all of them while it waits for its time
	SendAt    Time   `json:"send_at"`   // when it is sent; null for at once
}

// Send hands a notice in. The key makes it safe to ask again: the same key never sends twice.
func (e *Email) Send(ctx context.Context, n EmailNotice, key string) (EmailSent, error) {
	var out EmailSent
	err := e.call.post(ctx, "/jmap/send", n, key, &out)
	return out, err
}
