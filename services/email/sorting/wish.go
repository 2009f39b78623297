package sorting

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/email/compose"
	"uniqverse/services/email/htmlmail"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/rules"
	"uniqverse/services/email/spam"
	"uniqverse/smtpd/header"
	"uniqverse/smtpd/senderauth"
)

// maxReceived is how many hosts a message may have passed before it is sent on no further.
const maxReceived = 30

// wish is what one mailbox wants done with a message.
type wish struct {
	s      *Sorter
	plan   rules.Plan
	onward []queue.Entry // that it is sent on to
	answer *answer       // nil for none
}

// answer is the reply of somebody who is away.
type answer struct {
	raw   mailbox.Raw
	entry queue.Entry
}

// wishes asks rules, and who is away, about a message. What cannot be asked is not done: it must not keep mail from
// arriving.
func (s *Sorter) wishes(ctx context.Context, in Incoming, f spam.Facts, j Judged, users []string) map[string]wish {
	standing, err := s.rules.Standing(ctx, users)
	if err != nil {
		s.Log.Warn("a message is delivered without asking rules", "err", err.Error())
		return nil
	}
	var out map[string]wish
	for _, b := range in.Boxes {
		st, ok := standing[b.User]
		if !ok {
			continue
		}
		facts := ruleFacts(in.Reading, f, b.Recipient)
		facts.Size, facts.Score, facts.Junk = in.Content.Size, j.by[b.User].Score, j.by[b.User].Junk
		w := wish{s: s, plan: s.rules.Plan(st, &facts)}
		if len(w.plan.Redirect) > 0 && !facts.Junk && mayGoOn(in, b.User+"@"+s.Domain) {
			w.onward = s.onward(ctx, in, b.User, w.plan.Redirect)
		}
		if st.Vacation.Active(s.Now()) {
			if w.answer, err = s.reply(in, b, st.Vacation, facts, w.plan); err != nil {
				s.Log.Warn("the answer of somebody who is away could not be written", "user", b.User, "err", err.Error())
			}
		}
		if out == nil {
			out = map[string]wish{}
		}
		out[b.User] = w
	}
	return out
}

// ruleFacts are what rules can ask of a message.
func ruleFacts(r reading.Reading, f spam.Facts, recipient string) rules.Facts {
	word := func(x senderauth.Result) string {
		if x == "" {
			return string(senderauth.None)
		}
		return string(x)
	}
	out := rules.Facts{Recipient: recipient, Subject: f.Subject, ListID: mime.Line(mime.Header(r.Tree.Get("List-Id")), 300), Files: f.Files, Attachment: len(r.Attachments) > 0,
		SPF: word(f.Auth.SPF), DKIM: word(f.Auth.DKIM), DMARC: word(f.Auth.DMARC), Sample: f.Sample}
	for _, a := range mime.Addresses(r.Tree.Get("From"), 10) {
		out.From = append(out.From, a.Addr, a.String())
	}
	for _, a := range append(mime.Addresses(r.Tree.Get("To"), 100), mime.Addresses(r.Tree.Get("Cc"), 100)...) {
		out.To = append(out.To, a.Addr, a.String())
	}
	return out
}

// mayGoOn refuses to send a message on that would come back: one that went through this mailbox before, that passed too
// many hosts, that a program sent as an answer, or that has no sender.
func mayGoOn(in Incoming, own string) bool {
	if in.Envelope.ReversePath == "" || strings.HasPrefix(strings.ToLower(strings.TrimSpace(in.Reading.Tree.Get("Auto-Submitted"))), "auto-replied") {
		return false
	}
	received := 0
	for _, f := range in.Reading.Tree.Header {
		if f.Is("Delivered-To") && strings.EqualFold(strings.TrimSpace(mime.Value(f)), own) {
			return false
		}
		if f.Is("Received") {
			received++
		}
	}
	return received <= maxReceived
}

// onward are the entries of the queue for addresses that a message is sent on to.
func (s *Sorter) onward(ctx context.Context, in Incoming, user string, to []string) (out []queue.Entry) {
	for _, address := range to {
		local, domain, err := queue.Split(address)
		if err != nil {
			continue
		}
		if _, err := s.Store.SuppressionOf(ctx, queue.Address(address)); !errs.Is(err, errs.NotFound) {
			s.Log.Info("a message is not sent on to an address of the suppression list", "user", user)
			continue
		}
		out = append(out, queue.Entry{QueueID: in.Envelope.ID, User: user, ReversePath: user + "@" + s.Domain, Recipient: local + "@" + domain, Domain: domain, Notify: "FAILURE"})
	}
	return out
}

// keep notes what rules did to a stored message and puts into the queue what is to be sent.
func (w wish) keep(tx mailbox.Tx, m mailbox.Message) error {
	if hits := w.plan.Hits; len(hits) > 0 {
		if err := tx.HitRules(m.ID, m.MailboxID, hits); err != nil {
			return err
		}
	}
	if len(w.onward) > 0 {
		sent, err := tx.EnqueuedSince(m.User, tx.Now().Add(-24*time.Hour))
		if err != nil {
			return err
		}
		for _, e := range w.onward {
			if sent++; w.s.DailyLimit > 0 && sent > w.s.DailyLimit {
				w.s.Log.Warn("a message is not sent on: the mailbox sent as much as it may today", "user", m.User)
				break
			}
			e.RawID, e.MessageID = m.RawID, m.ID
			if _, err := w.s.Admit(tx, e); err != nil {
				return err
			}
		}
	}
	if w.answer == nil {
		return nil
	}
	may, err := tx.Answer(m.MailboxID, w.answer.entry.Recipient)
	if err != nil || !may {
		return err
	}
	e := w.answer.entry
	if e.RawID, err = tx.AddRaw(w.answer.raw); err != nil {
		return err
	}
	_, err = w.s.Admit(tx, e)
	return err
}

// reply writes the answer to a message, or nil when it is not to be answered.
func (s *Sorter) reply(in Incoming, b Box, v rules.Vacation, f rules.Facts, p rules.Plan) (*answer, error) {
	env := in.Envelope
	own := b.User + "@" + s.Domain
	l := rules.Letter{Sender: env.ReversePath, Own: []string{own, b.Recipient}, Fields: map[string]string{}, Junk: f.Junk, Forwarded: p.Move == rules.ToTrash,
		Failed: env.Auth.DMARC == senderauth.Fail || env.Auth.SPF == senderauth.Fail}
	for _, to := range f.To {
		l.Named = append(l.Named, strings.ToLower(to))
	}
	for _, name := range rules.AnswerFields() {
		if value := in.Reading.Tree.Get(name); value != "" {
			l.Fields[name] = value
		}
	}
	if !l.Answered() {
		return nil, nil
	}
	local, domain, err := queue.Split(env.ReversePath)
	if err != nil {
		return nil, nil // nobody can be answered there
	}
	now, id := s.Now().UTC(), rand.Text()[:16]
	text, subject := v.Text, v.Subject
	if strings.TrimSpace(text) == "" {
		text = htmlmail.Text(v.HTML, rules.MaxAnswer)
	}
	if subject == "" {
		if subject = f.Subject; !strings.HasPrefix(strings.ToLower(subject), "re:") {
			subject = strings.TrimSpace("Re: " + subject)
		}
	}
	answered := mime.Line(strings.Trim(in.Reading.Tree.Get("Message-ID"), "<> \t"), 250)
	msg := compose.Message{From: mail.Address{Address: own}, To: []mail.Address{{Address: local + "@" + domain}}, Subject: subject, Text: text, HTML: v.HTML, InReplyTo: answered,
		Date: now, MessageID: strings.ToLower(id) + "@" + s.Domain, Boundary: "part-" + rand.Text(), Fields: [][2]string{{"Auto-Submitted", "auto-replied"}, {"Precedence", "bulk"}}}.Bytes()
	present := map[string]int{}
	for _, field := range header.Fields(msg[:header.End(msg)]) {
		present[strings.ToLower(field.Name)]++
	}
	signatures, err := s.Sign(bytes.NewReader(msg), present)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	a := &answer{entry: queue.Entry{QueueID: id, User: b.User, Recipient: local + "@" + domain, Domain: domain, Notify: "NEVER"}}
	a.raw = mailbox.Raw{EnvelopeID: id, SHA256: mailbox.Hash(msg), Size: int64(len(msg)), Body: msg, Prepended: signatures, Mode: "local", Recipients: []string{a.entry.Recipient},
		AuthUser: own, Received: now, MessageID: strings.ToLower(id) + "@" + s.Domain, Traceparent: event.NewTrace().Traceparent()}
	return a, nil
}

// errAddress is why a rule cannot send mail on.
var errAddress = errors.New("must be an address such as me@example.org, and not the mailbox itself")

// address reads where a rule sends mail on to; a local part alone is one of this domain.
func (s *Sorter) address(user, text string) (string, error) {
	text = strings.TrimSpace(text)
	if mailbox.DotAtom(text) && !strings.Contains(text, "@") {
		text += "@" + s.Domain
	}
	a, err := mail.ParseAddress(text)
	if err != nil {
		return "", errAddress
	}
	local, domain, err := queue.Split(a.Address)
	if err != nil {
		return "", errAddress
	}
	if domain == s.Domain {
		if local, err = mailbox.Canonical(local); err != nil || mailbox.WithoutTag(local) == user {
			return "", errAddress
		}
	}
	return local + "@" + domain, nil
}

// union adds labels to those that a message has, as far as there is room.
func union(have, more []string) []string {
	labels, err := mailbox.CleanLabels(append(slices.Clone(have), more...))
	if err != nil {
		return have
	}
	return labels
}
