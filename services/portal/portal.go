package portal

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

// Registry is how the portal reaches the services.
type Registry interface {
	Client(name string) *http.Client
	Known(name string) bool
	Near(name string) bool
	BaseURL(name string) string
}

// Store keeps the portal's answers to requests with an Idempotency-Key.
type Store interface{ web.Transactor[Tx] }

// Tx is a transaction of Store.
type Tx interface {
	Emit(stream string, ev event.Event)
}

// Mailboxes is what the portal asks of mail on behalf of a caller.
type Mailboxes interface {
	// Provision makes the user's mailbox unless it is there and returns its newest messages,
	// as mail lists them. user is a whole address.
	Provision(ctx context.Context, caller web.Caller, user string) (messages any, err error)
}

// Options make a Service. All but Directory are required.
type Options struct {
	Domain    string
	Store     Store
	Registry  Registry
	Hub       hub.Hub
	Mail      Mailboxes
	ValidUser func(local string) bool // whether a local part can name a user
	Directory []string                // more lists for the directory, as JSON
	// Relay prepares a request for a service on another host: the session cookie stays here, and
	// a token for its user goes instead. May be nil where no service is far.
	Relay     func(out *http.Request, service string) error
	SMTP      string // where mail is taken, for the tour: "localhost:2525"; "" when it is not here
	CanSignUp bool
	Log       *slog.Logger
	Now       func() time.Time
}

// Service is the portal without the pages of package auth's accounts.
type Service struct {
	opts    Options
	entries []Entry
	health  *watch
	ticker  *ticker
	proxy   http.Handler
}

// New returns a portal whose tiles are unknown until Run asks. It fails when a directory list
// cannot be read.
func New(opts Options) (*Service, error) {
	entries, err := directory(opts.Directory)
	if err != nil {
		return nil, err
	}
	s := &Service{opts: opts, entries: entries, ticker: newTicker()}
	s.health = newWatch(s)
	s.proxy = s.newProxy()
	return s, nil
}

// Run watches the services' health and listens to their events until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.listen(ctx)
	}()
	s.health.run(ctx)
	<-done
	return nil
}

// Discovery is the portal's own entry for others' directories.
func (s *Service) Discovery() web.Discovery {
	return web.Discovery{Name: "UniQVerse Helm", Category: "portal", Routes: []web.Route{{Label: "Helm", Href: "/helm"}},
		Scopes: []string{"portal.provision", "portal.admin"}, Events: []string{event.ServiceUp, event.ServiceDown, event.UserCreated}}
}
