package submission

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/email"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/message"
	"uniqverse/services/email/jmap/proto"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/smtpd"
)

func errsAs(err error, into **errs.Error) bool { return errors.As(err, into) }

// maxRecipients bounds the envelope of one submission.
const maxRecipients = 100

// envelope is who a message goes from and to.
type envelope struct {
	MailFrom *hop  `json:"mailFrom"`
	RcptTo   []hop `json:"rcptTo"`
}

type hop struct {
	Email      string             `json:"email"`
	Parameters map[string]*string `json:"parameters"`
}

// sent is a submission on its way.
type sent struct {
	m    *Methods
	c    *proto.Call
	acct *account.Account
}

// create sends a message and returns the properties that the server gave the submission.
func (s *sent) create(in proto.Object) (record.Submission, *proto.SetError, error) {
	var sub record.Submission
	if !s.c.Caller.Demo && !s.c.Caller.Has("email.send") && !s.c.Caller.Has("email.admin") {
		return sub, proto.Refuse("forbiddenToSend", "the token does not carry the scope email.send"), nil
	}
	for name := range in {
		if !slices.Contains([]string{"identityId", "emailId", "envelope"}, name) {
			return sub, proto.InvalidProperties([]string{name}, "%.60s cannot be set", name), nil
		}
	}
	identity, msg, refused, err := s.named(in)
	if refused != nil || err != nil {
		return sub, refused, err
	}
	parsed, done, err := s.open(msg)
	if err != nil {
		return sub, nil, err
	}
	defer done()
	if refused, err := s.checkHeader(parsed); refused != nil || err != nil {
		return sub, refused, err
	}
	env, sendAt, refused, err := s.envelope(in["envelope"], parsed, identity)
	if refused != nil || err != nil {
		return sub, refused, err
	}
	return s.submit(identity, msg, env, sendAt)
}

// named finds the identity and the message.
func (s *sent) named(in proto.Object) (identity record.Identity, msg mailbox.Message, refused *proto.SetError, err error) {
	id := func(name, prefix string) int64 {
		var text string
		if json.Unmarshal(in[name], &text) != nil {
			return 0
		}
		known, _ := s.c.ID(text)
		return account.Number(prefix, known)
	}
	list, err := s.m.identities(s.c.Context, s.acct)
	if err != nil {
		return identity, msg, nil, err
	}
	n := id("identityId", account.PrefixIdentity)
	at := slices.IndexFunc(list, func(i record.Identity) bool { return i.ID == n })
	if at < 0 {
		return identity, msg, proto.InvalidProperties([]string{"identityId"}, "there is no such Identity"), nil
	}
	found, err := s.m.store.MessagesByID(s.c.Context, s.acct.Mailbox.ID, []int64{id("emailId", account.PrefixEmail)})
	if err != nil {
		return identity, msg, nil, err
	}
	if len(found) == 0 {
		return identity, msg, proto.InvalidProperties([]string{"emailId"}, "there is no such Email"), nil
	}
	return list[at], found[0], nil, nil
}

func (s *sent) open(msg mailbox.Message) (*message.Parsed, func() error, error) {
	raw, content, err := s.m.mail.Open(s.c.Context, msg.RawID)
	if err != nil {
		return nil, nil, err
	}
	p, err := message.Parse(message.NewSource(raw.Prepended, content, content.Size))
	if err != nil {
		return nil, nil, errors.Join(err, content.Close())
	}
	return p, content.Close, nil
}

func addresses(p *message.Parsed, property string) []message.Address {
	v, _ := p.Property(property)
	list, _ := v.([]message.Address)
	return list
}

// checkHeader refuses a message without an author, or with somebody else as one.
func (s *sent) checkHeader(p *message.Parsed) (*proto.SetError, error) {
	authors := addresses(p, "from")
	if len(authors) == 0 || authors[0].Email == "" {
		e := proto.Refuse("invalidEmail", "the message has no From field")
		e.Properties = []string{"from"}
		return e, nil
	}
	if fields, _ := p.Property("header:From:asAddresses:all"); len(fields.([]any)) > 1 {
		e := proto.Refuse("invalidEmail", "the message has more than one From field")
		e.Properties = []string{"from"}
		return e, nil
	}
	for _, a := range append(authors, addresses(p, "sender")...) {
		owns, err := s.m.mail.Owns(s.c.Context, s.acct.User, a.Email)
		if err != nil {
			return nil, err
		}
		if !owns {
			return proto.Refuse("forbiddenFrom", "%.100s is no address of yours", a.Email), nil
		}
	}
	return nil, nil
}

// envelope reads the envelope, or derives it from the header (RFC 8621 section 7).
func (s *sent) envelope(raw json.RawMessage, p *message.Parsed, identity record.Identity) (env envelope, sendAt time.Time, refused *proto.SetError, err error) {
	if proto.IsNull(raw) {
		env = derived(p)
		if owns, err := s.m.mail.Owns(s.c.Context, s.acct.User, env.MailFrom.Email); err != nil || !owns {
			if err != nil {
				return env, sendAt, nil, err
			}
			env.MailFrom.Email = identity.Email
		}
	} else {
		var members proto.Object
		if json.Unmarshal(raw, &members) != nil || json.Unmarshal(raw, &env) != nil || env.MailFrom == nil || len(members) != 2 || proto.IsNull(members["rcptTo"]) {
			return env, sendAt, proto.InvalidProperties([]string{"envelope"}, "an envelope has mailFrom and rcptTo"), nil
		}
		if sendAt, refused = s.release(env); refused != nil {
			return env, sendAt, refused, nil
		}
		owns, err := s.m.mail.Owns(s.c.Context, s.acct.User, env.MailFrom.Email)
		if err != nil {
			return env, sendAt, nil, err
		}
		if !owns {
			return env, sendAt, proto.Refuse("forbiddenMailFrom", "%.100s is no address of yours", env.MailFrom.Email), nil
		}
	}
	refused, err = s.checkRecipients(&env)
	return env, sendAt, refused, err
}

func derived(p *message.Parsed) envelope {
	env := envelope{MailFrom: &hop{}}
	for _, property := range []string{"sender", "from"} {
		if list := addresses(p, property); len(list) > 0 {
			env.MailFrom.Email = list[0].Email
			break
		}
	}
	for _, property := range []string{"to", "cc", "bcc"} {
		for _, a := range addresses(p, property) {
			if a.Email != "" && !slices.ContainsFunc(env.RcptTo, func(h hop) bool { return strings.EqualFold(h.Email, a.Email) }) {
				env.RcptTo = append(env.RcptTo, hop{Email: a.Email})
			}
		}
	}
	return env
}

// release reads when a message is to be sent (RFC 4865); other parameters are not taken.
func (s *sent) release(env envelope) (at time.Time, refused *proto.SetError) {
	wrong := proto.InvalidProperties([]string{"envelope"}, "the parameters that are taken are HOLDFOR and HOLDUNTIL of mailFrom, up to %d seconds ahead", int64(MaxDelay/time.Second))
	now := s.m.now()
	for name, value := range env.MailFrom.Parameters {
		switch upper := strings.ToUpper(name); {
		case value == nil:
			return at, wrong
		case upper == "HOLDFOR":
			n, err := strconv.ParseInt(*value, 10, 32)
			if err != nil || n < 0 || !at.IsZero() {
				return at, wrong
			}
			at = now.Add(time.Duration(n) * time.Second)
		case upper == "HOLDUNTIL":
			t, err := time.Parse(time.RFC3339, *value)
			if err != nil || !at.IsZero() {
				return at, wrong
			}
			at = t.UTC()
		case upper == "SIZE" || upper == "BODY": // ours to know
		default:
			return at, wrong
		}
	}
	for _, to := range env.RcptTo {
		if len(to.Parameters) > 0 {
			return at, wrong
		}
	}
	if at.After(now.Add(MaxDelay)) {
		return at, wrong
	}
	if !at.After(now) {
		at = time.Time{}
	}
	return at, nil
}

func (s *sent) checkRecipients(env *envelope) (*proto.SetError, error) {
	if len(env.RcptTo) == 0 {
		return proto.Refuse("noRecipients", "the message goes to nobody"), nil
	}
	if len(env.RcptTo) > maxRecipients {
		e := proto.Refuse("tooManyRecipients", "a message goes to at most %d recipients", maxRecipients)
		e.Extra = map[string]any{"maxRecipients": maxRecipients}
		return e, nil
	}
	var bad []string
	for _, to := range env.RcptTo {
		_, err := s.m.mail.Reachable(s.c.Context, to.Email)
		var reply *smtpd.Reply
		switch {
		case errors.As(err, &reply):
			bad = append(bad, to.Email)
		case err != nil:
			return nil, err
		case !strings.Contains(to.Email, "@") || strings.ContainsAny(to.Email, " \r\n\t<>"):
			bad = append(bad, to.Email)
		}
	}
	if bad != nil {
		e := proto.Refuse("invalidRecipients", "mail to these addresses is not taken")
		e.Extra = map[string]any{"invalidRecipients": bad}
		return e, nil
	}
	return nil, nil
}

// submit hands the message over, and keeps the submission in the same transaction.
func (s *sent) submit(identity record.Identity, msg mailbox.Message, env envelope, sendAt time.Time) (record.Submission, *proto.SetError, error) {
	raw, err := proto.Marshal(env)
	if err != nil {
		return record.Submission{}, nil, err
	}
	sub := record.Submission{MailboxID: s.acct.Mailbox.ID, IdentityID: identity.ID, MessageID: msg.ID, ThreadID: msg.ThreadID, Envelope: raw, SendAt: sendAt, Undo: "final"}
	if sendAt.IsZero() {
		sub.SendAt = s.m.now()
	} else {
		sub.Undo = "pending"
	}
	for _, to := range env.RcptTo {
		sub.Recipients = append(sub.Recipients, to.Email)
		local, err := s.m.mail.Reachable(s.c.Context, to.Email)
		if err != nil {
			return sub, nil, err
		}
		if local {
			sub.Local = append(sub.Local, to.Email)
		}
	}
	if len(sub.Local) == 0 { // nobody has it yet
		sub.Undo = "pending"
	}
	msg.User = s.acct.User
	_, err = s.m.mail.SubmitStored(s.c.Context, s.c.Caller, email.Submission{Message: msg, From: env.MailFrom.Email, To: sub.Recipients, SendAt: sendAt}, func(tx mailbox.Tx, queueID string) error {
		sub.QueueID = queueID
		things, err := s.m.store.Within(tx)
		if err != nil {
			return err
		}
		if sub, err = things.AddSubmission(sub); err != nil {
			return err
		}
		return s.m.accounts.Emit(tx, s.c.Trace, event.MailChanged, s.acct.User, map[string]any{"message_id": msg.ID})
	})
	var reply *smtpd.Reply
	switch {
	case errors.As(err, &reply) && reply.Code == 552:
		return sub, proto.Refuse("tooLarge", "%s", reply.Text), nil
	case errors.As(err, &reply):
		return sub, proto.Refuse("forbiddenToSend", "%s", reply.Text), nil
	case errs.Is(err, errs.Limited):
		return sub, proto.Refuse("rateLimit", "%s", err), nil
	}
	return sub, nil, err
}

// standing is where a submission is: whether it can be taken back, and what became of it for each recipient.
func (m *Methods) standing(ctx context.Context, sub record.Submission) (undo string, status map[string]any, err error) {
	entries, err := m.store.QueuedOf(ctx, sub.QueueID)
	if err != nil {
		return "", nil, err
	}
	undo, status = sub.Undo, map[string]any{}
	switch {
	case undo == "pending" && takenBack(entries): // elsewhere, as on the page
		undo = "canceled"
	case undo == "pending" && !takeable(entries):
		undo = "final"
	}
	for _, to := range sub.Recipients {
		reply, delivered := "250 2.0.0 accepted", "unknown"
		if slices.Contains(sub.Local, to) && !slices.ContainsFunc(entries, func(e queue.Entry) bool { return sameAddress(e.Recipient, to) }) {
			delivered = "yes"
		}
		for _, e := range entries {
			if !sameAddress(e.Recipient, to) {
				continue
			}
			reply, delivered = "250 2.1.5 waits to be sent", "queued"
			if e.LastReply != "" {
				reply = e.LastReply
			}
			switch e.State {
			case queue.Sent:
				delivered = "unknown" // it left; the next host does not say whether it arrived
				if slices.Contains(sub.Local, to) {
					delivered = "yes"
				}
			case queue.Bounced, queue.Dropped:
				delivered = "no"
			}
		}
		if undo == "canceled" {
			delivered = "no"
		}
		status[to] = map[string]any{"smtpReply": reply, "delivered": delivered, "displayed": "unknown"}
	}
	return undo, status, nil
}

func sameAddress(a, b string) bool {
	la, da := mailbox.Split(a)
	lb, db := mailbox.Split(b)
	return la == lb && strings.EqualFold(da, db) || strings.EqualFold(a, b)
}

// takenBack reports whether the sender took all of a mail back.
func takenBack(entries []queue.Entry) bool {
	return len(entries) > 0 && !slices.ContainsFunc(entries, func(e queue.Entry) bool { return e.State != queue.Dropped || e.Reason != queue.TakenBackReason })
}

// takeable reports whether nobody has the message and nothing was tried.
func takeable(entries []queue.Entry) bool {
	return len(entries) > 0 && !slices.ContainsFunc(entries, func(e queue.Entry) bool {
		return e.Attempts > 0 || e.State != queue.Queued && e.State != queue.Held
	})
}
