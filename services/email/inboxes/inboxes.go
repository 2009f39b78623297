// Package inboxes is inboxes for people who test what sends mail: one call makes a mailbox with an account and a password of its
// own, for a project or for one run of its tests.
//
// An inbox is an account like any other (package auth): its password is an app password, which opens SMTP submission, POP3,
// JMAP and the API for that mailbox and for nothing else. It belongs to whoever made it, who reads its mail as their own. It takes
// mail for its address, for its address with any tag, and for any address at its own name below the mail domain.
//
// What is submitted with its password comes back to it alone, whomever it says it is from and for: nothing leaves, and nobody
// here gets it. One inbox of all may take everybody's mail to other hosts as well. An inbox keeps its newest mail: what is too
// old or too much is removed for good, the oldest first, some messages at a time.
//
// It delivers nothing: package email asks its Sandbox, which is this package's Store. A Service is safe for concurrent use.
package inboxes

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"uniqverse/internal/auth"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
)

// The bounds of inboxes.
const (
	MaxOwned     = 50 // of one owner; without bound for email.admin
	DefaultAge   = 7 * 24 * time.Hour
	MaxAge       = 365 * 24 * time.Hour
	DefaultCount = 500
	MaxCount     = 10_000
)

const (
	lookEvery = 30 * time.Second
	atOnce    = 50  // messages that one transaction removes
	perRound  = 100 // inboxes that are looked at in a row
)

// Inbox is a mailbox for tests.
type Inbox struct {
	ID       int64
	User     string // local part of its address
	Account  int64  // the row of its user
	Owner    string // local part of who made it
	Note     string
	Outbound bool // it gets all mail that would leave this host
	MaxAge   time.Duration
	MaxCount int
	Created  time.Time
	Removed  bool // nobody but its owner gets the name again

	// What it holds.
	Mailbox  int64
	Messages int64
	Unread   int64
	Bytes    int64
}

// Store is what inboxes are kept in. What does not exist is errs.NotFound.
type Store interface {
	web.Transactor[Tx]

	// Inboxes returns a page of the inboxes of an owner, or ("") of everybody, newest first.
	Inboxes(ctx context.Context, owner string, p web.Paging) ([]Inbox, error)
	// InboxByID returns an inbox that was not removed.
	InboxByID(ctx context.Context, id int64) (Inbox, error)
	// Filled returns some inboxes that hold more, or older mail, than they may, and removed ones that hold any.
	Filled(ctx context.Context, now time.Time, most int) ([]Inbox, error)
	// IsInbox reports whether a mailbox is an inbox.
	IsInbox(ctx context.Context, user string) (bool, error)
}

// Tx is one transaction over inboxes, mail and accounts.
type Tx interface {
	mailbox.Tx
	// Accounts is the accounts as the transaction sees them.
	Accounts() auth.Tx
	// InboxByID returns an inbox that was not removed.
	InboxByID(id int64) (Inbox, error)
	// InboxByName returns an inbox, also a removed one.
	InboxByName(user string) (Inbox, error)
	// CountInboxes returns how many inboxes an owner has.
	CountInboxes(owner string) (int, error)
	// SaveInbox writes an inbox and returns it as it is then; ID 0 makes one. A second one for all outbound mail is errs.Conflict.
	SaveInbox(in Inbox) (Inbox, error)
	// Oldest returns the oldest messages of an inbox that are too many or too old at a time, at most most of them.
	Oldest(in Inbox, now time.Time, most int) ([]mailbox.Message, error)
}

// Accounts makes and closes accounts; *auth.Auth is one.
type Accounts interface {
	UserByName(ctx context.Context, name string) (auth.User, error)
	AddAccount(tx auth.Tx, owner int64, name, display string) (auth.User, error)
	AccountAgain(tx auth.Tx, id int64) (auth.User, error)
	CloseAccount(tx auth.Tx, id int64) (auth.User, error)
	RenewAppPassword(tx auth.Tx, user int64, label string) (secret string, err error)
	Changed(u auth.User)
}

// Options are all that a Service needs; all but the ports are required.
type Options struct {
	Store    Store
	Accounts Accounts
	Domain   string
	Removed  func(files []string) // is told of messages that are gone
	Log      *slog.Logger
	Now      func() time.Time
	// The ports of this host that a password opens; 0 is none.
	SubmissionPort, SubmissionsPort, POP3Port, POP3SPort int
}

// Service is the inboxes. Make one with New.
type Service struct {
	Options
	kick chan struct{} // there may be something to remove
}

// New returns the service; it starts nothing.
func New(o Options) (*Service, error) {
	if o.Store == nil || o.Accounts == nil || o.Domain == "" || o.Removed == nil || o.Log == nil || o.Now == nil {
		return nil, errors.New("inboxes: Store, Accounts, Domain, Removed, Log and Now are required")
	}
	return &Service{Options: o, kick: make(chan struct{}, 1)}, nil
}

// look has Run look for what is to be removed, now.
func (s *Service) look() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Run removes what inboxes may not keep, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("inboxes: old mail could not be removed; trying again", "err", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.kick:
		}
	}
}

// sweep removes what is too old or too much, some messages at a time: others write in between.
func (s *Service) sweep(ctx context.Context) error {
	for ctx.Err() == nil {
		list, err := s.Store.Filled(ctx, s.Now(), perRound)
		if err != nil || len(list) == 0 {
			return err
		}
		gone := 0
		for _, in := range list {
			n, err := s.trim(ctx, in)
			if err != nil {
				return err
			}
			gone += n
		}
		if gone == 0 {
			return nil
		}
	}
	return nil
}

// trim removes some of the oldest messages of an inbox.
func (s *Service) trim(ctx context.Context, in Inbox) (int, error) {
	var files []string
	n := 0
	err := s.Store.Update(ctx, nil, func(tx Tx) error {
		files, n = nil, 0
		now, err := tx.InboxByName(in.User) // as it is by now: it may keep more
		if err != nil {
			return err
		}
		list, err := tx.Oldest(now, tx.Now(), atOnce)
		if err != nil {
			return err
		}
		for _, m := range list {
			file, err := tx.RemoveMessage(m)
			if err != nil {
				return err
			}
			files, n = append(files, file), n+1
			ev, err := event.New(event.MailDeleted, tx.Now(), nil, map[string]any{"message_id": m.ID, "user": in.User + "@" + s.Domain})
			if err != nil {
				return err
			}
			ev.User = in.User
			tx.Emit(event.StreamMail, ev)
			tx.Emit(event.StreamMailOf(in.User), ev)
		}
		return nil
	})
	if err == nil {
		s.Removed(files)
	}
	return n, err
}
