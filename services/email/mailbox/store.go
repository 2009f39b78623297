package mailbox

import (
	"context"
	"time"

	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/rules"
	"uniqverse/services/email/spam"
)

// Store is what the mail service keeps its things in. Reads see what was committed when they
// begin; what does not exist is errs.NotFound.
type Store interface {
	queue.Store[Tx]
	spam.Store[Tx]
	rules.Store[Tx]
	Folders
	Addresses
	Prefs

	// MailboxByName returns the mailbox with the local part.
	MailboxByName(ctx context.Context, user string) (Mailbox, error)
	// Mailboxes returns mailboxes, newest first; user "" means everybody's.
	Mailboxes(ctx context.Context, user string, p web.Paging) ([]Mailbox, error)
	// Messages returns a page of a mailbox, newest first. With After, the rows nearest to it.
	Messages(ctx context.Context, mailbox int64, f Filter) ([]Message, error)
	MessageByID(ctx context.Context, id int64) (Message, error)
	// RawByID returns the stored message, with its body when that is in the row.
	RawByID(ctx context.Context, id int64) (Raw, error)
	// LabelCounts returns the labels in use in a mailbox, in alphabetical order.
	LabelCounts(ctx context.Context, mailbox int64) ([]LabelCount, error)
	// FileKnown reports whether a message is kept in the file of this name.
	FileKnown(ctx context.Context, name string) (bool, error)
	// JunkFrom returns a page of a mailbox's junk with the reasons for it, newest first; sender is an address, or a
	// domain with those below it, and "" is everybody.
	JunkFrom(ctx context.Context, mailbox int64, sender string, p web.Paging) ([]Junk, error)
}

// Tx is one transaction of the store. See web.Transactor.
type Tx interface {
	queue.Tx
	spam.Tx
	rules.Tx
	FolderTx
	AddressTx
	PrefTx
	WebhookTx
	// EnsureMailbox returns the mailbox with the local part, and makes it, with its standard folders, when there is none.
	EnsureMailbox(user, madeBy string) (box Mailbox, made bool, err error)
	// Repeated reports whether the mailbox got this very message since then.
	Repeated(mailbox int64, r Raw, since time.Time) (bool, error)
	// AddRaw stores what several mailboxes share and returns its id.
	AddRaw(r Raw) (int64, error)
	// AddMessage stores a row of a mailbox and of the folders that it names, counts it there, and returns it with id,
	// thread and modseq.
	AddMessage(m Message) (Message, error)
	MessageByID(id int64) (Message, error)
	SetUnread(m Message, unread bool) error
	SetStarred(m Message, starred bool) error
	SetLabels(m Message, labels []string) error
}

// WebhookTx tells others of what happens.
type WebhookTx interface {
	// Emit publishes the event on the stream after the commit.
	Emit(stream string, ev event.Event)
	// ForWebhooks has the webhooks of a mailbox (its local part) and those of all told of an event, in this transaction.
	ForWebhooks(user string, ev event.Event) error
}

// Folders is where messages lie. What does not exist is errs.NotFound.
type Folders interface {
	// Folders returns the folders of a mailbox in the order of position and name.
	Folders(ctx context.Context, mailbox int64) ([]Folder, error)
	FolderByID(ctx context.Context, id int64) (Folder, error)
	// Thread returns the messages of a thread, the first that came first; at most 1,000.
	Thread(ctx context.Context, mailbox, thread int64) ([]Message, error)
	// Neighbours returns the ids next to a message in its mailbox; 0 is none.
	Neighbours(ctx context.Context, mailbox, id int64) (newer, older int64, err error)
	// Conversations counts the messages of threads, leaving out what lies in one of the folders without alone.
	Conversations(ctx context.Context, mailbox int64, threads, without []int64) (map[int64]Conversation, error)
}

// Prefs is what people chose for their mailboxes' pages.
type Prefs interface {
	// Pref returns a choice; "" when none was made.
	Pref(ctx context.Context, mailbox int64, name string) (string, error)
}

// PrefTx changes what people chose.
type PrefTx interface {
	// SetPref stores a choice; "" removes it. More than MaxPrefs of one mailbox are errs.Conflict.
	SetPref(mailbox int64, name, value string) error
}

// MaxPrefs bounds how many choices are kept for a mailbox.
const MaxPrefs = 2000

// FolderTx changes where messages lie. Every change takes the mailbox's next modseq.
type FolderTx interface {
	// MailboxUser returns the local part of a mailbox.
	MailboxUser(mailbox int64) (string, error)
	FolderByID(id int64) (Folder, error)
	FolderByRole(mailbox int64, role string) (Folder, error)
	Folders(mailbox int64) ([]Folder, error)
	// AddFolder makes a folder and returns it with its id; errs.Conflict when its parent has one of the name.
	AddFolder(f Folder) (Folder, error)
	// SaveFolder writes name, parent, position and subscription; errs.Conflict as AddFolder.
	SaveFolder(f Folder) error
	// RemoveFolder removes a folder that holds no messages and no folders.
	RemoveFolder(f Folder) error
	// InFolder returns messages of a folder, at most most of them.
	InFolder(folder int64, most int) ([]Message, error)
	// Place puts a message into exactly these folders, at least one, and returns it as it is now.
	Place(m Message, folders []int64) (Message, error)
	// SetKeywords replaces the keywords.
	SetKeywords(m Message, keywords []string) error
	// RemoveMessage takes a message out of its mailbox for good. The bytes go with the last row that needs them;
	// file is then the name of theirs, if they have one.
	RemoveMessage(m Message) (file string, err error)
	// ThreadOf returns the thread that one of the Message-IDs belongs to, with this subject; 0 for none.
	ThreadOf(mailbox int64, refs []string, subject string) (int64, error)
	// KeepRefs notes that these Message-IDs belong to a thread.
	KeepRefs(mailbox, thread int64, refs []string, subject string) error
}
