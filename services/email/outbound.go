package email

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/sending"
	"uniqverse/smtpd"
	"uniqverse/smtpd/header"
)

// The labels of the copy that a sender keeps.
const (
	labelSent      = "sent"
	labelScheduled = "scheduled" // it waits for its time
)

// DailyLimit is how many recipients at other hosts one sender has a day. It holds back neither the demo identity, nor
// services, nor email.admin, nor SMTP from a loopback peer.
const DailyLimit = 1000

// maxHead bounds what is read of a message for its header, in bytes; the edge takes less.
const maxHead = 1 << 20

// Sender takes mail over HTTP.
func (s *Service) Sender() *sending.Sender {
	return &sending.Sender{Store: s.Store, Domain: s.ascii, Address: s.address, Ours: s.ours, Named: s.named, CheckOutside: s.checkOutside, Targets: s.directory.Targets, Accept: s.acceptSent,
		CheckHere: func(ctx context.Context, local string) error { _, err := s.resolve(ctx, local); return err }}
}

// acceptSent takes over a mail that came over HTTP.
func (s *Service) acceptSent(ctx context.Context, m sending.Mail, run func(store func(tx mailbox.Tx) (sending.Placed, error)) error) error {
	in := &incoming{start: s.Now(), notBefore: m.NotBefore, free: m.Free, env: m.Envelope}
	return s.accept(ctx, in, m.Message, func(fn func(tx mailbox.Tx) error) error {
		return run(func(tx mailbox.Tx) (sending.Placed, error) {
			err := fn(tx)
			return sending.Placed{Copy: in.copyID, Delivered: in.delivered, Queued: in.queued}, err
		})
	})
}

// checkOutside says whether mail to an address at another host is taken.
func (s *Service) checkOutside(ctx context.Context, to string) error {
	if _, _, err := queue.Split(to); err != nil {
		return &smtpd.Reply{Code: 550, Enhanced: "5.1.2", Text: "The address names no domain that mail can be sent to", Err: err}
	}
	why, err := s.Store.SuppressionOf(ctx, queue.Address(to))
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return &smtpd.Reply{Code: 550, Enhanced: "5.7.1", Text: "Nothing is sent to this address (suppression list): " + why.Reason}
}

// addAway puts a recipient at another host on the message's list.
func (s *Service) addAway(in *incoming, place int, to string) error {
	local, domain, err := queue.Split(to)
	if err != nil {
		return &smtpd.Reply{Code: 550, Enhanced: "5.1.2", Text: "The address names no domain that mail can be sent to", Err: err}
	}
	e := queue.Entry{Recipient: local + "@" + domain, Domain: domain, NotBefore: in.notBefore, RequireTLS: in.env.RequireTLS, Return: in.env.DSN.Return, EnvelopeID: in.env.DSN.EnvelopeID}
	if place < len(in.env.DSN.Recipients) {
		e.Notify, e.ORCPT = in.env.DSN.Recipients[place].Notify, in.env.DSN.Recipients[place].ORCPT
	}
	in.away = append(in.away, e)
	return nil
}

// sign puts our signatures before a message that leaves this host. It works on the goroutine that delivers.
func (s *Service) sign(in *incoming, c *mailbox.Content) error {
	if len(in.away) == 0 {
		return nil
	}
	head, err := io.ReadAll(io.LimitReader(c.All(), maxHead))
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	present := map[string]int{}
	for _, part := range [][]byte{in.raw.Prepended, head[:header.End(head)]} {
		for _, f := range header.Fields(part) {
			present[strings.ToLower(f.Name)]++
		}
	}
	if present["from"] != 1 { // whose address would be shown is not ours to guess
		return &smtpd.Reply{Code: 550, Enhanced: "5.6.0", Text: "Mail to other hosts needs exactly one From field"}
	}
	signatures, err := s.Signer.Sign(io.MultiReader(bytes.NewReader(in.raw.Prepended), c.All()), present)
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "the message could not be signed; ask an administrator to look at the log")
	}
	in.raw.Prepended = append(signatures, in.raw.Prepended...)
	return nil
}

// senderCopy adds the copy that a sender keeps, unless the message goes to them anyway. again says that they handed
// this very message in before, as a mail program does that never saw our first 250.
func (s *Service) senderCopy(tx mailbox.Tx, in *incoming, fresh []mailbox.Message) (all []mailbox.Message, again bool, err error) {
	if in.sender == "" || in.noCopy {
		return fresh, false, nil
	}
	for _, m := range fresh {
		if m.User == in.sender {
			return fresh, false, nil
		}
	}
	box, made, err := tx.EnsureMailbox(in.sender, mailbox.MadeByMail)
	if err != nil {
		return nil, false, err
	}
	if made {
		s.made.Inc()
	}
	if again, err = s.repeats(tx, in, box.ID); err != nil || again {
		return fresh, again, err
	}
	m := in.row
	m.MailboxID, m.User, m.Unread = box.ID, box.User, false
	m.Recipient = in.env.Recipients[0]
	return append(fresh, m), false, nil
}

// enqueue puts the recipients at other hosts into the queue, and tells of those here that have it already.
func (s *Service) enqueue(tx mailbox.Tx, in *incoming, rawID int64, here []mailbox.Message) error {
	if in.sender == "" {
		return nil
	}
	if len(in.away) > 0 && !in.free {
		n, err := tx.EnqueuedSince(in.sender, tx.Now().Add(-24*time.Hour))
		if err != nil {
			return err
		}
		if n+len(in.away) > DailyLimit {
			return errs.Limit(time.Hour, "more than %d recipients at other hosts in a day; try again later", DailyLimit)
		}
	}
	for _, e := range in.away {
		e.QueueID, e.RawID, e.MessageID, e.User, e.ReversePath = in.env.ID, rawID, in.copyID, in.sender, in.env.ReversePath
		if after, ok := s.simulates(e.Recipient); ok {
			e.State, e.Reason, e.NextAt, e.Since = queue.Queued, queue.Simulated, tx.Now().Add(after), tx.Now()
			if _, err := tx.Enqueue(e); err != nil {
				return err
			}
			continue
		}
		if _, err := s.queue.Admit(tx, e); err != nil {
			return err
		}
	}
	in.queued = len(in.away)
	for _, m := range here {
		err := emit(tx, event.MailSent, in.sender, in.trace, s.passage(queue.Entry{MessageID: in.copyID, User: in.sender, QueueID: in.env.ID, Recipient: s.address(m.User)}))
		if err != nil {
			return err
		}
	}
	return nil
}

// simulates asks chaos about a delivery elsewhere.
func (s *Service) simulates(recipient string) (after time.Duration, ok bool) {
	if s.Chaos == nil {
		return 0, false
	}
	return s.Chaos.Simulates(recipient)
}

// bounceLater puts an entry into the queue for each recipient here whose message chaos reports as failed.
func (s *Service) bounceLater(tx mailbox.Tx, in *incoming, rawID int64, here []mailbox.Message) error {
	if s.Chaos == nil || in.asIs || in.env.ReversePath == "" {
		return nil
	}
	sender := ""
	if local, domain := mailbox.Split(in.env.ReversePath); s.ours(domain) {
		if name, err := mailbox.Canonical(local); err == nil {
			sender = mailbox.WithoutTag(name)
		}
	}
	for _, m := range here {
		after, ok := s.Chaos.Bounces(m.Recipient)
		if !ok {
			continue
		}
		e := queue.Entry{QueueID: in.env.ID, RawID: rawID, MessageID: in.copyID, User: sender, ReversePath: in.env.ReversePath, Recipient: m.Recipient, Domain: s.ascii,
			State: queue.Queued, Reason: queue.BouncesLater, NextAt: tx.Now().Add(after), Since: tx.Now()}
		if _, err := tx.Enqueue(e); err != nil {
			return err
		}
		in.bounces = true
	}
	return nil
}

// passage is the payload of mail.sent and mail.bounced.
func (s *Service) passage(e queue.Entry) map[string]any {
	return map[string]any{"message_id": e.MessageID, "user": s.address(e.User), "queue_id": e.QueueID, "recipient": e.Recipient, "host": e.Host, "reply": e.LastReply}
}

// office is what the queue asks of the mail service.
type office struct{ s *Service }

var _ queue.Office[mailbox.Tx] = office{}

// Outgoing opens a message as it is sent: with the fields that were put before it.
func (o office) Outgoing(ctx context.Context, e queue.Entry) (io.ReadCloser, int64, error) {
	raw, c, err := o.s.content(ctx, e.RawID)
	if err != nil {
		return nil, 0, err
	}
	before := raw.Prepended
	if e.ReversePath != "" && e.User != "" && raw.AuthUser != o.s.address(e.User) { // a rule sends it on: it must not come back unseen
		before = append([]byte("Delivered-To: "+o.s.address(e.User)+"\r\n"), before...)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(before), c.All()), c}, int64(len(before)) + raw.Size, nil
}

// Tell prepares the event, and the report where there is one, about an attempt. What cannot be read any more must not
// keep the result of an attempt from being written.
func (o office) Tell(ctx context.Context, e queue.Entry, out queue.Outcome) (func(tx mailbox.Tx) error, error) {
	s := o.s
	if out == queue.Waits {
		return nil, nil
	}
	raw, c, err := s.content(ctx, e.RawID)
	if err != nil {
		s.Log.Error("a message that was sent cannot be read again", "queue_id", e.QueueID, "err", err.Error())
		c = mailbox.InMemory(nil)
	}
	defer c.Close()
	trace, _ := event.ParseTraceparent(raw.Traceparent)
	here, title := e.Domain == s.ascii, map[queue.Outcome]string{queue.Failed: "FAILURE", queue.Late: "DELAY", queue.Relayed: "SUCCESS", queue.Arrived: "SUCCESS"}[out]
	var deliver func(tx mailbox.Tx) error
	if here && out == queue.Arrived {
		if deliver, err = s.deliverNow(ctx, e, raw, c); err != nil {
			return nil, err
		}
	}
	var report *incoming
	if e.ReversePath != "" && e.User != "" && e.Wants(title) && (out != queue.Arrived || here) { // a report about a report would never end
		if report, err = s.report(e, out, c); err != nil {
			return nil, err
		}
		report.trace = trace
		if trace == nil {
			report.trace = event.NewTrace()
		}
		report.raw.Traceparent = report.trace.Traceparent()
	}
	typ := map[queue.Outcome]string{queue.Arrived: event.MailSent, queue.Relayed: event.MailSent, queue.Failed: event.MailBounced}[out]
	return func(tx mailbox.Tx) error {
		if deliver != nil {
			if err := deliver(tx); err != nil {
				return err
			}
		}
		if err := relabel(tx, e, labelSent); err != nil {
			return err
		}
		if typ != "" {
			if err := emit(tx, typ, e.User, trace, s.passage(e)); err != nil {
				return err
			}
		}
		if report == nil {
			return nil
		}
		return s.storeReport(tx, report)
	}, nil
}

// Gone removes files of messages that nothing refers to any more.
func (o office) Gone(files []string) {
	o.s.files.Remove(files, nil)
}
