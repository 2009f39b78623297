package courier_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"uniqverse/services/email/courier"
	"uniqverse/services/email/queue"
)

// host is the next host: a script that answers commands, and what it was told.
type host struct {
	t       *testing.T
	addr    string            // 127.0.0.1:port
	answers map[string]string // by verb, "greet" and "." (the end of the data); "hangup" closes, "silent" never answers
	cert    *tls.Certificate  // nil offers no TLS
	broken  bool              // the TLS handshake fails
	offers  []string          // more lines of EHLO

	stalled  chan struct{} // has something once a command gets no answer
	mu       sync.Mutex
	commands []string
	data     string
	secure   bool // the message came over TLS
	conns    int
}

// newHost starts a host; change sets more of it before it listens.
func newHost(t *testing.T, answers map[string]string, change ...func(*host)) *host {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, addr: ln.Addr().String(), answers: answers, stalled: make(chan struct{}, 9)}
	for _, c := range change {
		c(h)
	}
	var open sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	open.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				h.serve(c)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); cancel(); open.Wait() })
	return h
}

// serve answers one connection until it ends.
func (h *host) serve(c net.Conn) {
	h.mu.Lock()
	h.conns++
	h.mu.Unlock()
	in, secure := bufio.NewReader(c), false
	say := func(verb, usual string) bool {
		text := usual
		if a, ok := h.answers[verb]; ok {
			text = a
		}
		if text == "silent" {
			h.stalled <- struct{}{}
			_, _ = io.Copy(io.Discard, c) // until the other side has had enough
			return false
		}
		if text == "hangup" {
			return false
		}
		_, err := io.WriteString(c, text+"\r\n")
		return err == nil
	}
	if !say("greet", "220 mx.example.org ESMTP") {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		h.mu.Lock()
		h.commands = append(h.commands, line)
		h.mu.Unlock()
		ok := true
		switch verb {
		case "EHLO":
			text := "250-mx.example.org\r\n"
			for _, o := range h.offers {
				text += "250-" + o + "\r\n"
			}
			if (h.cert != nil || h.broken) && !secure {
				text += "250-STARTTLS\r\n"
			}
			ok = say(verb, text+"250 SIZE 1000000")
		case "STARTTLS":
			if ok = say(verb, "220 go"); ok && strings.HasPrefix(h.answers[verb]+"220", "220") {
				if h.broken {
					return
				}
				over := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*h.cert}})
				if over.Handshake() != nil {
					return
				}
				c, in, secure = over, bufio.NewReader(over), true
			}
		case "DATA":
			if ok = say(verb, "354 go on"); ok && !strings.HasPrefix(h.answers[verb]+"354", "354") {
				break
			}
			var data strings.Builder
			for ok {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					h.mu.Lock()
					h.data, h.secure = data.String(), secure
					h.mu.Unlock()
					ok = say(".", "250 2.0.0 queued as 1")
					break
				}
				data.WriteString(l)
			}
		case "AUTH":
			ok = say(verb, "235 2.7.0 welcome")
		case "QUIT":
			say(verb, "221 bye")
			return
		default:
			ok = say(verb, "250 ok")
		}
		if !ok {
			return
		}
	}
}

func (h *host) saw(command string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.commands {
		if strings.HasPrefix(c, command) {
			return true
		}
	}
	return false
}

// zone is a DNS: MX names by domain, and addresses by name. A name that begins with "temp" does not answer.
type zone struct {
	mx map[string][]*net.MX
	a  map[string][]string
}

func (z zone) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	if strings.HasPrefix(name, "temp") {
		return nil, &net.DNSError{Err: "no answer", Name: name, IsTemporary: true}
	}
	if mx, ok := z.mx[name]; ok {
		return mx, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z zone) LookupIPAddr(_ context.Context, name string) (out []net.IPAddr, err error) {
	if strings.HasPrefix(name, "temp") {
		return nil, &net.DNSError{Err: "no answer", Name: name, IsTemporary: true}
	}
	for _, a := range z.a[name] {
		out = append(out, net.IPAddr{IP: net.ParseIP(a)})
	}
	if out == nil {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return out, nil
}

// world is a DNS and the hosts behind its addresses; nothing else can be dialled.
type world struct {
	zone
	hosts map[string]*host // by "192.0.2.1:25"
	mu    sync.Mutex
	dials []string
}

func (w *world) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	w.dials = append(w.dials, addr)
	w.mu.Unlock()
	h := w.hosts[addr]
	if h == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
	}
	var d net.Dialer
	return d.DialContext(ctx, network, h.addr)
}

func (w *world) send(t *testing.T, to string, change ...func(*courier.Options)) queue.Result {
	t.Helper()
	o := courier.Options{Name: "mail.vezeuniqverse.com", Resolver: w.zone, Dial: w.dial, CommandTime: 20 * time.Second,
		OwnAddresses: func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("192.0.2.99")}, nil }}
	for _, c := range change {
		c(&o)
	}
	c, err := courier.New(o)
	if err != nil {
		t.Fatal(err)
	}
	const message = "From: ann@vezeuniqverse.com\r\nSubject: hi\r\n\r\nhello\r\n.dot\r\n"
	_, domain, _ := strings.Cut(to, "@")
	return c.Deliver(t.Context(), queue.Job{Entry: queue.Entry{ReversePath: "ann@vezeuniqverse.com", Recipient: to, Domain: domain}, Size: int64(len(message)), Body: strings.NewReader(message)})
}

// one is a world with one host, mx.example.org at 192.0.2.1, for example.org.
func one(h *host) *world {
	return &world{zone: zone{mx: map[string][]*net.MX{"example.org": {{Host: "mx.example.org.", Pref: 10}}}, a: map[string][]string{"mx.example.org": {"192.0.2.1"}}},
		hosts: map[string]*host{"192.0.2.1:25": h}}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers map[string]string
		verdict queue.Verdict
		reply   string
		bad     bool
	}{
		{"taken", nil, queue.Delivered, "250 2.0.0 queued as 1", false},
		{"no such user", map[string]string{"RCPT": "550 5.1.1 No such user"}, queue.Permanent, "550 5.1.1 No such user", true},
		{"no reason", map[string]string{"RCPT": "550 no"}, queue.Permanent, "550 no", false},
		{"several lines", map[string]string{"RCPT": "550-5.7.1 We do not\r\n550 5.7.1 like you"}, queue.Permanent, "550 5.7.1 We do not like you", false},
		{"later", map[string]string{"RCPT": "450 4.2.1 Later"}, queue.Temporary, "450 4.2.1 Later", false},
		{"sender refused", map[string]string{"MAIL": "554 5.7.1 Blocked"}, queue.Permanent, "554 5.7.1 Blocked", false},
		{"data refused", map[string]string{"DATA": "451 4.3.0 Busy"}, queue.Temporary, "451 4.3.0 Busy", false},
		{"message refused", map[string]string{".": "552 5.3.4 Too large"}, queue.Permanent, "552 5.3.4 Too large", false},
		{"message later", map[string]string{".": "452 4.3.1 Disk full"}, queue.Temporary, "452 4.3.1 Disk full", false},
		{"hangs up on the message", map[string]string{".": "hangup"}, queue.Temporary, "the connection failed: EOF", false},
		{"hangs up at once", map[string]string{"greet": "hangup"}, queue.Temporary, "the connection failed: EOF", false},
		{"refuses the connection", map[string]string{"greet": "554 5.7.1 Go away"}, queue.Temporary, "554 5.7.1 Go away", false},
		{"refuses our name", map[string]string{"EHLO": "550 bad name", "HELO": "550 bad name"}, queue.Temporary, "550 bad name", false},
		{"speaks nonsense", map[string]string{"greet": "HTTP/1.1 400 Bad Request"}, queue.Temporary, "", false},
		{"answers with another positive code", map[string]string{"MAIL": "354 what"}, queue.Temporary, "354 what", false},
	} {
		h := newHost(t, c.answers)
		r := one(h).send(t, "bob@example.org")
		if r.Verdict != c.verdict || c.reply != "" && r.Reply != c.reply || r.BadMailbox != c.bad || r.Host != "mx.example.org [192.0.2.1]" {
			t.Errorf("%s: %+v", c.name, r)
		}
		if strings.ContainsAny(r.Reply, "\r\n") || r.Reply == "" {
			t.Errorf("%s: the reply is %q", c.name, r.Reply)
		}
		if c.verdict == queue.Delivered && (!strings.HasSuffix(h.data, "\r\nhello\r\n..dot\r\n") || !h.saw("EHLO mail.vezeuniqverse.com") || !h.saw("MAIL FROM:<ann@vezeuniqverse.com> SIZE=")) {
			t.Errorf("the host saw %v and got %q", h.commands, h.data)
		}
	}
}

func TestSilentHost(t *testing.T) {
	h := newHost(t, map[string]string{"RCPT": "silent"})
	r := one(h).send(t, "bob@example.org", func(o *courier.Options) { o.CommandTime = 100 * time.Millisecond })
	if r.Verdict != queue.Temporary || r.Reply != "the host did not answer in time" {
		t.Errorf("%+v", r)
	}
}

// Stopped in the middle, an attempt ends at once and says so.
func TestInterrupted(t *testing.T) {
	h := newHost(t, map[string]string{"MAIL": "silent"})
	w := one(h)
	c, err := courier.New(courier.Options{Name: "us.example", Resolver: w.zone, Dial: w.dial, OwnAddresses: func() ([]netip.Addr, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan queue.Result)
	go func() {
		done <- c.Deliver(ctx, queue.Job{Entry: queue.Entry{Recipient: "bob@example.org", Domain: "example.org"}, Body: strings.NewReader("x")})
	}()
	<-h.stalled
	cancel()
	if r := <-done; r.Verdict != queue.Interrupted {
		t.Errorf("%+v", r)
	}
}

// Which hosts are tried, and which never are.
func TestHosts(t *testing.T) {
	mx := func(hosts ...string) (out []*net.MX) {
		for i, h := range hosts {
			out = append(out, &net.MX{Host: h + ".", Pref: uint16(10 * (i + 1))})
		}
		return out
	}
	z := zone{mx: map[string][]*net.MX{
		"null.example": {{Host: ".", Pref: 0}}, "two.example": mx("down.example", "up.example"), "loop.example": mx("self.example"), "inner.example": mx("lo.example"),
		"meta.example": mx("link.example"), "late.example": mx("up.example", "self.example"), "noaddr.example": mx("gone.example"), "deaf.example": mx("temp.example"), "busy.example": mx("busy.host", "up.example"),
	}, a: map[string][]string{"down.example": {"192.0.2.7"}, "up.example": {"192.0.2.1"}, "self.example": {"192.0.2.99"}, "lo.example": {"127.0.0.1", "::1"}, "link.example": {"169.254.169.254"},
		"plain.example": {"192.0.2.1"}, "busy.host": {"192.0.2.2"}}}
	for _, c := range []struct {
		domain  string
		verdict queue.Verdict
		reply   string // begins with
		dials   string
	}{
		{"null.example", queue.Permanent, "556 5.1.10 ", ""},
		{"two.example", queue.Delivered, "250 ", "192.0.2.7:25 192.0.2.1:25"},
		{"plain.example", queue.Delivered, "250 ", "192.0.2.1:25"},
		{"loop.example", queue.Permanent, "554 5.4.6 ", ""},
		{"inner.example", queue.Permanent, "554 5.4.6 ", ""},
		{"meta.example", queue.Permanent, "554 5.4.6 ", ""},
		{"late.example", queue.Delivered, "250 ", "192.0.2.1:25"},
		{"noaddr.example", queue.Permanent, "550 5.1.2 ", ""},
		{"unknown.example", queue.Permanent, "550 5.1.2 ", ""},
		{"temp.example", queue.Temporary, "the DNS does not answer", ""},
		{"deaf.example", queue.Temporary, "the DNS does not answer", ""},
		{"busy.example", queue.Delivered, "250 ", "192.0.2.2:25 192.0.2.1:25"},
	} {
		w := &world{zone: z, hosts: map[string]*host{"192.0.2.1:25": newHost(t, nil), "192.0.2.2:25": newHost(t, map[string]string{"greet": "421 4.3.2 Busy"})}}
		r := w.send(t, "bob@"+c.domain)
		if r.Verdict != c.verdict || !strings.HasPrefix(r.Reply, c.reply) || strings.Join(w.dials, " ") != c.dials {
			t.Errorf("%s: %+v after dialling %v", c.domain, r, w.dials)
		}
	}
}

// A message that a host has seen is given to no other in the same attempt.
func TestNoSecondHostAfterTheData(t *testing.T) {
	z := zone{mx: map[string][]*net.MX{"example.org": {{Host: "a.example.", Pref: 1}, {Host: "b.example.", Pref: 2}}}, a: map[string][]string{"a.example": {"192.0.2.1"}, "b.example": {"192.0.2.2"}}}
	w := &world{zone: z, hosts: map[string]*host{"192.0.2.1:25": newHost(t, map[string]string{".": "hangup"}), "192.0.2.2:25": newHost(t, nil)}}
	if r := w.send(t, "bob@example.org"); r.Verdict != queue.Temporary || len(w.dials) != 1 {
		t.Errorf("%+v after dialling %v", r, w.dials)
	}
}

// certificate is a pair for a name, and the roots that know it.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// TLS to an MX is used where it is offered, with any certificate; where it fails, the message goes without.
func TestOpportunisticTLS(t *testing.T) {
	pair, _ := certificate(t, "other.example")
	h := newHost(t, nil, func(h *host) { h.cert = &pair })
	if r := one(h).send(t, "bob@example.org"); r.Verdict != queue.Delivered || !h.secure || h.conns != 1 {
		t.Errorf("%+v, over TLS: %v, connections: %d", r, h.secure, h.conns)
	}
	for name, change := range map[string]func(*host){"handshake": func(h *host) { h.broken = true }, "refused": func(h *host) { h.cert = &pair; h.answers = map[string]string{"STARTTLS": "454 not now"} },
		"injected": func(h *host) { h.cert = &pair; h.answers = map[string]string{"STARTTLS": "220 go\r\n250 ok"} }} {
		h := newHost(t, nil, change)
		if r := one(h).send(t, "bob@example.org"); r.Verdict != queue.Delivered || h.secure || h.conns != 2 {
			t.Errorf("%s: %+v, over TLS: %v, connections: %d", name, r, h.secure, h.conns)
		}
	}
}

// A smarthost gets everything, is signed in to over TLS alone, and its certificate counts.
func TestSmarthost(t *testing.T) {
	pair, roots := certificate(t, "smart.example")
	_, others := certificate(t, "smart.example")
	for _, c := range []struct {
		name    string
		with    bool
		offers  string
		answers map[string]string
		roots   *x509.CertPool
		verdict queue.Verdict
		reply   string
		auth    bool
	}{
		{"plain", true, "AUTH PLAIN LOGIN", nil, roots, queue.Delivered, "250 ", true},
		{"login", true, "AUTH LOGIN", map[string]string{}, roots, queue.Delivered, "250 ", true},
		{"no TLS", false, "AUTH PLAIN", nil, roots, queue.Temporary, "454 the smarthost offers no TLS", false},
		{"wrong certificate", true, "AUTH PLAIN", nil, others, queue.Temporary, "454 TLS with the smarthost failed", false},
		{"no AUTH", true, "PIPELINING", nil, roots, queue.Temporary, "454 the smarthost takes neither", false},
		{"wrong password", true, "AUTH PLAIN", map[string]string{"AUTH": "535 5.7.8 Wrong"}, roots, queue.Temporary, "535 5.7.8 Wrong", true},
	} {
		h := newHost(t, c.answers, func(h *host) {
			if h.offers = []string{c.offers}; c.with {
				h.cert = &pair
			}
		})
		w := &world{hosts: map[string]*host{"smart.example:587": h}}
		r := w.send(t, "bob@example.org", func(o *courier.Options) {
			o.Smarthost = courier.Smarthost{Addr: "smart.example:587", User: "us", Password: "hush", TLS: &tls.Config{RootCAs: c.roots}}
		})
		if r.Verdict != c.verdict || !strings.HasPrefix(r.Reply, c.reply) || h.saw("AUTH") != c.auth {
			t.Errorf("%s: %+v; signed in: %v", c.name, r, h.saw("AUTH"))
		}
	}
}

// An address beyond ASCII goes only to a host that takes it.
func TestSMTPUTF8(t *testing.T) {
	h := newHost(t, nil)
	if r := one(h).send(t, "böb@example.org"); r.Verdict != queue.Permanent || !strings.HasPrefix(r.Reply, "550 5.6.7 ") || h.saw("MAIL") {
		t.Errorf("%+v", r)
	}
	h = newHost(t, nil, func(h *host) { h.offers = []string{"SMTPUTF8", "8BITMIME"} })
	if r := one(h).send(t, "böb@example.org"); r.Verdict != queue.Delivered || !h.saw("RCPT TO:<böb@example.org>") {
		t.Errorf("%+v, %v", r, h.commands)
	}
}
