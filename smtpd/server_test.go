package smtpd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"uniqverse/internal/event"
	"uniqverse/smtpd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial opens a session and reads the banner.
func dial(t *testing.T, addr string) *textproto.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	tc := textproto.NewConn(c)
	t.Cleanup(func() { tc.Close() })
	want(t, tc, "220 ")
	return tc
}

// say sends a line and wants a reply that starts so.
func say(t *testing.T, c *textproto.Conn, line, reply string) string {
	t.Helper()
	if err := c.PrintfLine("%s", line); err != nil {
		t.Fatal(err)
	}
	return want(t, c, reply)
}

func want(t *testing.T, c *textproto.Conn, reply string) string {
	t.Helper()
	for {
		line, err := c.ReadLine()
		if err != nil || !strings.HasPrefix(line, reply[:min(3, len(reply))]) {
			t.Fatalf("got %q, %v; want %q", line, err, reply)
		}
		if len(line) < 4 || line[3] != '-' {
			if !strings.HasPrefix(line, reply) {
				t.Fatalf("got %q, want %q", line, reply)
			}
			return line
		}
	}
}

func wantClosed(t *testing.T, c *textproto.Conn) {
	t.Helper()
	if line, err := c.ReadLine(); err != io.EOF {
		t.Fatalf("got %q, %v; want the connection closed", line, err)
	}
}

func ready(t *testing.T, c *textproto.Conn) {
	t.Helper()
	say(t, c, "EHLO client.test", "250")
	say(t, c, "MAIL FROM:<a@client.test>", "250")
	say(t, c, "RCPT TO:<pilot@mail.test>", "250")
}

// TestShutdownTellsIdlePeers is row 1 of docs/smtp.md.
func TestShutdownTellsIdlePeers(t *testing.T) {
	s := start(t, "", nil)
	idle, begun := dial(t, s.addr[smtpd.MX]), dial(t, s.addr[smtpd.Submission])
	say(t, begun, "EHLO client.test", "250")
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	want(t, idle, "421 4.3.2")
	wantClosed(t, idle)
	want(t, begun, "421 4.3.2")
	if c, err := net.Dial("tcp", s.addr[smtpd.MX]); err == nil {
		c.Close()
		t.Error("still listening")
	}
}

func TestShutdownLetsMessagesEnd(t *testing.T) {
	s := start(t, "", nil)
	s.b.hold, s.b.began = make(chan struct{}), make(chan struct{}, 2)
	storing, sending := dial(t, s.addr[smtpd.MX]), dial(t, s.addr[smtpd.MX])
	ready(t, storing)
	say(t, storing, "DATA", "354")
	storing.PrintfLine("one\r\n.")
	<-s.b.began
	ready(t, sending)
	say(t, sending, "DATA", "354")
	sending.PrintfLine("two")

	down := make(chan error)
	go func() { down <- s.Shutdown(context.Background()) }()
	for { // until it has begun: nobody listens any more
		c, err := net.Dial("tcp", s.addr[smtpd.MX])
		if err != nil {
			break
		}
		c.Close()
	}
	sending.PrintfLine(".")
	close(s.b.hold)
	for _, c := range []*textproto.Conn{storing, sending} {
		want(t, c, "250 2.0.0 queued")
		want(t, c, "421 4.3.2")
		wantClosed(t, c)
	}
	if err := <-down; err != nil {
		t.Fatal(err)
	}
	if n := len(s.b.all()); n != 2 {
		t.Errorf("%d mails were stored", n)
	}
}

func TestShutdownEndsAtItsDeadline(t *testing.T) {
	s := start(t, "", nil)
	s.b.hold, s.b.began = make(chan struct{}), make(chan struct{}, 1)
	storing, sending := dial(t, s.addr[smtpd.MX]), dial(t, s.addr[smtpd.MX])
	ready(t, storing)
	say(t, storing, "DATA", "354")
	storing.PrintfLine("one\r\n.")
	<-s.b.began
	ready(t, sending)
	say(t, sending, "DATA", "354")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	for _, c := range []*textproto.Conn{storing, sending} {
		// Who is fast enough is still told to try again; nobody is told 250 or to give up.
		if line, err := c.ReadLine(); err == nil && !strings.HasPrefix(line, "4") {
			t.Errorf("got %q after the deadline", line)
		}
	}
	if n := len(s.b.all()); n != 0 {
		t.Errorf("%d mails were stored", n)
	}
}

func TestListenerThatFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := smtpd.New(smtpd.Options{Listeners: []smtpd.Listener{{Listener: l}}, Domain: domain, Backend: &backend{}})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.Serve(context.Background()); err == nil {
		t.Error("Serve says nothing about a dead listener")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, o := range map[string]smtpd.Options{
		"nothing":        {},
		"no domain":      {Listeners: []smtpd.Listener{{Listener: l}}, Backend: &backend{}},
		"no backend":     {Listeners: []smtpd.Listener{{Listener: l}}, Domain: domain},
		"no TLS for 465": {Listeners: []smtpd.Listener{{Listener: l, Mode: smtpd.Submissions}}, Domain: domain, Backend: &backend{}},
	} {
		if _, err := smtpd.New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestFailedHandshake: after 220 the peer sends no TLS; what it gets back is no SMTP reply.
// Row 28. See docs/smtp.md.
func TestFailedHandshake(t *testing.T) {
	s := start(t, "", nil)
	c := dial(t, s.addr[smtpd.MX])
	say(t, c, "EHLO client.test", "250")
	say(t, c, "STARTTLS", "220")
	c.PrintfLine("EHLO client.test")
	rest, _ := io.ReadAll(c.R)
	if bytes.Contains(rest, []byte("50")) {
		t.Errorf("got %q", rest)
	}
}

// TestAuthenticationResults sends one mail through the whole pipeline.
func TestAuthenticationResults(t *testing.T) {
	dns := zones{txt: map[string][]string{
		"client.test":        {"v=spf1 ip4:127.0.0.1 -all"},
		"_dmarc.client.test": {"v=DMARC1; p=reject"},
	}}
	s := start(t, "", func(o *smtpd.Options) { o.Resolver = dns })
	c := dial(t, s.addr[smtpd.MX])
	ready(t, c)
	say(t, c, "DATA", "354")
	reply := say(t, c, "Authentication-Results: mail.test; spf=fail\r\nFrom: a@client.test\r\n\r\nx\r\n.", "250 2.0.0 queued as")
	m := s.b.all()[0]
	if m.env.Auth.SPF != "pass" || m.env.Auth.DKIM != "none" || m.env.Auth.DMARC != "pass" {
		t.Errorf("verdicts %+v", m.env.Auth)
	}
	head := "Authentication-Results: mail.test;\r\n\tspf=pass smtp.mailfrom=client.test;\r\n\tspf=pass smtp.helo=client.test;\r\n" +
		"\tdkim=none;\r\n\tdmarc=pass header.from=client.test policy.dmarc=reject\r\nReceived: from client.test ([127.0.0.1])\r\n"
	// The name of the peer is the domain itself here, so HELO passes by the same record.
	if !strings.HasPrefix(m.full, head) {
		t.Errorf("the mail begins with\n%s\nwant\n%s", m.full, head)
	}
	if m.raw != "From: a@client.test\r\n\r\nx\r\n" || m.size != int64(len(m.raw)) || m.sum != sha256.Sum256([]byte(m.raw)) {
		t.Errorf("raw %q, size %d", m.raw, m.size)
	}
	steps, before := "", int64(0)
	for _, mark := range m.env.Marks {
		if mark.At < before {
			t.Errorf("%s is marked before what came before it: %v", mark.Step, m.env.Marks)
		}
		steps, before = steps+" "+mark.Step, mark.At
	}
	if steps != " connected data received checked" {
		t.Errorf("the steps are%s", steps)
	}
	tr, ok := event.ParseTraceparent(m.env.Traceparent)
	if !ok || !strings.HasSuffix(reply, m.env.ID+" trace "+tr.ID) {
		t.Errorf("reply %q, envelope %s %s", reply, m.env.ID, m.env.Traceparent)
	}
}

// TestDNSFailureLosesNothing: whatever DNS does, the mail is taken, and soon.
func TestDNSFailureLosesNothing(t *testing.T) {
	slow := map[string]bool{"client.test": true, "_dmarc.client.test": true}
	for name, change := range map[string]func(*smtpd.Options){
		"none": func(o *smtpd.Options) { o.Resolver = nil },
		"fails": func(o *smtpd.Options) {
			o.Resolver = zones{txt: map[string][]string{"client.test": nil, "_dmarc.client.test": nil}}
		},
		"silent": func(o *smtpd.Options) { o.Resolver = zones{slow: slow}; o.Limits.LookupTime = 20 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, "", change)
			c := dial(t, s.addr[smtpd.MX])
			ready(t, c)
			say(t, c, "DATA", "354")
			say(t, c, "From: a@client.test\r\n\r\nx\r\n.", "250 2.0.0 queued as")
			if a := s.b.all()[0].env.Auth; a.SPF != "temperror" || a.DMARC != "temperror" {
				t.Errorf("verdicts %+v", a)
			}
		})
	}
}

// TestSpoolIsEmptied: a large message leaves no file, however it ends.
func TestSpoolIsEmptied(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/smtp-left.spool", []byte("from a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, "", func(o *smtpd.Options) {
		o.SpoolDir, o.Limits.MemoryBytes, o.Limits.HeaderBytes = dir, 1000, 1000
	})
	body := "Return-Path: <x@y>\r\nSubject: big\r\n\r\n" + strings.Repeat("0123456789\r\n", 10000)
	send := func(end string) {
		c := dial(t, s.addr[smtpd.MX])
		ready(t, c)
		say(t, c, "DATA", "354")
		c.W.WriteString(body + end)
		c.W.Flush()
		if end == ".\r\n" {
			want(t, c, "250 2.0.0 queued")
		}
		c.Close()
	}
	send(".\r\n")
	send("and then the peer is gone")
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	mails := s.b.all()
	raw := strings.TrimPrefix(body, "Return-Path: <x@y>\r\n")
	if len(mails) != 1 || mails[0].raw != raw || mails[0].sum != sha256.Sum256([]byte(raw)) || mails[0].size != int64(len(raw)) {
		t.Errorf("%d mails", len(mails))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
}

// TestLogHoldsNoSecrets looks at all that a session with sign-in and mail logs.
func TestLogHoldsNoSecrets(t *testing.T) {
	var log safeBuffer
	s := start(t, "", func(o *smtpd.Options) {
		o.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	auth := smtp.PlainAuth("", "pilot", "secret", "127.0.0.1")
	c, err := smtp.Dial(s.addr[smtpd.Submission])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.StartTLS(clientTLS()); err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(auth); err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("pilot@mail.test"); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("leak@mail.test"); err == nil {
		t.Fatal("taken")
	}
	if err := c.Rcpt("x@mail.test"); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(w, "Subject: private words\r\n\r\nprivate words\r\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c.Quit()
	s.Shutdown(context.Background())
	text := log.String()
	for _, verb := range []string{"mail auth", "mail accepted", "mail rejected"} {
		if !strings.Contains(text, `"msg":"`+verb+`"`) {
			t.Errorf("no %q in the log", verb)
		}
	}
	for _, secret := range []string{`"secret"`, "c2VjcmV0", "AHBpbG90", "private words"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in the log:\n%s", secret, text)
		}
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestManyAtOnce sends from many peers at the same time, plain and under TLS.
func TestManyAtOnce(t *testing.T) {
	s := start(t, "", nil)
	const peers, each = 16, 5
	var wg sync.WaitGroup
	for i := range peers {
		wg.Go(func() {
			c, err := smtp.Dial(s.addr[smtpd.MX])
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if i%4 == 0 {
				if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
					t.Error(err)
				}
			}
			for k := range each {
				if err := send(c, fmt.Sprintf("p%d-%d@client.test", i, k)); err != nil {
					t.Error(err)
				}
			}
			c.Quit()
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, m := range s.b.all() {
		seen[m.env.ReversePath] = m.raw == "Subject: "+m.env.ReversePath+"\r\n\r\nbody\r\n"
	}
	if len(seen) != peers*each {
		t.Errorf("%d mails, want %d", len(seen), peers*each)
	}
	for from, whole := range seen {
		if !whole {
			t.Errorf("the mail of %s is not whole", from)
		}
	}
}

func send(c *smtp.Client, from string) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt("pilot@mail.test"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Subject: %s\r\n\r\nbody\r\n", from)
	return w.Close()
}
