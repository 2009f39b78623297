package mailstore

import (
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/store"
)

// What package jmapstore, whose tables stand beside these and are written in the same transactions, shares with this one.

// Tx is a transaction over the mail tables.
type Tx = txn

// In returns the mail tables as a transaction sees them.
func In(tx *store.Tx) Tx { return txn{tx} }

// Change takes a mailbox's next modseq.
func (tx txn) Change(box int64) (int64, error) { return tx.change(box) }

// Gone notes that something of a kind is not there any more.
func (tx txn) Gone(box int64, kind string, modseq, id int64) error {
	return tx.gone(box, kind, modseq, id, 0)
}

// The columns that the Scan functions read.
const (
	MessageColumns = messageColumns // of email_messages
	MailboxColumns = mailboxColumns // of email_mailboxes
	EntryColumns   = queueColumns   // of email_queue
)

// ScanMessage reads MessageColumns; the user is not among them.
func ScanMessage(row store.RowScanner) (mailbox.Message, error) { return scanMessage(row) }

// ScanMailbox reads MailboxColumns; no row is errs.NotFound.
func ScanMailbox(row store.RowScanner) (mailbox.Mailbox, error) { return scanMailbox(row) }

// ScanEntry reads EntryColumns.
func ScanEntry(row store.RowScanner) (queue.Entry, error) { return scanQueueEntry(row) }
