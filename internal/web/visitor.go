package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"uniqverse/internal/errs"
)

// Visitor is a caller whose connection outlives its request: a WebSocket over which requests come. Each is
// served as a request of its own, with its own id, trace, limits and checks, as if it had come over HTTP; only
// who calls is known already. A Visitor does not change, and is safe for concurrent use.
type Visitor struct {
	Caller Caller

	h      *Handler
	header http.Header // what says who they are, and under which proxy
	host   string
	remote string
}

// Visitor returns the caller of this call as one who stays.
func (c *Call) Visitor() *Visitor {
	r := c.Request
	v := &Visitor{Caller: c.Caller, h: c.handler, header: http.Header{}, host: r.Host, remote: r.RemoteAddr}
	for _, name := range []string{"Authorization", "Cookie", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Real-Ip"} {
		if values := r.Header.Values(name); len(values) > 0 {
			v.header[name] = values
		}
	}
	if c.Caller.Via == QueryToken {
		v.header.Set("Authorization", "Bearer "+r.URL.Query().Get("access_token"))
	}
	return v
}

// Identify returns the visitor who the token says; errs.Unauthenticated when it does not hold. Guesses count
// against the address.
func (v *Visitor) Identify(ctx context.Context, token string) (*Visitor, error) {
	header := v.header.Clone()
	header.Del("Cookie")
	header.Set("Authorization", "Bearer "+token)
	r := v.request(ctx, http.MethodGet, "/", header, nil)
	caller, err := v.h.opts.Auth.Authenticate(r, true)
	if err == nil && !caller.Known() {
		err = errs.New(errs.Unauthenticated, "the token names nobody")
	}
	if err != nil {
		return nil, v.h.limiter.refuse(r, err)
	}
	return &Visitor{caller, v.h, header, v.host, v.remote}, nil
}

// Still asks again who the visitor is: errs.Unauthenticated when the session has ended, the token was withdrawn or
// the account disabled since. A service's own call, whose token lives for a minute, and who showed nothing are not asked.
func (v *Visitor) Still(ctx context.Context) error {
	if v.Caller.Server != "" || v.Caller.Via == NoCredential {
		return nil
	}
	c, err := v.h.opts.authenticate(v.request(ctx, http.MethodGet, "/", v.header, nil), v.Caller.Via == AppPassword, true)
	switch {
	case err != nil && !errs.Is(err, errs.Unauthenticated):
		return nil // nobody can say just now
	case err != nil:
		return err
	case c.Email != v.Caller.Email:
		return errs.New(errs.Unauthenticated, "the session has ended; sign in again")
	}
	return nil
}

func (v *Visitor) request(ctx context.Context, method, path string, header http.Header, body []byte) *http.Request {
	u, err := url.Parse(path)
	if err != nil {
		u = &url.URL{Path: "/"}
	}
	r := (&http.Request{Method: method, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, Host: v.host, RemoteAddr: v.remote,
		RequestURI: u.RequestURI(), Body: http.NoBody}).WithContext(ctx)
	if len(body) > 0 {
		r.Body, r.ContentLength = readCloser{bytes.NewReader(body)}, int64(len(body))
	}
	return r
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// Reply is what a visitor's request was answered with.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte // JSON
}

// Ask serves a request of the visitor's: body is JSON, or nil for none; header is added to it. The path begins with /
// and may have a query; what came from the client must be escaped in it.
func (v *Visitor) Ask(ctx context.Context, method, path string, body []byte, header map[string]string) Reply {
	h := http.Header{"Accept": {"application/json"}}
	if p := v.header.Get("X-Forwarded-Prefix"); p != "" {
		h.Set("X-Forwarded-Prefix", p)
	}
	if len(body) > 0 {
		h.Set("Content-Type", "application/json")
	}
	for name, value := range header {
		h.Set(name, value)
	}
	w := &memory{header: http.Header{}}
	v.h.serve(w, v.request(ctx, method, path, h, body), &v.Caller)
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return Reply{w.status, w.header, bytes.TrimSpace(w.body.Bytes())}
}

// OK reports whether the request was served.
func (r Reply) OK() bool { return r.Status < 400 }

// Err is the refusal as an error; nil when the request was served.
func (r Reply) Err() *errs.Error {
	if r.OK() {
		return nil
	}
	e := &errs.Error{Kind: errs.Internal}
	for kind, status := range statusOf {
		if status == r.Status {
			e.Kind = kind
		}
	}
	var p problem
	if json.Unmarshal(r.Body, &p) == nil {
		e.Detail, e.Fields = p.Detail, p.Errors
	}
	if s, err := strconv.Atoi(r.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// memory is an answer that is kept.
type memory struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (m *memory) Header() http.Header { return m.header }

func (m *memory) WriteHeader(status int) {
	if m.status == 0 {
		m.status = status
	}
}

// errTooMuch ends an answer that no frame could carry.
var errTooMuch = errors.New("web: the answer is too long")

func (m *memory) Write(b []byte) (int, error) {
	m.WriteHeader(http.StatusOK)
	if m.body.Len()+len(b) > 8<<20 {
		return 0, errTooMuch
	}
	return m.body.Write(b)
}
