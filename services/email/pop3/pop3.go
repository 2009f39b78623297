// Package pop3 lets mail programs read the inbox over POP3 (RFC 1939), with CAPA (RFC 2449), STLS (RFC 2595), AUTH PLAIN
// (RFC 5034) and response codes (RFC 3206).
//
// A maildrop is the inbox folder as it was when its user signed in; what comes later is in the next session. Nothing is
// deleted for good: what a program deletes goes to the trash when it says QUIT, and nothing when it just goes away. Reading over POP3
// leaves a message unread. It is no IMAP: other folders are for the pages and for JMAP.
//
// A password is taken over TLS, and from this machine without. A maildrop has one session at a time; another one is told [IN-USE].
//
// A Server runs every connection in its own goroutine and waits for all of them in Serve; everything here is safe for
// concurrent use.
package pop3

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/services/email/mailbox"
)

// Item is a message of a maildrop.
type Item struct {
	ID    int64 // the row of the mailbox
	RawID int64
	Size  int64  // bytes, with the fields that this server put before it
	UID   string // the same in every session
}

// Mail is what a session asks of the mail service.
type Mail interface {
	// Login returns the local part of the user whose app password it is, or fails with errs.Unauthenticated; errs.Limited
	// when it was tried too often.
	Login(ctx context.Context, user, password string) (local string, err error)
	// Maildrop returns the messages of a user's inbox, the first that came first, at most MaxItems.
	Maildrop(ctx context.Context, user string) ([]Item, error)
	// Open opens the bytes of a message.
	Open(ctx context.Context, rawID int64) (mailbox.Raw, *mailbox.Content, error)
	// Discard moves messages of a user to the trash, all or none.
	Discard(ctx context.Context, user string, ids []int64) error
}

// MaxItems is how many messages a session shows: the oldest.
const MaxItems = 10_000

// Limits bounds what peers may take. A zero field means its default.
type Limits struct {
	Connections int           // at once in all; default 200
	PerAddress  int           // at once of one address; default 20
	Errors      int           // refused commands of a session; default 10
	Failures    int           // wrong passwords of a session; default 3
	Idle        time.Duration // wait for the next command; default 10 min, the least that RFC 1939 allows
	Write       time.Duration // one write to the peer; default 1 min
	Session     time.Duration // a whole session; default 1 h
	Drain       time.Duration // what Serve gives running commands when its context ends; default 2 s
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		p *int
		v int
	}{{&l.Connections, 200}, {&l.PerAddress, 20}, {&l.Errors, 10}, {&l.Failures, 3}} {
		if *f.p == 0 {
			*f.p = f.v
		}
	}
	for _, f := range []struct {
		p *time.Duration
		v time.Duration
	}{{&l.Idle, 10 * time.Minute}, {&l.Write, time.Minute}, {&l.Session, time.Hour}, {&l.Drain, 2 * time.Second}} {
		if *f.p == 0 {
			*f.p = f.v
		}
	}
	return l
}

// Listener is an open socket. Secure is TLS from the first byte.
type Listener struct {
	net.Listener
	Secure bool
}

// Options is all that a Server needs. Listeners, Mail, TLS, Log and Metrics are required.
type Options struct {
	Listeners []Listener
	Mail      Mail
	TLS       *tls.Config
	Name      string // ours, in the greeting
	Limits    Limits
	Log       *slog.Logger
	Metrics   *metrics.Set
}

// Server is the POP3 server. Make one with New.
type Server struct {
	o Options

	mu     sync.Mutex
	open   map[net.Conn]netip.Addr
	in     map[string]bool // maildrops that somebody is in
	ending bool
	wg     sync.WaitGroup

	sessions, retrieved, failures *metrics.Counter
}

// New returns a server; it serves nothing yet.
func New(o Options) (*Server, error) {
	if len(o.Listeners) == 0 || o.Mail == nil || o.TLS == nil || o.Log == nil || o.Metrics == nil {
		return nil, errors.New("pop3: Listeners, Mail, TLS, Log and Metrics are required")
	}
	o.Limits = o.Limits.withDefaults()
	s := &Server{o: o, open: map[net.Conn]netip.Addr{}, in: map[string]bool{}}
	s.sessions = o.Metrics.GetOrCreateCounter("uniqverse_pop3_sessions_total")
	s.retrieved = o.Metrics.GetOrCreateCounter("uniqverse_pop3_retrieved_total")
	s.failures = o.Metrics.GetOrCreateCounter("uniqverse_pop3_auth_failures_total")
	return s, nil
}

// Serve serves until ctx ends, and returns when every session has ended.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, len(s.o.Listeners))
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for _, l := range s.o.Listeners {
		s.wg.Go(func() { failed <- s.accept(work, l) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.mu.Lock()
	s.ending = true
	for _, l := range s.o.Listeners {
		l.Close()
	}
	for c := range s.open {
		c.SetReadDeadline(time.Now()) // whoever waits for a command goes; a running one may end
	}
	s.mu.Unlock()
	late := time.AfterFunc(s.o.Limits.Drain, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.open {
			c.Close()
		}
	})
	defer late.Stop()
	s.wg.Wait()
	return err
}

func (s *Server) accept(ctx context.Context, l Listener) error {
	wait := 5 * time.Millisecond
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			wait = 5 * time.Millisecond
		case errors.Is(err, net.ErrClosed):
			return nil
		default: // out of file descriptors, say: sessions that end free some
			s.o.Log.Warn("a connection could not be taken", "err", err.Error())
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(wait):
			}
			wait = min(2*wait, time.Second)
			continue
		}
		addr, why := s.enter(c)
		if why != "" {
			c.SetDeadline(time.Now().Add(time.Second))
			io.WriteString(c, "-ERR [SYS/TEMP] "+why+"\r\n")
			c.Close()
			continue
		}
		s.wg.Go(func() {
			defer s.leave(c)
			newSession(s, c, addr, l.Secure).run(ctx)
		})
	}
}

// enter counts a connection, or says why it is too much.
func (s *Server) enter(c net.Conn) (addr netip.Addr, why string) {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		addr = tcp.AddrPort().Addr().Unmap()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	same := 0
	for _, a := range s.open {
		if a == addr {
			same++
		}
	}
	switch {
	case s.ending:
		return addr, "the server is going down; try again in a minute"
	case len(s.open) >= s.o.Limits.Connections || same >= s.o.Limits.PerAddress && !addr.IsLoopback():
		return addr, "too many connections; try again later"
	}
	s.open[c] = addr
	s.sessions.Inc()
	return addr, ""
}

func (s *Server) leave(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// lock takes a maildrop for one session; false when another one has it.
func (s *Server) lock(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.in[user] {
		return false
	}
	s.in[user] = true
	return true
}

func (s *Server) unlock(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.in, user)
}
