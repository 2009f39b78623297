package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"uniqverse/smtpd/command"
)

// guard is the connection that go-smtp sees. It lets one well-formed, permitted command
// through per Read and answers all others itself, so when it decides about a command it knows
// that every earlier one has been answered. Replies pass it too: they are reworded where the
// library's constants are wrong, and held back until the peer has to be waited for, which
// makes one write out of a pipelined group.
//
// Everything but the fields under mu belongs to the goroutine of the session.
type guard struct {
	srv      *Server
	mode     Mode
	id       string
	raw      net.Conn // the socket
	conn     net.Conn // raw, or TLS over it
	remote   netip.Addr
	loopback bool
	ctx      context.Context // ends with the session
	cancel   context.CancelFunc
	started  time.Time
	secured  time.Time // when TLS was agreed on; zero without

	mu       sync.Mutex // guards the three below
	draining bool       // no new commands
	waiting  bool       // for a command: draining may interrupt
	deadline time.Time  // of the read that is under way

	buf    []byte // what came and is not looked at yet: buf[r:w]
	r, w   int
	feed   []byte // what go-smtp reads next
	state  state
	failed error // sticky: once reading failed, it never works again
	closed bool
	silent bool // the peer was not sending when we ended it

	partial []byte   // a reply line that go-smtp has not finished
	lines   []string // the lines of the reply so far
	out     []byte   // replies not written yet
	current passed   // what go-smtp is working on

	commands int
	errors   int
	unknown  int // refused recipients
	authBad  int // failed AUTHs

	tls   *TLSState
	helo  string // "" before EHLO and after STARTTLS
	esmtp bool
	user  string
	tx    *transaction
	body  bodyState
}

type state int

const (
	stateGreet     state = iota // nothing was read yet
	stateCommand                // a command line is next
	stateAuth                   // the answer to a 334 is next
	stateData                   // a message up to its final dot is next
	stateChunk                  // octets of a BDAT are next
	stateBetween                // the command after a BDAT that was not the last
	stateEndOfData              // the message is over; go-smtp is at work on it
)

// passed is what was handed to go-smtp and how its reply is to be worded.
type passed struct {
	verb string
	arg  string
	mail command.Mail // of MAIL
	rcpt command.Rcpt // of RCPT
	ok   string       // replaces a 2xx reply; "" keeps it
	bad  string       // replaces a 4xx or 5xx reply; "" keeps it
}

// transaction is a MAIL that was accepted and its recipients.
type transaction struct {
	mail  command.Mail
	rcpts []string
	dsn   []RecipientDSN // as long as rcpts
}

var (
	errHungUp    = errors.New("smtpd: we closed the connection")
	errVanished  = errors.New("smtpd: the peer closed the connection")
	errHandshake = errors.New("smtpd: TLS handshake failed")
)

const bufferSize = 16 << 10

func newGuard(srv *Server, raw net.Conn, mode Mode, remote netip.Addr) *guard {
	g := &guard{
		srv: srv, mode: mode, id: newID(), raw: raw, conn: raw, remote: remote,
		loopback: remote.IsLoopback(), started: time.Now(),
		buf: make([]byte, max(bufferSize, srv.limits.CommandLine)), // a whole line always fits
	}
	g.ctx, g.cancel = context.WithCancel(srv.base)
	return g
}

// Read gives go-smtp its next bytes.
func (g *guard) Read(p []byte) (int, error) {
	for {
		if len(g.feed) > 0 {
			n := copy(p, g.feed)
			g.feed = g.feed[n:]
			return n, nil
		}
		if g.failed != nil {
			return 0, g.readError()
		}
		switch g.state {
		case stateGreet:
			g.greet()
		case stateCommand, stateEndOfData:
			g.state = stateCommand
			g.nextCommand()
		case stateAuth:
			g.nextAuthLine()
		case stateData:
			if n := g.readData(p); n > 0 {
				return n, nil
			}
		case stateChunk:
			g.readChunk()
		case stateBetween:
			g.nextBetween()
		}
	}
}

// readError is the sticky failure in the words that go-smtp understands: a plain EOF between
// commands ends its loop; within a message it must not look like the message's end.
func (g *guard) readError() error {
	if g.state == stateCommand || g.state == stateGreet {
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// fail makes every further read fail.
func (g *guard) fail(err error) {
	if g.failed == nil {
		g.failed, g.out = err, nil
		g.cancel()
	}
}

// fill reads more from the peer, after writing what it is owed. interruptible says that a
// shutdown may end the wait. On failure it has called fail or hangUp.
func (g *guard) fill(until time.Time, interruptible bool) bool {
	if !g.flush() {
		return false
	}
	if g.r > 0 {
		g.w = copy(g.buf, g.buf[g.r:g.w])
		g.r = 0
	}
	g.arm(until, interruptible)
	n, err := g.conn.Read(g.buf[g.w:])
	g.disarm()
	g.w += n
	if n > 0 {
		return true
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, os.ErrDeadlineExceeded):
		g.timedOut(interruptible)
	case errors.Is(err, io.EOF) && g.w > g.r && g.state == stateCommand:
		// Half a line and no more: it is not a command, whatever it looks like.
		g.hangUp(&Reply{Code: 421, Enhanced: "4.4.2", Text: "The connection ended within a line"})
	default:
		g.fail(errVanished)
	}
	return false
}

func (g *guard) timedOut(interruptible bool) {
	switch {
	case interruptible && g.isDraining():
		g.silent = true
		g.hangUp(shuttingDown())
	case interruptible && time.Since(g.started) >= g.srv.limits.SessionTime:
		g.hangUp(&Reply{Code: 421, Enhanced: "4.7.0", Text: "The session took too long"})
	default:
		g.hangUp(&Reply{Code: 421, Enhanced: "4.4.2", Text: "Waited too long for you"})
	}
}

func shuttingDown() *Reply {
	return &Reply{Code: 421, Enhanced: "4.3.2", Text: "Shutting down; try again later"}
}

// arm sets the time until which a read may take. Under the lock, so that a drain comes either
// before it, and is seen, or after it, and interrupts.
func (g *guard) arm(until time.Time, interruptible bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting, g.deadline = interruptible, until
	if interruptible && g.draining {
		until = time.Unix(1, 0)
	}
	g.raw.SetReadDeadline(until)
}

func (g *guard) disarm() {
	g.mu.Lock()
	g.waiting = false
	g.mu.Unlock()
}

// drain lets a running message finish and ends the session before the next command.
func (g *guard) drain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.draining = true
	if g.waiting {
		g.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

func (g *guard) isDraining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.draining
}

// commandDeadline is how long the next command may take to come.
func (g *guard) commandDeadline() time.Time {
	idle := time.Now().Add(g.srv.limits.Idle)
	if end := g.started.Add(g.srv.limits.SessionTime); end.Before(idle) {
		return end
	}
	return idle
}

// greet does what comes before the first command: TLS on a submissions port, and on an MX a
// look whether the peer talks before we do, as only programs do that pay no heed to answers.
func (g *guard) greet() {
	g.state = stateCommand
	if g.mode == Submissions {
		if g.handshake() {
			g.flush()
		}
		return
	}
	pause := g.srv.limits.BannerPause
	if g.loopback {
		pause /= 10
	}
	if g.mode != MX || pause <= 0 {
		g.flush()
		return
	}
	g.arm(time.Now().Add(pause), false)
	n, err := g.conn.Read(g.buf)
	g.disarm()
	switch {
	case n > 0:
		g.w, g.out = n, nil
		if foreignProtocol(g.buf[:n]) {
			g.hangUp(notSMTP())
			return
		}
		g.hangUp(&Reply{Code: 521, Enhanced: "5.5.1", Text: "Wait for the greeting before you talk"})
	case errors.Is(err, os.ErrDeadlineExceeded):
		g.flush()
	default:
		g.fail(errVanished)
	}
}

// handshake puts TLS over the socket. After a failure nothing is said: the peer does not
// expect plain text.
func (g *guard) handshake() bool {
	ctx, cancel := context.WithTimeout(g.ctx, g.srv.limits.Handshake)
	defer cancel()
	g.raw.SetDeadline(time.Time{})
	c := tls.Server(g.raw, g.srv.opt.TLS)
	if err := c.HandshakeContext(ctx); err != nil {
		g.srv.count("smtp_tls_total", "mode", g.mode.String(), "result", "failed")
		g.srv.log.rejected(g, "TLS", &Reply{Code: 0, Text: "handshake failed", Err: err})
		g.out = nil
		g.fail(errHandshake)
		return false
	}
	st := c.ConnectionState()
	g.conn, g.secured = c, time.Now()
	g.tls = &TLSState{
		Version:     tls.VersionName(st.Version),
		CipherSuite: tls.CipherSuiteName(st.CipherSuite),
		ServerName:  st.ServerName,
	}
	g.srv.count("smtp_tls_total", "mode", g.mode.String(), "result", "ok")
	return true
}

// Close ends the connection. It says what is still to be said, and when we ended it in the
// middle of what the peer sends, reads on for a moment: closing a socket with unread bytes
// would take our last reply from the peer.
func (g *guard) Close() error {
	if g.closed {
		return nil // go-smtp closes twice
	}
	g.closed = true
	g.flush()
	if errors.Is(g.failed, errHungUp) && !g.silent {
		g.linger()
	}
	g.fail(errVanished)
	g.cancel()
	err := g.conn.Close()
	g.srv.forget(g)
	return err
}

func (g *guard) linger() {
	const most, longest = 1 << 20, time.Second
	if c, ok := g.conn.(*tls.Conn); ok {
		c.CloseWrite()
	}
	if c, ok := g.raw.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	g.raw.SetReadDeadline(time.Now().Add(longest))
	io.Copy(io.Discard, io.LimitReader(g.raw, most))
}

// LocalAddr returns our end's address.
func (g *guard) LocalAddr() net.Addr { return g.raw.LocalAddr() }

// RemoteAddr returns the peer's address.
func (g *guard) RemoteAddr() net.Addr { return g.raw.RemoteAddr() }

// SetDeadline does nothing: the guard keeps its own times, which know commands from data.
func (g *guard) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing, see SetDeadline.
func (g *guard) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing, see SetDeadline.
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

// session is the state as the Backend sees it.
func (g *guard) session() Session {
	s := Session{
		ID: g.id, Mode: g.mode, RemoteIP: g.remote, Loopback: g.loopback,
		HELO: g.helo, TLS: g.tls, User: g.user,
	}
	if g.tx != nil {
		s.ReversePath = g.tx.mail.From.Addr
	}
	return s
}
