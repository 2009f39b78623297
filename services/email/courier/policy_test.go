package courier_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"uniqverse/services/email/courier"
	"uniqverse/services/email/mtasts"
	"uniqverse/services/email/queue"
)

// promises are the policies of all domains.
type promises struct {
	policy mtasts.Policy
	err    error
}

func (p promises) Policy(context.Context, string) (mtasts.Policy, error) { return p.policy, p.err }

// counts keeps what was counted.
type counts struct {
	mu  sync.Mutex
	all []string
}

func (c *counts) add(policy, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, policy+" "+result)
}

// sendEntry makes an attempt for an entry whose recipient, domain and sender are set here.
func (w *world) sendEntry(t *testing.T, e queue.Entry, change ...func(*courier.Options)) queue.Result {
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
	e.ReversePath, e.Recipient, e.Domain = "ann@vezeuniqverse.com", "bob@example.org", "example.org"
	return c.Deliver(t.Context(), queue.Job{Entry: e, Size: 9, Body: strings.NewReader("A: b\r\n\r\nc")})
}

// What a policy asks is done: a host that it does not name, or that cannot prove its name, gets nothing while it is
// enforced, and gets it while it is tested.
func TestMTASTS(t *testing.T) {
	good, roots := certificate(t, "mx.example.org")
	other, otherRoots := certificate(t, "elsewhere.example")
	policy := func(mode mtasts.Mode, mx ...string) mtasts.Policy { return mtasts.Policy{ID: "1", Mode: mode, MX: mx} }
	for _, c := range []struct {
		name    string
		policy  promises
		cert    *tls.Certificate
		roots   *x509.CertPool
		verdict queue.Verdict
		reply   string
		tls     string
		count   string
	}{
		{"enforced and kept", promises{policy: policy(mtasts.Enforce, "mx.example.org")}, &good, roots, queue.Delivered, "250 ", "TLS 1.3, verified", "sts success"},
		{"enforced with a star", promises{policy: policy(mtasts.Enforce, "*.example.org")}, &good, roots, queue.Delivered, "250 ", "TLS 1.3, verified", "sts success"},
		{"another host", promises{policy: policy(mtasts.Enforce, "other.example.org")}, &good, roots, queue.Temporary, "451 4.7.5 no host of example.org", "", "sts validation-failure"},
		{"wrong name", promises{policy: policy(mtasts.Enforce, "mx.example.org")}, &other, otherRoots, queue.Temporary, "451 4.7.5 TLS failed", "", "sts certificate-host-mismatch"},
		{"nobody we know", promises{policy: policy(mtasts.Enforce, "mx.example.org")}, &good, otherRoots, queue.Temporary, "451 4.7.5 TLS failed", "", "sts certificate-not-trusted"},
		{"no TLS", promises{policy: policy(mtasts.Enforce, "mx.example.org")}, nil, roots, queue.Temporary, "451 4.7.5 the host offers no TLS", "", "sts starttls-not-supported"},
		{"tested, wrong name", promises{policy: policy(mtasts.Testing, "mx.example.org")}, &other, otherRoots, queue.Delivered, "250 ", "TLS 1.3", "sts certificate-host-mismatch"},
		{"tested, another host", promises{policy: policy(mtasts.Testing, "other.example.org")}, &good, roots, queue.Delivered, "250 ", "TLS 1.3, verified", "sts validation-failure"},
		{"tested, no TLS", promises{policy: policy(mtasts.Testing, "mx.example.org")}, nil, roots, queue.Delivered, "250 ", "", "sts starttls-not-supported"},
		{"none", promises{policy: policy(mtasts.None)}, &other, roots, queue.Delivered, "250 ", "TLS 1.3", "no-policy-found success"},
		{"not known", promises{err: errors.New("disk")}, &good, roots, queue.Temporary, "451 4.7.5 what example.org promises", "", ""},
	} {
		h, n := newHost(t, nil, func(h *host) { h.cert = c.cert }), &counts{}
		w := one(h)
		r := w.sendEntry(t, queue.Entry{}, func(o *courier.Options) { o.Policies, o.Roots, o.Count = c.policy, c.roots, n.add })
		if r.Verdict != c.verdict || !strings.HasPrefix(r.Reply, c.reply) || r.Verdict == queue.Delivered && r.TLS != c.tls || strings.Join(n.all, ", ") != c.count || r.NoAnswer {
			t.Errorf("%s: %+v, counted %v", c.name, r, n.all)
		}
		if c.verdict == queue.Temporary && h.saw("MAIL") {
			t.Errorf("%s: the host was told of the mail", c.name)
		}
	}
}

// A message that requires TLS goes only where that is promised, and comes back otherwise.
func TestRequireTLS(t *testing.T) {
	pair, roots := certificate(t, "mx.example.org")
	enforced := promises{policy: mtasts.Policy{Mode: mtasts.Enforce, MX: []string{"mx.example.org"}}}
	for _, c := range []struct {
		name    string
		policy  promises
		offers  []string
		verdict queue.Verdict
	}{
		{"promised", enforced, []string{"REQUIRETLS"}, queue.Delivered},
		{"not offered", enforced, nil, queue.Permanent},
		{"no policy", promises{}, []string{"REQUIRETLS"}, queue.Permanent},
	} {
		h := newHost(t, nil, func(h *host) { h.cert, h.offers = &pair, c.offers })
		r := one(h).sendEntry(t, queue.Entry{RequireTLS: true}, func(o *courier.Options) { o.Policies, o.Roots = c.policy, roots })
		if r.Verdict != c.verdict || c.verdict == queue.Permanent && !strings.HasPrefix(r.Reply, "550 5.7.30 ") {
			t.Errorf("%s: %+v", c.name, r)
		}
		if got := h.saw("MAIL FROM:<ann@vezeuniqverse.com> BODY=8BITMIME SIZE=9 REQUIRETLS") || h.saw("MAIL FROM:<ann@vezeuniqverse.com> SIZE=9 REQUIRETLS"); got != (c.verdict == queue.Delivered) {
			t.Errorf("%s: the host saw %v", c.name, h.commands)
		}
	}
}

// What the sender wants reports of goes to a host that sends them; where it sends none, that is said.
func TestReportsAreAskedFor(t *testing.T) {
	e := queue.Entry{Notify: "SUCCESS,DELAY", ORCPT: "rfc822;first+x@example.net", Return: "HDRS", EnvelopeID: "QQ+1"}
	h := newHost(t, nil, func(h *host) { h.offers = []string{"DSN"} })
	r := one(h).sendEntry(t, e)
	if r.Verdict != queue.Delivered || r.Relayed || !h.saw("MAIL FROM:<ann@vezeuniqverse.com> SIZE=9 RET=HDRS ENVID=QQ+2B1") ||
		!h.saw("RCPT TO:<bob@example.org> NOTIFY=SUCCESS,DELAY ORCPT=RFC822;first+2Bx@example.net") {
		t.Errorf("%+v; the host saw %v", r, h.commands)
	}
	h = newHost(t, nil)
	if r := one(h).sendEntry(t, e); r.Verdict != queue.Delivered || !r.Relayed || !h.saw("RCPT TO:<bob@example.org>") {
		t.Errorf("%+v; the host saw %v", r, h.commands)
	}
}

// A domain is told apart from its mail: no answer at all is about the domain, a refusal is not.
func TestNoAnswer(t *testing.T) {
	nobody := &world{zone: zone{mx: map[string][]*net.MX{"example.org": {{Host: "mx.example.org.", Pref: 10}}}, a: map[string][]string{"mx.example.org": {"192.0.2.1"}}}}
	if r := nobody.sendEntry(t, queue.Entry{}); !r.NoAnswer || r.Everything {
		t.Errorf("nobody: %+v", r)
	}
	deaf := &world{zone: zone{mx: map[string][]*net.MX{"example.org": {{Host: "temp.example.", Pref: 10}}}}}
	if r := deaf.sendEntry(t, queue.Entry{}); !r.NoAnswer {
		t.Errorf("no DNS: %+v", r)
	}
	smart := func(o *courier.Options) { o.Smarthost = courier.Smarthost{Addr: "192.0.2.5:25"} }
	if r := nobody.sendEntry(t, queue.Entry{}, smart); !r.NoAnswer || !r.Everything {
		t.Errorf("no smarthost: %+v", r)
	}
	for _, answers := range []map[string]string{{"greet": "421 busy"}, {"RCPT": "450 later"}, {"MAIL": "hangup"}, nil} {
		if r := one(newHost(t, answers)).sendEntry(t, queue.Entry{}); r.NoAnswer || r.Everything {
			t.Errorf("%v: %+v", answers, r)
		}
	}
}

// The addresses of a host are tried in turn by family; the one that this host has a public address of comes first.
func TestFamiliesInTurn(t *testing.T) {
	w := &world{zone: zone{mx: map[string][]*net.MX{"example.org": {{Host: "mx.example.org.", Pref: 10}}},
		a: map[string][]string{"mx.example.org": {"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5", "192.0.2.1"}}}}
	for _, c := range []struct {
		own  string
		want []string
	}{
		{"192.0.2.99", []string{"192.0.2.1:25", "[2001:db8::1]:25", "[2001:db8::2]:25", "[2001:db8::3]:25", "[2001:db8::4]:25"}},
		{"2001:db8::99", []string{"[2001:db8::1]:25", "192.0.2.1:25", "[2001:db8::2]:25", "[2001:db8::3]:25", "[2001:db8::4]:25"}},
		{"fd00::1", []string{"192.0.2.1:25", "[2001:db8::1]:25", "[2001:db8::2]:25", "[2001:db8::3]:25", "[2001:db8::4]:25"}},
	} {
		w.dials = nil
		w.sendEntry(t, queue.Entry{}, func(o *courier.Options) {
			o.OwnAddresses = func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr(c.own)}, nil }
		})
		if !slices.Equal(w.dials, c.want) {
			t.Errorf("from %s: %v", c.own, w.dials)
		}
	}
}
