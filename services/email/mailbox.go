package email

import (
	"context"
	"strings"

	"golang.org/x/net/idna"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/services/email/alias"
	"uniqverse/services/email/mailbox"
)

// postmaster has to be reachable everywhere (RFC 5321 section 4.5.1).
const postmaster = alias.Postmaster

// address returns the whole address of a local part.
func (s *Service) address(user string) string { return user + "@" + s.Domain }

func (s *Service) wireMailbox(b mailbox.Mailbox) api.EmailMailbox {
	return api.EmailMailbox{User: s.address(b.User), Messages: b.Messages, Unread: b.Unread, Bytes: b.Bytes, Quota: s.Quota, CreatedAt: api.TimeOf(b.Created)}
}

// ours reports whether a domain is the mail domain, in any case and in Unicode or ASCII.
func (s *Service) ours(domain string) bool {
	if strings.EqualFold(domain, s.Domain) || strings.EqualFold(domain, s.ascii) {
		return true
	}
	a, err := idna.Lookup.ToASCII(strings.ToLower(domain))
	return err == nil && a == s.ascii
}

// named reads the user that a request names: an address of the domain, its local part, or
// "@handle". Sub-addresses stand for their mailbox. Another domain is errs.Denied.
func (s *Service) named(user string) (local string, err error) {
	local, domain := mailbox.Split(strings.TrimPrefix(strings.TrimSpace(user), "@"))
	if domain != "" && !s.ours(domain) {
		return "", &errs.Error{Kind: errs.Denied, Detail: "user must be an address at " + s.Domain + "; this server holds no other mail",
			Fields: []errs.Field{{Field: "user", Detail: "must be an address at " + s.Domain}}}
	}
	local, err = mailbox.Canonical(local)
	if err != nil {
		return "", errs.BadField("user", "%s", err)
	}
	return mailbox.WithoutTag(local), nil
}

// resolve returns the mailboxes (local parts) that mail for a local part goes to. It fails with a *smtpd.Reply when there
// is none.
func (s *Service) resolve(ctx context.Context, local string) ([]string, error) {
	p, err := s.directory.Resolve(ctx, local)
	return p.Users, err
}
