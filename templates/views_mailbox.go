package templates

import (
	"net/url"
	"time"
)

// The names of the pages of what a mailbox has besides its mail.
const (
	PageAddresses = "email_addresses" // AddressesView: email /addresses
)

// MailboxLinks are the pages of what a mailbox has besides its mail, one of them the current; user is whom the links name, "" for
// the reader.
func MailboxLinks(user, current string) []Link {
	links := []Link{
		{Label: "Addresses", Href: "/addresses", Icon: "mail"},
	}
	for i := range links {
		l := &links[i]
		l.Current = l.Href == current
		if user != "" {
			l.Href += "?" + url.Values{"user": {user}}.Encode()
		}
	}
	return links
}

// Tools is what the pages of a mailbox besides its mail have in common.
type Tools struct {
	Mailbox string // whose
	User    string // as MailSide
	Links   []Link // see MailboxLinks
}

// Inbox leads back to the mail, as Link.Href.
func (t Tools) Inbox() string {
	if t.User == "" {
		return "/inbox"
	}
	return "/inbox?" + url.Values{"user": {t.User}}.Encode()
}

// AddressesView is the page of a mailbox's addresses. Its forms, each with user:
//
//	POST /addresses {masked: true, note} or {name, note}
//	POST {Path} {enabled} or {note} · {Path}/delete   of an AddressRow
type AddressesView struct {
	Tools
	Addresses []AddressRow
	Made      string // the address that was made just now; "" is none
	MaxAlias  int
	MaxMasked int
	Name      string // as it was typed
	Note      string
	Errors    FieldErrors
}

// AddressRow is one address.
type AddressRow struct {
	Address, Kind, Note string
	Path                string // as Link.Href: what its forms post to; "" is an address that its user cannot change
	Enabled             bool
	Messages, Spam      int64 // that came through it, and of those: judged junk
	Last                time.Time
}

// SpamShare is how much of what came was junk, in per cent.
func (r AddressRow) SpamShare() int64 {
	if r.Messages == 0 {
		return 0
	}
	return (100*r.Spam + r.Messages/2) / r.Messages
}
