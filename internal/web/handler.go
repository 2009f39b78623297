package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/templates"
)

// Authenticator says who makes a request. It is asked once per request.
type Authenticator interface {
	// Authenticate returns the caller. Nobody is the zero Caller and no error; a token that
	// does not hold is errs.Unauthenticated, a demo call from a foreign page errs.Denied.
	// tokenWanted is true where the demo identity needs its token.
	Authenticate(r *http.Request, tokenWanted bool) (Caller, error)
}

// AppAuthenticator is an Authenticator that knows app passwords, too.
type AppAuthenticator interface {
	// AuthenticateApp returns the caller that a request with Basic credentials is from, or errs.Unauthenticated.
	AuthenticateApp(r *http.Request) (Caller, error)
}

// authenticate asks who makes a request; basic says that an app password is taken.
func (o *Options) authenticate(r *http.Request, basic, tokenWanted bool) (Caller, error) {
	if apps, ok := o.Auth.(AppAuthenticator); ok && basic {
		if _, _, isBasic := r.BasicAuth(); isBasic && len(r.Header.Values("Authorization")) == 1 {
			return apps.AuthenticateApp(r)
		}
	}
	return o.Auth.Authenticate(r, tokenWanted)
}

// Check is one thing that a service needs to be well, for /health.
type Check struct {
	Name string // "store", "hub"
	Test func(ctx context.Context) error
}

// Discovery is what /.veze/service.json says of a service, after the seed.
type Discovery struct {
	Name     string   `json:"name"`
	Category string   `json:"category"`
	Status   string   `json:"status"` // green, or red with a failing check
	Routes   []Route  `json:"routes"`
	Scopes   []string `json:"scopes"`
	Events   []string `json:"events"`
	Limits   any      `json:"limits,omitempty"` // what clients may do, where they must know
}

// Route is a page that the discovery document offers.
type Route struct {
	Label string `json:"label"`
	Href  string `json:"href"`
}

// Options make a Handler.
type Options struct {
	Service   string // its name: portal, game, email, chat
	Title     string // for people: "Mail"
	Version   string
	Discovery Discovery
	Endpoints []Endpoint
	Auth      Authenticator
	Templates *templates.Set
	Static    http.Handler // serves /static/
	Site      *Site
	Checks    []Check
	Metrics   *metrics.Set
	Log       *slog.Logger
	Now       func() time.Time
	Limits    Limits
	Tracer    Tracer          // may be nil
	Stopping  <-chan struct{} // closed when the server begins to drain: event streams end; nil never is
}

// Tracer is told of each request as a span, for the export to a collector.
type Tracer interface {
	// Start begins a span and returns the trace with the span's own id, and what ends it;
	// hasParent says that the trace's current span is somebody's, not just made up here.
	Start(ctx context.Context, t *event.Trace, hasParent bool, name string) (*event.Trace, func(status int))
}

// Handler serves one service. Make one with New.
type Handler struct {
	opts    Options
	mux     *http.ServeMux
	limiter *limiter
	slots   chan struct{}
	mu      sync.Mutex
	running map[string]bool // idempotency keys being served, by caller and key
	panics  *metrics.Counter
	secure  http.Header
	counted sync.Map // counts by countsKey
}

// New makes the handler of a service from its endpoints. It panics on nothing: two endpoints
// for the same method, path and kind of answer are an error.
func New(opts Options) (*Handler, error) {
	opts.Limits = opts.Limits.withDefaults()
	h := &Handler{opts: opts, mux: http.NewServeMux(), limiter: newLimiter(opts.Limits, opts.Now),
		slots: make(chan struct{}, opts.Limits.Concurrent), running: map[string]bool{}, secure: secure()}
	h.panics = opts.Metrics.GetOrCreateCounter(fmt.Sprintf(`uniqverse_panics_total{service=%q}`, opts.Service))
	h.opts.Endpoints = append(slices.Clone(opts.Endpoints), h.standard()...)
	byPath := map[string][]Endpoint{}
	for _, e := range h.opts.Endpoints {
		byPath[e.Path] = append(byPath[e.Path], e)
	}
	for path, es := range byPath {
		if err := h.mount(path, es); err != nil {
			return nil, err
		}
	}
	if opts.Static != nil {
		h.mux.HandleFunc("GET /static/", func(w http.ResponseWriter, r *http.Request) {
			found := &found{ResponseWriter: w}
			if opts.Static.ServeHTTP(found, r); found.missing {
				h.nothing(callOf(r))
			}
		})
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { h.nothing(callOf(r)) })
	return h, nil
}

// nothing answers for a path that does not exist.
func (h *Handler) nothing(c *Call) {
	c.fail(errs.New(errs.NotFound, "there is nothing at %s; %s lists what there is", clip(c.Request.URL.Path), c.URL("/docs")))
}

// Endpoints returns every route of the service, the common ones included, ordered by path.
func (h *Handler) Endpoints() []Endpoint {
	es := slices.Clone(h.opts.Endpoints)
	sort.SliceStable(es, func(i, j int) bool { return es[i].Path < es[j].Path })
	return es
}

// IsPage reports whether the endpoint answers with a page.
func (e Endpoint) IsPage() bool { return e.kind == kindView }

// IsStream reports whether the endpoint writes its own answer.
func (e Endpoint) IsStream() bool { return e.kind == kindStream }

// mount puts the endpoints of one path behind one pattern: by method, and by Accept where a
// page and an API share method and path.
func (h *Handler) mount(path string, es []Endpoint) error {
	type pair struct{ api, page *Endpoint }
	methods := map[string]*pair{}
	for _, e := range es {
		p := methods[e.Method]
		if p == nil {
			p = &pair{}
			methods[e.Method] = p
		}
		slot := &p.api
		if e.kind == kindView {
			slot = &p.page
		}
		if *slot != nil {
			return fmt.Errorf("service %s: two endpoints for %s %s", h.opts.Service, e.Method, e.Path)
		}
		*slot = &e
	}
	if g := methods[http.MethodGet]; g != nil && methods[http.MethodHead] == nil {
		methods[http.MethodHead] = g
	}
	allow := make([]string, 0, len(methods))
	for m := range methods {
		allow = append(allow, m)
	}
	slices.Sort(allow)
	pattern := path
	if strings.HasSuffix(path, "/") && !strings.Contains(path, "{") {
		pattern += "{$}"
	}
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r)
		p := methods[r.Method]
		if p == nil {
			p = methods[AnyMethod]
		}
		if p == nil {
			c.Header().Set("Allow", strings.Join(allow, ", "))
			c.fail(errs.New(errs.NotAllowed, "%s does not take %s; it takes %s", clip(r.URL.Path), clip(r.Method), strings.Join(allow, ", ")))
			return
		}
		e := p.api
		if e == nil || (p.page != nil && c.isPage) {
			e = p.page
		}
		c.isPage = e.kind == kindView || c.isPage
		c.run(e, r)
	})
	return nil
}

type callKey struct{}

// callOf returns the Call that ServeHTTP put into the request's context for the mux to pass on.
func callOf(r *http.Request) *Call {
	c, _ := r.Context().Value(callKey{}).(*Call)
	return c
}

// ServeHTTP answers one request: it is the whole middleware stack in order.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.serve(w, r, nil) }

// serve answers one request; known is its caller where nobody needs to be asked.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, known *Caller) {
	start := h.opts.Now()
	rw := &recorder{ResponseWriter: w}
	c := &Call{Request: r, Prefix: cleanPrefix(r.Header.Get("X-Forwarded-Prefix")), ID: rand.Text()[:16], Now: start, w: rw, handler: h, known: known}
	c.isPage = wantsPage(r)
	c.Log = h.opts.Log.With("req", c.ID)
	maps.Copy(rw.Header(), h.secure) // one value each: whoever adds another makes a list of their own
	ctx, end := h.begin(c, r)
	c.Request = r.WithContext(context.WithValue(ctx, callKey{}, c))
	rw.before = func(status int) {
		hops := append(c.Trace().Hops, c.way.Beyond()...)
		if down := event.ParseHops(rw.Header().Get("X-QNetworks-Hops")); len(down) >= len(hops) {
			hops = down // a proxied answer tells the whole way, ours included
		}
		rw.Header().Set("X-QNetworks-Trace", c.trace.ID)
		rw.Header().Set("X-QNetworks-Hops", event.FormatHops(hops))
	}
	defer func() {
		if p := recover(); p != nil {
			h.recovered(c, rw, p)
		}
		end(rw.status)
		h.finish(c, rw)
	}()
	if r.Method == http.MethodConnect || r.RequestURI == "*" { // the mux would answer these in its own words
		c.fail(errs.New(errs.Malformed, "%s %s is for proxies and whole servers; ask for a path that begins with /", clip(r.Method), clip(r.RequestURI)))
		return
	}
	if strings.HasPrefix(r.URL.Path, "/static/") || r.URL.Path == "/health" {
		h.mux.ServeHTTP(rw, c.Request)
		return
	}
	select {
	case h.slots <- struct{}{}:
		c.release = func() { <-h.slots }
		defer func() { c.giveBack() }()
	default:
		c.fail(&errs.Error{Kind: errs.Unavailable, Detail: "the server is busy; try again in a second", RetryAfter: time.Second})
		return
	}
	h.mux.ServeHTTP(rw, c.Request)
}

func (h *Handler) begin(c *Call, r *http.Request) (context.Context, func(int)) {
	t, ok := event.ParseTraceparent(r.Header.Get("traceparent"))
	if !ok {
		t = event.NewTrace()
	}
	t.Hops = event.ParseHops(r.Header.Get("X-QNetworks-Hops"))
	end := func(int) {}
	if h.opts.Tracer != nil {
		t, end = h.opts.Tracer.Start(r.Context(), t, ok, r.Method+" "+h.opts.Service)
	} else {
		t = t.Child()
	}
	c.trace = t
	c.way = event.NewWay(c.Trace)
	return event.WithWay(r.Context(), c.way), end
}

func (h *Handler) recovered(c *Call, rw *recorder, p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler) // the reverse proxy's way to say that the client went away
	}
	h.panics.Inc()
	c.Log.Error("handler panicked", "path", c.loggedPath(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	if !rw.wrote {
		c.fail(errs.New(errs.Internal, "something went wrong on our side; the log has it under request %s", c.ID))
	}
}

// loggedPath is the request's path without the secret that the address of a hook is.
func (c *Call) loggedPath() string {
	path := c.Request.URL.Path
	if i := strings.Index(path, "/hooks/"); i >= 0 {
		return path[:i] + "/hooks/…"
	}
	return path
}

// finish writes the access log and the metrics; the query is left out of both.
func (h *Handler) finish(c *Call, rw *recorder) {
	spent := h.opts.Now().Sub(c.Now)
	route := c.route
	if route == "" {
		route = "other"
	}
	seen := h.countsOf(route, rw.status)
	seen.requests.Inc()
	seen.seconds.Update(spent.Seconds())
	level := slog.LevelDebug
	if rw.status >= 500 {
		level = slog.LevelWarn
	}
	if !c.Log.Enabled(c.Request.Context(), level) {
		return
	}
	c.Log.Log(c.Request.Context(), level, "request", "method", c.Request.Method, "path", c.loggedPath(), "status", rw.status,
		"ms", strconv.FormatFloat(float64(spent.Microseconds())/1000, 'f', 2, 64), "bytes", rw.bytes, "user", c.Caller.User, "trace", c.trace.ID)
}

// counts are the metrics of a route's answers with one status.
type counts struct {
	requests *metrics.Counter
	seconds  *metrics.Summary
}

type countsKey struct {
	route  string
	status int
}

// countsOf returns the metrics of a route and status; routes are those of the table, so there are not many.
func (h *Handler) countsOf(route string, status int) counts {
	key := countsKey{route, status}
	if seen, ok := h.counted.Load(key); ok {
		return seen.(counts)
	}
	seen := counts{
		requests: h.opts.Metrics.GetOrCreateCounter(fmt.Sprintf(`uniqverse_http_requests_total{service=%q,route=%q,code="%d"}`, h.opts.Service, route, status)),
		seconds:  h.opts.Metrics.GetOrCreateSummary(fmt.Sprintf(`uniqverse_http_request_seconds{service=%q,route=%q}`, h.opts.Service, route)),
	}
	h.counted.Store(key, seen)
	return seen
}
