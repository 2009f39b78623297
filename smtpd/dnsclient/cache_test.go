package dnsclient_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"uniqverse/smtpd/dnsclient"
)

// wire is a DNS server whose answers a test chooses; nil is silence.
type wire struct {
	addr   string
	mu     sync.Mutex
	asked  map[string]int
	answer func(q dns.Question) *dns.Msg
}

func startWire(t *testing.T, answer func(q dns.Question) *dns.Msg) *wire {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: pc.LocalAddr().String(), asked: map[string]int{}, answer: answer}
	srv := &dns.Server{PacketConn: pc, Handler: w}
	ready := make(chan struct{})
	srv.NotifyStartedFunc = func() { close(ready) }
	over := make(chan struct{})
	go func() { defer close(over); srv.ActivateAndServe() }()
	<-ready
	t.Cleanup(func() { srv.Shutdown(); <-over })
	return w
}

func (w *wire) ServeDNS(rw dns.ResponseWriter, q *dns.Msg) {
	w.mu.Lock()
	w.asked[q.Question[0].Name]++
	m := w.answer(q.Question[0])
	w.mu.Unlock()
	if m != nil {
		rcode := m.Rcode
		m.SetRcode(q, rcode)
		rw.WriteMsg(m)
	}
}

func (w *wire) times(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[name]
}

func txt(ttl uint32, text string) *dns.Msg {
	return &dns.Msg{Answer: []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: "x.", Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: ttl}, Txt: []string{text}}}}
}

func none(rcode int, ttl uint32) *dns.Msg {
	m := &dns.Msg{Ns: []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "test.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl}, Ns: "n.", Mbox: "m.", Minttl: ttl}}}
	m.Rcode = rcode
	return m
}

// Each kind of answer is kept as long as it says, and no longer; the clock is the test's own.
func TestKept(t *testing.T) {
	w := startWire(t, func(q dns.Question) *dns.Msg {
		switch q.Name {
		case "short.test.":
			return txt(60, "a")
		case "long.test.":
			return txt(1<<30, "a")
		case "zero.test.":
			return txt(0, "a")
		case "nothing.test.":
			return none(dns.RcodeNameError, 120)
		case "empty.test.":
			return none(dns.RcodeSuccess, 1<<30)
		case "broken.test.":
			return none(dns.RcodeServerFailure, 60)
		}
		return nil
	})
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	c, err := dnsclient.NewAt(w.addr, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for name, keep := range map[string]time.Duration{"short": time.Minute, "long": time.Hour, "zero": time.Second, "nothing": 2 * time.Minute, "empty": 5 * time.Minute, "broken": 5 * time.Second} {
		now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		name += ".test."
		for _, step := range []struct {
			after time.Duration
			asked int
		}{{0, 1}, {keep - time.Millisecond, 1}, {2 * time.Millisecond, 2}, {-24 * time.Hour, 3}} {
			now = now.Add(step.after)
			c.LookupTXT(t.Context(), name)
			if n := w.times(name); n != step.asked {
				t.Errorf("%s %s later: asked %d times, want %d", name, step.after, n, step.asked)
			}
		}
	}
}

// A name whose servers are silent is slow once; a server that is silent about everything is slow
// once for all names, and is tried again later.
func TestSilence(t *testing.T) {
	alive := true
	w := startWire(t, func(q dns.Question) *dns.Msg {
		if alive && q.Name == "." {
			return none(dns.RcodeSuccess, 60)
		}
		if alive && q.Name == "ok.test." {
			return txt(60, "a")
		}
		return nil
	})
	var shift time.Duration
	c, err := dnsclient.NewAt(w.addr, func() time.Time { return time.Now().Add(shift) })
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		_, err := c.LookupTXT(ctx, name)
		return err
	}
	ask("black.test")
	before := w.times("black.test.")
	ask("black.test")
	if n := w.times("black.test."); n != before {
		t.Errorf("a name that failed was asked for again: %d times, then %d", before, n)
	}
	if err := ask("ok.test"); err != nil {
		t.Errorf("a server that is silent about one name is taken for dead: %v", err)
	}
	w.mu.Lock()
	alive = false
	w.mu.Unlock()
	ask("first.test")
	for _, name := range []string{"second.test", "third.test"} {
		if err := ask(name); err == nil || w.times(name+".") != 0 {
			t.Errorf("%s was asked for at a dead server %d times, %v", name, w.times(name+"."), err)
		}
	}
	w.mu.Lock()
	alive = true
	w.mu.Unlock()
	shift = 10 * time.Second
	if err := ask("ok.test"); err != nil {
		t.Errorf("the server is back: %v", err)
	}
	if err := ask("second.test"); w.times("second.test.") == 0 {
		t.Errorf("a server that is back is not asked: %v", err)
	}
}

// Many who ask for the same at the same time are one question.
func TestTogether(t *testing.T) {
	release := make(chan struct{})
	w := startWire(t, func(q dns.Question) *dns.Msg { <-release; return txt(60, "a") })
	c, err := dnsclient.New(w.addr)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if v, err := c.LookupTXT(t.Context(), "same.test"); err != nil || len(v) != 1 {
				t.Errorf("got %v, %v", v, err)
			}
		})
	}
	close(release)
	wg.Wait()
	if n := w.times("same.test."); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// Whoever waits for another's question ends with their own context.
func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dnsclient.NewCache()
		began, release := make(chan struct{}), make(chan struct{})
		go c.Get(context.Background(), "k", func() { close(began); <-release })
		<-began
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Get(ctx, "k", func() { t.Error("asked twice") }); err == nil {
			t.Error("no error")
		}
		close(release)
		synctest.Wait()
	})
}

// What a record holds comes out as it went in, whatever the octets.
func TestOctets(t *testing.T) {
	all := make([]byte, 0, 255)
	for i := range 256 {
		if i != 0 {
			all = append(all, byte(i))
		}
	}
	w := startWire(t, func(q dns.Question) *dns.Msg {
		m := txt(60, "")
		var esc []byte
		for _, b := range all {
			esc = append(esc, '\\', '0'+b/100, '0'+b/10%10, '0'+b%10)
		}
		m.Answer[0].(*dns.TXT).Txt = []string{string(esc)}
		return m
	})
	c, err := dnsclient.New(w.addr)
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.LookupTXT(t.Context(), "octets.test")
	if err != nil || len(v) != 1 || v[0] != string(all) {
		t.Errorf("got %q, %v", v, err)
	}
}

// Null MX, preference, addresses of both kinds, names of an address.
func TestKinds(t *testing.T) {
	h := func(name string, kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 60}
	}
	w := startWire(t, func(q dns.Question) *dns.Msg {
		m := new(dns.Msg)
		switch {
		case q.Qtype == dns.TypeMX && q.Name == "null.test.":
			m.Answer = []dns.RR{&dns.MX{Hdr: h(q.Name, q.Qtype), Mx: "."}}
		case q.Qtype == dns.TypeMX:
			m.Answer = []dns.RR{&dns.MX{Hdr: h(q.Name, q.Qtype), Preference: 20, Mx: "b.test."}, &dns.MX{Hdr: h(q.Name, q.Qtype), Preference: 10, Mx: "a.test."}}
		case q.Qtype == dns.TypeA:
			m.Answer = []dns.RR{&dns.CNAME{Hdr: h(q.Name, dns.TypeCNAME), Target: "real.test."}, &dns.A{Hdr: h("real.test.", q.Qtype), A: net.IPv4(192, 0, 2, 1)}}
		case q.Qtype == dns.TypeAAAA && q.Name == "both.test.":
			m.Answer = []dns.RR{&dns.AAAA{Hdr: h(q.Name, q.Qtype), AAAA: net.ParseIP("2001:db8::1")}}
		case q.Qtype == dns.TypePTR && q.Name == "1.2.0.192.in-addr.arpa.":
			m.Answer = []dns.RR{&dns.PTR{Hdr: h(q.Name, q.Qtype), Ptr: "a.test."}}
		}
		return m
	})
	c, err := dnsclient.New(w.addr)
	if err != nil {
		t.Fatal(err)
	}
	if mx, err := c.LookupMX(t.Context(), "null.test"); err != nil || len(mx) != 1 || mx[0].Host != "." {
		t.Errorf("null MX: %v, %v", mx, err)
	}
	if mx, err := c.LookupMX(t.Context(), "two.test"); err != nil || len(mx) != 2 || mx[0].Host != "a.test." {
		t.Errorf("MX: %v, %v", mx, err)
	}
	for range 2 { // asked, then from the cache
		if ip, err := c.LookupIPAddr(t.Context(), "both.test"); err != nil || len(ip) != 2 {
			t.Errorf("addresses: %v, %v", ip, err)
		}
		if ip, err := c.LookupIPAddr(t.Context(), "four.test"); err != nil || len(ip) != 1 {
			t.Errorf("addresses: %v, %v", ip, err)
		}
	}
	if ptr, err := c.LookupAddr(t.Context(), "192.0.2.1"); err != nil || len(ptr) != 1 || ptr[0] != "a.test." {
		t.Errorf("names: %v, %v", ptr, err)
	}
	if ip, err := c.LookupIPAddr(t.Context(), "localhost"); err != nil || len(ip) == 0 || !ip[0].IP.IsLoopback() {
		t.Errorf("the hosts file: %v, %v", ip, err)
	}
	if ip, err := c.LookupIPAddr(t.Context(), "127.0.0.1"); err != nil || len(ip) != 1 {
		t.Errorf("a literal: %v, %v", ip, err)
	}
}
