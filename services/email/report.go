package email

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/recall"
	"uniqverse/smtpd"
	"uniqverse/smtpd/header"
	"uniqverse/smtpd/senderauth"
)

// report writes the notification about an entry, as a message on its way to the sender.
func (s *Service) report(e queue.Entry, out queue.Outcome, c *mailbox.Content) (*incoming, error) {
	limit := int64(maxHead)
	if full := e.Return == "FULL" && out == queue.Failed; full {
		limit = max(limit, queue.MaxWhole)
	}
	whole, err := io.ReadAll(io.LimitReader(c.All(), limit))
	if err != nil {
		s.Log.Error("a message that is reported on cannot be read again", "queue_id", e.QueueID, "err", err.Error())
	}
	head := whole[:header.End(whole)]
	subject := ""
	for _, f := range header.Fields(head) {
		if f.Is("Subject") {
			subject = mime.Line(mime.Header(f.Value()), 200)
		}
	}
	if e.Return != "FULL" || out != queue.Failed || int64(len(whole)) != c.Size {
		whole = nil
	}
	now, id := s.Now().UTC(), rand.Text()[:16]
	raw := queue.Report{Entry: e, Domain: s.ascii, To: e.ReversePath, MessageID: id + "@" + s.ascii, Boundary: "report-" + rand.Text(), Now: now,
		Outcome: out, Subject: subject, Header: head, Whole: whole}.Bytes()
	in := &incoming{start: now, always: true, trace: event.NewTrace(),
		env: &smtpd.Envelope{ID: id, Recipients: []string{e.ReversePath}, User: s.address(postmaster), Loopback: true, ReceivedAt: now}}
	if e.User != "" {
		in.boxes = []destination{{user: e.User, recipient: e.ReversePath}}
	} else if err := s.addAway(in, 0, e.ReversePath); err != nil {
		return nil, err
	}
	body, err := s.receive(in, smtpd.NewMessage(nil, raw))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if err := s.sign(in, body); err != nil {
		return nil, err
	}
	s.describe(in, reading.Read(body, s.Log))
	in.raw.Mode = "local"
	return in, nil
}

// storeReport puts a report into the sender's mailbox, or into the queue for one elsewhere; the null sender writes it.
func (s *Service) storeReport(tx mailbox.Tx, r *incoming) error {
	if len(r.away) == 0 {
		return s.store(tx, r)
	}
	id, err := tx.AddRaw(r.raw)
	if err != nil {
		return err
	}
	e := r.away[0]
	e.QueueID, e.RawID, e.User = r.env.ID, id, postmaster
	_, err = s.queue.Admit(tx, e)
	return err
}

// confirm prepares the reports for whoever wants to hear that a message was delivered here. A sender elsewhere gets one
// only when SPF or DMARC says that it is them: nobody else is to be told of mail that they never wrote.
func (s *Service) confirm(in *incoming, c *mailbox.Content) error {
	env := in.env
	if env.ReversePath == "" || env.User == "" && env.Auth.SPF != senderauth.Pass && env.Auth.DMARC != senderauth.Pass {
		return nil
	}
	told := map[int]bool{}
	for _, d := range in.boxes {
		if d.place >= len(env.DSN.Recipients) || told[d.place] {
			continue
		}
		told[d.place] = true
		asked := env.DSN.Recipients[d.place]
		e := queue.Entry{QueueID: env.ID, User: in.sender, ReversePath: env.ReversePath, Recipient: d.recipient, Domain: s.ascii, Notify: asked.Notify, ORCPT: asked.ORCPT,
			EnvelopeID: env.DSN.EnvelopeID, LastReply: "250 2.1.5 delivered", Attempts: 1, Created: env.ReceivedAt, Updated: env.ReceivedAt}
		if !e.Wants("SUCCESS") {
			continue
		}
		r, err := s.report(e, queue.Arrived, c)
		var refused *smtpd.Reply
		if errors.As(err, &refused) {
			continue // an address that no report can be sent to
		}
		if err != nil {
			return err
		}
		in.reports = append(in.reports, r)
	}
	return nil
}

// TakenBack makes a draft of the sender's copy of a mail that is not sent after all.
func (o office) TakenBack(ctx context.Context, tx mailbox.Tx, mail []queue.Entry) (int64, error) {
	return recall.Draft(ctx, tx, mail, labelScheduled, o.s.content)
}

// relabel changes the sender's copy of a mail that waited for its time.
func relabel(tx mailbox.Tx, e queue.Entry, label string) error {
	if e.NotBefore.IsZero() || e.MessageID == 0 {
		return nil
	}
	m, err := tx.MessageByID(e.MessageID)
	if errs.Is(err, errs.NotFound) || err == nil && !has(m.Labels, labelScheduled) {
		return nil
	}
	if err != nil {
		return err
	}
	var labels []string
	if label != "" {
		labels = append(labels, label)
	}
	for _, l := range m.Labels {
		if l != labelScheduled && l != label {
			labels = append(labels, l)
		}
	}
	return tx.SetLabels(m, labels)
}

// home takes mail that waited for its time to mailboxes here, and leaves all other to the next deliverer.
type home struct {
	s    *Service
	away queue.Deliverer
}

// Deliver implements queue.Deliverer. What is for us is written with the result of the attempt; see deliverNow.
func (h home) Deliver(ctx context.Context, job queue.Job) queue.Result {
	if job.Entry.Domain != h.s.ascii {
		return h.away.Deliver(ctx, job)
	}
	local, _ := mailbox.Split(job.Entry.Recipient)
	_, err := h.s.resolve(ctx, local)
	var refused *smtpd.Reply
	switch {
	case errors.As(err, &refused) && refused.Code/100 == 5:
		return queue.Result{Verdict: queue.Permanent, Reply: refused.Error()}
	case err != nil:
		return queue.Result{Reply: "451 4.3.0 the mailbox could not be looked up"}
	}
	return queue.Result{Verdict: queue.Delivered, Reply: "250 2.1.5 delivered"}
}

// deliverNow prepares the delivery of an entry into the mailboxes here that it is for.
func (s *Service) deliverNow(ctx context.Context, e queue.Entry, raw mailbox.Raw, c *mailbox.Content) (func(tx mailbox.Tx) error, error) {
	in := &incoming{start: s.Now(), trace: event.NewTrace(), always: true, raw: raw, env: &smtpd.Envelope{ID: e.QueueID, Mode: smtpd.Submission, ReversePath: e.ReversePath,
		Recipients: []string{e.Recipient}, User: s.address(e.User), ReceivedAt: s.Now().UTC()}}
	if t, ok := event.ParseTraceparent(raw.Traceparent); ok {
		in.trace = t
	}
	local, _ := mailbox.Split(e.Recipient)
	users, err := s.resolve(ctx, strings.ToLower(local))
	if err != nil {
		return nil, err
	}
	s.describe(in, reading.Read(c, s.Log))
	return func(tx mailbox.Tx) error {
		for _, u := range users {
			box, made, err := tx.EnsureMailbox(u, mailbox.MadeByMail)
			if err != nil {
				return err
			}
			if made {
				s.made.Inc()
			}
			m := in.row
			m.MailboxID, m.User, m.Recipient, m.RawID = box.ID, box.User, e.Recipient, e.RawID
			if own, err := tx.MessageByID(e.MessageID); u == e.User && err == nil { // whoever writes to themselves has one copy
				if m, err = mailbox.AlsoInbox(tx, own); err != nil {
					return err
				}
			} else if m, err = file(tx, m, []string{mailbox.RoleInbox}, in.refs); err != nil {
				return err
			}
			if err := emit(tx, event.MailReceived, m.User, in.trace, receivedEvent(s.wire(m))); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
