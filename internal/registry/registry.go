// Package registry is service discovery: it turns a service's name into an *http.Client that
// reaches it, whether it runs in this process or on another host.
//
// A caller writes http://<service>/path and never knows which of the two it is:
//
//	res, err := reg.Client("email").Get("http://email/api/messages?user=…")
//
// A far service (one with a base URL from the settings) is called over the network. A near
// one is called by running its handler in a goroutine of this process: the whole middleware
// stack runs, bodies stream both ways with back-pressure, a cancelled request cancels the
// handler's context, Flush sends, and a handler may hijack its connection, so that
// httputil.ReverseProxy carries WebSockets over either kind. What differs, on purpose:
// a near request has RemoteAddr InProcess, and it inherits no context values from its
// caller, just as if it had come over a socket.
//
// Failures carry kinds of package errs: Unavailable where the service is unknown, refuses or
// drops the connection or (near) panics before its headers, Timeout where it does not send
// headers in time or the caller's deadline passes. A call that the caller cancelled fails
// with context.Canceled. Redirects are returned, never followed.
//
// A request whose context carries a trace (event.WithTrace) is sent with its traceparent and
// X-QNetworks-Hops. GET, HEAD, and requests with an Idempotency-Key whose body can be had
// again, are sent once more after a connection failure; nothing else is.
//
// It does not know who is calling (package auth signs calls) and it is not a load balancer.
// A Registry is safe for concurrent use.
package registry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"uniqverse/internal/errs"
)

// InProcess is the RemoteAddr of a near request. It is no network address: only code of this
// process can make such a request, so a handler may trust its X-Forwarded-For.
const InProcess = "@"

// Options configure a Registry.
type Options struct {
	// Far maps a service's name to its base URL, such as http://10.0.0.2:8004 or
	// https://mail.example.org/base. A far service goes before a near one of the same name.
	Far map[string]string
	// Timeout is how long a service may take to send its response headers, counted from
	// when it has the request; 0 means 3 s. Bodies and upgraded connections have no limit here.
	Timeout time.Duration
	// Log hears of handlers that panicked; nil is silent.
	Log *slog.Logger
}

// Registry knows the services of an installation.
type Registry struct {
	timeout time.Duration
	log     *slog.Logger
	far     map[string]*url.URL
	network *http.Transport
	clients sync.Map // name → *http.Client

	mu     sync.RWMutex // guards near, sealed and closing
	near   map[string]http.Handler
	sealed bool
	calls  calls
}

// New returns a registry without near services. It fails, with an errs.Invalid that names the
// service, when a base URL is not an absolute http or https URL.
func New(opts Options) (*Registry, error) {
	r := &Registry{
		timeout: opts.Timeout, log: opts.Log,
		far: map[string]*url.URL{}, near: map[string]http.Handler{},
	}
	if r.timeout <= 0 {
		r.timeout = 3 * time.Second
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	for name, base := range opts.Far {
		u, err := url.Parse(base)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, errs.BadField(name, "is at %q, which is not a base URL; write it like http://host:port", base)
		}
		u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
		r.far[name] = u
	}
	r.network = newTransport(r.timeout)
	r.calls.init()
	return r, nil
}

// SetNear makes h the service of that name in this process. It fails after Seal, for a nil
// handler, and for a name that is taken.
func (r *Registry) SetNear(name string, h http.Handler) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.sealed:
		return fmt.Errorf("register service %s: serving has begun", name)
	case name == "" || h == nil:
		return fmt.Errorf("register service %q: a name and a handler are needed", name)
	case r.near[name] != nil:
		return fmt.Errorf("register service %s: it is registered already", name)
	}
	r.near[name] = h
	return nil
}

// Seal ends the registration of near services; call it before serving starts.
func (r *Registry) Seal() {
	r.mu.Lock()
	r.sealed = true
	r.mu.Unlock()
}

// Client returns the client of a service; it never fails and may be kept. Whether the name
// is near, far or unknown is looked up at each request, so a client may be made before its
// service is registered.
func (r *Registry) Client(name string) *http.Client {
	if c, ok := r.clients.Load(name); ok {
		return c.(*http.Client)
	}
	c, _ := r.clients.LoadOrStore(name, &http.Client{
		Transport:     &transport{r: r, name: name},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	return c.(*http.Client)
}

// Known reports whether the service is near or far.
func (r *Registry) Known(name string) bool { return r.far[name] != nil || r.handler(name) != nil }

// Near reports whether calls of the service stay in this process.
func (r *Registry) Near(name string) bool { return r.far[name] == nil && r.handler(name) != nil }

// BaseURL returns the base URL of a far service, and "" for any other.
func (r *Registry) BaseURL(name string) string {
	if u := r.far[name]; u != nil {
		return u.String()
	}
	return ""
}

// Names returns the names of all services known, sorted.
func (r *Registry) Names() []string {
	var names []string
	for name := range r.far {
		names = append(names, name)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for name := range r.near {
		if r.far[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Close refuses new near calls with errs.Unavailable and waits for those that run; when ctx
// ends first it cancels them and returns the context's error without waiting further.
func (r *Registry) Close(ctx context.Context) error {
	r.network.CloseIdleConnections()
	return r.calls.close(ctx)
}

func (r *Registry) handler(name string) http.Handler {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.near[name]
}
