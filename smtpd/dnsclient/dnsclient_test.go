package dnsclient_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"uniqverse/smtpd/dnsclient"
)

// nameServer answers on loopback, over UDP and TCP. It knows: *.long.test, whose TXT does not
// fit into a datagram; ok.test; fail.test (SERVFAIL); refused.test; silent.test (no answer);
// lossy.test, whose first query over UDP gets lost.
func nameServer(t *testing.T) (addr string, asked *atomic.Int64) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		t.Skipf("no pair of free ports: %v", err)
	}
	t.Cleanup(func() { tcp.Close(); udp.Close() })
	asked = new(atomic.Int64)
	go func() {
		buf := make([]byte, 4096)
		lost := false
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			if !rootQuery(buf[:n]) {
				asked.Add(1)
			}
			if !lost && strings.Contains(string(buf[:n]), "lossy") {
				lost = true
				continue
			}
			if a := reply(buf[:n], true); a != nil {
				udp.WriteTo(a, from)
			}
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			if n, err := c.Read(buf); err == nil && n > 2 {
				if a := reply(buf[2:n], false); a != nil {
					c.Write(append([]byte{byte(len(a) >> 8), byte(len(a))}, a...))
				}
			}
			c.Close()
		}
	}()
	return tcp.Addr().String(), asked
}

// rootQuery reports whether a query asks whether the server is there at all.
func rootQuery(query []byte) bool {
	var m dnsmessage.Message
	return m.Unpack(query) == nil && len(m.Questions) == 1 && m.Questions[0].Name.String() == "."
}

func reply(query []byte, udp bool) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	out := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
	name := strings.ToLower(q.Name.String())
	texts := []string{"hello ", "world"}
	switch name {
	case "silent.test.":
		return nil
	case "fail.test.":
		out.RCode = dnsmessage.RCodeServerFailure
	case "refused.test.":
		out.RCode = dnsmessage.RCodeRefused
	case "long.test.":
		if udp {
			out.Truncated = true
			break
		}
		texts = []string{strings.Repeat("a", 255), strings.Repeat("b", 255), strings.Repeat("c", 255), strings.Repeat("d", 255), strings.Repeat("e", 255), strings.Repeat("f", 255)}
		fallthrough
	case "ok.test.", "lossy.test.":
		if q.Type == dnsmessage.TypeTXT {
			out.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.TXTResource{TXT: texts},
			}}
		}
		if q.Type == dnsmessage.TypeA {
			out.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}},
			}}
		}
	default:
		out.RCode = dnsmessage.RCodeNameError
	}
	b, err := out.Pack()
	if err != nil {
		return nil
	}
	return b
}

func TestServerOfChoice(t *testing.T) {
	addr, asked := nameServer(t)
	c, err := dnsclient.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for range 2 {
		v, err := c.LookupTXT(ctx, "OK.test")
		if err != nil || len(v) != 1 || v[0] != "hello world" {
			t.Fatalf("got %q, %v", v, err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the server was asked %d times, want once: answers are kept", n)
	}
	if v, err := c.LookupTXT(ctx, "long.test"); err != nil || len(v) != 1 || len(v[0]) != 6*255 {
		t.Errorf("a long answer comes over TCP: got %d, %v", len(v), err)
	}
	if v, err := c.LookupIPAddr(ctx, "ok.test"); err != nil || len(v) != 1 || v[0].String() != "192.0.2.1" {
		t.Errorf("got %v, %v", v, err)
	}
	before := asked.Load()
	for range 2 {
		_, err := c.LookupTXT(ctx, "nowhere.test")
		if d := dnsError(t, err); !d.IsNotFound {
			t.Errorf("got %+v, want not found", d)
		}
	}
	if n := asked.Load() - before; n != 1 {
		t.Errorf("a missing name was asked for %d times, want once", n)
	}
	for _, name := range []string{"fail.test", "refused.test"} {
		_, err := c.LookupTXT(ctx, name)
		if d := dnsError(t, err); d.IsNotFound || !d.Temporary() {
			t.Errorf("%s: got %+v, want a temporary error", name, d)
		}
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = c.LookupTXT(short, "silent.test")
	if d := dnsError(t, err); d.IsNotFound || !d.Temporary() {
		t.Errorf("no answer: got %+v, want a temporary error", d)
	}
}

// A datagram that gets lost is sent again well within the time that a look-up has.
func TestLostQuery(t *testing.T) {
	addr, asked := nameServer(t)
	c, err := dnsclient.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.LookupTXT(t.Context(), "lossy.test")
	if err != nil || len(v) != 1 || v[0] != "hello world" {
		t.Errorf("got %q, %v", v, err)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the server was asked %d times, want twice", n)
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c, err := dnsclient.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err = c.LookupTXT(ctx, "ok.test")
	if d := dnsError(t, err); d.IsNotFound || !d.Temporary() {
		t.Errorf("got %+v, want a temporary error", d)
	}
}

func TestOff(t *testing.T) {
	c, err := dnsclient.New("off")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.LookupMX(context.Background(), "ok.test")
	if d := dnsError(t, err); d.IsNotFound || !d.Temporary() {
		t.Errorf("got %+v, want a temporary error", d)
	}
}

func TestSettings(t *testing.T) {
	for _, bad := range []string{"nonsense", "127.0.0.1", "127.0.0.1:", ":53", "127.0.0.1:0", "127.0.0.1:70000"} {
		if _, err := dnsclient.New(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, good := range []string{"", "system", "off", "127.0.0.1:53", "[::1]:53", "ns.example.org:5353"} {
		if _, err := dnsclient.New(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func dnsError(t *testing.T, err error) *net.DNSError {
	t.Helper()
	var d *net.DNSError
	if !errors.As(err, &d) {
		t.Fatalf("got %v, want a DNSError", err)
	}
	return d
}
