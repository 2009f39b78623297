package senderauth_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"uniqverse/smtpd/senderauth"
)

func TestParseDMARC(t *testing.T) {
	for _, c := range []struct {
		txt    string
		is, ok bool
		want   senderauth.DMARCRecord
	}{
		{"v=DMARC1; p=reject", true, true, senderauth.DMARCRecord{Policy: "reject", PublicSuffix: 'u'}},
		{"v = DMARC1 ;p=Quarantine;sp=NONE ; np=reject;", true, true, senderauth.DMARCRecord{Policy: "quarantine", Subdomain: "none", NonExistent: "reject", PublicSuffix: 'u'}},
		{"v=DMARC1; aspf=s; adkim=S; t=y; psd=y; fo=1", true, true, senderauth.DMARCRecord{Policy: "none", StrictSPF: true, StrictDKIM: true, Testing: true, PublicSuffix: 'y'}},
		{"v=DMARC1; aspf=x; t=maybe; psd=z; =; ;; q", true, true, senderauth.DMARCRecord{Policy: "none", PublicSuffix: 'u'}},
		{"v=DMARC1; p=none; rua=mailto:a@example.org!10m,https://x.test/r, MAILTO:b%2Bc@example.org,mailto:,mailto:x", true, true,
			senderauth.DMARCRecord{Policy: "none", PublicSuffix: 'u', Reports: []string{"a@example.org", "b+c@example.org"}}},
		{"v=DMARC1; p=block", true, false, senderauth.DMARCRecord{Policy: "none", PublicSuffix: 'u'}},
		{"v=DMARC1; p=reject; sp=x; rua=mailto:a@b.c", true, true, senderauth.DMARCRecord{Policy: "none", PublicSuffix: 'u', Reports: []string{"a@b.c"}}},
		{"v=DMARC1; rua=mailto:a@b.c%0d%0aBcc:x@y.z", true, true, senderauth.DMARCRecord{Policy: "none", PublicSuffix: 'u'}},
		{"v=DMARC1", true, true, senderauth.DMARCRecord{Policy: "none", PublicSuffix: 'u'}},
		{"v=dmarc1; p=reject", false, false, senderauth.DMARCRecord{}},
		{"p=reject; v=DMARC1", false, false, senderauth.DMARCRecord{}},
		{"v=DMARC12", false, false, senderauth.DMARCRecord{}},
		{"", false, false, senderauth.DMARCRecord{}},
	} {
		rec, is, ok := senderauth.ParseDMARC(c.txt)
		if is != c.is || ok != c.ok || rec.Policy != c.want.Policy || rec.Subdomain != c.want.Subdomain || rec.NonExistent != c.want.NonExistent || rec.StrictSPF != c.want.StrictSPF ||
			rec.StrictDKIM != c.want.StrictDKIM || rec.Testing != c.want.Testing || rec.PublicSuffix != c.want.PublicSuffix || strings.Join(rec.Reports, " ") != strings.Join(c.want.Reports, " ") {
			t.Errorf("%q: got %+v, %v, %v", c.txt, rec, is, ok)
		}
	}
}

// FuzzDMARC reads whatever stands in the DNS: what comes out is one of few words, and addresses that can stand in a
// header.
func FuzzDMARC(f *testing.F) {
	for _, s := range []string{"v=DMARC1; p=reject; sp=none; np=quarantine; t=y; psd=n; rua=mailto:a@b.c,mailto:d@e.f!1g", "v=DMARC1;p=;=;;", "v=DMARC1; rua=mailto:%00@x"} {
		f.Add(s)
	}
	words := map[string]bool{"": true, "none": true, "quarantine": true, "reject": true}
	f.Fuzz(func(t *testing.T, s string) {
		rec, is, _ := senderauth.ParseDMARC(s)
		if !words[rec.Policy] || !words[rec.Subdomain] || !words[rec.NonExistent] || is && rec.Policy == "" || len(rec.Reports) > 10 {
			t.Errorf("%q: %+v", s, rec)
		}
		for _, a := range rec.Reports {
			if strings.ContainsAny(a, " \t\r\n<>\",;\x00") || !strings.Contains(a, "@") {
				t.Errorf("%q: address %q", s, a)
			}
		}
	})
}

// FuzzSPF judges by whatever record stands in the DNS, under every name: it ends, in one of the words.
func FuzzSPF(f *testing.F) {
	for _, s := range []string{"v=spf1 a:%{d}/24//64 mx ip4:192.0.2.0/24 ip6:2001:db8::/32 exists:%{ir}.%{v}._spf.%{d2} ptr:x.test include:y.test ~all", "v=spf1 redirect=%{p2r-}.test exp=%{h}.x", "v=spf1 a:b/c.test -all", "v=spf1 %"} {
		f.Add(s)
	}
	words := map[senderauth.Result]bool{"none": true, "pass": true, "fail": true, "softfail": true, "neutral": true, "temperror": true, "permerror": true}
	f.Fuzz(func(t *testing.T, s string) {
		c := senderauth.New(senderauth.Options{Resolver: everywhere(s)})
		r := c.Check(context.Background(), senderauth.Input{IP: netip.MustParseAddr("192.0.2.1"), HELO: "mx.example.org", MailFrom: "a@example.org"})
		if !words[r.SPF] {
			t.Errorf("%q: no such word: %q", s, r.SPF)
		}
	})
}

// A DNS that lies, with records that are as long as may be and names that lead everywhere, costs look-ups that are
// counted and no more (rows 42 and 43).
func TestLyingDNS(t *testing.T) {
	for name, txt := range map[string]string{
		"a long record":      "v=spf1 " + strings.Repeat("ip4:198.51.100.1 ", 3800) + "-all",
		"a long bad record":  "v=spf1 " + strings.Repeat("%{", 30_000),
		"macros":             "v=spf1 exists:" + strings.Repeat("%{d}", 16_000) + ".test -all",
		"a loop":             "v=spf1 include:example.org redirect=example.org",
		"many includes":      "v=spf1 " + strings.Repeat("include:a.test ", 4000) + "-all",
		"includes in 8 KB":   "v=spf1 " + strings.Repeat("include:a.test ", 540) + "-all",
		"macros in 8 KB":     "v=spf1 exists:" + strings.Repeat("%{d}", 2000) + ".test -all",
		"DMARC of many tags": "v=DMARC1; " + strings.Repeat("p=reject; ", 6000),
		"DMARC of addresses": "v=DMARC1; p=none; rua=" + strings.Repeat("mailto:a@b.c,", 5000),
		"octets":             "v=spf1 \x00\xff\r\n -all",
	} {
		d := &counting{dns: everywhere(txt)}
		c := senderauth.New(senderauth.Options{Resolver: d})
		r := c.Check(t.Context(), senderauth.Input{IP: netip.MustParseAddr("192.0.2.1"), HELO: "mx.example.org", MailFrom: "a@example.org"})
		if r.SPF == senderauth.Pass || d.n > 60 {
			t.Errorf("%s: spf=%s after %d look-ups", name, r.SPF, d.n)
		}
	}
}

// counting counts the look-ups that reach a DNS.
type counting struct {
	dns senderauth.Resolver
	mu  sync.Mutex
	n   int
}

func (c *counting) count() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func (c *counting) LookupTXT(ctx context.Context, n string) ([]string, error) {
	c.count()
	return c.dns.LookupTXT(ctx, n)
}

func (c *counting) LookupMX(ctx context.Context, n string) ([]*net.MX, error) {
	c.count()
	return c.dns.LookupMX(ctx, n)
}

func (c *counting) LookupIPAddr(ctx context.Context, n string) ([]net.IPAddr, error) {
	c.count()
	return c.dns.LookupIPAddr(ctx, n)
}

func (c *counting) LookupAddr(ctx context.Context, n string) ([]string, error) {
	c.count()
	return c.dns.LookupAddr(ctx, n)
}
