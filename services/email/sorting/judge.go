package sorting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/mime"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/reading"
	"uniqverse/services/email/rules"
	"uniqverse/services/email/spam"
	"uniqverse/smtpd"
	"uniqverse/smtpd/senderauth"
)

// Mail is the mail service as a Sorter needs it.
type Mail interface {
	// Content opens the bytes of a stored message; the caller closes them.
	Content(ctx context.Context, raw int64) (mailbox.Raw, *mailbox.Content, error)
	// Owner returns the local part of the user that a request names, the caller's when it names none, after the domain and
	// owner checks.
	Owner(c *web.Call, user string) (string, error)
	// Own passes a message on that the caller may see; any other is errs.NotFound.
	Own(c *web.Call, m mailbox.Message, err error) (mailbox.Message, error)
	// Move puts a message into its mailbox's folder of a role, and tells of it.
	Move(c *web.Call, tx mailbox.Tx, m mailbox.Message, role string) (mailbox.Message, error)
	// Tell emits an event about a message of a user.
	Tell(tx mailbox.Tx, typ, user string, payload map[string]any) error
	// Wire is a message as lists show it.
	Wire(m mailbox.Message) api.EmailMessage
	// Back is the page that a form wants to go to.
	Back(c *web.Call, out any) string
}

// Options is all that a Sorter needs. Store, Mail, Domain, Admit, Sign, Log, Now and Metrics are required.
type Options struct {
	Store  mailbox.Store
	Mail   Mail
	Domain string // ours, in ASCII
	// Admit puts mail into the queue; mail for our own domain is delivered from there, and no rules are asked about it again.
	Admit func(tx mailbox.Tx, e queue.Entry) (int64, error)
	// Sign returns the fields to put before a message that leaves; present counts the fields that it has.
	Sign       func(message io.Reader, present map[string]int) ([]byte, error)
	DailyLimit int // recipients that one mailbox sends mail on to in a day
	JunkAt     float64
	RefuseAt   float64 // 0 never
	Scanners   []spam.Scanner
	Log        *slog.Logger
	Now        func() time.Time
	Metrics    *metrics.Set
}

// Sorter sorts mail. Make one with New.
type Sorter struct {
	Options
	filter *spam.Filter[mailbox.Tx]
	rules  *rules.Set[mailbox.Tx]
}

// New returns a Sorter; it starts nothing.
func New(o Options) (*Sorter, error) {
	if o.Store == nil || o.Mail == nil || o.Domain == "" || o.Admit == nil || o.Sign == nil || o.Log == nil || o.Now == nil || o.Metrics == nil {
		return nil, errors.New("sorting: Store, Mail, Domain, Admit, Sign, Log, Now and Metrics are required")
	}
	s := &Sorter{Options: o}
	var err error
	s.filter, err = spam.New(spam.Options[mailbox.Tx]{Store: o.Store, Office: office{s}, Ensure: ensure, Scanners: o.Scanners, JunkAt: o.JunkAt, RefuseAt: o.RefuseAt,
		Log: o.Log, Now: o.Now, Metrics: o.Metrics})
	if err != nil {
		return nil, err
	}
	s.rules, err = rules.New(rules.Options[mailbox.Tx]{Store: o.Store, Office: clerk{s}, Log: o.Log, Now: o.Now})
	return s, err
}

// Run learns from what people move, and lets rules work through mail that is there, until ctx ends.
func (s *Sorter) Run(ctx context.Context) {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { s.rules.Run(ctx) })
	s.filter.Run(ctx)
}

// ensure returns the id of a user's mailbox, and makes it when there is none.
func ensure(tx mailbox.Tx, user string) (int64, error) {
	box, _, err := tx.EnsureMailbox(user, mailbox.MadeByMail)
	return box.ID, err
}

// Incoming is a message on its way.
type Incoming struct {
	Envelope *smtpd.Envelope
	Reading  reading.Reading
	Content  *mailbox.Content
	Boxes    []Box // that it goes to
}

// Box is a mailbox that a message goes to, and the address that led there.
type Box struct{ User, Recipient string }

// Judged is what the filter says of a message.
type Judged struct {
	Score   float64       // without what only one mailbox knows
	Reasons []spam.Reason // the same
	by      map[string]spam.Verdict
	wishes  map[string]wish // of those who have rules, or are away
}

// Judge asks the spam filter what a message is for each mailbox.
func (s *Sorter) Judge(ctx context.Context, in Incoming) (j Judged) {
	f, env := s.facts(in.Reading, in.Content), in.Envelope
	f.Auth, f.Submitted, f.Loopback, f.HELO, f.RemoteIP, f.ReversePath, f.Faults = env.Auth, env.User != "", env.Loopback, env.HELO, env.RemoteIP, env.ReversePath, env.Faults
	f.Malformed = f.Malformed || len(env.Faults) > 0
	m := spam.Message{Facts: f, Envelope: env, Size: in.Content.Size, Open: func() io.Reader { return in.Content.All() }}
	users := make([]string, 0, len(in.Boxes))
	for _, b := range in.Boxes {
		users = append(users, b.User)
	}
	j.Reasons, j.by = s.filter.Judge(ctx, m, users)
	j.Score = spam.Sum(j.Reasons)
	j.wishes = s.wishes(ctx, in, f, j, users)
	return j
}

// Breaks returns the rule of the policy that a message breaks which is so much spam that no mailbox wants it.
func (j Judged) Breaks(limit float64) (v senderauth.Verdict, breaks bool) {
	var least *spam.Verdict
	for _, verdict := range j.by {
		if !verdict.Refuse {
			return v, false
		}
		if least == nil || verdict.Score < least.Score {
			least = &verdict
		}
	}
	if least == nil {
		return v, false
	}
	reasons := make([]string, 0, len(least.Reasons))
	for _, r := range least.Reasons {
		reasons = append(reasons, fmt.Sprintf("%s %+.1f", r.Rule, r.Score))
	}
	return senderauth.Verdict{Rule: "spam", Code: 550, Enhanced: "5.7.1", Text: "The message looks like spam",
		Detail: fmt.Sprintf("score %.1f of %.1f: %s", least.Score, limit, strings.Join(reasons, ", "))}, true
}

// Junk reports whether a message is junk to a user.
func (j Judged) Junk(user string) bool { return j.by[user].Junk }

// Onto writes a mailbox's verdict, and what its rules want, onto its row. roles are those of the folders that it would go
// to: Junk takes the place of the inbox.
func (j Judged) Onto(tx mailbox.Tx, m *mailbox.Message, roles []string) error {
	v, judged := j.by[m.User]
	if judged {
		m.SpamScore = v.Score
	}
	if v.Junk {
		m.Flags = append(slices.Clone(m.Flags), "spam")
		slices.Sort(m.Flags)
	}
	p := j.wishes[m.User].plan
	m.Starred, m.Unread = m.Starred || p.Star, m.Unread && !p.Read
	if len(p.Labels) > 0 {
		m.Labels = union(m.Labels, p.Labels)
	}
	m.Folders = nil
	var all []mailbox.Folder
	if p.Move != "" {
		var err error
		if all, err = tx.Folders(m.MailboxID); err != nil {
			return err
		}
	}
	for _, role := range roles {
		if role == mailbox.RoleInbox && v.Junk {
			role = mailbox.RoleJunk
		}
		f, moved := mailbox.FindFolder(all, p.Move)
		if !moved || role != mailbox.RoleInbox && role != mailbox.RoleJunk { // one that is gone by now leaves the message where it would be
			var err error
			if f, err = tx.FolderByRole(m.MailboxID, role); errs.Is(err, errs.NotFound) {
				continue
			} else if err != nil {
				return err
			}
		}
		m.Folders = append(m.Folders, f.ID)
	}
	return nil
}

// Keep stores what only this mailbox knows of a message that is stored, and sends what it wants sent, in the same
// transaction.
func (j Judged) Keep(tx mailbox.Tx, m mailbox.Message) error {
	if own := j.by[m.User].Own; len(own) > 0 {
		if err := tx.SaveSpamVerdict(m.ID, m.MailboxID, own); err != nil {
			return err
		}
	}
	return j.wishes[m.User].keep(tx, m)
}

// Sends reports whether keeping the message may put mail into the queue.
func (j Judged) Sends() bool { return len(j.wishes) > 0 }

// Delivered notes that a message was delivered, and returns to how many it is junk.
func (s *Sorter) Delivered(j Judged) (junk int) {
	for user, v := range j.by {
		s.filter.Saw(user, v)
		if v.Junk {
			junk++
		}
	}
	return junk
}

// facts are what the spam filter looks at. What stands in the envelope is for the caller to add.
func (s *Sorter) facts(r reading.Reading, c *mailbox.Content) spam.Facts {
	f := spam.Facts{Domain: s.Domain, Now: s.Now(), Subject: mime.Line(mime.Header(r.Tree.Get("Subject")), 500), Date: mime.Date(r.Tree.Get("Date")),
		HasDate: r.Tree.Get("Date") != "", HasID: r.Tree.Get("Message-ID") != "", Plain: r.Plain, HTML: r.HTML, Malformed: len(r.Faults) > 0,
		Sample: sync.OnceValue(func() spam.Sample { return s.sample(r, c) })}
	if from := mime.Addresses(r.Tree.Get("From"), 1); len(from) > 0 {
		f.FromName = from[0].Name
		if from[0].Domain() != "" {
			f.FromAddress = from[0].Addr
		}
	}
	if reply := mime.Addresses(r.Tree.Get("Reply-To"), 1); len(reply) > 0 {
		f.ReplyDomain = reply[0].Domain()
	}
	for _, p := range r.Attachments {
		f.Files = append(f.Files, p.Name)
	}
	return f
}

// sample reads a message for its words; a fault of our own parser leaves none.
func (s *Sorter) sample(r reading.Reading, c *mailbox.Content) (out spam.Sample) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("the words of a message could not be read", "panic", fmt.Sprint(p))
			out = spam.Sample{}
		}
	}()
	return spam.Read(r.Tree, c)
}

// office is the mail service as the spam filter needs it.
type office struct{ *Sorter }

var _ spam.Office = office{}

// Stored reads a stored message as it was judged when it came.
func (o office) Stored(ctx context.Context, id int64) (spam.Facts, error) {
	raw, c, err := o.Mail.Content(ctx, id)
	if err != nil {
		return spam.Facts{}, err
	}
	defer c.Close()
	f := o.facts(reading.Read(c, o.Log), c)
	f.Sample() // while the bytes are open
	f.Submitted, f.HELO, f.ReversePath, f.Now = raw.AuthUser != "", raw.HELO, raw.ReversePath, raw.Received
	if f.Auth, err = reading.Auth(raw.Auth); err != nil {
		return f, fmt.Errorf("stored message %d: results of the checks: %w", id, err)
	}
	if ip, err := netip.ParseAddr(raw.RemoteIP); err == nil {
		f.RemoteIP, f.Loopback = ip, ip.IsLoopback()
	}
	return f, nil
}

// Owner implements spam.Office.
func (o office) Owner(c *web.Call, user string) (string, error) { return o.Mail.Owner(c, user) }

// Message returns a message that the caller may see.
func (o office) Message(c *web.Call, id int64) (spam.Stored, error) {
	m, err := o.Store.MessageByID(c.Context(), id)
	if m, err = o.Mail.Own(c, m, err); err != nil {
		return spam.Stored{}, err
	}
	raw, err := o.Store.RawByID(c.Context(), m.RawID)
	return spam.Stored{ID: m.ID, Mailbox: m.MailboxID, Raw: m.RawID, User: m.User, Score: m.SpamScore, Reasons: raw.SpamReasons}, err
}
