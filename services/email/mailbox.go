package email

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/smtpd"
)

// Who a mailbox was made by. Outside of demo identity, only those made on purpose receive.
const (
	madeByMail      = "mail"      // an RCPT or a delivery
	madeByProvision = "provision" // POST /api/mailboxes
)

// catchAll is the alias that gets what nobody else does.
const catchAll = "*"

// postmaster has to be reachable everywhere (RFC 5321 section 4.5.1).
const postmaster = "postmaster"

// Mailbox is one person's mail.
type Mailbox struct {
	ID       int64
	User     string // local part, in lower case
	MadeBy   string
	Created  time.Time
	Messages int64
	Unread   int64
	Bytes    int64 // size of its messages
}

// Alias is another local part for one or more mailboxes.
type Alias struct {
	Alias   string   `json:"alias"`   // "*" is the catch-all
	Targets []string `json:"targets"` // local parts
}

// LabelCount is a label and how many messages carry it.
type LabelCount struct {
	Label string
	Count int
}

// address returns the whole address of a local part.
func (s *Service) address(user string) string { return user + "@" + s.Domain }

func (s *Service) wireMailbox(b Mailbox) api.EmailMailbox {
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

// splitAddress parts an address at its last @; without one, domain is "".
func splitAddress(addr string) (local, domain string) {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return addr, ""
	}
	return addr[:i], addr[i+1:]
}

// errLocal is why a local part is none.
var errLocal = errors.New("must be a local part: 1 to 64 bytes of letters, digits and .!#$%&'*+-/=?^_{|}~ without two dots in a row")

// canonical returns a local part as mailboxes are named: in lower case, composed (NFC), without
// quotes that it does not need.
func canonical(local string) (string, error) {
	if !utf8.ValidString(local) {
		return "", errLocal
	}
	local = norm.NFC.String(strings.ToLower(local))
	quoted := strings.HasPrefix(local, `"`) && strings.HasSuffix(local, `"`) && len(local) > 2
	if quoted {
		if bare := local[1 : len(local)-1]; dotAtom(bare) {
			local, quoted = bare, false
		}
	}
	if len(local) > 64 || !quoted && !dotAtom(local) || quoted && !quotedString(local[1:len(local)-1]) {
		return "", errLocal
	}
	return local, nil
}

// dotAtom reports whether s can be a local part without quotes (RFC 5321, RFC 6531).
func dotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		switch {
		case r >= utf8.RuneSelf:
			if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) {
				return false
			}
		case r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r):
		default:
			return false
		}
	}
	return true
}

// quotedString reports whether s can stand between quotes: printable ASCII, quotes escaped.
func quotedString(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c > '~' || c == '"':
			return false
		case c == '\\':
			if i++; i == len(s) {
				return false
			}
		}
	}
	return s != ""
}

// withoutTag takes "+tag" off a local part.
func withoutTag(local string) string {
	if i := strings.IndexByte(local, '+'); i > 0 && local[0] != '"' {
		return local[:i]
	}
	return local
}

// named reads the user that a request names: an address of the domain, its local part, or
// "@handle". Sub-addresses stand for their mailbox. Another domain is errs.Denied.
func (s *Service) named(user string) (local string, err error) {
	local, domain := splitAddress(strings.TrimPrefix(strings.TrimSpace(user), "@"))
	if domain != "" && !s.ours(domain) {
		return "", &errs.Error{Kind: errs.Denied, Detail: "user must be an address at " + s.Domain + "; this server holds no other mail",
			Fields: []errs.Field{{Field: "user", Detail: "must be an address at " + s.Domain}}}
	}
	local, err = canonical(local)
	if err != nil {
		return "", errs.BadField("user", "%s", err)
	}
	return withoutTag(local), nil
}

// resolve returns the mailboxes (local parts) that mail for a local part goes to, in the
// order alias, user, catch-all. It fails with a *smtpd.Reply when there is none.
func (s *Service) resolve(ctx context.Context, local string) ([]string, error) {
	local, err := canonical(local)
	if err != nil {
		return nil, smtpd.UnknownUser()
	}
	base := withoutTag(local)
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
	if err == nil && box.MadeBy == madeByProvision {
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
