// Package mail is the Mailbox, Thread, Email and SearchSnippet methods of JMAP (RFC 8621 sections 2 to 5) over the mailboxes of the mail
// service: a JMAP account is a mailbox, a JMAP Mailbox a folder.
//
// It holds no SQL, reads and writes no message format (package message) and sends nothing (package submission).
//
// # Keywords
//
// $seen is the opposite of unread and $flagged is the star. Other keywords that begin with $ are kept as keywords. A keyword without
// $ is kept as a label, so that the web pages show it, unless no label can have its form; a label that is a keyword when it is written in
// lower case is shown as that.
//
// # Concurrency
//
// Mail is safe for concurrent use. Every object of a /set is changed whole or not at all; those that are updated or destroyed by one call
// share a transaction, each that is created has one of its own.
package mail

import (
	"log/slog"
	"sync"
	"time"

	"uniqverse/services/email"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/blob"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
)

// Capability is the URN of JMAP Mail.
const Capability = "urn:ietf:params:jmap:mail"

// The bounds that the capability tells.
const (
	MaxMailboxesPerEmail = 50
	maxResults           = 1000 // of one query
	maxChanged           = account.MaxChanged
)

// Mail serves the methods. Make one with New.
type Mail struct {
	mail     *email.Service
	store    record.Store
	accounts *account.Accounts
	blobs    *blob.Blobs
	log      *slog.Logger
	now      func() time.Time
	domain   string

	mu     sync.Mutex // guards counts
	counts map[int64]counted
}

// New returns the methods of a mail service.
func New(mail *email.Service, store record.Store, accounts *account.Accounts, blobs *blob.Blobs, log *slog.Logger, now func() time.Time) *Mail {
	return &Mail{mail: mail, store: store, accounts: accounts, blobs: blobs, log: log, now: now, domain: mail.Domain, counts: map[int64]counted{}}
}

// Register adds the methods to a registry.
func (m *Mail) Register(r *proto.Registry) {
	for name, fn := range map[string]proto.Method{
		"Mailbox/get": m.mailboxGet, "Mailbox/changes": m.mailboxChanges, "Mailbox/query": m.mailboxQuery, "Mailbox/queryChanges": m.mailboxQueryChanges, "Mailbox/set": m.mailboxSet,
		"Thread/get": m.threadGet, "Thread/changes": m.threadChanges,
		"Email/get": m.emailGet, "Email/changes": m.emailChanges, "Email/query": m.emailQuery, "Email/queryChanges": m.emailQueryChanges, "Email/set": m.emailSet,
		"Email/copy": m.emailCopy, "Email/import": m.emailImport, "Email/parse": m.emailParse, "SearchSnippet/get": m.snippetGet,
	} {
		r.Add(Capability, name, fn)
	}
}

// AccountCapability is what the session says of an account (RFC 8621 section 1.3.1).
func AccountCapability() map[string]any {
	return map[string]any{"maxMailboxesPerEmail": MaxMailboxesPerEmail, "maxMailboxDepth": maxDepth, "maxSizeMailboxName": maxName, "maxSizeAttachmentsPerEmail": int64(email.MaxAppend) * 3 / 4,
		"emailQuerySortOptions": sortOptions(), "mayCreateTopLevelMailbox": true}
}

func collations() []string {
	return []string{"i;ascii-casemap", "i;ascii-numeric", "i;unicode-casemap"}
}

// Collations are the algorithms that sorts may name (RFC 4790).
func Collations() []string { return collations() }
