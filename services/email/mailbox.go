package email

import (
	"context"
	"strings"

	"golang.org/x/net/idna"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/services/email/mailbox"
	"uniqverse/smtpd"
)

// catchAll is the alias that gets what nobody else does.
const catchAll = "*"

// postmaster has to be reachable everywhere (RFC 5321 section 4.5.1).
const postmaster = "postmaster"

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

// resolve returns the mailboxes (local parts) that mail for a local part goes to, in the
// order alias, user, catch-all. It fails with a *smtpd.Reply when there is none.
func (s *Service) resolve(ctx context.Context, local string) ([]string, error) {
	local, err := mailbox.Canonical(local)
	if err != nil {
		return nil, smtpd.UnknownUser()
	}
	base := mailbox.WithoutTag(local)
	for _, name := range []string{local, base} {
		targets, err := s.Store.AliasTargets(ctx, name)
		if err != nil || len(targets) > 0 {
			return targets, err
		}
		if base == local {
			break
		}
	}
	if s.Demo || base == postmaster {
		return []string{base}, nil
	}
	u, err := s.Users.UserByName(ctx, base)
	switch {
	case err == nil && u.Disabled:
		return nil, &smtpd.Reply{Code: 550, Enhanced: "5.2.1", Text: "This mailbox is disabled"}
	case err == nil:
		return []string{base}, nil
	case !errs.Is(err, errs.NotFound):
		return nil, err
	}
	box, err := s.Store.MailboxByName(ctx, base)
	if err == nil && box.MadeBy == mailbox.MadeByProvision {
		return []string{base}, nil
	}
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	targets, err := s.Store.AliasTargets(ctx, catchAll)
	if err == nil && len(targets) == 0 {
		err = smtpd.UnknownUser()
	}
	return targets, err
}
