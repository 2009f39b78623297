package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/hub"
	"uniqverse/internal/auth"
	"uniqverse/internal/config"
	"uniqverse/internal/event"
	"uniqverse/internal/otlp"
	"uniqverse/internal/registry"
	"uniqverse/internal/web"
	"uniqverse/smtpd"
	"uniqverse/static"
	"uniqverse/store"
	"uniqverse/templates"
)

// grace is how long a drain may take in all; the promise to operators is 5 s.
const grace = 4500 * time.Millisecond

// Options are what Start needs beside the settings.
type Options struct {
	Config  config.Config
	Version string
	Log     *slog.Logger
	Out     io.Writer        // takes the start-up block; nil is silent
	Now     func() time.Time // nil is time.Now
	// BusyWait is how long a write waits for another program that holds the database; 0 is the store's own. For tests.
	BusyWait time.Duration
}

// Node is a running process. Make one with Start, end it with Shutdown.
type Node struct {
	opts      Options
	cfg       config.Config
	urls      map[string]string // by service, without a slash at the end
	listeners *listeners
	unlock    func()

	db       *store.DB
	hub      *hub.Local
	auth     *auth.Auth
	registry *registry.Registry
	metrics  *metrics.Set
	traces   *otlp.Exporter // nil without a collector
	smtp     *smtpd.Server  // nil without mail
	handlers map[string]*web.Handler
	services []running

	stopping chan struct{} // closed when the drain begins: event streams end
	stop     context.CancelFunc
	ended    sync.WaitGroup
	failed   chan error // the first server that ended by itself
	once     sync.Once
	result   error
}

// running is what every service has beside its routes.
type running struct {
	name string
	run  func(context.Context) error // until its context ends; then it closes its WebSockets
}

// Start makes everything in order and serves it. Its error is one line for the person who
// started the program, and then nothing is left running.
func Start(ctx context.Context, opts Options) (n *Node, err error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	n = &Node{opts: opts, cfg: opts.Config, urls: map[string]string{}, metrics: metrics.NewSet(), handlers: map[string]*web.Handler{},
		stopping: make(chan struct{}), failed: make(chan error, 16)}
	made := n // a return of nil, err sets n to nil before the deferred call
	defer func() {
		if err != nil {
			made.abandon()
		}
	}()
	if n.unlock, err = openFolder(n.cfg); err != nil {
		return nil, err
	}
	if n.listeners, err = listen(n.cfg); err != nil {
		return nil, err
	}
	for service, ln := range n.listeners.http {
		n.urls[service] = "http://" + browsable(n.cfg, ln.Addr())
	}
	if err = n.openStore(ctx); err != nil {
		return nil, err
	}
	if err = n.openTraces(ctx); err != nil {
		return nil, err
	}
	setup, err := n.build(ctx)
	if err != nil {
		return nil, err
	}
	n.serve(ctx)
	if opts.Out != nil {
		n.banner(opts.Out, setup)
	}
	return n, nil
}

// openStore opens the database and the hub, each of which needs the other: the store
// publishes to the hub, the hub takes its epoch and ids from the store.
func (n *Node) openStore(ctx context.Context) (err error) {
	n.db, err = store.Open(ctx, store.Options{Dir: n.cfg.DataDir, Log: n.opts.Log.With("svc", "store"), Now: n.opts.Now, BusyWait: n.opts.BusyWait,
		Publish: func(stream string, evs []event.Event) {
			if _, err := n.hub.Publish(context.Background(), stream, evs...); err != nil && !errors.Is(err, hub.ErrClosed) {
				n.opts.Log.Error("events not published", "stream", stream, "err", err.Error())
			}
		}})
	if err != nil {
		return err
	}
	n.hub, err = hub.NewLocal(ctx, hub.LocalOptions{Epoch: n.db.Epoch(), Reserve: n.db.ReserveIDs, Log: n.opts.Log.With("svc", "hub"), Now: n.opts.Now})
	return err
}

func (n *Node) openTraces(ctx context.Context) (err error) {
	url := n.cfg.TracesURL()
	if url == "" {
		return nil
	}
	n.traces, err = otlp.New(ctx, otlp.Options{URL: url, Headers: config.Pairs(n.cfg.OTelHeaders.Reveal()), Service: n.cfg.OTelServiceName,
		Attributes: config.Pairs(n.cfg.OTelResource), Sampler: n.cfg.OTelSampler, Ratio: n.cfg.OTelSamplerArg, Log: n.opts.Log.With("svc", "traces")})
	return err
}

// build makes the accounts, the services and their handlers, and returns the one-time link for
// the first administrator, "" when there is one.
func (n *Node) build(ctx context.Context) (setup string, err error) {
	if n.registry, err = registry.New(registry.Options{Far: n.cfg.ServiceURLs, Log: n.opts.Log.With("svc", "registry")}); err != nil {
		return "", err
	}
	if err = n.openAuth(); err != nil {
		return "", err
	}
	pages, err := templates.New(templates.Options{Version: n.opts.Version, Now: n.opts.Now})
	if err != nil {
		return "", err
	}
	site := &web.Site{Ports: map[string]int{}, Far: n.cfg.ServiceURLs}
	for service := range n.listeners.http {
		site.Ports[service] = n.listeners.port(service)
	}
	parts, err := n.parts(ctx, site)
	if err != nil {
		return "", err
	}
	for _, p := range parts {
		h, err := n.handler(p, pages, site)
		if err != nil {
			return "", err
		}
		n.handlers[p.name] = h
		if p.name != "portal" || n.registry.BaseURL("portal") == "" {
			if err := n.registry.SetNear(p.name, h); err != nil {
				return "", err
			}
		}
	}
	n.registry.Seal()
	if n.urls["portal"] == "" {
		return "", nil
	}
	token, needed, err := n.auth.SetupLink(ctx)
	if err != nil || !needed {
		return "", err
	}
	return n.urls["portal"] + "/setup?token=" + token, nil
}

// handler is the HTTP edge of a service.
func (n *Node) handler(p part, pages *templates.Set, site *web.Site) (*web.Handler, error) {
	opts := web.Options{Service: p.name, Title: p.title, Version: n.opts.Version, Discovery: p.discovery, Endpoints: p.endpoints, Auth: n.auth.For(p.name),
		Templates: pages, Static: static.Handler(), Site: site, Metrics: n.metrics, Log: n.opts.Log.With("svc", p.name), Now: n.opts.Now, Stopping: n.stopping,
		Checks: []web.Check{{Name: "store", Test: n.db.Check}, {Name: "hub", Test: n.hub.Check}}}
	if n.traces != nil {
		opts.Tracer = n.traces
	}
	return web.New(opts)
}

// serve starts every goroutine of the process; Shutdown waits for them.
func (n *Node) serve(ctx context.Context) {
	ctx, n.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, s := range n.services {
		n.ended.Go(func() {
			if err := s.run(ctx); err != nil && ctx.Err() == nil {
				n.failed <- fmt.Errorf("service %s ended: %w", s.name, err)
			}
		})
	}
	for service, ln := range n.listeners.http {
		srv := web.NewServer(n.handlers[service], n.opts.Log.With("svc", service))
		n.ended.Go(func() {
			if err := web.Serve(ctx, srv, ln, grace-500*time.Millisecond); err != nil && !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
				n.failed <- fmt.Errorf("%s cannot be served any longer: %w", service, err)
			}
		})
	}
	if n.smtp != nil {
		n.ended.Go(func() {
			if err := n.smtp.Serve(ctx); err != nil && ctx.Err() == nil {
				n.failed <- fmt.Errorf("SMTP cannot be served any longer: %w", err)
			}
		})
	}
}

// POP3 returns the address (host:port) on which mail is read over POP3, with TLS from the first byte or not; "" for none.
func (n *Node) POP3(secure bool) string {
	for _, l := range n.listeners.pop3 {
		if l.Secure == secure {
			return browsable(n.cfg, l.Addr())
		}
	}
	return ""
}

// URL returns the base URL of a service of this process without a slash at the end, "" when
// it has no listener.
func (n *Node) URL(service string) string { return n.urls[service] }

// SMTP returns the address (host:port) on which mail is taken in a mode, "" for none.
func (n *Node) SMTP(mode smtpd.Mode) string {
	for _, l := range n.listeners.smtp {
		if l.Mode == mode {
			return browsable(n.cfg, l.Addr())
		}
	}
	return ""
}

// Handlers returns the handler of each service of this process, for tests over the routes.
func (n *Node) Handlers() map[string]*web.Handler { return n.handlers }

// Wait blocks until a part of the process ends by itself, and returns why.
func (n *Node) Wait(ctx context.Context) error {
	select {
	case err := <-n.failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// Shutdown drains: no new connections, streams end, WebSockets are told to come back, mails
// and requests in hand are finished, then hub and store close. It takes 5 s at most, and may be called again.
func (n *Node) Shutdown(ctx context.Context) error {
	n.once.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, grace)
		defer cancel()
		close(n.stopping)
		n.stop() // every part drains by itself, within a bound of its own that is below grace
		n.ended.Wait()
		n.result = errors.Join(n.result, n.registry.Close(ctx))
		n.auth.Close()
		if n.traces != nil {
			n.traces.Shutdown(ctx) // a collector that is gone must not fail the drain
		}
		n.hub.Close()
		n.result = errors.Join(n.result, n.db.Close())
		n.unlock()
	})
	return n.result
}

// abandon undoes a start that failed.
func (n *Node) abandon() {
	if n.listeners != nil {
		n.listeners.close()
	}
	if n.auth != nil {
		n.auth.Close()
	}
	if n.hub != nil {
		n.hub.Close()
	}
	if n.db != nil {
		n.db.Close()
	}
	if n.unlock != nil {
		n.unlock()
	}
}
