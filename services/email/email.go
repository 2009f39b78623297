package email

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/net/idna"
	"golang.org/x/time/rate"

	"uniqverse/hub"
	"uniqverse/internal/auth"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email/alias"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/search/index"
	"uniqverse/services/email/sorting"
	"uniqverse/services/email/spam"
)

// DefaultQuota is what a mailbox may hold, in bytes, unless Options say otherwise.
const DefaultQuota = 1 << 30

// MaxInRow is the size up to which a message is kept in its row, in bytes; a larger one is a file.
const MaxInRow = 256 << 10

// How often, at most, a mailbox is made for an RCPT alone: naming addresses must not fill the disk.
const (
	newPerSecond = 20
	newBurst     = 200
)

// Users finds the people of this installation; *auth.Auth is one.
type Users interface {
	// UserByName returns the user with the local part, or errs.NotFound.
	UserByName(ctx context.Context, name string) (auth.User, error)
	// AppLogin signs a mail program in with an app password, or fails with errs.Unauthenticated.
	AppLogin(ctx context.Context, name, password string) (auth.User, error)
	// TokenLogin signs a mail program in with a bearer token of a service that carries the scope: errs.Unauthenticated
	// when it is wrong, errs.Denied when it lacks the scope. local says that the program is on this machine.
	TokenLogin(ctx context.Context, service, scope, token string, local bool) (auth.User, error)
}

// Store is what the service keeps its things in.
type Store interface {
	mailbox.Store
	index.Store
}

// Options is all that a Service needs. Store, Hub, Users, Domain, Dir, Log, Now, Metrics, Deliverer and Signer are required.
type Options struct {
	Store    Store
	Hub      hub.Hub
	Users    Users
	Domain   string // the mail domain, "vezeuniqverse.com"
	Demo     bool   // demo identity is on: every valid local part is a mailbox
	Dir      string // folder for large messages, <data>/mail; made when it is first needed
	Quota    int64  // bytes a mailbox may hold; 0 means DefaultQuota
	SMTPPort int    // of the MX listener, for the hint in an empty inbox; 0 is none
	Log      *slog.Logger
	Now      func() time.Time
	Metrics  *metrics.Set
	// DiskFull tells a full disk from other failures of the store, so that senders hear
	// 452 4.3.1 rather than 451 4.3.0. nil never does.
	DiskFull func(error) bool
	// Closed tells a store that was closed from other failures, so that senders hear 421 4.3.2. nil never does.
	Closed func(error) bool

	Deliverer queue.Deliverer // takes mail to other hosts
	Signer    Signer          // signs it
	Chaos     Chaos           // nil for none
	Sandbox   Sandbox         // nil for none
	HoldAll   bool            // mail to other hosts is held until an administrator releases it

	SpamRefuse float64 // score from which mail of other hosts breaks the policy; 0 never
	Enforce    bool    // such mail is refused; otherwise that is noted with it

	JunkAt   float64        // score from which a message is junk; 0 means spam.JunkAt
	Scanners []spam.Scanner // asked about each message from elsewhere
}

// Chaos lets mail fail on purpose; *chaos.Chaos is one.
type Chaos interface {
	// Simulates reports whether deliveries to an address elsewhere are simulated, and how long they wait.
	Simulates(recipient string) (after time.Duration, ok bool)
	// Bounces returns after which time a message delivered to an address here is reported as failed, and whether it is.
	Bounces(recipient string) (after time.Duration, ok bool)
	// Around makes attempts as a rule says, or leaves them to next.
	Around(next queue.Deliverer) queue.Deliverer
}

// deliverer makes the attempts of the queue: as chaos says, here, or elsewhere.
func (s *Service) deliverer() queue.Deliverer {
	if s.Chaos == nil {
		return home{s, s.Deliverer}
	}
	return s.Chaos.Around(home{s, s.Deliverer})
}

// Signer signs outgoing mail; *signer.Signer is one.
type Signer interface {
	// Sign returns the fields to put before a message; present counts the fields that it has.
	Sign(message io.Reader, present map[string]int) ([]byte, error)
}

// Service is the mail service. Make one with New.
type Service struct {
	Options
	ascii     string // Domain in lower case and ASCII
	files     *mailbox.Files
	queue     *queue.Queue[mailbox.Tx]
	index     *index.Feeder
	directory *alias.Directory
	sorter    *sorting.Sorter
	fresh     *rate.Limiter // mailboxes made for an RCPT alone
	room      *mailbox.Room

	streams *web.Quota // open event streams

	delivered, repeated, bytes, malformed, spam, made *metrics.Counter
}

// New returns the service; it opens nothing and starts nothing.
func New(o Options) (*Service, error) {
	if o.Store == nil || o.Hub == nil || o.Users == nil || o.Log == nil || o.Now == nil || o.Metrics == nil || o.Dir == "" || o.Deliverer == nil || o.Signer == nil {
		return nil, errors.New("email: Store, Hub, Users, Log, Now, Metrics, Dir, Deliverer and Signer are required")
	}
	ascii, err := idna.Lookup.ToASCII(strings.ToLower(o.Domain))
	if err != nil || ascii == "" {
		return nil, errors.New("email: the domain is not a host name")
	}
	if o.Quota == 0 {
		o.Quota = DefaultQuota
	}
	if o.DiskFull == nil {
		o.DiskFull = func(error) bool { return false }
	}
	if o.Closed == nil {
		o.Closed = func(error) bool { return false }
	}
	s := &Service{Options: o, ascii: ascii, files: mailbox.NewFiles(o.Dir), room: mailbox.NewRoom(o.Quota),
		fresh: rate.NewLimiter(newPerSecond, newBurst), streams: web.NewQuota("event streams", maxStreams)}
	counter := func(name string) *metrics.Counter { return o.Metrics.GetOrCreateCounter("uniqverse_mail_" + name) }
	s.delivered = counter("delivered_total")
	s.repeated = counter("repeated_total")
	s.bytes = counter("delivered_bytes_total")
	s.malformed = counter("malformed_total")
	s.spam = counter("spam_total")
	s.made = counter("mailboxes_made_total")
	s.queue, err = queue.New(queue.Options[mailbox.Tx]{Store: o.Store, Office: office{s}, Deliverer: s.deliverer(), HoldAll: o.HoldAll, Home: ascii, Catch: s.catch, Log: o.Log, Now: o.Now, Metrics: o.Metrics})
	if err != nil {
		return nil, err
	}
	s.index = index.New(o.Store, s.content, o.Log)
	s.directory, err = alias.New(alias.Options{Store: o.Store, Users: o.Users, Domain: o.Domain, Demo: o.Demo, Named: s.named, Owner: clerk{s}.Owner})
	if err != nil {
		return nil, err
	}
	s.sorter, err = sorting.New(sorting.Options{Store: o.Store, Mail: clerk{s}, Domain: ascii, Admit: s.queue.Admit, Sign: o.Signer.Sign, DailyLimit: DailyLimit, JunkAt: o.JunkAt, RefuseAt: o.SpamRefuse, Scanners: o.Scanners,
		Log: o.Log, Now: o.Now, Metrics: o.Metrics})
	return s, err
}

// Run removes the files that a crash left without a row, feeds the search index, sends what is in the queue and learns from what people move; it returns when ctx ends.
func (s *Service) Run(ctx context.Context) error {
	removed, err := s.files.Sweep(ctx, s.Store.FileKnown)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil: // the mail itself is not touched by this: the service goes on
		s.Log.Error("files of undelivered messages could not all be removed", "dir", s.Dir, "err", err.Error())
	case removed > 0:
		s.Log.Info("removed files of messages whose delivery was never acknowledged", "files", removed)
	}
	var beside sync.WaitGroup
	beside.Go(func() { s.index.Run(ctx) })
	beside.Go(func() { s.sorter.Run(ctx) })
	defer beside.Wait()
	return s.queue.Run(ctx)
}

// Discovery is what the service says of itself.
func (s *Service) Discovery() web.Discovery {
	return web.Discovery{
		Name: "email", Category: "communication",
		Routes: []web.Route{{Label: "Inbox", Href: "/inbox"}, {Label: "API", Href: "/docs"}},
		Scopes: []string{"email.read", "email.send", "email.admin"},
		Events: []string{event.MailReceived, event.MailRead, event.MailStar, event.MailLabels, event.MailSent, event.MailBounced, event.MailMoved,
			event.MailDeleted, event.MailChanged},
	}
}

// emit publishes an event about a message on the stream of all mail and on its user's.
func emit(tx mailbox.Tx, typ, user string, trace *event.Trace, payload any) error {
	ev, err := event.New(typ, tx.Now(), trace, payload)
	if err != nil {
		return err
	}
	ev.User = user
	tx.Emit(event.StreamMail, ev)
	tx.Emit(event.StreamMailOf(user), ev)
	switch typ {
	case event.MailReceived, event.MailSent, event.MailBounced: // package webhooks offers these
		return tx.ForWebhooks(user, ev)
	}
	return nil
}

// rawJSON encodes what cannot fail to encode: maps and structs of strings and numbers.
func rawJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}
