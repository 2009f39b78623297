package proto

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

// Limits are those of the session's core capability.
type Limits struct {
	MaxSizeUpload         int64 // bytes
	MaxConcurrentUpload   int
	MaxSizeRequest        int64 // bytes
	MaxConcurrentRequests int
	MaxCallsInRequest     int
	MaxObjectsInGet       int
	MaxObjectsInSet       int
}

// Invocation is a method call or a response: name, arguments, the client's id of the call.
type Invocation struct {
	Name string
	Args json.RawMessage
	ID   string
}

// MarshalJSON writes the three as an array.
func (i Invocation) MarshalJSON() ([]byte, error) { return Marshal([]any{i.Name, i.Args, i.ID}) }

// UnmarshalJSON reads an array of exactly three.
func (i *Invocation) UnmarshalJSON(b []byte) error {
	var three []json.RawMessage
	if err := json.Unmarshal(b, &three); err != nil || len(three) != 3 {
		return errors.New("a method call is an array of a name, arguments and an id")
	}
	var args Object
	if json.Unmarshal(three[0], &i.Name) != nil || json.Unmarshal(three[2], &i.ID) != nil || json.Unmarshal(three[1], &args) != nil || args == nil ||
		string(three[0]) == "null" || string(three[2]) == "null" {
		return errors.New("a method call is an array of a name, arguments and an id")
	}
	i.Args = three[1]
	return nil
}

// Request is a whole request.
type Request struct {
	Using   []string
	Calls   []Invocation
	Created map[string]string // nil when the client gave none
}

// ParseRequest reads a request and holds it to the limits; the error says how it is refused.
func ParseRequest(text []byte, limits Limits, capabilities []string) (*Request, *RequestError) {
	if int64(len(text)) > limits.MaxSizeRequest {
		return nil, OverLimit("maxSizeRequest", "a request has at most %d bytes", limits.MaxSizeRequest)
	}
	if err := CheckJSON(text); err != nil {
		return nil, NotJSON("the body cannot be read: %s", err)
	}
	var members Object
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return nil, NotRequest("a request is an object")
	}
	req := &Request{}
	if IsNull(members["using"]) || json.Unmarshal(members["using"], &req.Using) != nil {
		return nil, NotRequest("using must be a list of capabilities")
	}
	if IsNull(members["methodCalls"]) {
		return nil, NotRequest("methodCalls is required")
	}
	if err := json.Unmarshal(members["methodCalls"], &req.Calls); err != nil {
		return nil, NotRequest("methodCalls must be a list of calls, each an array of a name, arguments and an id")
	}
	if raw := members["createdIds"]; !IsNull(raw) {
		req.Created = map[string]string{}
		if json.Unmarshal(raw, &req.Created) != nil {
			return nil, NotRequest("createdIds must be an object of ids")
		}
	}
	for _, name := range req.Using {
		if !slices.Contains(capabilities, name) {
			return nil, UnknownCapability(name)
		}
	}
	if len(req.Calls) > limits.MaxCallsInRequest {
		return nil, OverLimit("maxCallsInRequest", "a request has at most %d method calls", limits.MaxCallsInRequest)
	}
	return req, nil
}

// Response is the answer to a request.
type Response struct {
	MethodResponses []Invocation      `json:"methodResponses"`
	CreatedIDs      map[string]string `json:"createdIds,omitempty"`
	SessionState    string            `json:"sessionState"`
}

// Call is one method call on its way: who calls, what was made before it in the same request.
type Call struct {
	Context context.Context
	Caller  web.Caller
	// Credential and Still are those of the Runner.
	Credential string
	Still      func(context.Context) error
	Trace      *event.Trace
	Limits     Limits
	Using      []string
	Args       Object

	created map[string]string
	more    []Invocation
	runner  *runner
	id      string
}

// Created notes that the client's creation id stands for an id from now on.
func (c *Call) Created(creation, id string) { c.created[creation] = id }

// ID returns the id that a text stands for: itself, or with # what was created under that name. ok is false for a name of
// which nothing is known.
func (c *Call) ID(text string) (id string, ok bool) {
	if len(text) < 1 || text[0] != '#' {
		return text, true
	}
	id, ok = c.created[text[1:]]
	return id, ok
}

// Work counts what methods do for the whole request, and reports whether that is at most so much in all: calls by the dozen may not
// do together what one alone may not.
func (c *Call) Work(n, most int64) bool {
	c.runner.work += n
	return c.runner.work <= most
}

// Uses reports whether the request opted into a capability.
func (c *Call) Uses(capability string) bool { return slices.Contains(c.Using, capability) }

// Then runs another method in the same request, whose response follows that of this one (RFC 8621 section 7.5).
func (c *Call) Then(method string, args any) {
	raw, err := Marshal(args)
	if err != nil {
		raw = json.RawMessage("{}")
	}
	c.more = append(c.more, Invocation{Name: method, Args: raw, ID: c.id})
}

// Method serves a call: it returns the members of the response, or an *Error or another error. An error of internal/errs
// becomes serverUnavailable or serverFail.
type Method func(c *Call) (any, error)

// Registry finds methods by name.
type Registry struct {
	methods map[string]registered
}

type registered struct {
	capability string
	fn         Method
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{methods: map[string]registered{}} }

// Add adds a method that belongs to a capability.
func (r *Registry) Add(capability, name string, fn Method) {
	r.methods[name] = registered{capability, fn}
}

// Methods returns the names of all methods, sorted.
func (r *Registry) Methods() []string {
	var names []string
	for name := range r.methods {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Runner says in whose name a request runs.
type Runner struct {
	Caller     web.Caller
	Credential string                      // names what the caller showed; "" for what one person has many of in turn
	Still      func(context.Context) error // says whether that has ended since
	Trace      *event.Trace
	Limits     Limits
	// Failed hears of errors that are our fault, for the log.
	Failed func(method string, err error)
}

type runner struct {
	Runner
	registry *Registry
	ctx      context.Context
	req      *Request
	created  map[string]string
	out      []Invocation
	parsed   map[int]any // responses as result references read them
	work     int64
}

// Run serves the calls of a request in their order. One that fails does not keep the others from running.
func (r *Registry) Run(ctx context.Context, req *Request, who Runner) *Response {
	run := &runner{Runner: who, registry: r, ctx: ctx, req: req, created: map[string]string{}, out: []Invocation{}, parsed: map[int]any{}}
	for k, v := range req.Created {
		run.created[k] = v
	}
	for _, call := range req.Calls {
		run.one(call, false)
	}
	out := &Response{MethodResponses: run.out}
	if req.Created != nil {
		out.CreatedIDs = run.created
	}
	return out
}

// answer appends a response.
func (r *runner) answer(name string, members any, id string) {
	raw, err := Marshal(members)
	if err != nil {
		r.Failed(name, err)
		name, raw = "error", json.RawMessage(`{"type":"serverFail","description":"the answer could not be written"}`)
	}
	r.out = append(r.out, Invocation{Name: name, Args: raw, ID: id})
}

// one serves a call; implied says that another call asked for it: the client may not use its capability (jmap-jam does not when it sends).
func (r *runner) one(call Invocation, implied bool) {
	m, ok := r.registry.methods[call.Name]
	if !ok || !implied && !slices.Contains(r.req.Using, m.capability) {
		r.answer("error", Fail("unknownMethod", "there is no method %.60q among the capabilities that the request uses", call.Name).members(), call.ID)
		return
	}
	args, err := r.resolve(call.Args)
	if err != nil {
		r.answer("error", err.members(), call.ID)
		return
	}
	c := &Call{Context: r.ctx, Caller: r.Caller, Credential: r.Credential, Still: r.Still, Trace: r.Trace, Limits: r.Limits, Using: r.req.Using, Args: args, created: r.created, runner: r, id: call.ID}
	out, failed := m.fn(c)
	if failed != nil {
		r.answer("error", r.failure(call.Name, failed).members(), call.ID)
	} else {
		r.answer(call.Name, out, call.ID)
	}
	for _, next := range c.more {
		r.one(next, true)
	}
}

// failure turns an error into one of a method.
func (r *runner) failure(method string, err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	switch errs.KindOf(err) {
	case errs.Unavailable, errs.Timeout, errs.Limited:
		r.Failed(method, err)
		return Fail("serverUnavailable", "%s", detail(err))
	case errs.Invalid, errs.Malformed:
		return InvalidArguments("%s", detail(err))
	case errs.Denied:
		return Fail("forbidden", "%s", detail(err))
	}
	r.Failed(method, err)
	return Fail("serverFail", "something went wrong on our side; the log says what")
}

func detail(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return "something went wrong"
}
