package email

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"uniqverse/services/email/mailbox"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
)

// judgeSpam applies the policy to the score of a message from another host: it refuses the message, or notes with
// it that a server which enforces the policy would.
func (s *Service) judgeSpam(in *incoming) error {
	if s.SpamRefuse == 0 || in.env.Mode != smtpd.MX || in.asIs || in.row.SpamScore < s.SpamRefuse {
		return nil
	}
	rules := make([]string, 0, len(in.raw.SpamReasons))
	for _, r := range in.raw.SpamReasons {
		rules = append(rules, fmt.Sprintf("%s %+.1f", r.Rule, r.Score))
	}
	v := senderauth.Verdict{Rule: "spam", Code: 550, Enhanced: "5.7.1", Text: "The message looks like spam",
		Detail: fmt.Sprintf("score %.1f of %.1f: %s", in.row.SpamScore, s.SpamRefuse, strings.Join(rules, ", "))}
	if s.Enforce {
		return &smtpd.Reply{Code: v.Code, Enhanced: v.Enhanced, Text: v.Text, Rule: v.Rule, Detail: v.Detail}
	}
	auth := in.env.Auth
	auth.Policy = append(auth.Policy[:len(auth.Policy):len(auth.Policy)], v)
	in.raw.Auth = rawJSON(auth)
	return nil
}

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
