package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"uniqverse/internal/errs"
)

// maxAnswer bounds what is read of another service's answer, in bytes.
const maxAnswer = 32 << 20

// caller makes the calls of a typed client.
type caller struct {
	service   string // as the registry names it
	client    *http.Client
	authorize func(*http.Request) error // puts the service's credentials on a request; nil for none
}

// problemDoc is what is read of an RFC 9457 document.
type problemDoc struct {
	Detail string       `json:"detail"`
	Errors []errs.Field `json:"errors"`
}

// get asks for path (with its query) and decodes the answer into out.
func (c caller) get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, nil, "", out)
}

// post sends in as JSON. With a key the call may be repeated without a second effect.
func (c caller) post(ctx context.Context, path string, in any, key string, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return errs.Wrap(errs.Internal, err, "the call of the %s service could not be written", c.service)
	}
	return c.do(ctx, http.MethodPost, path, body, key, out)
}

func (c caller) do(ctx context.Context, method, path string, body []byte, key string, out any) error {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.service+path, r)
	if err != nil {
		return errs.Wrap(errs.Internal, err, "the call of the %s service could not be made", c.service)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if c.authorize != nil {
		if err := c.authorize(req); err != nil {
			return err
		}
	}
	res, err := c.client.Do(req)
	if err != nil {
		return c.failed(ctx, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return c.failed(ctx, err)
	}
	if len(raw) > maxAnswer {
		return errs.New(errs.Upstream, "the %s service answered with more than %d MB", c.service, maxAnswer>>20)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return c.refused(res, raw)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return errs.Wrap(errs.Upstream, err, "the %s service answered with something that is not the JSON it promises", c.service)
	}
	return nil
}

// failed keeps the kind that the registry gave (Unavailable, Timeout) and the caller's own
// cancellation; anything else is a service that did not answer.
func (c caller) failed(ctx context.Context, err error) error {
	var e *errs.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return errs.Wrap(errs.Timeout, err, "the %s service did not answer in time; try again in a moment", c.service)
	}
	return errs.Wrap(errs.Unavailable, err, "the %s service cannot be reached; try again in a moment", c.service)
}

// refused turns an answer that is no success into an error. What the user's own parameters
// caused keeps its kind and its words. The rest is between the services, so it is Upstream:
// the user cannot mend our token.
func (c caller) refused(res *http.Response, raw []byte) error {
	var p problemDoc
	_ = json.Unmarshal(raw, &p) // an answer that is no problem document has no words for the user
	e := &errs.Error{Detail: p.Detail, Fields: p.Errors}
	switch res.StatusCode {
	case http.StatusBadRequest:
		e.Kind = errs.Malformed
	case http.StatusForbidden:
		if len(p.Errors) > 0 { // a parameter was refused, not the token
			e.Kind = errs.Denied
		}
	case http.StatusNotFound:
		e.Kind = errs.NotFound
	case http.StatusConflict:
		e.Kind = errs.Conflict
	case http.StatusUnprocessableEntity:
		e.Kind = errs.Invalid
	case http.StatusTooManyRequests:
		e.Kind = errs.Limited
		if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 && s < 1<<20 {
			e.RetryAfter = time.Duration(s) * time.Second
		}
	}
	if e.Kind == "" || e.Detail == "" {
		up := errs.New(errs.Upstream, "the %s service refused the call with status %d; its log says why", c.service, res.StatusCode)
		if p.Detail != "" {
			up.Err = errors.New(p.Detail)
		}
		return up
	}
	return e
}
