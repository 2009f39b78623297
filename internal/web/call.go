package web

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
)

// Credential says how a caller showed who they are.
type Credential int

// The ways to present an identity.
const (
	NoCredential  Credential = iota // nothing presented: nobody, or the demo identity
	BearerToken                     // Authorization: Bearer …
	QueryToken                      // access_token=… in the query
	SessionCookie                   // the portal's session cookie: CSRF protection applies
	AppPassword                     // Authorization: Basic …, which browsers send by themselves: CSRF protection applies
)

// Caller is who makes a call. The zero Caller is nobody.
type Caller struct {
	User   string     // local part of the user's address; "" for nobody and for servers without a user
	Email  string     // User@domain
	ID     int64      // row id of the user, the user_id of chat and tickets; 0 for servers
	Scopes []string   // what the token allows
	Server string     // name of the server or service whose token it is; "" for people
	Demo   bool       // the demo identity: requests may name any user
	Via    Credential // how the identity was presented
	Admin  bool       // a person with the administrator's role
	Wards  []string   // names of accounts that belong to the caller, for whom they may act

	Expires time.Time // when the token does; zero for what has no end in sight
}

// Known reports whether the caller is anybody at all.
func (c Caller) Known() bool { return c.User != "" || c.Server != "" }

// Has reports whether the caller's token carries the scope; "" is always carried.
func (c Caller) Has(scope string) bool {
	return scope == "" || slices.Contains(c.Scopes, scope)
}

// ActAs decides whether the caller may act for the user with this name: the local part, the
// whole address or the handle "@name". Their own name and "" are always allowed; another's
// only for a ward, the demo identity, for our own services, and for tokens that carry serverScope
// ("" means that no scope allows it). The error is errs.Denied.
func (c Caller) ActAs(name, serverScope string) error {
	if name == "" || c.mayNameOthers(serverScope) || sameUser(name, c) || slices.ContainsFunc(c.Wards, func(w string) bool { return strings.EqualFold(name, w) }) {
		return nil
	}
	return errs.New(errs.Denied, "this token acts for %s alone and the request names %s; leave the name out or use a server's token", c.Email, clip(name))
}

// ActAsID is ActAs for the integer ids of chat and tickets; 0 stands for the caller.
func (c Caller) ActAsID(id int64, serverScope string) error {
	if id == 0 || c.mayNameOthers(serverScope) || (c.ID != 0 && id == c.ID) {
		return nil
	}
	return errs.New(errs.Denied, "this token acts for user %d (%s) alone and the request names user %d; leave the id out or use a server's token", c.ID, c.Email, id)
}

func (c Caller) mayNameOthers(serverScope string) bool {
	return c.Demo || (serverScope != "" && c.Has(serverScope))
}

// Call is one request on its way through a handler.
type Call struct {
	Caller  Caller
	Request *http.Request
	Prefix  string       // path under which a proxy shows this service, "" when called directly
	ID      string       // the request id that logs carry
	Log     *slog.Logger // carries svc and the request id
	Now     time.Time    // when the request arrived

	w        http.ResponseWriter
	handler  *Handler
	trace    *event.Trace
	known    *Caller    // who calls, for a visitor's request; else nil
	way      *event.Way // the same while it goes on, for calls to other services
	isPage   bool
	route    string    // "GET /rooms", for metrics; "" before a route was found
	endpoint *Endpoint // nil before a route was found
	given    params    // what was sent, for Form
	decoded  any       // the parameters, when they were read before the caller was asked for
	release  func()    // gives back the slot of a request
}

// Context returns the request's context; it carries the trace for calls further on.
func (c *Call) Context() context.Context { return c.Request.Context() }

// Header returns the answer's header; set what is needed before returning.
func (c *Call) Header() http.Header { return c.w.Header() }

// WantsPage reports whether the caller is a browser that wants a page rather than JSON.
func (c *Call) WantsPage() bool { return c.isPage }

// Trace returns the action's trace with this service as its last hop: what an event or a
// stored mail caused by this call carries.
func (c *Call) Trace() *event.Trace {
	return c.trace.Step(c.handler.opts.Service, c.handler.opts.Now().Sub(c.Now))
}

// Event makes an event caused by this call, with its time and trace.
func (c *Call) Event(typ string, payload any) (event.Event, error) {
	return event.New(typ, c.handler.opts.Now(), c.Trace(), payload)
}

// URL returns a path of this service as the caller's browser must ask for it.
func (c *Call) URL(path string) string { return c.Prefix + path }

// Link returns the address of a path at another service (or this one), as the caller's
// browser must ask for it: under the same proxy, or at that service's own port.
func (c *Call) Link(service, path string) string {
	return c.handler.opts.Site.link(c, service, path)
}
