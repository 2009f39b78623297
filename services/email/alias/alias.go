// Package alias says to which mailboxes an address leads, and lets people have more addresses than one: aliases with a name
// that they choose, and masked ones whose name tells nothing, each with a note, figures and a switch.
//
// It delivers nothing and checks no quota. An address leads, in this order, to what an administrator's alias says; to
// the user of that name; to whose it is, when somebody made it for themselves; and to whatever the catch-all "*" says.
// "user+tag" is user's. An address that was switched off or removed is answered like one that never was (550 5.1.1), and
// nobody but its owner can ever have it again: what is still sent there is not for a stranger.
//
// A Directory is safe for concurrent use.
package alias

import (
	"context"
	"errors"
	"slices"

	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/smtpd"
)

// CatchAll is the alias that gets what nobody else does.
const CatchAll = "*"

// Postmaster has to be reachable everywhere (RFC 5321 section 4.5.1).
const Postmaster = "postmaster"

// How many addresses one mailbox may have.
const (
	MaxAliases = 20
	MaxMasked  = 200
)

// Users finds the people of this installation; *auth.Auth is one.
type Users interface {
	// UserByName returns the user with the local part, or errs.NotFound.
	UserByName(ctx context.Context, name string) (auth.User, error)
}

// Options is all that a Directory needs. All but Demo are required.
type Options struct {
	Store  mailbox.Store
	Users  Users
	Domain string
	Demo   bool // every valid local part is a mailbox
	// Named returns the local part of the mailbox that a request names; another domain is errs.Denied.
	Named func(user string) (string, error)
	// Owner is Named, or the caller when nobody is named, after the owner check.
	Owner func(c *web.Call, user string) (string, error)
}

// Directory is where addresses lead. Make one with New.
type Directory struct{ Options }

// New returns a directory.
func New(o Options) (*Directory, error) {
	if o.Store == nil || o.Users == nil || o.Domain == "" || o.Named == nil || o.Owner == nil {
		return nil, errors.New("alias: Store, Users, Domain, Named and Owner are required")
	}
	return &Directory{o}, nil
}

// Place is where an address leads.
type Place struct {
	Users []string // local parts of mailboxes
	Alias string   // the alias that led there; "" for a mailbox's own name
}

// Resolve returns the mailboxes that mail for a local part goes to. It fails with a *smtpd.Reply when there is none.
func (d *Directory) Resolve(ctx context.Context, local string) (Place, error) {
	local, err := mailbox.Canonical(local)
	if err != nil {
		return Place{}, smtpd.UnknownUser()
	}
	base := mailbox.WithoutTag(local)
	for _, name := range []string{local, base} {
		targets, closed, err := d.targets(ctx, name)
		switch {
		case err != nil:
			return Place{}, err
		case closed:
			return Place{}, smtpd.UnknownUser()
		case len(targets) > 0:
			return Place{targets, name}, nil
		}
		if base == local {
			break
		}
	}
	if d.Demo || base == Postmaster {
		return Place{Users: []string{base}}, nil
	}
	u, err := d.Users.UserByName(ctx, base)
	switch {
	case err == nil && u.Disabled:
		return Place{}, &smtpd.Reply{Code: 550, Enhanced: "5.2.1", Text: "This mailbox is disabled"}
	case err == nil:
		return Place{Users: []string{base}}, nil
	case !errs.Is(err, errs.NotFound):
		return Place{}, err
	}
	box, err := d.Store.MailboxByName(ctx, base)
	if err == nil && box.MadeBy == mailbox.MadeByProvision {
		return Place{Users: []string{base}}, nil
	}
	if err != nil && !errs.Is(err, errs.NotFound) {
		return Place{}, err
	}
	targets, err := d.Store.AliasTargets(ctx, CatchAll)
	if err == nil && len(targets) == 0 {
		err = smtpd.UnknownUser()
	}
	return Place{targets, CatchAll}, err
}

// targets returns where an alias leads. A user, and a mailbox that was made on purpose, goes before what somebody else made for themselves: their name may have come
// later.
func (d *Directory) targets(ctx context.Context, name string) (targets []string, closed bool, err error) {
	r, err := d.Store.RouteOf(ctx, name)
	if err != nil || !r.Own || slices.Contains(r.Targets, name) {
		return r.Targets, r.Closed, err
	}
	if _, err = d.Users.UserByName(ctx, name); err == nil {
		return nil, false, nil
	}
	if !errs.Is(err, errs.NotFound) {
		return nil, false, err
	}
	box, err := d.Store.MailboxByName(ctx, name)
	if err == nil && box.MadeBy == mailbox.MadeByProvision {
		return nil, false, nil
	}
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, false, err
	}
	return r.Targets, r.Closed, nil
}

// Targets returns the mailboxes that may write under an alias: those that it leads to.
func (d *Directory) Targets(ctx context.Context, name string) ([]string, error) {
	targets, _, err := d.targets(ctx, name)
	return targets, err
}
