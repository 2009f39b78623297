package web

import (
	"context"
	"net/http"
	"reflect"
)

// Access says who may use an endpoint.
type Access struct {
	Open     bool   // anybody; the caller is still identified when they can be
	Scope    string // the scope that the caller's token must carry; "" asks for any known caller
	Token    bool   // a token (or session) is always wanted: no demo identity without one
	Basic    bool   // a user's app password (HTTP Basic) is taken, too
	Quiet    bool   // refusals do not ask for it: a browser would open a window of its own
	Describe string // for the documentation: which owner checks apply
}

// Anyone admits everybody, signed in or not.
func Anyone() Access { return Access{Open: true} }

// Needs admits callers whose token carries the scope; with demo identity on, a call without
// a token counts as the demo user's.
func Needs(scope string) Access { return Access{Scope: scope} }

// NeedsToken is Needs, but a call must bring a token or a session even when demo identity is on.
func NeedsToken(scope string) Access { return Access{Scope: scope, Token: true} }

// Endpoint is one route of a service: what it is called, who may call, and what it does.
// Make one with Query, Command, View or Stream.
type Endpoint struct {
	Method  string // GET, POST, …
	Path    string // pattern of net/http, with {name} for path values
	Access  Access
	Summary string // one line for the documentation

	kind     kind
	in, out  reflect.Type // what is decoded and answered; nil for none
	serve    func(c *Call) (any, error)
	redirect func(c *Call, out any) string
	maxBody  int64
	status   int
	often    int // how many times the usual rate is allowed; 0 is once, shared with all other endpoints
	longLife bool
	ownBody  []string            // the types of body that the endpoint reads by itself; nil for what is decoded
	passes   bool                // another handler reads the request: nothing is decoded here
	files    string              // the field of a multipart form that holds files; "" takes none
	noAuth   bool                // health and the like: nobody is asked who they are
	guarded  bool                // refused from foreign pages whoever calls
	first    func(c *Call) error // reads the parameters before the caller is asked for; nil for the usual order
	early    func(c *Call) error // what first is set to by ParamsFirst
	retry    func(c *Call, err error) (Page, bool)
}

// AnyMethod as an Endpoint's method takes every method that no other endpoint of the path takes.
const AnyMethod = "*"

type kind int

const (
	kindQuery kind = iota
	kindCommand
	kindView
	kindStream
)

// Query is an endpoint that changes nothing in the store, or whose effect lies elsewhere
// (another service). In is a struct decoded from path, query and body (see Decode); Out is
// answered as JSON.
func Query[In, Out any](method, path string, access Access, summary string, fn func(*Call, In) (Out, error)) Endpoint {
	return Endpoint{Method: method, Path: path, Access: access, Summary: summary, kind: kindQuery, early: readEarly[In],
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](), serve: func(c *Call) (any, error) {
			in, err := decode[In](c)
			if err != nil {
				return nil, err
			}
			return fn(c, in)
		}}
}

// Transactor runs fn in one durable transaction of a service's store. What fn did is
// committed and fsynced when Update returns nil, and undone when fn or the commit fails.
// With once, the answer is stored in the same transaction, or an earlier one is put into
// once and fn is not run. Events that fn emits are published after the commit, in the
// order of commits. fn must not wait for anything but the transaction: others wait for it.
type Transactor[Tx any] interface {
	Update(ctx context.Context, once *Once, fn func(tx Tx) error) error
}

// Command is an endpoint that changes the store: fn runs inside one transaction, takes an
// Idempotency-Key, and its answer is sent after the commit.
func Command[Tx, In, Out any](method, path string, access Access, summary string, db Transactor[Tx], fn func(*Call, Tx, In) (Out, error)) Endpoint {
	return Endpoint{Method: method, Path: path, Access: access, Summary: summary, kind: kindCommand,
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](), serve: func(c *Call) (any, error) {
			in, err := decode[In](c)
			if err != nil {
				return nil, err
			}
			return runOnce(c, in, db, func(tx Tx) (any, error) { return fn(c, tx, in) })
		}}
}

// Page is what a View answers: a template by name with its data.
type Page struct {
	Template string // a name from package templates
	Title    string
	Data     any
	Status   int    // 0 means 200
	Notice   string // shown above the page, "" for none
	Service  string // whose page it is in the navigation; "" means the service itself
}

// View is an endpoint that answers with a page. Where an API endpoint has the same path,
// the caller's Accept header decides between the two.
func View[In any](path string, access Access, summary string, fn func(*Call, In) (Page, error)) Endpoint {
	return Endpoint{Method: http.MethodGet, Path: path, Access: access, Summary: summary, kind: kindView,
		in: reflect.TypeFor[In](), serve: func(c *Call) (any, error) {
			in, err := decode[In](c)
			if err != nil {
				return nil, err
			}
			return fn(c, in)
		}}
}

// Stream is an endpoint that writes its own answer: an event stream, a WebSocket, a file.
// An error returned before anything was written is answered like any other. For event streams
// see ServeEvents.
func Stream[In any](method, path string, access Access, summary string, fn func(*Call, http.ResponseWriter, In) error) Endpoint {
	return Endpoint{Method: method, Path: path, Access: access, Summary: summary, kind: kindStream, longLife: true,
		in: reflect.TypeFor[In](), serve: func(c *Call) (any, error) {
			in, err := decode[In](c)
			if err != nil {
				return nil, err
			}
			if err := fn(c, c.w, in); err != nil {
				return nil, err
			}
			return written{}, nil
		}}
}

// Redirect sends browsers that posted a form on to a page (303 See Other) instead of JSON.
// The function returns a path of this service (without prefix) or an absolute address from Call.Link.
func (e Endpoint) Redirect(to func(c *Call, out any) string) Endpoint {
	e.redirect = to
	return e
}

// Retry shows a refused form again: for browsers that posted a form, to returns the page with
// the errors in it, or false to show the plain error page.
func (e Endpoint) Retry(to func(c *Call, err error) (Page, bool)) Endpoint {
	e.retry = to
	return e
}

// OwnPagesOnly refuses browser calls from foreign pages even before anybody is signed in: for
// sign-in and sign-up forms.
func (e Endpoint) OwnPagesOnly() Endpoint {
	e.guarded = true
	return e
}

// ParamsFirst answers wrong parameters (422) before it asks who is calling: for a Query whose
// callers rely on that order. Whoever has no right still learns nothing but the parameters' form.
func (e Endpoint) ParamsFirst() Endpoint {
	e.first = e.early
	return e
}

// PassThrough hands the request on as it came: for a proxy, behind which another handler
// authenticates, limits and bounds.
func (e Endpoint) PassThrough() Endpoint {
	e.passes, e.noAuth, e.longLife, e.maxBody = true, true, true, 1<<40
	return e
}

// ReadsBody leaves the body, of at most so many bytes and one of the given media types (any, with "*/*"), to
// the function: it reads Call.Request.Body, which has five minutes to arrive. Parameters come from path and query.
func (e Endpoint) ReadsBody(bytes int64, types ...string) Endpoint {
	e.maxBody, e.ownBody = bytes, types
	return e
}

// TakesFiles lets the endpoint's function have the files that a multipart form holds in the field: Call.Files. They are in
// memory, within MaxBody.
func (e Endpoint) TakesFiles(field string) Endpoint {
	e.files = field
	return e
}

// filesField is the field of the call's form that may hold files.
func (c *Call) filesField() string {
	if c.endpoint == nil {
		return ""
	}
	return c.endpoint.files
}

// MaxBody bounds the request's body in bytes; the default is 1 MiB.
func (e Endpoint) MaxBody(bytes int64) Endpoint {
	e.maxBody = bytes
	return e
}

// Often lets a caller call the endpoint so many times as often as others, on an account of its own: for programs that
// talk in many small requests.
func (e Endpoint) Often(times int) Endpoint {
	e.often = times
	return e
}

// Status sets the status of a successful answer; the default is 200.
func (e Endpoint) Status(code int) Endpoint {
	e.status = code
	return e
}

// written marks a stream's answer as complete.
type written struct{}

// Text is the Out of an endpoint that answers a word in plain text, for callers who expect that.
type Text string

// None is the In or Out of an endpoint that takes or answers nothing.
type None struct{}
