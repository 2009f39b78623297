package mtasts_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"uniqverse/services/email/mtasts"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n", "enforce [mail.example.com *.example.net] 168h0m0s"},
		{"version:STSv1\r\nmode:testing\r\nmx:MAIL.example.com.\r\nmax_age:1\r\nother: x\r\n\r\n", "testing [mail.example.com] 1s"},
		{"version: STSv1\nmode: none\nmax_age: 86400", "none [] 24h0m0s"},
		{"version: STSv1\nmode: none\nmode: enforce\nmax_age: 86400", "none [] 24h0m0s"},
		{"version: STSv1\nmode: none\nmax_age: 9999999999", "none [] 8766h0m0s"},
		{"mode: enforce\nmx: a.example\nmax_age: 1", ""}, {"version: STSv2\nmode: none\nmax_age: 1", ""}, {"version: STSv1\nmode: enforce\nmax_age: 1", ""},
		{"version: STSv1\nmode: strict\nmx: a\nmax_age: 1", ""}, {"version: STSv1\nmode: none\nmax_age: -1", ""}, {"version: STSv1\nmode: none\nmax_age: 1h", ""},
		{"version: STSv1\nmode: none", ""}, {"<html>", ""}, {"", ""}, {"version: STSv1\nmode: testing\nmax_age: 1\n" + strings.Repeat("mx: a.example\n", 101), ""},
	} {
		p, err := mtasts.Parse([]byte(c.text))
		got := ""
		if err == nil {
			got = string(p.Mode) + " [" + strings.Join(p.MX, " ") + "] " + p.MaxAge.String()
		}
		if got != c.want {
			t.Errorf("%.60q: %q (%v), want %q", c.text, got, err, c.want)
		}
	}
}

func TestMatches(t *testing.T) {
	p := mtasts.Policy{MX: []string{"mail.example.com", "*.example.net"}}
	for host, want := range map[string]bool{"mail.example.com": true, "MAIL.example.com.": true, "a.example.net": true, "example.net": false, "a.b.example.net": false, "mail.example.com.evil.example": false, "": false} {
		if p.Matches(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("version: STSv1\nmode: enforce\nmx: mail.example.com\nmax_age: 604800\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := mtasts.Parse(text)
		if err != nil {
			return
		}
		again, err := mtasts.Parse([]byte(p.Text()))
		if err != nil || again.Mode != p.Mode || again.MaxAge != p.MaxAge || len(again.MX) != len(p.MX) {
			t.Errorf("%q is written as %q and read as %+v, %v", text, p.Text(), again, err)
		}
	})
}

func TestPublic(t *testing.T) {
	for a, want := range map[string]bool{"8.8.8.8": true, "2606:4700::1": true, "127.0.0.1": false, "10.0.0.1": false, "172.16.9.9": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "255.255.255.255": false, "224.0.0.1": false, "198.18.0.1": false, "::1": false, "::": false, "fe80::1": false, "fd00::1": false,
		"::ffff:10.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001::1": false, "::127.0.0.1": false} {
		if mtasts.Public(netip.MustParseAddr(a)) != want {
			t.Errorf("%s: %v", a, !want)
		}
	}
	if mtasts.Public(netip.Addr{}) {
		t.Error("no address at all")
	}
}

// zone answers by name; an error is as *net.DNSError.
type zone struct {
	txt  map[string][]string
	addr string
}

func (z *zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	if r, ok := z.txt[name]; ok {
		return r, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (z *zone) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	return []net.IPAddr{{IP: net.ParseIP(z.addr)}}, nil
}

// memory is a Cache.
type memory struct {
	saved map[string]mtasts.Policy
	err   error
}

func (m *memory) STSPolicy(_ context.Context, domain string) (mtasts.Policy, error) {
	return m.saved[domain], m.err
}

func (m *memory) SaveSTSPolicy(_ context.Context, domain string, p mtasts.Policy) error {
	m.saved[domain] = p
	return nil
}

// pair is a certificate for a name, and the roots that know it.
func pair(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
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

const enforce = "version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 3600\n"

// What is fetched, what is refused, and what holds all the same.
func TestPolicy(t *testing.T) {
	cert, roots := pair(t, "mta-sts.example.org")
	_, strangers := pair(t, "mta-sts.example.org")
	answer := func(kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/.well-known/mta-sts.txt" || r.Host != "mta-sts.example.org" {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(text))
		}
	}
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		txt   []string
		addr  string
		roots *x509.CertPool
		want  mtasts.Mode // with nothing saved; what was saved holds where this is ""
		asked int64
	}{
		{"as it should be", answer("text/plain; charset=utf-8", enforce), []string{"v=STSv1; id=2;"}, "8.8.8.8", roots, mtasts.Enforce, 1},
		{"no record", answer("text/plain", enforce), nil, "8.8.8.8", roots, "", 0},
		{"two records", answer("text/plain", enforce), []string{"v=STSv1; id=2", "v=STSv1; id=3"}, "8.8.8.8", roots, "", 0},
		{"an odd id", answer("text/plain", enforce), []string{"v=STSv1; id=../2"}, "8.8.8.8", roots, "", 0},
		{"a web page", answer("text/html", enforce), []string{"v=STSv1; id=2"}, "8.8.8.8", roots, "", 1},
		{"not there", http.NotFound, []string{"v=STSv1; id=2"}, "8.8.8.8", roots, "", 1},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/.well-known/mta-sts.txt" {
				http.Redirect(w, r, "/other", http.StatusFound)
				return
			}
			answer("text/plain", enforce)(w, r)
		}, []string{"v=STSv1; id=2"}, "8.8.8.8", roots, "", 1},
		{"too large", answer("text/plain", enforce+strings.Repeat("x: y\n", 20_000)), []string{"v=STSv1; id=2"}, "8.8.8.8", roots, "", 1},
		{"a private address", answer("text/plain", enforce), []string{"v=STSv1; id=2"}, "10.0.0.1", roots, "", 0},
		{"our own address", answer("text/plain", enforce), []string{"v=STSv1; id=2"}, "127.0.0.1", roots, "", 0},
		{"nobody we know", answer("text/plain", enforce), []string{"v=STSv1; id=2"}, "8.8.8.8", strangers, "", 0},
	} {
		asked := new(atomic.Int64)
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); c.serve(w, r) }))
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		srv.StartTLS()
		for _, before := range []mtasts.Policy{{}, {ID: "1", Mode: mtasts.Testing, MX: []string{"old.example.org"}, Expires: time.Now().Add(time.Hour)}, {ID: "1", Mode: mtasts.Testing, Expires: time.Now().Add(-time.Hour)}} {
			asked.Store(0)
			m := &memory{saved: map[string]mtasts.Policy{"example.org": before}}
			z := &zone{txt: map[string][]string{}, addr: c.addr}
			if c.txt != nil {
				z.txt["_mta-sts.example.org"] = c.txt
			}
			cl, err := mtasts.New(mtasts.Options{Resolver: z, Cache: m, Log: slog.New(slog.DiscardHandler), Now: time.Now, Roots: c.roots, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != "8.8.8.8:443" {
					return nil, errors.New("dialled " + addr)
				}
				return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
			}})
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if want == "" && before.Expires.After(time.Now()) {
				want = before.Mode
			}
			for range 2 { // the second time is answered from the cache, or by the memory of a failure
				p, err := cl.Policy(t.Context(), "example.org")
				if err != nil || p.Mode != want {
					t.Errorf("%s, before %q: %+v, %v, want %q", c.name, before.Mode, p, err, want)
				}
			}
			if asked.Load() != c.asked {
				t.Errorf("%s: the web server was asked %d times", c.name, asked.Load())
			}
			if c.want != "" && (m.saved["example.org"].ID != "2" || !m.saved["example.org"].Expires.After(time.Now().Add(59*time.Minute))) {
				t.Errorf("%s: saved %+v", c.name, m.saved)
			}
		}
		srv.Close()
	}
	broken, err := mtasts.New(mtasts.Options{Resolver: &zone{}, Cache: &memory{err: errors.New("disk")}, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broken.Policy(t.Context(), "example.org"); err == nil {
		t.Error("nobody knows what was promised, and no error says so")
	}
}
