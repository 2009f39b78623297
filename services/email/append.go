package email

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/sending"
	"uniqverse/smtpd"
)

// MaxAppend is the size up to which a message can be put into a mailbox, in bytes: what the edge takes, too.
const MaxAppend = 25 << 20

// Appended is a message that is put into a mailbox as it is, without being delivered: a draft, or mail that is
// brought in from elsewhere. Nobody is told of new mail.
type Appended struct {
	User     string  // local part of the mailbox, which is made when there is none
	Folders  []int64 // where it lies; none is the folder of Role
	Role     string  // used when Folders is empty
	Keywords []string
	Labels   []string // as cleaned
	Unread   bool
	Starred  bool
	Received time.Time // zero is now
	Mode     string    // how it came: "draft", "import"
}

// Append stores a message for good in one transaction and returns its row. also, unless nil, runs in the same transaction.
// A folder of another mailbox is errs.NotFound, a message above MaxAppend errs.TooLarge, a mailbox above its quota errs.Conflict.
func (s *Service) Append(ctx context.Context, a Appended, src io.Reader, also func(tx mailbox.Tx, m mailbox.Message) error) (mailbox.Message, error) {
	raw, err := io.ReadAll(io.LimitReader(src, MaxAppend+1))
	if err != nil {
		return mailbox.Message{}, fmt.Errorf("read message: %w", err)
	}
	if len(raw) > MaxAppend {
		return mailbox.Message{}, errs.New(errs.TooLarge, "a message may have at most %d MB", MaxAppend>>20)
	}
	now := s.Now().UTC()
	if a.Received.IsZero() {
		a.Received = now
	}
	address := s.address(a.User)
	in := &incoming{start: now, always: true, asIs: true,
		env: &smtpd.Envelope{ID: rand.Text()[:16], Recipients: []string{address}, User: address, Loopback: true, ReceivedAt: a.Received}}
	if in.trace = event.TraceOf(ctx); in.trace == nil {
		in.trace = event.NewTrace()
	}
	body, err := s.receive(in, smtpd.NewMessage(nil, raw))
	if err != nil {
		return mailbox.Message{}, err
	}
	kept := false
	if in.raw.File != "" {
		defer func() { s.files.Settle(in.raw.File, kept) }()
	}
	defer body.Close()
	s.describe(in, reading.Read(body, s.Log))
	in.raw.Mode, in.raw.AuthUser = a.Mode, ""
	var m mailbox.Message
	err = s.Store.Update(ctx, nil, func(tx mailbox.Tx) error {
		var err error
		if m, err = s.append(tx, in, a); err != nil || also == nil {
			return err
		}
		return also(tx, m)
	})
	kept = err == nil || errs.Is(err, errs.Unavailable) // a disk that failed may have the row: the next start's sweep decides
	s.index.Wake()
	return m, err
}

func (s *Service) append(tx mailbox.Tx, in *incoming, a Appended) (mailbox.Message, error) {
	box, _, err := tx.EnsureMailbox(a.User, mailbox.MadeByMail)
	if err != nil {
		return mailbox.Message{}, err
	}
	if box.Bytes+in.raw.Size > s.Quota {
		return mailbox.Message{}, errs.New(errs.Conflict, "the mailbox is full; remove something first")
	}
	m := in.row
	m.MailboxID, m.User, m.Recipient = box.ID, box.User, s.address(box.User)
	m.Unread, m.Starred, m.Labels, m.Keywords = a.Unread, a.Starred, a.Labels, a.Keywords
	in.raw.Marks = []smtpd.Mark{{Step: "stored", At: s.Now().UnixMicro()}}
	if m.RawID, err = tx.AddRaw(in.raw); err != nil {
		return mailbox.Message{}, err
	}
	if len(a.Folders) == 0 {
		return file(tx, m, []string{a.Role}, in.refs)
	}
	for _, id := range a.Folders {
		if f, err := tx.FolderByID(id); err != nil || f.MailboxID != box.ID {
			return mailbox.Message{}, errs.New(errs.NotFound, "there is no such folder in this mailbox")
		}
	}
	m.Folders = a.Folders
	return addThreaded(tx, m, in.refs)
}

// Submission is a stored message that its owner sends as it stands.
type Submission struct {
	Message mailbox.Message
	From    string    // the envelope's reverse-path: an own address
	To      []string  // the envelope's recipients, here or elsewhere
	SendAt  time.Time // nobody has it before; zero is at once
}

// Reachable says whether mail to an address would be taken, here or for another host: nil, or a *smtpd.Reply that says why not. Any
// other error is that it cannot be said now.
func (s *Service) Reachable(ctx context.Context, to string) (local bool, err error) {
	name, domain := mailbox.Split(to)
	if s.ours(domain) {
		_, err = s.resolve(ctx, name)
		return true, err
	}
	return false, s.checkOutside(ctx, to)
}

// SubmitStored sends a stored message: mailboxes here have it when SubmitStored returns, for others it is in the queue.
// Its owner gets no further copy. also, unless nil, runs in the same transaction with the id in the queue. What the
// message or the envelope lacks is a *smtpd.Reply, such as 550 5.7.1 for somebody else's address.
func (s *Service) SubmitStored(ctx context.Context, caller web.Caller, sub Submission, also func(tx mailbox.Tx, queueID string) error) (queueID string, err error) {
	user := s.address(sub.Message.User)
	if err := s.checkOwner(ctx, user, sub.From); err != nil {
		return "", err
	}
	if len(sub.To) == 0 || len(sub.To) > sending.MaxRecipients {
		return "", errs.BadField("to", "must be 1 to %d addresses", sending.MaxRecipients)
	}
	for _, to := range sub.To {
		if _, err := s.Reachable(ctx, to); err != nil {
			return "", err
		}
	}
	_, body, err := s.content(ctx, sub.Message.RawID)
	if err != nil {
		return "", err
	}
	defer body.Close()
	raw, err := io.ReadAll(body.All())
	if err != nil {
		return "", fmt.Errorf("read stored message: %w", err)
	}
	id, now := rand.Text()[:16], s.Now().UTC()
	trace := fmt.Appendf(nil, "Received: by %s with HTTP id %s; %s\r\n", s.ascii, id, now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	in := &incoming{start: now, notBefore: sub.SendAt, noCopy: true, copyID: sub.Message.ID, free: caller.Demo || caller.Server != "" || caller.Has("email.admin"),
		env: &smtpd.Envelope{ID: id, Mode: smtpd.Submission, ReversePath: sub.From, Recipients: sub.To, User: user, ReceivedAt: now}}
	if t := event.TraceOf(ctx); t != nil {
		in.env.Traceparent = t.Traceparent()
	}
	err = s.accept(ctx, in, smtpd.NewMessage(trace, raw), func(fn func(tx mailbox.Tx) error) error {
		return s.Store.Update(ctx, nil, func(tx mailbox.Tx) error {
			if err := fn(tx); err != nil || also == nil {
				return err
			}
			return also(tx, id)
		})
	})
	return id, err
}

// Open opens the bytes of a stored message as they came, beside its envelope and the fields that this server put
// before it; close the content.
func (s *Service) Open(ctx context.Context, rawID int64) (mailbox.Raw, *mailbox.Content, error) {
	return s.content(ctx, rawID)
}

// Named returns the local part of the mailbox that a text names, as requests do: an address of the domain, a local
// part, "@handle". Another domain is errs.Denied.
func (s *Service) Named(user string) (local string, err error) { return s.named(user) }

// Address returns the whole address of a local part.
func (s *Service) Address(user string) string { return s.address(user) }

// Owns says whether the user (a local part) may send as the address: their own, with a tag, or an alias of theirs.
func (s *Service) Owns(ctx context.Context, user, addr string) (bool, error) {
	err := s.checkOwner(ctx, s.address(user), addr)
	if _, refused := err.(*smtpd.Reply); refused {
		return false, nil
	}
	return err == nil, err
}

// MailboxFor returns somebody's mailbox, which is made when there is none.
func (s *Service) MailboxFor(ctx context.Context, user string) (box mailbox.Mailbox, err error) {
	box, err = s.Store.MailboxByName(ctx, user)
	if !errs.Is(err, errs.NotFound) {
		return box, err
	}
	err = s.Store.Update(ctx, nil, func(tx mailbox.Tx) error {
		var made bool
		if box, made, err = tx.EnsureMailbox(user, mailbox.MadeByMail); made {
			s.made.Inc()
		}
		return err
	})
	return box, err
}

// Removed tells the service that rows with these files are gone (mailbox.Tx.RemoveMessage): the files go now.
func (s *Service) Removed(files []string) { s.files.Remove(files, nil) }

// Queue is the mail that waits to leave.
func (s *Service) Queue() *queue.Queue[mailbox.Tx] { return s.queue }

// Login signs a mail program in and returns the local part of its user. See Authenticate.
func (s *Service) Login(ctx context.Context, user, password string) (local string, err error) {
	identity, err := s.Authenticate(ctx, smtpd.Session{}, user, password)
	if err != nil {
		return "", err
	}
	local, _ = mailbox.Split(identity)
	return local, nil
}

// Discard moves messages of a user (a local part) to the trash in one transaction. What is there already stays, what is gone is
// passed over; somebody else's message is errs.NotFound.
func (s *Service) Discard(ctx context.Context, user string, ids []int64) error {
	return s.Store.Update(ctx, nil, func(tx mailbox.Tx) error {
		for _, id := range ids {
			m, err := tx.MessageByID(id)
			if errs.Is(err, errs.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if m.User != user {
				return errs.New(errs.NotFound, "there is no such message")
			}
			trash, err := tx.FolderByRole(m.MailboxID, mailbox.RoleTrash)
			if err != nil {
				return err
			}
			if m, err = tx.Place(m, []int64{trash.ID}); err != nil {
				return err
			}
			if err := emit(tx, event.MailMoved, m.User, event.TraceOf(ctx), map[string]any{"message_id": m.ID, "user": s.address(m.User), "folders": m.Folders}); err != nil {
				return err
			}
		}
		return nil
	})
}
