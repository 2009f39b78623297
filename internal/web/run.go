package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"uniqverse/internal/errs"
)

const (
	defaultMaxBody = 1 << 20
	uploadTime     = 5 * time.Minute // for a body that an endpoint reads by itself
)

// run takes one request through an endpoint: who, whether, how often, what, answer.
func (c *Call) run(e *Endpoint, r *http.Request) {
	c.Request = r // the mux has set the path values
	c.endpoint = e
	c.route = e.Method + " " + e.Path
	max := e.maxBody
	if max == 0 {
		max = defaultMaxBody
	}
	r.Body = http.MaxBytesReader(c.w, r.Body, max)
	if e.first != nil {
		if err := e.first(c); err != nil {
			if busy := c.handler.limiter.take(r, Caller{}, 0); busy != nil {
				err = busy
			}
			c.failAt(e, err)
			return
		}
	}
	if err := c.admit(e); err != nil {
		c.failAt(e, err)
		return
	}
	if e.longLife {
		c.giveBack() // a stream holds no slot of the short requests
	} else {
		wait := c.handler.opts.Limits.BodyTime
		if e.ownBody != nil {
			c.giveBack() // as long as it takes to arrive
			wait = uploadTime
		}
		rc := http.NewResponseController(c.w)
		rc.SetReadDeadline(time.Now().Add(wait)) // not supported in process: nothing to guard there
	}
	out, err := e.serve(c)
	if err != nil {
		c.failAt(e, err)
		return
	}
	c.answer(e, out)
}

// admit decides whether the caller may use the endpoint at all.
func (c *Call) admit(e *Endpoint) error {
	if e.noAuth {
		return nil
	}
	if err := c.identify(e); err != nil {
		return err
	}
	caller := c.Caller
	if !e.Access.Open {
		if !caller.Known() {
			return c.handler.limiter.refuse(c.Request, errs.New(errs.Unauthenticated, "this address needs a token: send Authorization: Bearer …, or sign in at the portal"))
		}
		if !caller.Has(e.Access.Scope) {
			return errs.New(errs.Denied, "this address needs the scope %s, and the token does not carry it", e.Access.Scope)
		}
	}
	return c.handler.limiter.take(c.Request, caller, e.often)
}

// identify finds out who calls, and that no page of another site does in their name.
func (c *Call) identify(e *Endpoint) error {
	if c.known != nil { // asked when their connection was opened
		c.Caller = *c.known
		return nil
	}
	caller, err := c.handler.opts.authenticate(c.Request, e.Access.Basic, e.Access.Token && !c.ofOwnPage(e))
	if err != nil && !e.Access.Open {
		return c.handler.limiter.refuse(c.Request, err)
	}
	if err != nil {
		caller = Caller{}
	}
	c.Caller = caller
	return c.checkOrigin()
}

// ofOwnPage reports whether the request opens a page of ours or comes from one: a page, a browser's form that is
// answered with a redirect, and what a browser itself marks as sent by a page of the same origin (htmx, event
// streams). With demo identity on these are the demo user's without a token even where the API wants one, or the page would
// open and nothing on it would work.
func (c *Call) ofOwnPage(e *Endpoint) bool {
	return e.kind == kindView || c.isPage && e.redirect != nil || c.Request.Header.Get("Sec-Fetch-Site") == "same-origin"
}

// Update runs fn in one transaction of db on behalf of the call, with its Idempotency-Key;
// in is what the key's parameters are compared by. It is what Command does, for endpoints
// that have slow work to do before the transaction (hashing a password, asking a service).
func Update[Tx, In, Out any](c *Call, in In, db Transactor[Tx], fn func(tx Tx) (Out, error)) (any, error) {
	return runOnce(c, in, db, func(tx Tx) (any, error) { return fn(tx) })
}

// replayed is an answer that was found in the store.
type replayed struct{ once *Once }

func runOnce[Tx any](c *Call, in any, db Transactor[Tx], fn func(tx Tx) (any, error)) (any, error) {
	once, done, err := c.claim(in)
	if err != nil {
		return nil, err
	}
	defer done()
	var out any
	err = db.Update(c.Context(), once, func(tx Tx) error {
		var err error
		out, err = fn(tx)
		if err != nil || once == nil {
			return err
		}
		return c.keep(once, out)
	})
	if err != nil {
		return nil, err
	}
	if once != nil && once.Replayed {
		return replayed{once}, nil
	}
	return out, nil
}

// claim reads the Idempotency-Key; no key gives no Once. While a request with the same key
// of the same caller runs, a second one is a conflict.
func (c *Call) claim(in any) (*Once, func(), error) {
	keys := c.Request.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return nil, func() {}, nil
	}
	key := keys[0]
	if len(keys) > 1 || key == "" || len(key) > 128 {
		return nil, nil, errs.New(errs.Malformed, "Idempotency-Key must be given once, with 1 to 128 bytes")
	}
	raw, err := json.Marshal(in)
	if err != nil {
		return nil, nil, errs.Wrap(errs.Internal, err, "the request could not be compared with an earlier one")
	}
	sum := sha256.Sum256(append([]byte(c.Request.Method+"\x00"+c.Request.URL.Path+"\x00"), raw...))
	once := &Once{Caller: c.Caller.Server + "/" + c.Caller.Email, Key: key, Fingerprint: hex.EncodeToString(sum[:16])}
	id := once.Caller + "\x00" + key
	h := c.handler
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running[id] {
		return nil, nil, &errs.Error{Kind: errs.Conflict, Detail: "a request with this Idempotency-Key is still running; ask again in a moment", RetryAfter: time.Second}
	}
	h.running[id] = true
	return once, func() {
		h.mu.Lock()
		delete(h.running, id)
		h.mu.Unlock()
	}, nil
}

// keep puts the answer into once, inside the transaction, so that a repeat gets the same.
func (c *Call) keep(once *Once, out any) error {
	body, err := json.Marshal(out)
	if err != nil {
		return errs.Wrap(errs.Internal, err, "the answer could not be kept")
	}
	once.Body = body
	once.Status = c.endpoint.okStatus()
	if c.endpoint.redirect != nil {
		once.Location = c.endpoint.redirect(c, out)
	}
	return nil
}

func (e *Endpoint) okStatus() int {
	if e.status == 0 {
		return http.StatusOK
	}
	return e.status
}

// Form returns a text parameter of the query or form as the caller typed it, for showing a
// refused form again; "" when it was not given.
func (c *Call) Form(name string) string {
	return url.Values(c.given.text).Get(name)
}

// giveBack frees the slot of the bounded number of requests, once.
func (c *Call) giveBack() {
	if c.release != nil {
		c.release()
		c.release = nil
	}
}
