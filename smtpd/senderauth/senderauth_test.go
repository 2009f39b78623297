package senderauth_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uniqverse/smtpd/header"
	"uniqverse/smtpd/senderauth"
)

func TestClaimsToBe(t *testing.T) {
	for _, c := range []struct {
		value string
		ours  bool
	}{
		{"mail.test; spf=pass", true},
		{"MAIL.TEST 1; spf=pass", true},
		{"mail.test.; none", true},
		{`"mail.test"; none`, true},
		{`"ma\il.test"; none`, true},
		{"(a (nested) comment \\) here) mail.test; none", true},
		{"mail.test(comment); none", true},
		{"\tmail.test\t;none", true},
		{"", true},
		{"(never closed mail.test", true},
		{"; none", true},
		{"other.test; none", false},
		{"mail.test.evil.test; none", false},
		{"sub.mail.test; none", false},
		{"other.test (mail.test); none", false},
	} {
		if got := senderauth.ClaimsToBe(c.value, "mail.test"); got != c.ours {
			t.Errorf("%q: got %v", c.value, got)
		}
	}
}

// TestHeaderCannotBeEnded: what a peer chose cannot add a verdict to our field.
func TestHeaderCannotBeEnded(t *testing.T) {
	r := senderauth.Unchecked()
	r.Signatures = []senderauth.DKIMSignature{{Result: "fail", Domain: "a.test; dmarc=pass", Selector: "s\r\nX: y", Tag: `"\`, Reason: "bad \"quote\"\r\n"}}
	r.MailFrom.Domain = "a b"
	got := r.Header("mail.test", "", netip.Addr{})
	want := "Authentication-Results: mail.test;\r\n\tspf=none smtp.mailfrom=\"a b\";\r\n" +
		"\tdkim=fail reason=\"bad \\\"quote\\\"??\" header.d=\"a.test; dmarc=pass\" header.s=\"s??X: y\" header.b=\"\\\"\\\\\";\r\n\tdmarc=none\r\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestAllTakesItsTimeAndNoMore: every look-up is slow; together they end at the total.
func TestAllTakesItsTimeAndNoMore(t *testing.T) {
	d := dns{"a.test": {"SLOW"}, "_dmarc.a.test": {"SLOW"}, "mx.a.test": {"SLOW"}}
	c := senderauth.New(senderauth.Options{Resolver: d, LookupTime: time.Hour, TotalTime: 20 * time.Millisecond})
	fields := header.Fields([]byte("From: x@a.test\r\n\r\n"))
	r := c.Check(context.Background(), senderauth.Input{IP: netip.MustParseAddr("192.0.2.1"), HELO: "mx.a.test", MailFrom: "x@a.test", Fields: fields})
	if r.SPF != "temperror" || r.HELO.Result != "temperror" || r.DMARC != "temperror" {
		t.Errorf("%+v", r)
	}
}

// FuzzCheck: no message and no record makes the checks fail in another way than by a word.
func FuzzCheck(f *testing.F) {
	files, err := filepath.Glob("../../testdata/dkim/*.case")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, message, _ := strings.Cut(string(text), "---\n")
		f.Add([]byte(strings.ReplaceAll(message, "\n", "\r\n")), "a@example.org", "v=spf1 include:example.org ip4:1.2.3.4/8 -all")
	}
	f.Add([]byte("DKIM-Signature: v=1; a=ed25519-sha256; d=example.org; s=s; h=from; bh=; b=\r\nFrom: a@example.org\r\n\r\n"), "", "v=DMARC1; p=none")
	f.Add([]byte("DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s; h=from; bh=AA; b=AA\r\nFrom: a@example.org\r\n\r\n"), "@", "v=DKIM1; p=MCEwDQYJKoZIhvcNAQEBBQADEAAwDQIIAQAAAAAAAAECAQM=")
	words := map[senderauth.Result]bool{"none": true, "pass": true, "fail": true, "softfail": true, "neutral": true, "policy": true, "temperror": true, "permerror": true}
	f.Fuzz(func(t *testing.T, message []byte, from, record string) {
		c := senderauth.New(senderauth.Options{Resolver: everywhere(record)})
		r := c.Check(context.Background(), senderauth.Input{
			IP: netip.MustParseAddr("192.0.2.1"), HELO: from, MailFrom: from,
			Fields:  header.Fields(message[:header.End(message)]),
			Message: func() io.Reader { return bytes.NewReader(message) },
		})
		for _, w := range []senderauth.Result{r.SPF, r.DKIM, r.DMARC} {
			if !words[w] {
				t.Errorf("no such word: %q", w)
			}
		}
		h := r.Header("mail.test", "", netip.Addr{})
		rest := strings.ReplaceAll(strings.TrimSuffix(h, "\r\n"), "\r\n\t", "")
		if strings.ContainsAny(rest, "\r\n\x00") || !strings.HasSuffix(h, "\r\n") {
			t.Errorf("header %q", h)
		}
	})
}

// everywhere is DNS that has one TXT record under every name.
type everywhere string

func (e everywhere) LookupTXT(context.Context, string) ([]string, error) {
	return []string{string(e)}, nil
}

func (e everywhere) LookupMX(ctx context.Context, n string) ([]*net.MX, error) {
	return dns{}.LookupMX(ctx, n)
}

func (e everywhere) LookupIPAddr(ctx context.Context, n string) ([]net.IPAddr, error) {
	return dns{}.LookupIPAddr(ctx, n)
}

func (e everywhere) LookupAddr(ctx context.Context, n string) ([]string, error) {
	return dns{}.LookupAddr(ctx, n)
}
