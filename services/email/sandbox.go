package email

import (
	"context"
	"strings"

	"uniqverse/services/email/alias"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
)

// Sandbox is the inboxes for tests (package inboxes): what their programs submit comes to them alone.
type Sandbox interface {
	// IsInbox reports whether a mailbox is one.
	IsInbox(ctx context.Context, user string) (bool, error)
	// InboxAt returns the inbox that all mail for a domain goes to; "" is none.
	InboxAt(ctx context.Context, domain string) (string, error)
	// Catcher returns the inbox that gets a user's mail instead of other hosts; "" lets it leave.
	Catcher(tx mailbox.Tx, user string) (string, error)
}

// place is where mail for an address goes.
type place struct {
	alias.Place
	away   bool // to another host
	caught bool // into an inbox for tests, as its only user
}

func (s *Service) isInbox(ctx context.Context, user string) (bool, error) {
	if s.Sandbox == nil {
		return false, nil
	}
	return s.Sandbox.IsInbox(ctx, user)
}

// place says where a recipient's mail goes; submitter is the address of the user who hands it in, "" for nobody.
func (s *Service) place(ctx context.Context, submitter, to string) (p place, err error) {
	if user, _ := mailbox.Split(submitter); user != "" {
		if own, err := s.isInbox(ctx, user); own || err != nil {
			return place{Place: alias.Place{Users: []string{user}}, caught: true}, err
		}
	}
	local, domain := mailbox.Split(to)
	if s.ours(domain) || domain == "" && strings.EqualFold(local, postmaster) {
		p.Place, err = s.directory.Resolve(ctx, local)
		return p, err
	}
	if s.Sandbox != nil {
		if user, err := s.Sandbox.InboxAt(ctx, strings.ToLower(domain)); user != "" || err != nil {
			return place{Place: alias.Place{Users: []string{user}}, caught: true}, err
		}
	}
	return place{away: true}, nil
}

// catch is the queue's: where mail goes that would leave this host.
func (s *Service) catch(tx mailbox.Tx, e queue.Entry) (string, error) {
	if s.Sandbox == nil {
		return "", nil
	}
	return s.Sandbox.Catcher(tx, e.User)
}
