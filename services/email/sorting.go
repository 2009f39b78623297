package email

import (
	"context"
	"slices"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/sorting"
	"uniqverse/smtpd"
)

// has reports whether a list holds a word.
func has(list []string, word string) bool { return slices.Contains(list, word) }

// judge asks the spam filter, and applies the policy to what it says of a message from another host: it refuses the
// message, or notes with it that a server which enforces the policy would.
func (s *Service) judge(ctx context.Context, in *incoming, r reading.Reading, c *mailbox.Content) error {
	if in.asIs || len(in.boxes) == 0 {
		return nil
	}
	m := sorting.Incoming{Envelope: in.env, Reading: r, Content: c}
	for _, b := range in.boxes {
		m.Boxes = append(m.Boxes, sorting.Box{User: b.user, Recipient: b.recipient})
	}
	in.judged = s.sorter.Judge(ctx, m)
	in.raw.SpamReasons, in.row.SpamScore = in.judged.Reasons, in.judged.Score
	v, breaks := in.judged.Breaks(s.SpamRefuse)
	if s.SpamRefuse == 0 || in.env.Mode != smtpd.MX || !breaks {
		return nil
	}
	if s.Enforce {
		return &smtpd.Reply{Code: v.Code, Enhanced: v.Enhanced, Text: v.Text, Rule: v.Rule, Detail: v.Detail}
	}
	auth := in.env.Auth
	auth.Policy = append(auth.Policy[:len(auth.Policy):len(auth.Policy)], v)
	in.raw.Auth = rawJSON(auth)
	return nil
}

// clerk is the mail service as the sorter needs it.
type clerk struct{ s *Service }

var _ sorting.Mail = clerk{}

// Content implements sorting.Mail.
func (k clerk) Content(ctx context.Context, raw int64) (mailbox.Raw, *mailbox.Content, error) {
	return k.s.content(ctx, raw)
}

// Owner implements sorting.Mail.
func (k clerk) Owner(c *web.Call, user string) (string, error) {
	if user == "" {
		if user = c.Caller.User; user == "" {
			return "", errs.Missing("user")
		}
	}
	local, err := k.s.named(user)
	if err != nil {
		return "", err
	}
	return local, c.Caller.ActAs(local, "email.admin")
}

// Own implements sorting.Mail.
func (k clerk) Own(c *web.Call, m mailbox.Message, err error) (mailbox.Message, error) {
	return mine(c, m, err)
}

// Move implements sorting.Mail.
func (k clerk) Move(c *web.Call, tx mailbox.Tx, m mailbox.Message, role string) (mailbox.Message, error) {
	return k.s.moveTo(c, tx, m, role)
}

// Tell implements sorting.Mail.
func (k clerk) Tell(tx mailbox.Tx, typ, user string, payload map[string]any) error {
	return emit(tx, typ, user, event.NewTrace(), payload)
}

// Wire implements sorting.Mail.
func (k clerk) Wire(m mailbox.Message) api.EmailMessage { return k.s.wire(m) }

// Back implements sorting.Mail.
func (k clerk) Back(c *web.Call, out any) string { return back(c, out) }
