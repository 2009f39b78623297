package portal

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

type forwardParams struct {
	Service string `path:"service" doc:"a name of the directory"`
	Path    string `path:"path" doc:"the path at the service, with its query"`
}

// forward hands a request to the service of that name, with everything that streams: event
// streams, WebSockets and large bodies.
func (s *Service) forward(c *web.Call, w http.ResponseWriter, _ forwardParams) error {
	name := c.Request.PathValue("service")
	if name == "portal" || !s.opts.Registry.Known(name) {
		return errs.New(errs.NotFound, "there is no service %q here; the directory at /api/services names them", clip(name))
	}
	target := &url.URL{Scheme: "http", Host: name, RawQuery: c.Request.URL.RawQuery}
	rest := strings.TrimPrefix(c.Request.URL.EscapedPath(), "/proxy/"+name)
	path, err := url.PathUnescape(rest)
	if err != nil {
		return errs.New(errs.Malformed, "the path cannot be read: check its %%-escapes")
	}
	target.Path, target.RawPath = path, rest
	job := &forwarding{target: target, prefix: c.Prefix + "/proxy/" + name, host: c.Request.Host}
	ctx := context.WithValue(c.Context(), forwardingKey{}, job)
	for h := range w.Header() {
		if h != "X-Qnetworks-Trace" {
			w.Header().Del(h) // the service sets its own
		}
	}
	s.proxy.ServeHTTP(w, c.Request.WithContext(ctx))
	return job.failed
}

// forwarding is one proxied request: what the proxy needs to know, and how it failed.
type forwarding struct {
	target *url.URL
	prefix string
	host   string
	failed error
}

type forwardingKey struct{}

func (s *Service) newProxy() http.Handler {
	return &httputil.ReverseProxy{
		Transport:     byService{s},
		FlushInterval: -1, // every write at once: event streams
		Rewrite: func(p *httputil.ProxyRequest) {
			job := p.In.Context().Value(forwardingKey{}).(*forwarding)
			p.Out.URL = job.target
			p.Out.Host = job.host                                            // links, origins and the demo identity's Host rule need the browser's name for us
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"] // who asked a proxy before us; our peer is added behind
			p.SetXForwarded()
			if web.Secure(p.In) {
				p.Out.Header.Set("X-Forwarded-Proto", "https")
			}
			p.Out.Header.Set("X-Forwarded-Prefix", job.prefix)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			job := r.Context().Value(forwardingKey{}).(*forwarding)
			if errors.Is(err, context.Canceled) {
				panic(http.ErrAbortHandler) // the browser went away
			}
			kind := errs.KindOf(err)
			if kind != errs.Timeout && kind != errs.Unavailable {
				kind = errs.Upstream
			}
			job.failed = errs.Wrap(kind, err, "the service %s does not answer; Helm shows whether it is up", job.target.Host)
		},
		ErrorLog: nil,
	}
}

// byService sends each request through the client of the service that its URL names.
type byService struct{ s *Service }

// RoundTrip implements http.RoundTripper; the request is the proxy's own copy.
func (b byService) RoundTrip(r *http.Request) (*http.Response, error) {
	name := r.URL.Host
	if b.s.opts.Relay != nil && b.s.opts.Registry.BaseURL(name) != "" {
		if err := b.s.opts.Relay(r, name); err != nil {
			return nil, errs.Wrap(errs.Unavailable, err, "who is calling %s cannot be said now; try again in a moment", name)
		}
	}
	return b.s.opts.Registry.Client(name).Transport.RoundTrip(r)
}
