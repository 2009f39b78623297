package senderauth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"uniqverse/smtpd/header"
	"uniqverse/smtpd/senderauth"
)

// TestCases judges every message in testdata/dkim. A case is a file: lines that set the scene
// and say what is wanted, "---", the message. README.md there tells the words.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("../../testdata/dkim/*.case")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".case"), func(t *testing.T) {
			t.Parallel()
			c := readCase(t, file)
			r := c.check()
			if got := c.summary(r); got != c.want {
				t.Errorf("got  %s\nwant %s\n%+v", got, c.want, r)
			}
			if strings.HasPrefix(filepath.Base(file), "ck-") && r.DMARC == senderauth.Pass {
				t.Error("the evasion works")
			}
			if got := c.peer(r); c.host != "" && got != c.host {
				t.Errorf("got  %s\nwant %s\n%+v", got, c.host, r)
			}
			for _, h := range c.headers {
				if got := r.Header("mail.test", "", c.in.IP); !strings.Contains(got, h) {
					t.Errorf("%q is not in\n%s", h, got)
				}
			}
		})
	}
}

type testCase struct {
	t       *testing.T
	in      senderauth.Input
	lists   []string
	host    string // wanted of the peer; "" is not looked at
	dns     dns
	message []byte
	want    string
	headers []string
}

func readCase(t *testing.T, file string) *testCase {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	scene, message, _ := strings.Cut(string(text), "---\n")
	c := &testCase{t: t, dns: dns{}, message: []byte(strings.ReplaceAll(message, "\n", "\r\n"))}
	for line := range strings.SplitSeq(scene, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "", "#":
		case "ip":
			c.in.IP = netip.MustParseAddr(rest)
		case "helo":
			c.in.HELO = unquote(t, rest)
		case "from":
			c.in.MailFrom = unquote(t, rest)
		case "txt":
			name, value, _ := strings.Cut(rest, " ")
			if key, ok := strings.CutPrefix(value, "KEY "); ok {
				value = publicKey(t, key)
			}
			c.dns[name] = append(c.dns[name], value)
		case "a", "mx", "ptr":
			name, value, _ := strings.Cut(rest, " ")
			c.dns[word+" "+name] = append(c.dns[word+" "+name], value)
		case "list":
			c.lists = append(c.lists, rest)
		case "host":
			c.host = rest
		case "sign":
			c.sign(rest)
		case "change":
			old, to, ok := strings.Cut(rest, " => ")
			if !ok || !bytes.Contains(c.message, []byte(old)) {
				t.Fatalf("change %q: not in the message", old)
			}
			c.message = bytes.Replace(c.message, []byte(old), []byte(unquote(t, to)), 1)
		case "many":
			n, line, _ := strings.Cut(rest, " ")
			k, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			c.message = append(bytes.Repeat([]byte(line+"\r\n"), k), c.message...)
		case "cut":
			c.message = bytes.TrimRight(c.message, "\r\n")
		case "want":
			c.want = rest
		case "header":
			c.headers = append(c.headers, rest)
		default:
			t.Fatalf("%s: no such word: %s", file, word)
		}
	}
	return c
}

func unquote(t *testing.T, s string) string {
	u, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// sign puts a signature above the message: "d=… s=… key=rsa [x=…] [h=From:Subject]".
func (c *testCase) sign(rest string) {
	o := &dkim.SignOptions{HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed}
	for tag := range strings.FieldsSeq(rest) {
		k, v, _ := strings.Cut(tag, "=")
		switch k {
		case "d":
			o.Domain = v
		case "s":
			o.Selector = v
		case "key":
			o.Signer = privateKey(c.t, v)
		case "x":
			n, _ := strconv.ParseInt(v, 10, 64)
			o.Expiration = time.Unix(n, 0)
		case "h":
			o.HeaderKeys = strings.Split(v, ":")
		}
	}
	var out bytes.Buffer
	if err := dkim.Sign(&out, bytes.NewReader(c.message), o); err != nil {
		c.t.Fatal(err)
	}
	c.message = out.Bytes()
}

func (c *testCase) check() senderauth.Results {
	c.in.Fields = header.Fields(c.message[:header.End(c.message)])
	c.in.Message = func() io.Reader { return bytes.NewReader(c.message) }
	checker := senderauth.New(senderauth.Options{Resolver: c.dns, LookupTime: 20 * time.Millisecond, TotalTime: time.Minute, Blocklists: c.lists})
	return checker.Check(context.Background(), c.in)
}

// summary writes the verdicts in the order that a case wants them.
func (c *testCase) summary(r senderauth.Results) string {
	s := fmt.Sprintf("spf=%s helo=%s dkim=%s dmarc=%s", r.SPF, r.HELO.Result, r.DKIM, r.DMARC)
	for _, sig := range r.Signatures {
		s += " sig=" + string(sig.Result)
		if sig.Aligned {
			s += "/aligned"
		}
	}
	if r.Author.Policy != "" {
		s += " policy=" + r.Author.Policy
	}
	return s
}

// peer writes what was found about the host that brought the message.
func (c *testCase) peer(r senderauth.Results) string {
	s := fmt.Sprintf("iprev=%s sender=%s", r.Peer.Result, r.Sender.Result)
	if r.Sender.NullMX {
		s += "/null_mx"
	}
	for _, l := range r.Listed {
		s += " listed=" + l.Zone + "/" + l.Answer
	}
	return s
}

func privateKey(t *testing.T, name string) crypto.Signer {
	text, err := os.ReadFile("../../testdata/dkim/" + name + ".pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(crypto.Signer)
}

func publicKey(t *testing.T, name string) string {
	if name == "short" {
		return "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAOUvtHg+UFjW0X2fGp2u/co1OdGMEYj4vBBq1w9oqo43avYlylUpmkosvpKQkR03UML8nl9Hrp8E1/JJRD864PUCAwEAAQ=="
	}
	pub := privateKey(t, name).Public()
	if ed, ok := pub.(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(ed)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

// dns is TXT records by name, and "a name", "mx name" and "ptr address"; the values FAIL and SLOW stand for a
// server that answers SERVFAIL, or not at all.
type dns map[string][]string

func (d dns) ask(ctx context.Context, key, name string) ([]string, error) {
	v := d[key+strings.ToLower(strings.TrimSuffix(name, "."))]
	switch {
	case len(v) == 0:
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case v[0] == "FAIL":
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	case v[0] == "SLOW":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return v, nil
}

func (d dns) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return d.ask(ctx, "", name)
}

func (d dns) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	hosts, err := d.ask(ctx, "mx ", name)
	var out []*net.MX
	for i, h := range hosts {
		out = append(out, &net.MX{Host: h, Pref: uint16(i)})
	}
	return out, err
}

func (d dns) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	addrs, err := d.ask(ctx, "a ", name)
	var out []net.IPAddr
	for _, a := range addrs {
		out = append(out, net.IPAddr{IP: net.ParseIP(a)})
	}
	return out, err
}

func (d dns) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return d.ask(ctx, "ptr ", addr)
}
