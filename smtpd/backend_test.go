package smtpd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/smtpd"
	"uniqverse/smtpd/cert"
	"uniqverse/smtpd/senderauth"
)

const domain = "mail.test"

// delivery is a message that the fake backend stored.
type delivery struct {
	env  smtpd.Envelope
	raw  string // without what the server put above it
	full string
	size int64
	sum  [32]byte
}

// backend is a small post office. Local parts say how it behaves.
type backend struct {
	mu    sync.Mutex
	mails []delivery
	hold  chan struct{} // when set, Deliver waits for it
	began chan struct{} // when set, Deliver says that it has begun
}

func (b *backend) Authenticate(_ context.Context, s smtpd.Session, user, password string) (string, error) {
	switch {
	case user == "broken":
		return "", errs.New(errs.Unavailable, "the store of secrets is down")
	case user == "pilot" && password == "secret":
		return "pilot@" + domain, nil
	}
	return "", errs.New(errs.Unauthenticated, "no")
}

func (b *backend) AuthenticateToken(_ context.Context, s smtpd.Session, user, token string) (string, error) {
	switch {
	case token == "down":
		return "", errors.New("dsn=secret")
	case strings.HasPrefix(token, "good") && (user == "" || user == "pilot@"+domain):
		return "pilot@" + domain, nil
	case token == "reads":
		return "", errs.New(errs.Denied, "no scope")
	}
	return "", errs.New(errs.Unauthenticated, "no")
}

func (b *backend) CheckSender(_ context.Context, s smtpd.Session, from string) error {
	if s.Mode != smtpd.MX && from != s.User && !strings.HasSuffix(from, "@client.test") && !strings.HasSuffix(from, "]") && from != "" {
		return errs.New(errs.Denied, "The sender %s is not yours", from)
	}
	if strings.HasPrefix(from, "sender-down@") {
		return errors.New("dsn=secret")
	}
	return nil
}

func (b *backend) CheckRecipient(_ context.Context, s smtpd.Session, to string) error {
	local, d, _ := strings.Cut(to, "@")
	if d != domain {
		return smtpd.RelayDenied()
	}
	switch local {
	case "nobody":
		return smtpd.UnknownUser()
	case "missing":
		return errs.New(errs.NotFound, "No mailbox %s\r\n250 injected", to)
	case "full":
		return smtpd.QuotaExceeded()
	case "disabled":
		return &smtpd.Reply{Code: 550, Enhanced: "5.2.1", Text: "The mailbox is disabled"}
	case "down":
		return errs.Wrap(errs.Unavailable, errors.New("dsn=secret"), "the database is away")
	case "leak":
		return errors.New("dsn=secret")
	case "greylist":
		return errs.Limit(time.Minute, "Come back in a minute")
	case "panic":
		panic("dsn=secret")
	}
	return nil
}

func (b *backend) Deliver(ctx context.Context, env *smtpd.Envelope, msg *smtpd.Message) error {
	if b.began != nil {
		b.began <- struct{}{}
	}
	if b.hold != nil {
		select {
		case <-b.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	switch local, _, _ := strings.Cut(env.ReversePath, "@"); local {
	case "diskfull":
		return &errs.Error{Kind: errs.Internal, Detail: "x", Err: syscall.ENOSPC}
	case "closed":
		return smtpd.Closing(errors.New("dsn=secret"))
	case "busy":
		return errors.New("database is locked (5) dsn=secret")
	case "policy":
		return &smtpd.Reply{Code: 550, Enhanced: "5.7.1", Text: "Not wanted"}
	case "crash":
		panic("dsn=secret")
	}
	raw, err := msg.Bytes()
	if err != nil {
		return err
	}
	full, err := io.ReadAll(msg.Reader())
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, delivery{*env, string(raw), string(full), msg.Size, msg.SHA256})
	return nil
}

func (b *backend) all() []delivery {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]delivery(nil), b.mails...)
}

// server is a running Server with one listener per mode.
type server struct {
	*smtpd.Server
	b       *backend
	journal ledger
	later   *atomic.Int64 // seconds that its clock is ahead
	addr    map[smtpd.Mode]string
	cancel  context.CancelFunc
	done    chan error
}

// start runs a server on loopback. The peer that it believes in can be another: see from.
func start(t testing.TB, from string, change func(*smtpd.Options)) *server {
	t.Helper()
	pair, err := cert.Load(t.TempDir(), domain, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{b: &backend{}, journal: make(ledger, 1000), later: &atomic.Int64{}, addr: map[smtpd.Mode]string{}, done: make(chan error, 1)}
	opt := smtpd.Options{Domain: domain, TLS: pair, Backend: s.b, SpoolDir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Journal: s.journal,
		Now: func() time.Time { return time.Now().Add(time.Duration(s.later.Load()) * time.Second) }}
	opt.Limits.BannerPause = time.Nanosecond
	for _, mode := range []smtpd.Mode{smtpd.MX, smtpd.Submission, smtpd.Submissions} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.addr[mode] = l.Addr().String()
		opt.Listeners = append(opt.Listeners, smtpd.Listener{Listener: pretender{l, from}, Mode: mode})
	}
	if change != nil {
		change(&opt)
	}
	if s.Server, err = smtpd.New(opt); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-s.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// pretender makes peers seem to come from another address.
type pretender struct {
	net.Listener
	from string
}

func (p pretender) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil || p.from == "" {
		return c, err
	}
	return stranger{c.(*net.TCPConn), &net.TCPAddr{IP: net.ParseIP(p.from), Port: 40000}}, nil
}

type stranger struct {
	*net.TCPConn
	addr net.Addr
}

func (s stranger) RemoteAddr() net.Addr { return s.addr }

func clientTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true, ServerName: domain} }

// ledger is a journal that the test reads.
type ledger chan smtpd.Refusal

func (l ledger) Refused(r smtpd.Refusal) { l <- r }

// zones is DNS in memory: TXT, A and MX by name. A nil list of texts is a server that fails.
type zones struct {
	txt  map[string][]string
	a    map[string]string
	mx   map[string]string
	slow map[string]bool // never answers
	fail map[string]bool // for whatever is asked
}

func newZones() zones {
	return zones{txt: map[string][]string{}, a: map[string]string{}, mx: map[string]string{}, slow: map[string]bool{}, fail: map[string]bool{}}
}

// add reads "txt name value", "a name address", "mx name host", "fail name" or "slow name".
func (z zones) add(line string) error {
	kind, rest, _ := strings.Cut(line, " ")
	name, value, _ := strings.Cut(rest, " ")
	switch kind {
	case "txt":
		z.txt[name] = append(z.txt[name], value)
	case "a":
		z.a[name] = value
	case "mx":
		z.mx[name] = value
	case "fail":
		z.fail[name] = true
	case "slow":
		z.slow[name] = true
	default:
		return errors.New("no such record")
	}
	return nil
}

func (z zones) trouble(ctx context.Context, name string) error {
	if z.slow[name] || z.slow["*"] {
		<-ctx.Done()
		return ctx.Err()
	}
	if z.fail[name] || z.fail["*"] {
		return &net.DNSError{Err: "SERVFAIL", Name: name, IsTemporary: true}
	}
	return nil
}

func missing(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z zones) LookupTXT(ctx context.Context, name string) ([]string, error) {
	name = strings.TrimSuffix(name, ".")
	if err := z.trouble(ctx, name); err != nil {
		return nil, err
	}
	v, ok := z.txt[name]
	if !ok {
		return nil, missing(name)
	}
	if v == nil {
		return nil, &net.DNSError{Err: "SERVFAIL", Name: name, IsTemporary: true}
	}
	return v, nil
}

func (z zones) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	name = strings.TrimSuffix(name, ".")
	if err := z.trouble(ctx, name); err != nil {
		return nil, err
	}
	if h, ok := z.mx[name]; ok {
		return []*net.MX{{Host: h}}, nil
	}
	return nil, missing(name)
}

func (z zones) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	name = strings.TrimSuffix(name, ".")
	if err := z.trouble(ctx, name); err != nil {
		return nil, err
	}
	if a, ok := z.a[name]; ok {
		return []net.IPAddr{{IP: net.ParseIP(a)}}, nil
	}
	return nil, missing(name)
}

func (z zones) LookupAddr(ctx context.Context, name string) ([]string, error) {
	if err := z.trouble(ctx, name); err != nil {
		return nil, err
	}
	return nil, missing(name)
}

var _ senderauth.Resolver = zones{}

// greylist is the table of package policy in memory.
type greylist struct {
	mu          sync.Mutex
	first, last map[string]time.Time
}

func (g *greylist) GreylistMeet(_ context.Context, keys []string, now, since time.Time) (out []time.Time, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range keys {
		if last, ok := g.last[k]; !ok || last.Before(since) {
			g.first[k] = now
		}
		g.last[k] = now
		out = append(out, g.first[k])
	}
	return out, nil
}

func (g *greylist) GreylistTrusts(_ context.Context, keys []string, since time.Time) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range keys {
		if last, ok := g.last[k]; ok && !last.Before(since) {
			return true, nil
		}
	}
	return false, nil
}

func (g *greylist) GreylistTrust(_ context.Context, keys []string, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range keys {
		g.last[k] = now
	}
	return nil
}

func (g *greylist) GreylistSweep(context.Context, time.Time, time.Time, int) error { return nil }
