package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/templates"
)

// problem is an RFC 9457 document.
type problem struct {
	Type      string       `json:"type,omitempty"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail"`
	Errors    []errs.Field `json:"errors,omitempty"`
	RequestID string       `json:"request_id,omitempty"`
}

var statusOf = map[errs.Kind]int{
	errs.Malformed: 400, errs.Unauthenticated: 401, errs.Denied: 403, errs.NotFound: 404, errs.NotAllowed: 405, errs.Conflict: 409,
	errs.TooLarge: 413, errs.Unsupported: 415, errs.Invalid: 422, errs.Limited: 429, errs.Internal: 500, errs.Upstream: 502,
	errs.Unavailable: 503, errs.Timeout: 504,
}

// Status returns the HTTP status that an error of the kind is answered with.
func Status(kind errs.Kind) int {
	if s, ok := statusOf[kind]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// failAt answers an error at an endpoint: pages without a user go to the sign-in, refused
// forms may be shown again, everything else is a problem document.
func (c *Call) failAt(e *Endpoint, err error) {
	if c.isPage && errs.Is(err, errs.Unauthenticated) && (c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead) {
		if to := c.handler.opts.Site.signIn(c); to != "" {
			c.redirect(to)
			return
		}
	}
	if c.isPage && e.retry != nil {
		if page, ok := e.retry(c, err); ok {
			if page.Status == 0 {
				page.Status = Status(errs.KindOf(err))
			}
			c.page(page)
			return
		}
	}
	c.fail(err)
}

// fail answers an error as a problem document, or as a page for browsers. Causes are logged
// here and nowhere else.
func (c *Call) fail(err error) {
	var e *errs.Error
	if !errors.As(err, &e) {
		e = &errs.Error{Kind: errs.Internal, Detail: "something went wrong on our side; the log has it under request " + c.ID, Err: err}
	}
	status := Status(e.Kind)
	if status >= 500 {
		c.Log.Error("request failed", "path", c.loggedPath(), "status", status, "err", err.Error())
	} else if e.Err != nil {
		c.Log.Debug("request refused", "path", c.loggedPath(), "status", status, "err", err.Error())
	}
	if rec, ok := c.w.(*recorder); ok && rec.wrote {
		return // a stream that broke: its reader sees the end
	}
	h := c.w.Header()
	if e.Kind == errs.Unauthenticated {
		h.Set("WWW-Authenticate", `Bearer realm="uniqverse"`)
		if c.endpoint != nil && c.endpoint.Access.Basic && !c.endpoint.Access.Quiet {
			h.Add("WWW-Authenticate", `Basic realm="uniqverse"`)
		}
	}
	if e.RetryAfter > 0 || e.Kind == errs.Limited {
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(e.RetryAfter.Seconds())))))
	}
	if c.isPage {
		c.page(c.errorPage(status, e))
		return
	}
	body, _ := json.Marshal(problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: e.Detail, Errors: e.Fields, RequestID: c.ID})
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	c.w.WriteHeader(status)
	c.w.Write(body)
}

func (c *Call) errorPage(status int, e *errs.Error) Page {
	v := templates.ErrorView{Status: status, Title: http.StatusText(status), Detail: e.Detail, RequestID: c.ID, RetryAfter: e.RetryAfter}
	for _, f := range e.Fields {
		v.Fields = append(v.Fields, templates.FieldError{Field: f.Field, Detail: f.Detail})
	}
	return Page{Template: templates.PageError, Title: v.Title, Status: status, Data: v}
}

// answer writes what an endpoint returned.
func (c *Call) answer(e *Endpoint, out any) {
	switch o := out.(type) {
	case written:
		return
	case Page:
		c.page(o)
		return
	case Text:
		c.Header().Set("Content-Type", "text/plain; charset=utf-8")
		c.Header().Set("Cache-Control", "no-store")
		c.w.WriteHeader(e.okStatus())
		c.w.Write([]byte(o))
		return
	case replayed:
		if o.once.Location != "" && c.isPage {
			c.redirect(o.once.Location)
			return
		}
		c.json(o.once.Status, o.once.Body)
		return
	}
	if e.redirect != nil && c.isPage {
		c.redirect(e.redirect(c, out))
		return
	}
	body, err := json.Marshal(out)
	if err != nil {
		c.fail(errs.Wrap(errs.Internal, err, "the answer could not be written"))
		return
	}
	c.json(e.okStatus(), body)
}

func (c *Call) json(status int, body []byte) {
	h := c.w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	c.w.WriteHeader(status)
	c.w.Write(append(body, '\n'))
}

// redirect answers 303 See Other to a path of this service or to an absolute address.
func (c *Call) redirect(to string) {
	if strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") {
		to = c.URL(to)
	}
	c.w.Header().Set("Location", to)
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusSeeOther)
}

func (c *Call) page(p Page) {
	status := p.Status
	if status == 0 {
		status = http.StatusOK
	}
	var buf bytes.Buffer
	if err := c.handler.opts.Templates.Render(&buf, p.Template, c.frame(p)); err != nil {
		c.Log.Error("page not rendered", "template", p.Template, "err", err.Error())
		http.Error(c.w, "This page could not be shown; the log says why.", http.StatusInternalServerError)
		return
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept")
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	c.w.WriteHeader(status)
	c.w.Write(buf.Bytes())
}

// frame is what surrounds a page's content.
func (c *Call) frame(p Page) templates.Page {
	service := p.Service
	if service == "" {
		service = c.handler.opts.Service
	}
	t := templates.Page{Title: p.Title, Service: service, Prefix: c.Prefix, Path: c.Request.URL.RequestURI(), Data: p.Data}
	t.PortalBase, t.Standalone = c.handler.opts.Site.portalBase(c)
	if p.Notice != "" {
		t.Notice = &templates.Notice{Kind: "ok", Text: p.Notice}
	}
	if c.Caller.User != "" {
		t.User = templates.User{ID: c.Caller.ID, Email: c.Caller.Email, Demo: c.Caller.Demo, Admin: c.Caller.Admin}
	}
	return t
}

// wantsPage is true for a browser that navigates: Accept names text/html.
func wantsPage(r *http.Request) bool {
	for _, a := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(a, ",") {
			mt, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(mt), "text/html") {
				return true
			}
		}
	}
	return false
}
