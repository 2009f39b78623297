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
}

// EmailQueue is one page of the queue, newest first, and how many entries there are in each state.
type EmailQueue struct {
	Counts  map[string]int64  `json:"counts"`
	Entries []EmailQueueEntry `json:"entries"`
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
	Queued    int    `json:"queued"`    // recipients elsewhere, queued or held
}

// Send hands a notice in. The key makes it safe to ask again: the same key never sends twice.
func (e *Email) Send(ctx context.Context, n EmailNotice, key string) (EmailSent, error) {
	var out EmailSent
	err := e.call.post(ctx, "/jmap/send", n, key, &out)
	return out, err
}
