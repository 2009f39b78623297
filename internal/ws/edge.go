package ws

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/internal/errs"
)

// EdgeOptions configure an Edge; the zero value has the product's defaults.
type EdgeOptions struct {
	MaxConns     int           // connections at one time, more are refused with errs.Unavailable; 0 means 20,000
	PingEvery    time.Duration // 0 means 25 s
	PongWait     time.Duration // after a ping; 0 means 10 s
	WriteTimeout time.Duration // for one write to make progress; 0 means 10 s
	CloseWait    time.Duration // for the peer's answer to a close frame; 0 means 2 s
	Spread       time.Duration // Shutdown closes connections over this time; 0 means 500 ms
	Log          *slog.Logger  // hears of failed handshakes and closes at debug level; nil is silent
}

// readBuffer is how much of a connection's input is read at once; gorilla takes a reader of more than 256 bytes.
const readBuffer = 288

// pingSlots is into how many groups the connections are dealt that are pinged together.
const pingSlots = 25

// Edge owns the connections and topics of one service.
type Edge struct {
	opts     EdgeOptions
	upgrader websocket.Upgrader
	start    sync.Once      // of the workers and the clock, with the first connection
	conns    sync.WaitGroup // connections not over yet
	workers  sync.WaitGroup // the workers and the clock
	slow     sync.WaitGroup // goroutines of writes that did not finish at once
	stop     chan struct{}  // closed when the workers and the clock shall end
	queue    queue

	mu       sync.Mutex // guards what follows
	slots    [pingSlots]map[*Conn]struct{}
	count    int // connections and handshakes under way
	serial   int
	draining bool
	closed   map[Code]int64

	opened, refused, received, frames, bytes, writes atomic.Int64
}

// NewEdge returns an edge that is ready to upgrade; call Shutdown to end it.
func NewEdge(opts EdgeOptions) *Edge {
	opts.MaxConns = orDefault(opts.MaxConns, 20_000)
	opts.PingEvery = orDefault(opts.PingEvery, 25*time.Second)
	opts.PongWait = orDefault(opts.PongWait, 10*time.Second)
	opts.WriteTimeout = orDefault(opts.WriteTimeout, 10*time.Second)
	opts.CloseWait = orDefault(opts.CloseWait, 2*time.Second)
	opts.Spread = orDefault(opts.Spread, 500*time.Millisecond)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	e := &Edge{opts: opts, stop: make(chan struct{}), closed: map[Code]int64{}}
	e.queue.ready.L = &e.queue.mu
	// The pool is never used, for nothing is written through gorilla's buffers; having one
	// keeps it from allocating a buffer for every connection. Without a size for reading gorilla takes
	// the reader that the hijacker gives it.
	e.upgrader = websocket.Upgrader{WriteBufferSize: 512, WriteBufferPool: &sync.Pool{}, HandshakeTimeout: opts.WriteTimeout}
	for i := range e.slots {
		e.slots[i] = map[*Conn]struct{}{}
	}
	return e
}

func orDefault[T int | int64 | float64 | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}

// Options say what one connection may do.
type Options struct {
	// Origin decides whether a page of the request's Origin may connect; it is asked only
	// when there is one. Nil allows an Origin whose host is the request's Host.
	Origin func(r *http.Request) bool
	// Protocols are the sub-protocols spoken, the preferred first. A client that offers none
	// of them gets none.
	Protocols []string
	// Header is added to the answer of the handshake.
	Header http.Header
	// ReadLimit bounds a message in bytes; over it the connection is closed with TooBig. 0 means 64 kB.
	ReadLimit int64
	// Binary allows binary messages; else they close the connection with Unsupported.
	Binary bool
	// Rate and Burst bound incoming messages, pings and pongs per second by a token bucket;
	// beyond it the connection is closed with TooManyRequests. 0 means 2 per second and a
	// burst of 120; a negative Rate switches the bound off.
	Rate  float64
	Burst int
	// Queue bounds what Send and Push have waiting, in bytes; 0 means 1 MiB.
	Queue int
	// Expires closes the connection with Expired at that time; zero means never.
	Expires time.Time
	// Hello closes the connection with Stale when no message came that long after Start; 0 means never.
	Hello time.Duration
}

// Upgrade answers the WebSocket handshake. The connection reads nothing before Start, and
// must be given to Start or Close.
//
// On error nothing was written, and the caller answers with the error: Malformed, NotAllowed,
// Denied (origin), Unavailable (too many connections, or shutting down), Internal. Only an
// error that is ErrGone needs no answer: the peer is not there any more.
func (e *Edge) Upgrade(w http.ResponseWriter, r *http.Request, opts Options) (*Conn, error) {
	if err := e.reserve(); err != nil {
		e.refused.Add(1)
		return nil, err
	}
	u := e.upgrader
	u.Subprotocols = opts.Protocols
	status := 0
	u.Error = func(_ http.ResponseWriter, _ *http.Request, code int, _ error) { status = code }
	u.CheckOrigin = func(r *http.Request) bool {
		if r.Header.Get("Origin") == "" {
			return true
		}
		if opts.Origin != nil {
			return opts.Origin(r)
		}
		return sameHost(r)
	}
	h := &hijacker{ResponseWriter: w}
	wc, err := u.Upgrade(h, r, opts.Header)
	if err != nil {
		e.release()
		e.refused.Add(1)
		e.opts.Log.Debug("websocket handshake failed", "remote", r.RemoteAddr, "err", err)
		return nil, refusal(w, status, err)
	}
	c := newConn(e, wc, h.guard, r.RemoteAddr, opts)
	e.register(c)
	return c, nil
}

// Offers reports whether a handshake offers a sub-protocol.
func Offers(r *http.Request, protocol string) bool {
	return slices.Contains(websocket.Subprotocols(r), protocol)
}

// refusal turns a failed handshake into the error that the caller answers with.
func refusal(w http.ResponseWriter, status int, err error) error {
	if status == 0 {
		return errors.Join(ErrGone, err)
	}
	w.Header().Set("Sec-WebSocket-Version", "13")
	switch status {
	case http.StatusForbidden:
		return errs.Wrap(errs.Denied, err, "Pages of this origin may not connect; open the page from this server")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodGet)
		return errs.Wrap(errs.NotAllowed, err, "A WebSocket is opened with GET")
	case http.StatusBadRequest:
		return errs.Wrap(errs.Malformed, err, "This address speaks WebSocket (version 13) alone; connect with a WebSocket client")
	}
	return errs.Wrap(errs.Internal, err, "The connection could not be upgraded")
}

func sameHost(r *http.Request) bool {
	u, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// reserve takes a place among MaxConns before the handshake.
func (e *Edge) reserve() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining {
		return &errs.Error{Kind: errs.Unavailable, Detail: "The server is shutting down; connect again in a moment", RetryAfter: time.Second}
	}
	if e.count >= e.opts.MaxConns {
		return &errs.Error{Kind: errs.Unavailable, Detail: "Too many connections are open; connect again later", RetryAfter: 10 * time.Second}
	}
	e.count++
	e.conns.Add(1)
	return nil
}

func (e *Edge) release() {
	e.mu.Lock()
	e.count--
	e.mu.Unlock()
	e.conns.Done()
}

func (e *Edge) register(c *Conn) {
	e.start.Do(func() {
		for range max(2, runtime.GOMAXPROCS(0)) {
			e.workers.Go(e.work)
		}
		e.workers.Go(e.clock)
	})
	e.opened.Add(1)
	e.mu.Lock()
	e.serial++
	c.slot = e.serial % pingSlots
	e.slots[c.slot][c] = struct{}{}
	draining := e.draining
	e.mu.Unlock()
	if draining { // Shutdown came during the handshake and has not seen this one
		c.Close(Shutdown, "shutdown")
	}
}

func (e *Edge) unregister(c *Conn, code Code) {
	e.mu.Lock()
	delete(e.slots[c.slot], c)
	e.closed[code]++
	e.mu.Unlock()
}

// clock pings one group of connections after the other, so that all are pinged once in PingEvery.
func (e *Edge) clock() {
	tick := time.NewTicker(max(e.opts.PingEvery/pingSlots, time.Millisecond))
	defer tick.Stop()
	for slot := 0; ; slot = (slot + 1) % pingSlots {
		select {
		case <-e.stop:
			return
		case <-tick.C:
		}
		e.queue.push(e.wakeAll(e.list(slot), func(c *Conn) { c.ping = true }))
	}
}

// list returns the connections of one group, or of all for -1.
func (e *Edge) list(slot int) []*Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	var cs []*Conn
	for i := range e.slots {
		if slot == i || slot == -1 {
			for c := range e.slots[i] {
				cs = append(cs, c)
			}
		}
	}
	return cs
}

// Shutdown refuses further upgrades, closes every connection with Shutdown (3001), spread
// over a short time so that not all clients come back at once, gives them CloseWait to answer
// and waits for all goroutines. When ctx ends first it cuts the connections, waits for what
// is left and returns the context's error.
func (e *Edge) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	again := e.draining
	e.draining = true
	e.mu.Unlock()
	over := make(chan struct{})
	go func() { // ends with the last connection, which is cut below at the latest
		e.conns.Wait()
		close(over)
	}()
	err := e.drain(ctx, over)
	<-over
	if !again {
		close(e.stop)
		e.queue.stop()
	}
	e.workers.Wait()
	e.slow.Wait()
	return err
}

func (e *Edge) drain(ctx context.Context, over <-chan struct{}) error {
	conns := e.list(-1)
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	const steps = 10
	pause := time.NewTimer(0)
	defer pause.Stop()
	for i := range steps {
		for _, c := range conns[i*len(conns)/steps : (i+1)*len(conns)/steps] {
			c.Close(Shutdown, "shutdown")
		}
		wait := e.opts.Spread/steps/2 + rand.N(e.opts.Spread/steps+1)
		if len(conns) < steps {
			wait = 0
		}
		pause.Reset(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
		case <-over:
			return nil
		}
	}
	pause.Reset(e.opts.CloseWait + e.opts.CloseWait/4)
	select {
	case <-over:
		return nil
	case <-pause.C:
	case <-ctx.Done():
	}
	for {
		for _, c := range e.list(-1) {
			c.cut(Abnormal)
		}
		select {
		case <-over:
			return ctx.Err()
		case <-time.After(10 * time.Millisecond): // for a handshake that was still under way
		}
	}
}

// hijacker puts a guard around the connection that gorilla gets to see.
type hijacker struct {
	http.ResponseWriter
	guard *guard
}

// Hijack implements http.Hijacker, also through wrappers that have Unwrap.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, brw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.guard = &guard{Conn: c}
	h.guard.in = bufio.NewReaderSize(h.guard, readBuffer)
	if n := brw.Reader.Buffered(); n > 0 { // gorilla refuses a client that sent something before the answer
		return h.guard, brw, nil
	}
	return h.guard, bufio.NewReadWriter(h.guard.in, brw.Writer), nil
}

// guard lets gorilla write the handshake and nothing after it: all frames go through one
// place, because a write that was cut short by its deadline must be continued before any
// other byte is sent. The close frames that gorilla wants to send become Close.
type guard struct {
	net.Conn
	in *bufio.Reader
	c  *Conn // nil during the handshake
}

func (g *guard) Write(b []byte) (int, error) {
	if g.c == nil {
		return g.Conn.Write(b)
	}
	if len(b) >= 4 && b[0] == 0x80|websocket.CloseMessage {
		code, reason := Code(int(b[2])<<8|int(b[3])), string(b[4:])
		if code == TooBig {
			reason = "message too big"
		}
		g.c.Close(code, reason)
	}
	return len(b), nil
}

// SetWriteDeadline implements net.Conn; after the handshake deadlines are the writers' own.
func (g *guard) SetWriteDeadline(t time.Time) error {
	if g.c == nil {
		return g.Conn.SetWriteDeadline(t)
	}
	return nil
}
