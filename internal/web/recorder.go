package web

import (
	"bufio"
	"net"
	"net/http"
)

// recorder notes what was answered and adds the trace headers before the first byte.
type recorder struct {
	http.ResponseWriter
	before func(status int)
	status int
	bytes  int64
	wrote  bool
}

func (r *recorder) WriteHeader(status int) {
	if r.wrote {
		return
	}
	if status >= 200 || status == http.StatusSwitchingProtocols {
		r.wrote, r.status = true, status
		r.before(status)
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if !r.wrote {
		r.WriteHeader(http.StatusOK)
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Hijack gives the connection to a WebSocket; the status is then its 101.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil {
		r.wrote, r.status = true, http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// Flush sends what was written so far.
func (r *recorder) Flush() {
	if !r.wrote {
		r.WriteHeader(http.StatusOK)
	}
	http.NewResponseController(r.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the deadlines beneath.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// found holds back an answer of 404, so that it can be given in this package's form.
type found struct {
	http.ResponseWriter
	missing bool
}

func (f *found) WriteHeader(status int) {
	if f.missing = status == http.StatusNotFound; !f.missing {
		f.ResponseWriter.WriteHeader(status)
	}
}

func (f *found) Write(b []byte) (int, error) {
	if f.missing {
		return len(b), nil
	}
	return f.ResponseWriter.Write(b)
}

// secure is the headers of every answer, made once for a handler. Pages that show mail replace the policy with a
// narrower one of their own.
func secure() http.Header {
	return http.Header{
		"Content-Security-Policy": {"default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; " +
			"frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self' http: https:; object-src 'none'"},
		"X-Content-Type-Options":     {"nosniff"},
		"X-Frame-Options":            {"DENY"},
		"Referrer-Policy":            {"same-origin"},
		"Cross-Origin-Opener-Policy": {"same-origin"},
		"Permissions-Policy":         {"camera=(), microphone=(), geolocation=()"},
	}
}
