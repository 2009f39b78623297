package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
)

// retryPause lets a service that is just being restarted take its port again.
const retryPause = 50 * time.Millisecond

// newTransport returns the network side. A dead service fails within the dial time-out plus
// the header time-out, and twice refused is still far below that.
func newTransport(timeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		// No proxy from the environment: services are addressed by the settings alone.
		DialContext:            dialer.DialContext, // set by hand, it keeps to HTTP/1.1, which upgrades need
		TLSHandshakeTimeout:    2 * time.Second,
		ResponseHeaderTimeout:  timeout,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true, // a proxy passes the bytes on as they are
	}
}

// transport is the http.RoundTripper of one service's client.
type transport struct {
	r    *Registry
	name string
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil || req.URL.Host != t.name {
		closeBody(req)
		return nil, errs.New(errs.Internal, "The client of service %s was asked for another host", t.name)
	}
	out := new(http.Request)
	*out = *req
	out.Header = req.Header.Clone()
	if out.Header == nil {
		out.Header = http.Header{}
	}
	tr := event.TraceOf(req.Context())
	if tr != nil {
		out.Header.Set("Traceparent", tr.Traceparent())
		if hops := event.FormatHops(tr.Hops); hops != "" {
			out.Header.Set("X-Qnetworks-Hops", hops)
		} else {
			out.Header.Del("X-Qnetworks-Hops")
		}
	}
	res, err := t.send(req, out)
	if err == nil && tr != nil {
		if hops := event.ParseHops(res.Header.Get("X-Qnetworks-Hops")); len(hops) > len(tr.Hops) {
			event.WayOf(req.Context()).Add(hops[len(tr.Hops):])
		}
	}
	return res, err
}

// send takes out to the service; req is what it was made from.
func (t *transport) send(req, out *http.Request) (*http.Response, error) {
	if t.r.far[t.name] != nil {
		return t.callFar(out)
	}
	if h := t.r.handler(t.name); h != nil {
		return t.r.callNear(t.name, h, out)
	}
	closeBody(req)
	return nil, errs.New(errs.Unavailable, "The service %s is not part of this installation", t.name)
}

// callFar sends the request over the network, and once more where that is safe and the
// connection failed.
func (t *transport) callFar(req *http.Request) (*http.Response, error) {
	base := t.r.far[t.name]
	u := *req.URL
	u.Scheme, u.Host = base.Scheme, base.Host
	u.Path = base.Path + req.URL.Path
	if base.RawPath != "" || req.URL.RawPath != "" {
		u.RawPath = base.EscapedPath() + req.URL.EscapedPath()
	}
	if req.Host == t.name {
		req.Host = "" // the base URL's; a proxy that set the caller's own Host keeps it
	}
	req.URL = &u
	res, err := t.r.network.RoundTrip(releaseBody(req))
	if err == nil {
		return res, nil
	}
	err = classify(req.Context(), t.name, err)
	if !errs.Is(err, errs.Unavailable) || !repeatable(req) {
		return nil, err
	}
	again := new(http.Request)
	*again = *req
	if req.GetBody != nil {
		body, berr := req.GetBody()
		if berr != nil {
			return nil, err
		}
		again.Body = body
	}
	pause := time.NewTimer(retryPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-req.Context().Done():
		closeBody(again)
		return nil, contextError(t.name, req.Context().Err())
	}
	if res, err = t.r.network.RoundTrip(releaseBody(again)); err != nil {
		return nil, classify(req.Context(), t.name, err)
	}
	return res, nil
}

// releaseBody returns the request with a body that is closed when the context ends. Without
// it net/http waits for the end of a Read of the caller's body before it reports a broken
// connection, and a body that nobody feeds any more would hold the call for ever.
func releaseBody(req *http.Request) *http.Request {
	if req.Body == nil || req.Body == http.NoBody {
		return req
	}
	body := &requestBody{rc: req.Body}
	stop := context.AfterFunc(req.Context(), func() { body.close() })
	body.unhook = stop
	out := new(http.Request)
	*out = *req
	out.Body = body
	return out
}

// repeatable reports whether sending the request twice is the same as once.
func repeatable(req *http.Request) bool {
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return false
	}
	switch req.Method {
	case "", http.MethodGet, http.MethodHead:
		return true
	}
	return req.Header.Get("Idempotency-Key") != ""
}

// classify gives a failed call its kind.
func classify(ctx context.Context, name string, err error) error {
	if cerr := ctx.Err(); cerr != nil {
		return contextError(name, cerr)
	}
	var op *net.OpError
	dialing := errors.As(err, &op) && op.Op == "dial"
	var ne net.Error
	if !dialing && errors.As(err, &ne) && ne.Timeout() {
		return errs.Wrap(errs.Timeout, err, "The service %s did not answer in time; try again later", name)
	}
	return errs.Wrap(errs.Unavailable, err, "The service %s cannot be reached; try again later", name)
}

// contextError passes a cancellation on as it is and gives a deadline its kind.
func contextError(name string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errs.Wrap(errs.Timeout, err, "The service %s did not answer in time; try again later", name)
	}
	return err
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
