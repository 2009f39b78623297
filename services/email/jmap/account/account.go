// Package account finds the accounts of JMAP, which are people's mailboxes, for whoever may use them, and gives things the ids and
// states that clients see.
//
// An id is a letter for the kind and the row's number; a state is where the mailbox's counter stood, and the epoch of the
// database, so that a state of a database that was replaced means nothing. Somebody else's account looks as if it were not there.
//
// Accounts is safe for concurrent use; the rest is plain values.
package account

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/mailbox"
)

// The letters that ids begin with.
const (
	PrefixAccount    = "a"
	PrefixMailbox    = "f"
	PrefixEmail      = "e"
	PrefixThread     = "t"
	PrefixIdentity   = "i"
	PrefixSubmission = "s"
)

// Accounts finds accounts. Make one with New.
type Accounts struct {
	mail  *email.Service
	store record.Store
	epoch string
}

// New returns the accounts of a mail service; epoch names its database.
func New(mail *email.Service, store record.Store, epoch string) *Accounts {
	return &Accounts{mail, store, epoch[:min(len(epoch), 8)]}
}

// Account is one mailbox.
type Account struct {
	mailbox.Mailbox
	ID      string // as clients see it
	Address string
}

// ID writes an id.
func ID(prefix string, n int64) string { return prefix + strconv.FormatInt(n, 10) }

// IDs writes ids.
func IDs(prefix string, list []int64) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = ID(prefix, n)
	}
	return out
}

// Number reads an id; 0 is none that there could be.
func Number(prefix, id string) int64 {
	digits, ok := strings.CutPrefix(id, prefix)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != digits {
		return 0
	}
	return n
}

// Numbers reads ids; those that could not be are left out.
func Numbers(prefix string, ids []string) []int64 {
	var out []int64
	for _, id := range ids {
		if n := Number(prefix, id); n != 0 {
			out = append(out, n)
		}
	}
	return out
}

func (a *Accounts) account(box mailbox.Mailbox) *Account {
	return &Account{Mailbox: box, ID: ID(PrefixAccount, box.ID), Address: a.mail.Address(box.User)}
}

// Own returns the caller's own account, whose mailbox is made when there is none; nil for a server without a user.
func (a *Accounts) Own(ctx context.Context, caller web.Caller) (*Account, error) {
	if caller.User == "" {
		return nil, nil
	}
	local, err := a.mail.Named(caller.User)
	if err != nil {
		return nil, err
	}
	box, err := a.mail.MailboxFor(ctx, local)
	if err != nil {
		return nil, err
	}
	return a.account(box), nil
}

// ByID returns an account that the caller may use, or errs.NotFound.
func (a *Accounts) ByID(ctx context.Context, caller web.Caller, id string) (*Account, error) {
	none := errs.New(errs.NotFound, "there is no such account")
	n := Number(PrefixAccount, id)
	if n == 0 {
		return nil, none
	}
	box, err := a.store.MailboxByID(ctx, n)
	if err == nil && caller.ActAs(box.User, "email.admin") != nil || errs.Is(err, errs.NotFound) {
		return nil, none
	}
	if err != nil {
		return nil, err
	}
	return a.account(box), nil
}

// Find is ByID for a method: what is not there is accountNotFound.
func (a *Accounts) Find(c *proto.Call, id string) (*Account, error) {
	acct, err := a.ByID(c.Context, c.Caller, id)
	if errs.Is(err, errs.NotFound) {
		return nil, proto.Fail("accountNotFound", "there is no such account")
	}
	return acct, err
}

// State writes a state.
func (a *Accounts) State(n int64) string { return a.epoch + "-" + strconv.FormatInt(n, 10) }

// Since reads a state that a client has. One of another database, from before what is kept, or that never was, is
// cannotCalculateChanges.
func (a *Accounts) Since(state string, now int64, keptFrom int64) (int64, error) {
	digits, ok := strings.CutPrefix(state, a.epoch+"-")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < keptFrom || n > now || n < 0 {
		return 0, proto.Fail("cannotCalculateChanges", "the state is not known, or lies too far back; fetch everything anew")
	}
	return n, nil
}

// InState refuses a change with stateMismatch when the client expects another state.
func (a *Accounts) InState(expected *string, now int64) error {
	if expected != nil && *expected != a.State(now) {
		return proto.Fail("stateMismatch", "something has changed since; fetch the changes first")
	}
	return nil
}

// Emit tells of a change to somebody's mail after the commit.
func (a *Accounts) Emit(tx mailbox.Tx, trace *event.Trace, typ, user string, payload map[string]any) error {
	payload["user"] = a.mail.Address(user)
	ev, err := event.New(typ, tx.Now(), trace, payload)
	if err != nil {
		return fmt.Errorf("event %s: %w", typ, err)
	}
	ev.User = user
	tx.Emit(event.StreamMail, ev)
	tx.Emit(event.StreamMailOf(user), ev)
	return nil
}
