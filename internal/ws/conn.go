package ws

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// ErrGone says that the connection is closed, or its peer went away.
var ErrGone = errors.New("ws: connection is gone")

// lingerBytes bounds what is read and thrown away after a close, so that the peer gets the
// close frame instead of a reset.
const lingerBytes = 4 << 20

// Conn is one WebSocket connection. Its methods are safe for concurrent use and none of
// them waits for the socket, except Send.
type Conn struct {
	edge    *Edge
	ws      *websocket.Conn // for reading only
	raw     net.Conn
	direct  syscall.RawConn // of raw, for what does not wait; nil where that is not to be had
	in      *bufio.Reader   // what gorilla reads from
	remote  string
	slot    int
	onClose func(Code, string)

	// Only the reader touches these.
	limit  bucket
	binary bool
	hello  time.Time // by when the first message must come; zero when it came

	mu      sync.Mutex // guards what follows; taken before a topic's lock
	state   state
	queued  [][]byte // frames of Send and Push
	bytes   int      // their size
	bound   int
	room    chan struct{} // closed when queued became shorter or the connection closes; nil when nobody waits
	subs    []*Sub
	turn    int // the subscription whose turn it is
	ping    bool
	pong    []byte    // frame, nil when none is due
	expires time.Time // see Options
	heard   time.Time // when the last pong or message came

	started bool
	ended   bool          // over
	done    chan struct{} // closed when it is over; nil while nobody asked
	closing *closing      // not nil once Close was called or the peer closed
	sent    chan struct{} // closed when the close frame is written, or never will be; nil while nobody waits for that
	cutoff  bool          // the socket is closed
}

// state says where a connection is on its way through the write queue.
type state uint8

const (
	idle    state = iota
	waiting       // in the queue
	writing       // a worker or a goroutine of its own writes
	mute          // the close frame is written, or the socket is gone
)

// closing is how a connection ends.
type closing struct {
	code   Code
	reason string
	frame  []byte // the close frame
	peer   bool   // the peer began
}

func newConn(e *Edge, wc *websocket.Conn, g *guard, remote string, opts Options) *Conn {
	c := &Conn{
		edge: e, ws: wc, raw: g.Conn, in: g.in, remote: remote,
		binary: opts.Binary, bound: orDefault(opts.Queue, 1<<20), expires: opts.Expires, heard: time.Now(),
	}
	g.c = c
	if sys, ok := g.Conn.(syscall.Conn); ok && resumable(g.Conn) {
		if direct, err := sys.SyscallConn(); err == nil {
			c.direct = direct
		}
	}
	c.limit.set(opts.Rate, opts.Burst)
	if opts.Hello > 0 {
		c.hello = time.Now().Add(opts.Hello)
	}
	wc.SetReadLimit(orDefault(opts.ReadLimit, 64<<10))
	wc.SetPingHandler(c.onPing)
	wc.SetPongHandler(c.onPong)
	wc.SetCloseHandler(c.onPeerClose)
	return c
}

// Done is closed when the connection is over, just before onClose is called.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return awaited(&c.done, c.ended)
}

// awaited returns the channel, made for the first who waits: most connections never have one. over closes it at once.
func awaited(ch *chan struct{}, over bool) chan struct{} {
	if *ch == nil {
		*ch = make(chan struct{})
		if over {
			close(*ch)
		}
	}
	return *ch
}

// Subprotocol returns the sub-protocol agreed on, or "".
func (c *Conn) Subprotocol() string { return c.ws.Subprotocol() }

// RemoteAddr returns the peer's address as the request had it.
func (c *Conn) RemoteAddr() string { return c.remote }

// SetExpires closes the connection with Expired at that time; zero means never. Only onMessage may call it.
func (c *Conn) SetExpires(at time.Time) {
	c.mu.Lock()
	c.expires = at
	c.mu.Unlock()
	c.setReadDeadline()
}

// Unlimit takes the bound of incoming messages away. Only onMessage may call it.
func (c *Conn) Unlimit() { c.limit.rate = -1 }

// Charge counts one message more against the bound of incoming messages, for one that holds several; beyond it
// the connection is closed and false returned. Only onMessage may call it.
func (c *Conn) Charge() bool {
	if !c.limit.take() {
		c.Close(TooManyRequests, "too many messages")
		return false
	}
	return true
}

// Start begins to read. onMessage is called for one message at a time, in order, and owns
// data; while it runs nothing further is read. Nil ignores messages. onClose is called once,
// after the last onMessage, when the connection is over: code and reason are those of our
// side if it closed first, else the peer's. Nil is allowed. Both run on the connection's own
// goroutine. A second Start does nothing.
func (c *Conn) Start(onMessage func(data []byte), onClose func(code Code, reason string)) {
	c.mu.Lock()
	if c.started {
		c.mu.Unlock()
		return
	}
	c.started = true
	over := c.ended
	if !over {
		c.onClose = onClose
	}
	c.mu.Unlock()
	if over { // Close came before Start and is done already
		if onClose != nil {
			onClose(c.closing.code, c.closing.reason)
		}
		return
	}
	go c.run(onMessage)
}

// run is the connection's goroutine.
func (c *Conn) run(onMessage func([]byte)) {
	err := c.readAll(onMessage)
	c.readEnded(err)
	c.finish()
}

func (c *Conn) readAll(onMessage func([]byte)) error {
	for {
		c.setReadDeadline()
		if c.direct != nil && c.in.Buffered() == 0 {
			if err := await(c.direct); err != nil {
				return err
			}
		}
		typ, data, err := c.ws.ReadMessage()
		if err != nil {
			return err
		}
		c.edge.received.Add(1)
		c.mu.Lock()
		c.heard = time.Now()
		closed := c.closing != nil
		c.mu.Unlock()
		switch {
		case closed: // thrown away while the peer's close frame is awaited
		case !c.limit.take():
			c.Close(TooManyRequests, "too many messages")
		case typ == websocket.BinaryMessage && !c.binary:
			c.Close(Unsupported, "only text messages are read")
		case typ == websocket.TextMessage && !utf8.Valid(data):
			c.Close(BadText, "text must be UTF-8")
		default:
			c.hello = time.Time{}
			if onMessage != nil {
				onMessage(data)
			}
		}
	}
}

// setReadDeadline gives the next message the time until a pong is overdue, the token runs
// out or the first message is overdue, whichever comes first.
func (c *Conn) setReadDeadline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == mute { // closeSent has set the last deadline
		return
	}
	c.raw.SetReadDeadline(c.readBy())
}

func (c *Conn) readBy() time.Time {
	by := c.heard.Add(c.edge.opts.PingEvery + c.edge.opts.PongWait)
	if !c.expires.IsZero() && c.expires.Before(by) {
		by = c.expires
	}
	if !c.hello.IsZero() && c.hello.Before(by) {
		by = c.hello
	}
	return by
}

// readEnded makes sure that the connection closes after reading failed, and gives the close
// frame time to get out.
func (c *Conn) readEnded(err error) {
	var ce *websocket.CloseError
	c.mu.Lock()
	waited := c.state == mute && isTimeout(err) // the peer did not answer our close frame
	expires, sent := c.expires, awaited(&c.sent, c.state == mute)
	c.mu.Unlock()
	switch now := time.Now(); {
	case isTimeout(err):
		expired := !expires.IsZero() && !now.Before(expires)
		switch {
		case expired:
			c.Close(Expired, "token expired")
		case !c.hello.IsZero() && !now.Before(c.hello):
			c.Close(Stale, "no message in time")
		default:
			c.Close(NoPong, "no pong")
		}
	case errors.Is(err, websocket.ErrReadLimit): // a length that overflows; others gorilla closed through the guard
		c.Close(TooBig, "message too big")
	case errors.As(err, &ce) && ce.Code != websocket.CloseAbnormalClosure: // onPeerClose has answered
	default: // the connection broke; a protocol error was closed by gorilla through the guard
		c.mu.Lock()
		broken := c.closing == nil
		c.mu.Unlock()
		if broken {
			c.cut(Abnormal)
		}
	}
	wait := time.NewTimer(c.edge.opts.CloseWait)
	defer wait.Stop()
	select {
	case <-sent:
	case <-wait.C:
	}
	c.mu.Lock()
	linger := !c.cutoff && !c.closing.peer
	c.mu.Unlock()
	if linger && ce == nil && !waited {
		if hc, ok := c.raw.(interface{ CloseWrite() error }); ok {
			hc.CloseWrite()
		}
		c.raw.SetReadDeadline(time.Now().Add(c.edge.opts.CloseWait))
		io.CopyN(io.Discard, c.raw, lingerBytes)
	}
}

// finish ends the connection for good.
func (c *Conn) finish() {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended, c.cutoff, c.state = true, true, mute
	c.queued, c.bytes, c.pong = nil, 0, nil
	c.wakeSenders()
	subs := c.subs
	c.subs = nil
	for _, s := range subs {
		s.t.remove(s)
	}
	end, onClose, done := *c.closing, c.onClose, c.done
	c.mu.Unlock()
	c.raw.Close()
	c.edge.unregister(c, end.code)
	c.edge.opts.Log.Debug("websocket closed", "remote", c.remote, "code", int(end.code), "reason", end.reason)
	if done != nil {
		close(done)
	}
	if onClose != nil {
		onClose(end.code, end.reason)
	}
	c.edge.release()
}

func (c *Conn) onPing(data string) error {
	if !c.limit.take() {
		c.Close(TooManyRequests, "too many pings")
		return nil
	}
	c.mu.Lock()
	c.pong = appendFrame(nil, opPong, []byte(data)) // the newest ping is the one to answer (RFC 6455, 5.5.3)
	wake := c.wake()
	c.mu.Unlock()
	c.edge.queue.pushIf(wake, c)
	return nil
}

func (c *Conn) onPong(string) error {
	if !c.limit.take() {
		c.Close(TooManyRequests, "too many pongs")
		return nil
	}
	c.mu.Lock()
	c.heard = time.Now()
	c.mu.Unlock()
	c.setReadDeadline()
	return nil
}

func (c *Conn) onPeerClose(code int, text string) error {
	var frame []byte
	if code == int(NoStatus) {
		frame = appendFrame(nil, opClose, nil)
	} else {
		frame = closeFrame(Code(code), "")
	}
	c.close(closing{code: Code(code), reason: text, frame: frame, peer: true})
	return nil
}

// Send queues a text message and waits while the queue is over its bound. It fails with
// ErrGone or the context's error; nil means queued, not received.
func (c *Conn) Send(ctx context.Context, payload []byte) error {
	frame := appendFrame(make([]byte, 0, len(payload)+maxHeader), opText, payload)
	c.mu.Lock()
	for {
		if c.closing != nil {
			c.mu.Unlock()
			return ErrGone
		}
		if c.bytes == 0 || c.bytes+len(frame) <= c.bound {
			break
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
		c.mu.Lock()
	}
	c.add(frame)
	return nil
}

// Push queues a text message and never waits: a connection whose queue is over its bound is
// closed with SlowConsumer. It reports whether the message was queued.
func (c *Conn) Push(payload []byte) bool {
	frame := appendFrame(make([]byte, 0, len(payload)+maxHeader), opText, payload)
	c.mu.Lock()
	if c.closing != nil {
		c.mu.Unlock()
		return false
	}
	if c.bytes != 0 && c.bytes+len(frame) > c.bound {
		c.mu.Unlock()
		c.Close(SlowConsumer, "too slow")
		return false
	}
	c.add(frame)
	return true
}

// add queues a frame and releases c.mu.
func (c *Conn) add(frame []byte) {
	c.queued = append(c.queued, frame)
	c.bytes += len(frame)
	wake := c.wake()
	c.mu.Unlock()
	c.edge.frames.Add(1)
	c.edge.queue.pushIf(wake, c)
}

// Close ends the connection: what Send and Push queued is still written (except with
// SlowConsumer), then the close frame; frames of topics are not. The first Close counts.
// A reason over 123 bytes is cut.
func (c *Conn) Close(code Code, reason string) {
	reason = clip(reason)
	c.close(closing{code: code, reason: reason, frame: closeFrame(code, reason)})
}

func (c *Conn) close(how closing) {
	c.mu.Lock()
	if c.closing != nil {
		c.mu.Unlock()
		return
	}
	c.closing = &how
	if how.code == SlowConsumer {
		c.queued, c.bytes = nil, 0
	}
	c.ping, c.pong = false, nil
	c.wakeSenders()
	wake := c.wake()
	c.mu.Unlock()
	c.edge.queue.pushIf(wake, c)
}

func (c *Conn) wakeSenders() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// cut closes the socket without a close frame.
func (c *Conn) cut(code Code) {
	c.mu.Lock()
	if c.closing == nil {
		c.closing = &closing{code: code}
	}
	c.wakeSenders()
	first := !c.cutoff
	c.cutoff = true
	c.silence()
	orphan := !c.started
	c.mu.Unlock()
	if first {
		c.raw.Close()
	}
	if orphan { // nobody reads, so nobody else notices
		c.finish()
	}
}

// silence ends writing: the close frame is out, or never will be. c.mu is held.
func (c *Conn) silence() {
	if c.state != mute {
		c.state = mute
		if c.sent != nil {
			close(c.sent)
		}
	}
}

// resumable reports whether a write that ran into its deadline can be continued where it
// stopped; a TLS connection is spoilt by it.
func resumable(c net.Conn) bool {
	if _, isTLS := c.(*tls.Conn); isTLS {
		return false
	}
	// Windows does not tell how much of an interrupted write was sent.
	return runtime.GOOS != "windows"
}

// isTimeout also knows the timeouts that gorilla has wrapped.
func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// bucket is a token bucket; one goroutine uses it.
type bucket struct {
	rate, burst, tokens float64
	last                time.Time
}

func (b *bucket) set(rate float64, burst int) {
	b.rate, b.burst = rate, float64(burst)
	if rate == 0 {
		b.rate = 2
	}
	if burst <= 0 {
		b.burst = 120
	}
	b.tokens, b.last = b.burst, time.Now()
}

func (b *bucket) take() bool {
	if b.rate < 0 {
		return true
	}
	now := time.Now()
	b.tokens = min(b.burst, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
