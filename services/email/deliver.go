package email

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/email/compose"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/sorting"
	"uniqverse/smtpd"
)

// repeatedWithin is how long a message is remembered, so that a sender who lost our 250 does
// not deliver twice.
const repeatedWithin = time.Hour

// incoming is a message on its way into mailboxes.
type incoming struct {
	env   *smtpd.Envelope
	raw   mailbox.Raw
	row   mailbox.Message // what all its copies have in common
	boxes []destination
	away  []queue.Entry // recipients at other hosts
	refs  []string      // Message-IDs that it answers, without <>
	trace *event.Trace
	start time.Time
	marks []smtpd.Mark // when what happened to it

	judged sorting.Judged // what the spam filter says; nothing of what it is not asked about

	sender string // local part of the user who submits it; "" for mail from elsewhere
	free   bool   // the limit on outgoing mail does not hold
	always bool   // also into a full mailbox
	noCopy bool   // the sender has it already, as copyID
	asIs   bool   // put into the mailbox, not delivered: nothing is taken out, and nobody's spam

	notBefore time.Time   // when it is sent and delivered; zero for at once
	reports   []*incoming // that it was delivered, for whoever asked for that

	// What the transaction did.
	copyID    int64 // the sender's copy
	rows      []int64
	delivered int  // mailboxes that got it
	queued    int  // recipients at other hosts
	bounces   bool // chaos will report it as failed
}

// commit runs the transaction that stores a message.
type commit func(fn func(tx mailbox.Tx) error) error

// destination is a mailbox that a message goes to, and the address that led there.
type destination struct {
	user, recipient string
	place           int    // among the recipients of the envelope
	alias           string // that led there; "" for the mailbox's own name
}

// Deliver stores the message for all recipients in one durable transaction, or for none. See
// the package comment for what it promises.
func (s *Service) Deliver(ctx context.Context, env *smtpd.Envelope, msg *smtpd.Message) error {
	in := &incoming{env: env, start: s.Now(), free: env.Loopback}
	return s.replied(s.accept(ctx, in, msg, func(fn func(tx mailbox.Tx) error) error { return s.Store.Update(ctx, nil, fn) }))
}

// accept takes a message over: into mailboxes here, and into the queue for recipients elsewhere.
func (s *Service) accept(ctx context.Context, in *incoming, msg *smtpd.Message, run commit) error {
	env := in.env
	if t, ok := event.ParseTraceparent(env.Traceparent); ok {
		in.trace = t
	} else {
		in.trace = event.NewTrace()
	}
	if err := s.destinations(ctx, in); err != nil {
		return err
	}
	c, err := s.receive(in, msg)
	if err != nil {
		return err
	}
	kept := false
	if in.raw.File != "" {
		defer func() { s.files.Settle(in.raw.File, kept) }()
	}
	defer c.Close() // before settle: an open file cannot be removed everywhere
	if in.raw.Size > s.Quota && len(in.boxes) > 0 {
		return &smtpd.Reply{Code: 552, Enhanced: "5.2.2", Text: "The message is larger than the whole mailbox may be"}
	}
	r := reading.Read(c, s.Log)
	if env.User != "" {
		if err := s.checkAuthor(ctx, in, r); err != nil {
			return err
		}
		in.sender, _ = mailbox.Split(env.User)
	}
	if err := s.sign(in, c); err != nil {
		return err
	}
	s.describe(in, r)
	if err := s.judge(ctx, in, r, c); err != nil {
		return err
	}
	in.marks = append(slices.Clip(env.Marks), smtpd.Mark{Step: "judged", At: s.Now().UnixMicro()})
	if !in.notBefore.IsZero() {
		in.marks = append(in.marks, smtpd.Mark{Step: "later", At: in.notBefore.UnixMicro()})
	}
	if err := s.confirm(in, c); err != nil {
		return err
	}
	err = run(func(tx mailbox.Tx) error { return s.store(tx, in) })
	if err != nil {
		kept = errs.Is(err, errs.Unavailable) // a disk that failed may have the row: the next start's sweep decides
		return err
	}
	kept = in.delivered > 0 || in.copyID != 0
	s.count(in, in.delivered)
	if in.raw.File == "" {
		s.index.Offer(in.rows, r, c)
	}
	s.index.Wake()
	if in.queued > 0 || in.bounces || in.judged.Sends() {
		s.queue.Wake()
	}
	return nil
}

// count keeps the figures of a delivery that was committed.
func (s *Service) count(in *incoming, stored int) {
	if stored == 0 {
		return
	}
	s.delivered.Add(stored)
	s.bytes.Add(int(in.raw.Size))
	if has(in.row.Flags, "malformed") {
		s.malformed.Inc()
	}
	s.spam.Add(s.sorter.Delivered(in.judged))
}

// destinations resolves the recipients once more, for an alias may have changed since RCPT,
// and drops repeats: a mailbox gets one copy.
func (s *Service) destinations(ctx context.Context, in *incoming) error {
	for i, to := range in.env.Recipients {
		led, err := s.place(ctx, in.env.User, to)
		if err != nil {
			return err
		}
		if led.away || !in.notBefore.IsZero() {
			if in.env.User == "" {
				return smtpd.RelayDenied()
			}
			if local, _ := mailbox.Split(to); led.caught {
				to = led.Users[0] + "@" + s.ascii
			} else if !led.away {
				to = local + "@" + s.ascii
			}
			if err := s.addAway(in, i, to); err != nil {
				return err
			}
			continue
		}
		in.noCopy = in.noCopy || led.caught && in.env.User != "" && led.Users[0]+"@"+s.Domain == in.env.User // its own: it comes as anybody's
		for _, u := range led.Users {
			if !slices.ContainsFunc(in.boxes, func(d destination) bool { return d.user == u }) {
				in.boxes = append(in.boxes, destination{user: u, recipient: to, place: i, alias: led.Alias})
			}
		}
	}
	if len(in.boxes)+len(in.away) == 0 {
		return smtpd.UnknownUser()
	}
	return nil
}

// receive takes the bytes of a message over: into memory, or into a file that is on disk when
// it returns.
func (s *Service) receive(in *incoming, msg *smtpd.Message) (*mailbox.Content, error) {
	r := &in.raw
	r.Prepended = msg.Prepended
	own := in.env.User != "" && !in.asIs
	if msg.Size <= MaxInRow && !own {
		body, err := msg.Bytes()
		if err != nil {
			return nil, err
		}
		r.Body, r.Size, r.SHA256 = body, msg.Size, msg.SHA256[:]
		return mailbox.InMemory(body), nil
	}
	src, sum := msg.Raw(), sha256.New()
	if own {
		var err error
		if src, err = compose.WithoutBcc(src); err != nil {
			return nil, err
		}
	}
	if msg.Size <= MaxInRow {
		body, err := io.ReadAll(src)
		if err != nil {
			return nil, fmt.Errorf("read message: %w", err)
		}
		r.Body, r.Size, r.SHA256 = body, int64(len(body)), mailbox.Hash(body)
		return mailbox.InMemory(body), nil
	}
	name, size, err := s.files.Write(src, sum)
	if err != nil {
		return nil, fmt.Errorf("write message to a file: %w", err)
	}
	f, err := s.files.Open(name)
	if err != nil {
		s.files.Settle(name, false)
		return nil, fmt.Errorf("read message back: %w", err)
	}
	r.File, r.Size, r.SHA256 = name, size, sum.Sum(nil)
	return mailbox.InFile(f, size), nil
}

// checkAuthor holds a submitted message to what its user may write in it, and adds what it
// lacks (RFC 6409 section 8).
func (s *Service) checkAuthor(ctx context.Context, in *incoming, r reading.Reading) error {
	for _, a := range mime.Addresses(r.Tree.Get("From"), 10) {
		if err := s.checkOwner(ctx, in.env.User, a.Addr); err != nil {
			return err
		}
	}
	var add []byte
	if r.Tree.Get("Date") == "" {
		add = fmt.Appendf(add, "Date: %s\r\n", in.env.ReceivedAt.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	}
	if r.Tree.Get("Message-ID") == "" {
		in.raw.MessageID = in.env.ID + "@" + s.ascii
		add = fmt.Appendf(add, "Message-ID: <%s>\r\n", in.raw.MessageID)
	}
	in.raw.Prepended = append(slices.Clone(in.raw.Prepended), add...)
	return nil
}

// describe fills in what lists and pages show of the message.
func (s *Service) describe(in *incoming, r reading.Reading) {
	env, raw, row := in.env, &in.raw, &in.row
	for _, f := range env.Faults {
		if !has(r.Faults, f) {
			r.Faults = append(r.Faults, f)
		}
	}
	slices.Sort(r.Faults)
	if id := mime.Line(strings.Trim(r.Tree.Get("Message-ID"), "<> \t"), 250); id != "" {
		raw.MessageID = id
	}
	raw.EnvelopeID, raw.Mode, raw.ReversePath, raw.Recipients = env.ID, env.Mode.String(), env.ReversePath, env.Recipients
	raw.HELO, raw.AuthUser, raw.Received, raw.Traceparent = mime.Line(env.HELO, 255), env.User, env.ReceivedAt, in.trace.Traceparent()
	if env.RemoteIP.IsValid() {
		raw.RemoteIP = env.RemoteIP.String()
	}
	if env.TLS != nil {
		raw.TLS = env.TLS.Version
	}
	raw.Auth, raw.Faults = rawJSON(env.Auth), r.Faults

	row.MessageID, row.Size, row.Received, row.Snippet, row.Attachments = raw.MessageID, raw.Size, raw.Received, r.Snippet, len(r.Attachments)
	row.Subject = mime.Line(mime.Header(r.Tree.Get("Subject")), 500)
	in.refs = mime.MessageIDs(r.Tree.Get("References") + " " + r.Tree.Get("In-Reply-To"))
	row.Date = mime.Date(r.Tree.Get("Date"))
	authors := mime.Addresses(r.Tree.Get("From"), 10)
	if len(authors) == 0 && env.ReversePath != "" {
		authors = []mime.Address{{Addr: env.ReversePath}}
	}
	if len(authors) > 0 {
		row.FromName, row.FromAddress = authors[0].Name, authors[0].Addr
	}
	row.From, row.To = mime.People(authors), mime.People(mime.Addresses(r.Tree.Get("To"), 50))
	row.SPF, row.DKIM, row.DMARC = cmp.Or(string(env.Auth.SPF), "none"), cmp.Or(string(env.Auth.DKIM), "none"), cmp.Or(string(env.Auth.DMARC), "none")
	row.Unread = true

	row.Flags = r.Flags(env.ReversePath == "" && !in.asIs, false)
}

// store writes the message into every mailbox that does not have it yet, and into the queue.
func (s *Service) store(tx mailbox.Tx, in *incoming) error {
	in.delivered, in.queued, in.rows = 0, 0, nil
	if !in.noCopy {
		in.copyID = 0
	}
	fresh, err := s.copies(tx, in)
	if err != nil {
		return err
	}
	in.delivered = len(fresh)
	fresh, again, err := s.senderCopy(tx, in, fresh)
	if err != nil || len(fresh) == 0 && !in.noCopy {
		return err
	}
	in.raw.Marks = append(slices.Clip(in.marks), smtpd.Mark{Step: "stored", At: s.Now().UnixMicro()})
	rawID, err := tx.AddRaw(in.raw)
	if err != nil {
		return err
	}
	trace := in.trace.Step("email", s.Now().Sub(in.start))
	for i, m := range fresh {
		m.RawID = rawID
		if err := s.put(tx, in, m, i < in.delivered, trace); err != nil {
			return err
		}
	}
	if again {
		return nil
	}
	for _, r := range in.reports {
		if err := s.storeReport(tx, r); err != nil {
			return err
		}
	}
	if err := s.bounceLater(tx, in, rawID, fresh[:in.delivered]); err != nil {
		return err
	}
	return s.enqueue(tx, in, rawID, fresh[:in.delivered])
}

// copies are the rows of the mailboxes that get the message and do not have it yet.
func (s *Service) copies(tx mailbox.Tx, in *incoming) (fresh []mailbox.Message, err error) {
	for _, d := range in.boxes {
		box, made, err := tx.EnsureMailbox(d.user, mailbox.MadeByMail)
		if err != nil {
			return nil, err
		}
		if made {
			s.made.Inc()
		}
		if box.Bytes >= s.Quota && len(in.boxes) == 1 && !in.always {
			return nil, smtpd.QuotaExceeded()
		}
		if again, err := s.repeats(tx, in, box.ID); err != nil || again {
			if err != nil {
				return nil, err
			}
			s.repeated.Inc()
			continue
		}
		if d.alias != "" {
			if err := tx.Came(d.alias, in.judged.Junk(d.user)); err != nil {
				return nil, err
			}
		}
		m := in.row
		m.MailboxID, m.User, m.Recipient = box.ID, box.User, d.recipient
		if m.To == "" {
			m.To = d.recipient
		}
		fresh = append(fresh, m)
	}
	return fresh, nil
}

// put stores a mailbox's row where it belongs; received is false for the copy that a sender keeps.
func (s *Service) put(tx mailbox.Tx, in *incoming, m mailbox.Message, received bool, trace *event.Trace) (err error) {
	var roles []string
	if received {
		roles = append(roles, mailbox.RoleInbox)
	}
	own := m.User == in.sender && !in.noCopy
	if own {
		roles, m.Labels = append(roles, mailbox.RoleSent), []string{labelSent}
		if !in.notBefore.IsZero() {
			m.Labels = []string{labelScheduled}
		}
	}
	if received {
		if err := in.judged.Onto(tx, &m, roles); err != nil {
			return err
		}
		m, err = addThreaded(tx, m, in.refs)
	} else {
		m, err = file(tx, m, roles, in.refs)
	}
	if err != nil {
		return err
	}
	in.rows = append(in.rows, m.ID)
	if own {
		in.copyID = m.ID
	}
	if !received {
		return nil
	}
	if err := in.judged.Keep(tx, m); err != nil {
		return err
	}
	return emit(tx, event.MailReceived, m.User, trace, receivedEvent(s.wire(m)))
}

// file stores a message in its mailbox's folders of the roles, in the thread that it belongs to.
func file(tx mailbox.Tx, m mailbox.Message, roles, references []string) (mailbox.Message, error) {
	m.Folders = nil
	for _, role := range roles {
		folder, err := tx.FolderByRole(m.MailboxID, role)
		if err != nil {
			return m, err
		}
		m.Folders = append(m.Folders, folder.ID)
	}
	return addThreaded(tx, m, references)
}

// addThreaded stores a message, whose folders are known, in the thread that it belongs to.
func addThreaded(tx mailbox.Tx, m mailbox.Message, references []string) (mailbox.Message, error) {
	subject := mime.BaseSubject(m.Subject)
	thread, refs, err := mailbox.ThreadIn(tx, m.MailboxID, m.MessageID, references, subject)
	if err != nil {
		return m, err
	}
	m.ThreadID = thread
	if m, err = tx.AddMessage(m); err != nil {
		return m, err
	}
	return m, tx.KeepRefs(m.MailboxID, m.ThreadID, refs, subject)
}

// repeats reports whether a mailbox got this very message a short while ago.
func (s *Service) repeats(tx mailbox.Tx, in *incoming, mailbox int64) (bool, error) {
	if in.raw.MessageID == "" {
		return false, nil
	}
	return tx.Repeated(mailbox, in.raw, tx.Now().Add(-repeatedWithin))
}

// arrival is the payload of mail.received: the list's row, its id under the name that an
// event can carry.
type arrival struct {
	MessageID int64 `json:"message_id"`
	api.EmailMessage
	ID int64 `json:"id,omitempty"` // hides the row's: the event's own id has this name
}

func receivedEvent(m api.EmailMessage) arrival { return arrival{MessageID: m.ID, EmailMessage: m} }
