package registry

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"uniqverse/internal/errs"
)

// calls counts the near calls that run, so that Close can wait for them.
type calls struct {
	ctx    context.Context // what every near request's context descends from
	cancel context.CancelFunc

	mu     sync.Mutex // guards the rest
	n      int
	closed bool
	idle   chan struct{} // closed when closed and n == 0
}

func (c *calls) init() {
	// Code that asks whether it serves a real request (ReverseProxy does, before it aborts a
	// broken answer) looks for these two values.
	ctx := context.WithValue(context.Background(), http.ServerContextKey, &http.Server{})
	ctx = context.WithValue(ctx, http.LocalAddrContextKey, net.Addr(memAddr{}))
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.idle = make(chan struct{})
}

func (c *calls) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.n++
	return true
}

func (c *calls) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n == 0 && c.closed {
		close(c.idle)
	}
}

func (c *calls) close(ctx context.Context) error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		if c.n == 0 {
			close(c.idle)
		}
	}
	c.mu.Unlock()
	defer c.cancel()
	select {
	case <-c.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// exchange is one near call: the client's side is roundTrip and the answer's body, the
// handler's side is run and the methods of http.ResponseWriter.
type exchange struct {
	r      *Registry
	name   string
	req    *http.Request // the client's
	cancel context.CancelFunc
	unhook func() bool
	body   requestBody
	out    *pipe         // the answer's body
	answer chan answer   // one, when the headers are known
	upward chan *memConn // the client's end, when the handler hijacked

	mu       sync.Mutex // guards what follows; only the handler's side uses it
	header   http.Header
	status   int            // 0 until the handler has chosen one
	unsent   *http.Response // the headers as they were then, until they are sent
	declared int64
	written  int64
	hijacked bool
	left     bool // the client does not wait any more
}

type answer struct {
	res *http.Response
	err error
}

// callNear dispatches the request to a handler of this process.
func (r *Registry) callNear(name string, h http.Handler, req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		closeBody(req)
		return nil, contextError(name, err)
	}
	if !r.calls.begin() {
		closeBody(req)
		return nil, errs.New(errs.Unavailable, "The service %s is shutting down; try again later", name)
	}
	ctx, cancel := context.WithCancel(r.calls.ctx)
	x := &exchange{
		r: r, name: name, req: req, cancel: cancel, header: http.Header{}, declared: -1,
		out: newPipe(), answer: make(chan answer, 1), upward: make(chan *memConn, 1),
	}
	x.body.rc = req.Body
	x.unhook = context.AfterFunc(req.Context(), func() { x.drop(req.Context().Err()) })
	go x.run(h, x.serverRequest(ctx))
	return x.roundTrip()
}

// serverRequest turns a client's request into what a handler expects.
func (x *exchange) serverRequest(ctx context.Context) *http.Request {
	in := x.req
	u := *in.URL
	u.Scheme, u.Host, u.User, u.Fragment, u.RawFragment = "", "", nil, "", ""
	if u.Path == "" {
		u.Path = "/"
	}
	out := &http.Request{
		Method: in.Method, URL: &u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: in.Header, Host: in.Host, RemoteAddr: InProcess, RequestURI: u.RequestURI(),
		ContentLength: in.ContentLength, Body: http.NoBody,
	}
	if out.Method == "" {
		out.Method = http.MethodGet
	}
	if out.Host == "" {
		out.Host = in.URL.Host
	}
	if in.Body != nil && in.Body != http.NoBody {
		out.Body = &x.body
		if in.ContentLength <= 0 {
			out.ContentLength, out.TransferEncoding = -1, []string{"chunked"}
		}
	} else {
		out.ContentLength = 0
	}
	return out.WithContext(ctx)
}

// roundTrip waits for the headers, for no longer than the registry's timeout unless the
// handler still waits for the client's own body.
func (x *exchange) roundTrip() (*http.Response, error) {
	timer := time.NewTimer(x.r.timeout)
	defer timer.Stop()
	for {
		select {
		case a := <-x.answer:
			return a.res, a.err
		case c := <-x.upward:
			return x.readUpgrade(c)
		case <-x.req.Context().Done():
			x.leave(x.req.Context().Err())
			return nil, contextError(x.name, x.req.Context().Err())
		case <-timer.C:
			if rest := x.body.patience(x.r.timeout); rest > 0 {
				timer.Reset(rest)
				continue
			}
			x.leave(errNoHeaders)
			return nil, errs.Wrap(errs.Timeout, errNoHeaders, "The service %s did not answer in time; try again later", x.name)
		}
	}
}

var errNoHeaders = errors.New("registry: no response headers in time")

// drop is the client going away: the handler's context ends and its writes fail.
func (x *exchange) drop(err error) {
	x.cancel()
	x.out.abort(err, errPeerClosed)
	x.body.Close()
}

// leave is the client going away before there was an answer.
func (x *exchange) leave(err error) {
	x.unhook()
	x.drop(err)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.left = true
	select {
	case c := <-x.upward: // hijacked in the same moment
		c.Close()
	default:
	}
}

// run is the handler's goroutine.
func (x *exchange) run(h http.Handler, req *http.Request) {
	defer x.r.calls.done()
	returned := false
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // the value itself, as net/http does
			x.r.log.Error("handler panicked", "svc", x.name, "path", req.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
		x.end(returned)
	}()
	h.ServeHTTP(&responseWriter{x}, req)
	returned = true
}

// end closes the handler's side after it returned or panicked.
func (x *exchange) end(returned bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.body.Close()
	switch {
	case x.hijacked: // the connection belongs to whoever hijacked it
	case !returned && (x.status == 0 || x.unsent != nil):
		x.answer <- answer{err: errs.Wrap(errs.Unavailable, io.ErrUnexpectedEOF, "The service %s failed; try again later", x.name)}
	case !returned:
		x.out.finish(io.ErrUnexpectedEOF)
	default:
		x.writeHeader(http.StatusOK)
		if x.unsent != nil && x.declared < 0 && x.bodyAllowed() {
			x.unsent.Header.Set("Content-Length", "0")
			x.unsent.ContentLength, x.declared = 0, 0
		}
		x.send()
		if x.declared > x.written && x.bodyAllowed() {
			x.out.finish(io.ErrUnexpectedEOF)
		} else {
			x.out.finish(io.EOF)
		}
	}
	x.unhook()
	x.cancel()
}

// writeHeader fixes status and headers; the first write, a flush or the end sends them. x.mu is held.
func (x *exchange) writeHeader(status int) {
	if x.status != 0 || x.hijacked || (status >= 100 && status < 200 && status != http.StatusSwitchingProtocols) {
		return
	}
	if status < 100 || status > 999 {
		x.r.log.Error("handler wrote an invalid status", "svc", x.name, "path", x.req.URL.Path, "status", status)
		status = http.StatusInternalServerError
	}
	x.status = status
	res := &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: x.header.Clone(), ContentLength: -1, Request: x.req, Body: http.NoBody,
	}
	if s := res.Header.Get("Content-Length"); s != "" {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
			res.ContentLength, x.declared = n, n
		} else {
			res.Header.Del("Content-Length")
		}
	}
	res.Header.Del("Transfer-Encoding")
	if x.bodyAllowed() {
		res.Body = &responseBody{x}
	} else if x.req.Method != http.MethodHead {
		res.ContentLength = 0
	}
	x.unsent = res
}

// send delivers the headers to the client; x.mu is held.
func (x *exchange) send() {
	if x.unsent != nil {
		x.answer <- answer{res: x.unsent}
		x.unsent = nil
	}
}

func (x *exchange) bodyAllowed() bool {
	return x.req.Method != http.MethodHead && x.status >= 200 && x.status != http.StatusNoContent && x.status != http.StatusNotModified
}

// readUpgrade reads the answer that a handler writes on its hijacked connection.
func (x *exchange) readUpgrade(c *memConn) (*http.Response, error) {
	x.unhook()
	stop := context.AfterFunc(x.req.Context(), func() { c.Close() })
	defer stop()
	c.SetReadDeadline(time.Now().Add(x.r.timeout))
	br := bufio.NewReaderSize(c, 4096)
	res, err := http.ReadResponse(br, x.req)
	if err != nil {
		c.Close()
		if cerr := x.req.Context().Err(); cerr != nil {
			return nil, contextError(x.name, cerr)
		}
		return nil, classify(x.req.Context(), x.name, err)
	}
	c.SetReadDeadline(time.Time{})
	if res.StatusCode == http.StatusSwitchingProtocols {
		early, _ := br.Peek(br.Buffered())
		res.Body = &upgradedBody{memConn: c, early: append([]byte(nil), early...)}
		return res, nil
	}
	res.Body = &closeBoth{res.Body, c}
	return res, nil
}

// responseBody is the client's view of the answer's body.
type responseBody struct{ x *exchange }

func (b *responseBody) Read(p []byte) (int, error) { return b.x.out.Read(p) }

func (b *responseBody) Close() error {
	b.x.unhook()
	b.x.drop(http.ErrBodyReadAfterClose)
	return nil
}

// upgradedBody is a connection after 101 Switching Protocols, as net/http hands it out.
type upgradedBody struct {
	*memConn
	early []byte // read together with the headers
}

func (b *upgradedBody) Read(p []byte) (int, error) {
	if len(b.early) > 0 {
		n := copy(p, b.early)
		if b.early = b.early[n:]; len(b.early) == 0 {
			b.early = nil
		}
		return n, nil
	}
	return b.memConn.Read(p)
}

type closeBoth struct {
	io.ReadCloser
	conn *memConn
}

func (b *closeBoth) Close() error {
	b.conn.Close()
	return b.ReadCloser.Close()
}

// requestBody is the client's body until one of the two sides is done with it: what the
// handler, or the network, reads.
type requestBody struct {
	rc      io.ReadCloser
	unhook  func() bool // ends the watch on the context, if there is one
	closed  atomic.Bool
	reading atomic.Bool
	last    atomic.Int64 // unix nanoseconds of the end of the last Read
}

func (b *requestBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.reading.Store(true)
	n, err := b.rc.Read(p)
	b.last.Store(time.Now().UnixNano())
	b.reading.Store(false)
	if b.closed.Load() && err == nil && n == 0 {
		err = http.ErrBodyReadAfterClose
	}
	return n, err
}

// Close implements io.Closer; closing twice is allowed.
func (b *requestBody) Close() error {
	if b.unhook != nil {
		b.unhook()
	}
	return b.close()
}

func (b *requestBody) close() error {
	if b.rc == nil || b.closed.Swap(true) {
		return nil
	}
	return b.rc.Close()
}

// patience is how much longer the headers may take, counted from the last of the request.
func (b *requestBody) patience(timeout time.Duration) time.Duration {
	if b.reading.Load() {
		return timeout
	}
	if last := b.last.Load(); last != 0 {
		return timeout - time.Since(time.Unix(0, last))
	}
	return 0
}

// responseWriter is the handler's side of an exchange.
type responseWriter struct{ x *exchange }

var (
	_ http.Flusher    = (*responseWriter)(nil)
	_ http.Hijacker   = (*responseWriter)(nil)
	_ io.StringWriter = (*responseWriter)(nil)
)

func (w *responseWriter) Header() http.Header { return w.x.header }

func (w *responseWriter) WriteHeader(status int) {
	w.x.mu.Lock()
	w.x.writeHeader(status)
	w.x.mu.Unlock()
}

func (w *responseWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *responseWriter) Write(p []byte) (int, error) {
	x := w.x
	x.mu.Lock()
	if x.hijacked {
		x.mu.Unlock()
		return 0, http.ErrHijacked
	}
	if x.status == 0 {
		_, has := x.header["Content-Type"]
		if !has && x.header.Get("Content-Encoding") == "" && len(p) > 0 {
			x.header.Set("Content-Type", http.DetectContentType(p))
		}
		x.writeHeader(http.StatusOK)
	}
	allowed := x.bodyAllowed()
	if allowed && x.declared >= 0 && x.written+int64(len(p)) > x.declared {
		x.mu.Unlock()
		return 0, http.ErrContentLength
	}
	x.written += int64(len(p))
	x.send()
	x.mu.Unlock()
	if !allowed {
		if x.req.Method == http.MethodHead {
			return len(p), nil
		}
		return 0, http.ErrBodyNotAllowed
	}
	return x.out.Write(p)
}

// Flush sends the headers; bodies are never held back.
func (w *responseWriter) Flush() {
	w.x.mu.Lock()
	w.x.writeHeader(http.StatusOK)
	w.x.send()
	w.x.mu.Unlock()
}

// FlushError is Flush for http.ResponseController; it fails when the client went away.
func (w *responseWriter) FlushError() error {
	w.Flush()
	_, err := w.x.out.Write(nil)
	return err
}

// SetWriteDeadline bounds how long a Write may wait for the client.
func (w *responseWriter) SetWriteDeadline(t time.Time) error {
	w.x.out.setDeadline(&w.x.out.writeBy, t)
	return nil
}

// EnableFullDuplex is how near calls always work.
func (w *responseWriter) EnableFullDuplex() error { return nil }

// Hijack gives the handler its end of a connection within the process.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	x := w.x
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.hijacked {
		return nil, nil, http.ErrHijacked
	}
	if x.status != 0 {
		return nil, nil, errors.New("registry: hijack after the response began")
	}
	x.hijacked = true
	server, client := newConnPair()
	if x.left {
		client.Close()
	} else {
		x.upward <- client
	}
	return server, bufio.NewReadWriter(bufio.NewReader(server), bufio.NewWriter(server)), nil
}
