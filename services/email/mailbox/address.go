package mailbox

import (
	"context"
	"time"
)

// The kinds of addresses that people make for themselves.
const (
	KindAlias  = "alias"  // with a name that they chose
	KindMasked = "masked" // with one that tells nothing
)

// Address is another address of one mailbox, which its owner made.
type Address struct {
	Local    string // in lower case
	Mailbox  int64
	User     string // local part of the mailbox
	Kind     string
	Note     string
	Enabled  bool
	Removed  bool // closed for good; only its owner can have it again
	Created  time.Time
	Messages int64 // that came through it
	Spam     int64 // of those: judged junk
	Last     time.Time
}

// Route is where an alias leads.
type Route struct {
	Targets []string // local parts, in alphabetical order
	Own     bool     // somebody made it for themselves: a user of this name goes before it
	Closed  bool     // it leads nowhere any more
}

// Addresses is where addresses lead, and which of them people made for themselves.
type Addresses interface {
	// AliasTargets returns the local parts that an alias leads to, in alphabetical order; none is no error.
	AliasTargets(ctx context.Context, alias string) ([]string, error)
	// Aliases returns every alias, in alphabetical order.
	Aliases(ctx context.Context) ([]Alias, error)
	// RouteOf returns where a local part leads as an alias; nowhere is no error.
	RouteOf(ctx context.Context, local string) (Route, error)
	// AddressesOf returns a mailbox's addresses, newest first; removed ones are left out.
	AddressesOf(ctx context.Context, mailbox int64) ([]Address, error)
	// SharedWith returns the aliases of administrators that lead to a user, in alphabetical order.
	SharedWith(ctx context.Context, user string) ([]string, error)
}

// AddressTx changes addresses.
type AddressTx interface {
	// SetAlias replaces what an alias leads to; no targets removes it.
	SetAlias(alias string, targets []string) error
	// AddressByName returns an address, also a removed one, or errs.NotFound.
	AddressByName(local string) (Address, error)
	// SaveAddress writes an address, and lets it lead to its mailbox when it is enabled, and nowhere otherwise.
	SaveAddress(a Address) error
	// CountAddresses returns how many of a kind a mailbox has; removed ones are left out.
	CountAddresses(mailbox int64, kind string) (int, error)
	// NameTaken reports whether a local part is a mailbox's, or an alias.
	NameTaken(local string) (bool, error)
	// Came counts a message that came through an address; one that nobody made is no error.
	Came(local string, junk bool) error
}
