package email

import (
	"context"
	"errors"

	"uniqverse/services/email/mailbox"
	"uniqverse/smtpd"
)

// Owners returns the mailboxes (local parts) that mail for an address goes to; none for an address that nobody
// here has.
func (s *Service) Owners(ctx context.Context, addr string) ([]string, error) {
	local, domain := mailbox.Split(addr)
	if !s.ours(domain) {
		return nil, nil
	}
	users, err := s.resolve(ctx, local)
	var unknown *smtpd.Reply
	if errors.As(err, &unknown) {
		return nil, nil
	}
	return users, err
}
