package pop3_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/errs"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/pop3"
	"uniqverse/smtpd/cert"
)

// drop is a mail service with one user, pilot, whose password is "secret".
type drop struct {
	mu        sync.Mutex
	raw       []string
	discarded []int64
	broken    bool
}

func (d *drop) Login(_ context.Context, user, password string) (string, error) {
	if password != "secret" || strings.TrimSuffix(user, "@example.org") != "pilot" {
		return "", errs.New(errs.Unauthenticated, "no")
	}
	return "pilot", nil
}

func (d *drop) Maildrop(context.Context, string) (items []pop3.Item, err error) {
	for i, r := range d.raw {
		items = append(items, pop3.Item{ID: int64(i + 1), RawID: int64(i), Size: int64(len("Received: x\r\n") + len(r)), UID: fmt.Sprintf("u%d", i+1)})
	}
	return items, nil
}

func (d *drop) Open(_ context.Context, id int64) (mailbox.Raw, *mailbox.Content, error) {
	if d.broken {
		return mailbox.Raw{}, nil, errs.New(errs.Unavailable, "no disk")
	}
	return mailbox.Raw{Prepended: []byte("Received: x\r\n")}, mailbox.InMemory([]byte(d.raw[id])), nil
}

func (d *drop) Discard(_ context.Context, _ string, ids []int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.discarded = append(d.discarded, ids...)
	return nil
}

// serve starts a server on loopback and returns its addresses, plain and with TLS from the first byte.
func serve(t *testing.T, d *drop, l pop3.Limits) (plain, secure string) {
	t.Helper()
	keys, err := cert.Load(t.TempDir(), "example.org", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var ls []pop3.Listener
	for _, s := range []bool{false, true} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ls = append(ls, pop3.Listener{Listener: ln, Secure: s})
	}
	srv, err := pop3.New(pop3.Options{Listeners: ls, Mail: d, TLS: keys, Name: "example.org", Limits: l, Log: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server does not end")
		}
	})
	return ls[0].Addr().String(), ls[1].Addr().String()
}

// testdata/*.dlg are dialogues: "C: " is said by the client, "S: " the start of a line that the server says ("S:=" the whole
// line), "C- " is said without a line end, "TLS" begins TLS, "END" means that the server hangs up. \r, \n, \0 and \\ are escapes.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.dlg")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d dialogues, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".dlg"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			d := &drop{raw: []string{"Subject: one\r\n\r\nfirst\r\n.dot\r\nlast\r\n", "Subject: two\r\n\r\n" + strings.Repeat("x", 70_000) + "\r\n"}}
			plain, secure := serve(t, d, pop3.Limits{})
			addr := plain
			if strings.HasPrefix(string(text), "# secure") {
				addr = secure
			}
			play(t, addr, addr == secure, string(text))
			if strings.Contains(string(text), "# trash ") {
				_, want, _ := strings.Cut(string(text), "# trash ")
				want, _, _ = strings.Cut(want, "\n")
				if got := fmt.Sprint(d.discarded); got != want {
					t.Errorf("in the trash are %s, want %s", got, want)
				}
			}
		})
	}
}

func play(t *testing.T, addr string, secure bool, text string) {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(30 * time.Second))
	c := raw
	if secure {
		c = tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	}
	in := bufio.NewReader(c)
	unescape := strings.NewReplacer(`\\`, `\`, `\r`, "\r", `\n`, "\n", `\0`, "\x00", `\x`, strings.Repeat("x", 3000))
	for n, line := range strings.Split(text, "\n") {
		op, rest, _ := strings.Cut(line, " ")
		rest = unescape.Replace(rest)
		switch op {
		case "C:":
			io.WriteString(c, rest+"\r\n")
		case "C-":
			io.WriteString(c, rest)
		case "S:", "S:=":
			got, err := in.ReadString('\n')
			got = strings.TrimRight(got, "\r\n")
			if err != nil || op == "S:" && !strings.HasPrefix(got, rest) || op == "S:=" && got != rest {
				t.Fatalf("line %d: the server says %.200q, %v; want %q", n+1, got, err, rest)
			}
		case "TLS":
			c = tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
			in = bufio.NewReader(c)
		case "END":
			if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
				t.Fatalf("line %d: the server goes on: %.200q, %v", n+1, rest, err)
			}
		}
	}
}

// One maildrop has one session; a second one hears so, and gets it when the first has gone.
func TestMaildropIsLocked(t *testing.T) {
	plain, _ := serve(t, &drop{}, pop3.Limits{})
	in := "S: +OK\nC: USER pilot\nS: +OK\nC: PASS secret\n"
	first, err := net.Dial("tcp", plain)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(first, "USER pilot\r\nPASS secret\r\nNOOP\r\n")
	r := bufio.NewReader(first)
	for range 4 {
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	play(t, plain, false, in+"S: -ERR [IN-USE]\nC: QUIT\nS: +OK\nEND\n")
	io.WriteString(first, "QUIT\r\n")
	io.Copy(io.Discard, r)
	first.Close()
	end := time.Now().Add(10 * time.Second)
	for { // the lock goes with the session's goroutine
		c, err := net.Dial("tcp", plain)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "USER pilot\r\nPASS secret\r\nQUIT\r\n")
		all, _ := io.ReadAll(c)
		c.Close()
		if strings.Count(string(all), "+OK") == 4 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the maildrop stays locked: %s", all)
		}
	}
}

// What is in the way of a session is told, and costs nothing but the session.
func TestBounds(t *testing.T) {
	plain, _ := serve(t, &drop{}, pop3.Limits{Connections: 1, Idle: 300 * time.Millisecond})
	c, err := net.Dial("tcp", plain)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	play(t, plain, false, "S: -ERR [SYS/TEMP] too many\nEND\n")
	if line, _ := r.ReadString('\n'); !strings.HasPrefix(line, "-ERR [SYS/TEMP] nothing came") {
		t.Errorf("an idle peer is told %q", line)
	}
	broken := &drop{raw: []string{"x"}, broken: true}
	plain, _ = serve(t, broken, pop3.Limits{})
	play(t, plain, false, "S: +OK\nC: USER pilot\nS: +OK\nC: PASS secret\nS: +OK\nC: RETR 1\nS: -ERR [SYS/TEMP]\nC: QUIT\nS: +OK\nEND\n")
}

// Whatever a peer says, it is answered or the session ends; nothing is deleted that it did not say.
func FuzzSession(f *testing.F) {
	f.Add("USER pilot\r\nPASS secret\r\nLIST\r\nTOP 1 1\r\nRETR 2\r\nQUIT\r\n")
	f.Add("AUTH PLAIN AHBpbG90AHNlY3JldA==\r\nSTAT\r\nUIDL 9999999999999999999\r\nTOP 1 -1\r\n\x00\xff\r\nDELE 0\r\nRSET x\r\n")
	f.Add("STLS\r\nSTLS x\r\nCAPA\r\nAUTH\r\nAUTH X\r\nAPOP a b\r\n")
	f.Fuzz(func(t *testing.T, said string) {
		d := &drop{raw: []string{"Subject: one\r\n\r\n.\r\n", "x"}}
		plain, _ := serve(t, d, pop3.Limits{Idle: 2 * time.Second, Failures: 1})
		c, err := net.Dial("tcp", plain)
		if err != nil {
			t.Skip(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		go func() {
			io.WriteString(c, said)
			c.(*net.TCPConn).CloseWrite()
		}()
		if _, err := io.ReadAll(c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Error("the session hangs")
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.discarded) > 0 && !strings.Contains(strings.ToUpper(said), "DELE") {
			t.Errorf("%v went to the trash", d.discarded)
		}
	})
}
