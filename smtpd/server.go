package smtpd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"uniqverse/smtpd/peers"
	"uniqverse/smtpd/senderauth"
	"uniqverse/smtpd/spool"
)

// Server is the SMTP edge. Make it with New, run it once with Serve.
type Server struct {
	opt     Options
	limits  Limits
	log     opLog
	checker *senderauth.Checker
	peers   *peers.Table
	base    context.Context // of every session; ends when Shutdown runs out of time
	abandon context.CancelFunc

	mu       sync.Mutex // guards what follows
	open     map[*guard]struct{}
	draining bool
	serving  bool
	servers  []*smtp.Server

	down chan struct{} // closed when Shutdown begins
	idle chan struct{} // closed when draining and no session is open
}

// New checks the options and returns a server that does not listen to anybody yet. The
// listeners are the server's from here on, unless New fails.
func New(opt Options) (*Server, error) {
	if len(opt.Listeners) == 0 || opt.Domain == "" || opt.Backend == nil {
		return nil, errors.New("smtpd: Listeners, Domain and Backend are required")
	}
	for _, l := range opt.Listeners {
		if l.Mode == Submissions && opt.TLS == nil {
			return nil, errors.New("smtpd: a submissions listener needs TLS")
		}
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if err := spool.Prepare(opt.SpoolDir); err != nil {
		return nil, err
	}
	s := &Server{
		opt:    opt,
		limits: opt.Limits.withDefaults(),
		log:    opLog{opt.Log},
		open:   make(map[*guard]struct{}),
		peers:  peers.New(opt.Now),
		down:   make(chan struct{}),
		idle:   make(chan struct{}),
	}
	s.checker = senderauth.New(senderauth.Options{
		Resolver:      opt.Resolver,
		LookupTime:    s.limits.LookupTime,
		TotalTime:     s.limits.AuthTime,
		MaxSignatures: s.limits.DKIMSignature,
		Blocklists:    opt.Blocklists,
	})
	s.base, s.abandon = context.WithCancel(context.Background())
	return s, nil
}

// Serve takes connections until the context ends or Shutdown is called, then drains for
// Limits.DrainTime (or the time that Shutdown was given) and returns when every session is
// over. It returns nil after a shutdown, and the error of a listener that failed by itself.
func (s *Server) Serve(ctx context.Context) error {
	s.mu.Lock()
	if s.serving {
		s.mu.Unlock()
		return errors.New("smtpd: Serve was called twice")
	}
	s.serving = true
	s.mu.Unlock()

	var wg sync.WaitGroup
	failed := make(chan error, len(s.opt.Listeners))
	for _, l := range s.opt.Listeners {
		srv := s.library()
		s.mu.Lock()
		s.servers = append(s.servers, srv)
		s.mu.Unlock()
		wg.Go(func() {
			err := srv.Serve(&listener{Listener: l, srv: s})
			if err != nil && !s.isDraining() {
				failed <- fmt.Errorf("smtpd: listener %s: %w", l.Addr(), err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case <-s.down:
	case err = <-failed:
	}
	if !s.isDraining() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.DrainTime)
		s.Shutdown(drain)
		cancel()
	}
	wg.Wait()
	<-s.idle
	for _, srv := range s.servers {
		srv.Shutdown(context.Background()) // waits for the last steps of its handlers
	}
	return err
}

// library returns a go-smtp server for one listener. Its own limits are off: the guard's hold.
func (s *Server) library() *smtp.Server {
	srv := smtp.NewServer(smtp.BackendFunc(s.newSession))
	srv.Domain = s.opt.Domain
	srv.MaxLineLength = 0        // the guard knows commands from message lines
	srv.AllowInsecureAuth = true // TLS is in the guard, where the library does not see it
	srv.EnableSMTPUTF8 = true
	srv.ErrorLog = libraryLog{s.opt.Log}
	return srv
}

// Shutdown stops listening, tells idle peers 421 4.3.2, lets running messages end, and waits
// for it until the context ends; then it cuts what is left and returns the context's error.
// The Backend's contexts end at that moment too.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.draining {
		s.draining = true
		close(s.down)
		for _, l := range s.opt.Listeners {
			l.Close()
		}
		for g := range s.open {
			g.drain()
		}
		if len(s.open) == 0 {
			close(s.idle)
		}
	}
	s.mu.Unlock()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
	}
	s.abandon()
	s.mu.Lock()
	for g := range s.open {
		g.raw.Close()
	}
	s.mu.Unlock()
	return ctx.Err()
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// Connections returns how many sessions are open now.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// listener turns accepted sockets into guards, or turns them away.
type listener struct {
	Listener
	srv *Server
}

// Accept returns the next connection that is let in.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g := l.srv.admit(c, l.Mode); g != nil {
			return g, nil
		}
	}
}

// admit counts a connection in, or answers 421 and closes it.
func (s *Server) admit(c net.Conn, mode Mode) *guard {
	g := newGuard(s, c, mode, addressOf(c.RemoteAddr()))
	refusal := s.enter(g)
	if refusal == nil {
		s.count("smtp_connections_total", "mode", mode.String(), "result", "accepted")
		return g
	}
	g.cancel()
	s.count("smtp_connections_total", "mode", mode.String(), "result", "refused")
	s.log.rejected(g, "connect", refusal)
	if mode != Submissions { // who expects TLS cannot read it
		c.SetWriteDeadline(time.Now().Add(time.Second))
		fmt.Fprintf(c, "%d %s %s\r\n", refusal.Code, refusal.Enhanced, refusal.Text)
	}
	c.Close()
	return nil
}

func (s *Server) enter(g *guard) *Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return shuttingDown()
	}
	if len(s.open) >= s.limits.Connections {
		return &Reply{Code: 421, Enhanced: "4.7.0", Text: "Too many connections; try again later"}
	}
	if !g.loopback {
		open, connects := s.peers.Connect(g.remote)
		if open >= s.limits.PerAddress || connects > s.limits.ConnectRate {
			return &Reply{Code: 421, Enhanced: "4.7.0", Text: "Too many connections from your address; try again later"}
		}
		s.peers.Opened(g.remote)
	}
	s.open[g] = struct{}{}
	return nil
}

// forget counts a connection out.
func (s *Server) forget(g *guard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[g]; !ok {
		return
	}
	delete(s.open, g)
	if !g.loopback {
		s.peers.Closed(g.remote)
	}
	if s.draining && len(s.open) == 0 {
		close(s.idle)
	}
}

// tooManyFailures reports whether this peer may not try to sign in now.
func (s *Server) tooManyFailures(g *guard) bool {
	if g.authBad >= s.limits.AuthFailures {
		return true
	}
	if g.loopback {
		return false
	}
	return s.peers.Failures(g.remote) >= s.limits.AuthFailures
}

// authFailed counts a wrong password.
func (s *Server) authFailed(g *guard) {
	g.authBad++
	if !g.loopback {
		s.peers.Failed(g.remote)
	}
}

// addressOf returns the peer's IP; an address of another kind, such as a pipe's, is none.
func addressOf(a net.Addr) netip.Addr {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// newID returns 16 letters and digits that nobody can guess.
func newID() string { return rand.Text()[:16] }
