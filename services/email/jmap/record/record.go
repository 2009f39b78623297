// Package record is what JMAP keeps beside the mail itself, and what a store has to do for it: uploaded blobs, identities,
// submissions, the heads of messages as lists show them, and queries over messages.
//
// It decides nothing and holds no SQL (store/jmapstore satisfies Store). All of it is plain values.
package record

import (
	"context"
	"encoding/json"
	"time"

	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/rules"
)

// The kinds of things whose changes are told.
const (
	KindMessage    = "message"
	KindFolder     = "folder"
	KindIdentity   = "identity"
	KindSubmission = "submission"
)

// States are the points of a mailbox's counter at which each kind of thing changed last.
type States struct {
	Message, Folder, Identity, Submission int64
	Vacation                              int64 // when it was changed, unix ms
	Thread                                int64 // of the newest message that came or went
	Arrived                               int64 // of the newest message that came
	KeptFrom                              int64 // what changed up to it cannot be told any more
}

// Changed is one thing that changed after a point.
type Changed struct {
	ID      int64
	Thread  int64 // of a message
	Created int64 // the point of its making; 0 for what is gone
	At      int64 // the point of its last change
	Counts  int64 // of a folder: the last change to what is in it
	Gone    bool
}

// Head is what lists show of a message, as its header says. It is derived from the bytes, kept beside them, and goes with them.
type Head struct {
	RawID       int64
	Size        int64           // bytes, with the fields that this server put before it
	Shown       json.RawMessage // the properties of an Email that come from its header
	From        string          // in lower case, for searching and sorting; so are the others
	To, Cc, Bcc string
	Subject     string
	SortFrom    string
	SortTo      string
	BaseSubject string // without "Re:" and the like
	Fields      string // every field, decoded: "\nname:value\n" in lower case
}

// Blob is something uploaded, for a while.
type Blob struct {
	ID        string
	MailboxID int64
	Type      string
	Size      int64
	Data      []byte // nil when File is set
	File      string
	Expires   time.Time
}

// Identity is who somebody sends as.
type Identity struct {
	ID            int64
	MailboxID     int64
	Name          string
	Email         string
	ReplyTo, Bcc  json.RawMessage // lists of EmailAddress, or null
	TextSignature string
	HTMLSignature string
	Fixed         bool // the mailbox's own address, which stays
	Created, At   int64
}

// Submission is a message that was handed in for sending.
type Submission struct {
	ID         int64
	MailboxID  int64
	IdentityID int64
	MessageID  int64
	ThreadID   int64
	Envelope   json.RawMessage
	SendAt     time.Time
	Undo       string // pending, final, canceled
	QueueID    string
	Recipients []string // of the envelope, in its order
	Local      []string // those of them that are here
	Created    int64
	At         int64
}

// Store is what JMAP keeps its things in. Reads see what was committed when they begin; what does not exist is
// errs.NotFound.
type Store interface {
	Reader
	Queries
	// UpdateJMAP runs fn in one durable transaction.
	UpdateJMAP(ctx context.Context, fn func(tx Tx) error) error
	// Within is what a transaction over the mail of the same database can do beside.
	Within(tx mailbox.Tx) (Tx, error)
}

// Reader reads what is kept.
type Reader interface {
	MailboxByID(ctx context.Context, id int64) (mailbox.Mailbox, error)
	States(ctx context.Context, mailbox int64) (States, error)
	// ChangedSince returns what of a kind changed after a point, at most most things.
	ChangedSince(ctx context.Context, mailbox int64, kind string, since int64, most int) ([]Changed, error)
	// HasRaw reports whether a mailbox has a message with these bytes.
	HasRaw(ctx context.Context, mailbox, raw int64) (bool, error)
	// MessagesOfRaw returns the messages of a mailbox that have these bytes, in the order of their ids.
	MessagesOfRaw(ctx context.Context, mailbox, raw int64) ([]mailbox.Message, error)
	Blob(ctx context.Context, mailbox int64, id string) (Blob, error)
	// BlobBytes returns how much a mailbox has uploaded that is still there.
	BlobBytes(ctx context.Context, mailbox int64) (int64, error)
	BlobFileKnown(ctx context.Context, name string) (bool, error)
	Identities(ctx context.Context, mailbox int64) ([]Identity, error)
	// Submissions returns a mailbox's submissions, in the order of their ids.
	Submissions(ctx context.Context, mailbox int64) ([]Submission, error)
	// QueuedOf returns the entries of the queue that a submission made.
	QueuedOf(ctx context.Context, queueID string) ([]queue.Entry, error)
	// VacationOf returns the answer of a mailbox; one that is not enabled when there is none.
	VacationOf(ctx context.Context, mailbox int64) (rules.Vacation, error)
}

// Queries finds messages.
type Queries interface {
	// MessagesByID returns those of the messages that the mailbox has, in no order.
	MessagesByID(ctx context.Context, mailbox int64, ids []int64) ([]mailbox.Message, error)
	// ThreadMembers returns the messages of each thread, the first that came first.
	ThreadMembers(ctx context.Context, mailbox int64, threads []int64) (map[int64][]int64, error)
	// Heads returns those of the heads that are kept.
	Heads(ctx context.Context, raws []int64) (map[int64]Head, error)
	// Headless returns the bytes of a mailbox whose heads are not kept yet, at most most of them.
	Headless(ctx context.Context, mailbox int64, most int) ([]int64, error)
	// Find returns the messages that a query asks for.
	Find(ctx context.Context, q Query) ([]Found, error)
	// Count returns how many messages a query finds, without its window.
	Count(ctx context.Context, q Query) (int64, error)
	// NotIndexedOf returns messages of a mailbox that the full-text index does not know yet; Thread is their raw id.
	NotIndexedOf(ctx context.Context, mailbox int64, most int) ([]Found, error)
	// ThreadCounts returns, by folder, how many threads and how many unread threads are in it, and how many unread drafts.
	ThreadCounts(ctx context.Context, mailbox int64) (map[int64]ThreadCount, error)
}

// ThreadCount is what a folder holds.
type ThreadCount struct {
	Threads, UnreadThreads int64
	UnreadDrafts           int64 // messages that are neither read nor more than a draft
}

// Tx changes what is kept, in one transaction with the mail.
type Tx interface {
	mailbox.Tx
	Things
	// SaveVacation writes the answer of a mailbox.
	SaveVacation(v rules.Vacation) error
	// StatesNow returns the states as the transaction sees them.
	StatesNow(mailbox int64) (States, error)
	// SetRole gives a folder a role, or takes it away.
	SetRole(f mailbox.Folder, role string) error
	KeepHeads(heads []Head) error
	AddBlob(b Blob) error
	// SweepJMAP removes what has expired: blobs, whose files are returned, and notes of what is gone.
	SweepJMAP(now time.Time, notesBefore time.Time) (files []string, err error)
}

// Things are made, changed and removed. Each change takes the mailbox's next point.
type Things interface {
	AddIdentity(i Identity) (Identity, error)
	SaveIdentity(i Identity) error
	RemoveIdentity(i Identity) error
	AddSubmission(s Submission) (Submission, error)
	SaveSubmission(s Submission) error
	RemoveSubmission(s Submission) error
}
