package spam

import (
	"context"
	"time"

	"uniqverse/internal/web"
)

// The kinds of a mark.
const (
	Ham  = -1
	None = 0
	Spam = 1
)

// Profile is what is counted for a mailbox, or for everybody together.
type Profile struct {
	Mailbox int64 // 0 is everybody's
	Trained Count // messages; of everybody's: mailboxes
	Words   int
	Listed  int     // senders on its list
	JunkAt  float64 // its own threshold; 0 for the installation's
}

// Mark says what a message is to its owner. Want is what the owner says, Trained what is counted: when they are the
// same there is nothing to do.
type Mark struct {
	Message int64
	Mailbox int64
	Raw     int64
	Want    int // Ham, None or Spam
	Trained int
	Auto    bool // not said by the owner: a message that was read and kept, to match one of spam
	At      time.Time
}

// Store is what a filter keeps its counts in. Mailbox 0 stands for everybody. T is a transaction.
type Store[T Tx] interface {
	web.Transactor[T]

	// SpamProfiles returns the profiles of these users (local parts) that have one, and everybody's under "".
	SpamProfiles(ctx context.Context, users []string) (map[string]Profile, error)
	// SpamProfile returns the profile of a mailbox; an empty one when nothing is counted.
	SpamProfile(ctx context.Context, mailbox int64) (Profile, error)
	// SpamWords returns how often each word was counted, by mailbox; what never was is left out.
	SpamWords(ctx context.Context, mailboxes []int64, words []string) (map[int64]map[string]Count, error)
	// SpamStandings returns what was seen of senders, by mailbox.
	SpamStandings(ctx context.Context, mailboxes []int64, sources []string) (map[int64]map[string]Standing, error)
	// SpamListed returns the entries of a mailbox's list that have one of the names.
	SpamListed(ctx context.Context, mailbox int64, names []string) ([]Listed, error)
	// SpamList returns a mailbox's whole list, newest first.
	SpamList(ctx context.Context, mailbox int64, p web.Paging) ([]Listed, error)
	// SpamTop returns the words of a mailbox that were counted most for one kind and not, or hardly, for the other.
	SpamTop(ctx context.Context, mailbox int64, kind, most int) ([]Word, error)
	// SpamPending returns marks that are not counted yet, the oldest first.
	SpamPending(ctx context.Context, most int) ([]Mark, error)
	// SpamMark returns the mark of a message, or errs.NotFound.
	SpamMark(ctx context.Context, message int64) (Mark, error)
	// SpamKept returns a message that its owner read and kept and that has no mark, the newest; 0 for none.
	SpamKept(ctx context.Context, mailbox int64) (message int64, err error)
	// SpamVerdict returns the reasons that only one mailbox had for a message's verdict; none is no error.
	SpamVerdict(ctx context.Context, message int64) ([]Reason, error)
	// SpamOver returns mailboxes with more than words words, or with more than trained messages of a kind.
	SpamOver(ctx context.Context, words, trained int) ([]Profile, error)
}

// Tx is one transaction of a Store.
type Tx interface {
	// Now is the transaction's time.
	Now() time.Time
	// SpamMark returns the mark of a message, or errs.NotFound.
	SpamMark(message int64) (Mark, error)
	// SaveSpamMark writes the mark of a message that exists; one that wants nothing and has nothing counted is removed.
	SaveSpamMark(m Mark) error
	// CountSpam adds by (1 or -1) messages of a kind with these words and sources to a mailbox, and to everybody what
	// that changes.
	CountSpam(mailbox int64, kind, by int, words, sources []string) error
	// SeeSpam adds what was delivered to what was seen of senders.
	SeeSpam(seen []Seen) error
	// TrimSpam takes the rarest and oldest words of a mailbox out until there are no more than words.
	TrimSpam(mailbox int64, words int) error
	// HalveSpam halves what is counted for a mailbox; nothing gets to 0 by it.
	HalveSpam(mailbox int64) error
	// SaveSpamVerdict stores the reasons that only this mailbox had.
	SaveSpamVerdict(message, mailbox int64, reasons []Reason) error
	// SetJunkAt sets a mailbox's own threshold; 0 takes it away.
	SetJunkAt(mailbox int64, at float64) error
	// ListSender puts a sender on a mailbox's list, or changes its entry. errs.Limited beyond most entries.
	ListSender(mailbox int64, l Listed, most int) (Listed, error)
	// UnlistSender takes an entry off a mailbox's list, or fails with errs.NotFound.
	UnlistSender(mailbox, id int64) error
}

// Seen is a message that was delivered.
type Seen struct {
	User   string // local part of the mailbox
	Source string
	Junk   int
	All    int
	First  time.Time
}
