package web

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"uniqverse/internal/errs"
)

// Site knows where each service of this installation can be opened by a browser. It is
// filled before serving starts and only read afterwards.
type Site struct {
	Ports map[string]int    // services in this process that listen, with their ports
	Far   map[string]string // services elsewhere, with their base URLs
}

// link addresses a service's path for the browser behind the call. Another service's address
// is absolute and goes through the portal where there is one, so that one open port is enough.
func (s *Site) link(c *Call, service, path string) string {
	if service == "desk" {
		service = "chat" // the desk is mounted on chat's port
	}
	if service == c.handler.opts.Service {
		return c.URL(path)
	}
	base, none := s.portal(c)
	switch {
	case !none && service == "portal":
		return base + path
	case !none:
		return base + "/proxy/" + service + path
	case s.Ports[service] != 0:
		return s.at(c, s.Ports[service]) + path
	}
	return strings.TrimRight(s.Far[service], "/") + path
}

func (s *Site) at(c *Call, port int) string {
	return scheme(c.Request) + "://" + net.JoinHostPort(hostname(c.Request), strconv.Itoa(port))
}

// portal is the absolute address of the portal without a slash at the end; none when there is
// no portal that a browser could open.
func (s *Site) portal(c *Call) (base string, none bool) {
	switch {
	case c.Prefix != "" || c.handler.opts.Service == "portal":
		return scheme(c.Request) + "://" + c.Request.Host, false
	case s.Ports["portal"] != 0:
		return s.at(c, s.Ports["portal"]), false
	case s.Far["portal"] != "":
		return strings.TrimRight(s.Far["portal"], "/"), false
	}
	return "", true
}

// portalBase is portal for templates, which write paths where the origin is the same.
func (s *Site) portalBase(c *Call) (base string, none bool) {
	if c.Prefix != "" || c.handler.opts.Service == "portal" {
		return "", false
	}
	return s.portal(c)
}

// signIn is where a page without a user sends the browser, with the way back.
func (s *Site) signIn(c *Call) string {
	base, none := s.portal(c)
	if none {
		return ""
	}
	back := c.URL(c.Request.URL.RequestURI())
	if c.Prefix == "" && c.handler.opts.Service != "portal" {
		back = scheme(c.Request) + "://" + c.Request.Host + back
	}
	return base + "/login?next=" + url.QueryEscape(back)
}

// SafeNext returns next when it is a path of this host or an address of one of our own
// services at the same host name, and "/" otherwise: a sign-in must not send people elsewhere.
func (s *Site) SafeNext(r *http.Request, next string) string {
	u, err := url.Parse(next)
	if err != nil || next == "" || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	if u.Scheme == "" && u.Host == "" && u.User == nil && strings.HasPrefix(next, "/") && !strings.HasPrefix(next, "//") {
		return next
	}
	if (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && s.ours(r, u) {
		return next
	}
	return "/"
}

// ours reports whether an origin is the one that the request was sent to, or another of our
// services under the same host name.
func (s *Site) ours(r *http.Request, u *url.URL) bool {
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	if !strings.EqualFold(u.Hostname(), hostname(r)) {
		return false
	}
	port, _ := strconv.Atoi(u.Port())
	for _, p := range s.Ports {
		if p == port {
			return true
		}
	}
	return false
}

// OriginAllowed reports whether a browser page of this origin may call us: our own pages may, others
// not. Calls without the headers that browsers send are not a page's and are allowed.
func (s *Site) OriginAllowed(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return false // whatever its Origin says: either header alone makes a call foreign
	}
	if o := r.Header.Get("Origin"); o != "" {
		u, err := url.Parse(o)
		return err == nil && u.Host != "" && s.ours(r, u)
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	case "same-site": // a link from one of our ports to another; anything else would name its Origin
		return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	}
	return false
}

// checkOrigin is the CSRF protection: state is changed for a session cookie only from our own
// pages, and the demo identity answers to no foreign page at all, because it needs no secret.
func (c *Call) checkOrigin() error {
	safe := slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, c.Request.Method) &&
		c.Request.Header.Get("Upgrade") == "" // a WebSocket is opened by GET, carries cookies and is held back by no same-origin rule
	guarded := c.Caller.Demo || (c.Caller.Via == SessionCookie || c.Caller.Via == AppPassword || c.endpoint.guarded) && !safe
	if !guarded || c.handler.opts.Site.OriginAllowed(c.Request) {
		return nil
	}
	return errs.New(errs.Denied, "this call comes from a page of another site; open it from UniQVerse's own pages, or call it with a token of your own")
}

// MayOpenSocket is the same rule for a WebSocket's handshake, which brings a session cookie and
// the demo identity along without the page knowing a secret; whoever shows a token may come from anywhere.
func (c *Call) MayOpenSocket(*http.Request) bool { return c.checkOrigin() == nil }

// hostname is the host part of the Host header.
func hostname(r *http.Request) string {
	if h, _, err := net.SplitHostPort(r.Host); err == nil {
		return h
	}
	return strings.Trim(r.Host, "[]")
}

func scheme(r *http.Request) string {
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https"
	}
	return "http"
}

// Secure reports whether the browser reached us over TLS, so that cookies are marked Secure.
func Secure(r *http.Request) bool { return scheme(r) == "https" }

// cleanPrefix accepts only a plain path: the header may come from a stranger, and whatever
// it holds becomes part of links.
func cleanPrefix(p string) string {
	if len(p) > 128 || p == "" || p[0] != '/' || strings.Contains(p, "//") || strings.HasSuffix(p, "/") {
		return ""
	}
	for seg := range strings.SplitSeq(p[1:], "/") {
		if seg == "." || seg == ".." {
			return ""
		}
	}
	for _, ch := range p {
		if (ch < 'a' || ch > 'z') && (ch < 'A' || ch > 'Z') && (ch < '0' || ch > '9') && !strings.ContainsRune("/-_.~", ch) {
			return ""
		}
	}
	return p
}

// sameUser reports whether a name in a request means the caller: local part, address or handle.
func sameUser(name string, c Caller) bool {
	name = strings.TrimPrefix(name, "@")
	return c.User != "" && (strings.EqualFold(name, c.User) || strings.EqualFold(name, c.Email))
}
