package e2e_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"uniqverse/smtpd"
)

// Who sent it: SPF, DKIM and DMARC through the whole program, against a DNS server and with
// signatures that are not ours.

// nameServer is a DNS server on loopback, over UDP and TCP, for TXT and MX records.
type nameServer struct {
	addr string
	mu   sync.Mutex
	zone map[string][]string // by name in lower case, without the final dot
	lost map[string]bool     // names whose first question got lost already
	n    int                 // questions
}

func startNameServer(t testing.TB) *nameServer {
	t.Helper()
	ns := &nameServer{zone: map[string][]string{}, lost: map[string]bool{}}
	for range 20 { // the port of the one kind may be taken for the other
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err != nil {
			tcp.Close()
			continue
		}
		ns.addr = tcp.Addr().String()
		var running sync.WaitGroup
		for _, srv := range []*dns.Server{{Listener: tcp, Handler: ns}, {PacketConn: udp, Handler: ns}} {
			started := make(chan struct{})
			srv.NotifyStartedFunc = func() { close(started) }
			running.Go(func() { srv.ActivateAndServe() })
			<-started
			t.Cleanup(func() { srv.Shutdown() })
		}
		return ns
	}
	t.Fatal("no port is free for UDP and TCP alike")
	return nil
}

// publish adds a TXT record; see testdata/senders/README.md for the words that it may be.
func (ns *nameServer) publish(name, value string) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.zone[strings.ToLower(name)] = append(ns.zone[strings.ToLower(name)], value)
}

// ServeDNS implements dns.Handler.
func (ns *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	name := strings.TrimSuffix(strings.ToLower(q.Question[0].Name), ".")
	ns.mu.Lock()
	ns.n++
	values := ns.zone[name]
	_, overUDP := w.RemoteAddr().(*net.UDPAddr)
	lose := len(values) > 0 && strings.HasPrefix(values[0], "LOST ") && overUDP && !ns.lost[name]
	ns.lost[name] = ns.lost[name] || lose
	ns.mu.Unlock()
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	switch {
	case slices.Contains(values, "SLOW") || lose:
		return
	case slices.Contains(values, "FAIL"):
		m.Rcode = dns.RcodeServerFailure
	case len(values) == 0:
		m.Rcode = dns.RcodeNameError
	case q.Question[0].Qtype == dns.TypeMX:
		for _, v := range values {
			if host, ok := strings.CutPrefix(v, "MX "); ok {
				m.Answer = append(m.Answer, &dns.MX{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeMX, Class: dns.ClassINET, Ttl: 60}, Mx: dns.Fqdn(host)})
			}
		}
	case q.Question[0].Qtype == dns.TypeTXT:
		for _, v := range values {
			if strings.HasPrefix(v, "MX ") {
				continue
			}
			v = strings.TrimPrefix(v, "LOST ")
			var parts []string
			for len(v) > 255 {
				parts, v = append(parts, v[:255]), v[255:]
			}
			m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: append(parts, v)})
		}
	}
	if overUDP {
		m.Truncate(dns.MinMsgSize) // what is longer comes over TCP
	}
	w.WriteMsg(m)
}

const signingKey = "../testdata/dkim/rsa.pem"

// publicKey is the record of the key that the cases are signed with.
func publicKey(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(signingKey)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.(*rsa.PrivateKey).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

// pythonWithDKIM returns a Python that can sign, or skips the test (fails it where
// UNIQ_REQUIRE names dkim).
func pythonWithDKIM(t testing.TB) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import dkim").Run() == nil {
			return python
		}
	}
	if slices.Contains(strings.Split(os.Getenv("UNIQ_REQUIRE"), ","), "dkim") {
		t.Fatal("python3-dkim is required here and not installed: apt-get install python3-dkim")
	}
	t.Skip("python3-dkim is not installed: apt-get install python3-dkim")
	return ""
}

// senderCase is a file of testdata/senders.
type senderCase struct {
	t          testing.TB
	helo, from string
	want       string   // what the checks find; "" when even a server that records refuses it
	refused    string   // what a server that enforces answers: "550 5.7.26 rule"; "" when it takes it
	has        []string // "+text" or "-text"
	message    string   // with CRLF
}

// readSenderCase reads a case, publishes its records and signs its message.
func readSenderCase(t testing.TB, file string, ns *nameServer) *senderCase {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	domain := "c" + filepath.Base(file)[:2] + ".example"
	scene, message, ok := strings.Cut(strings.ReplaceAll(string(text), "DOMAIN", domain), "---\n")
	if !ok {
		t.Fatalf("%s has no message", file)
	}
	c := &senderCase{t: t, message: strings.ReplaceAll(message, "\n", "\r\n")}
	for line := range strings.SplitSeq(scene, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "":
		case "helo":
			c.helo = rest
		case "from":
			c.from = rest
		case "txt":
			name, value, _ := strings.Cut(rest, " ")
			if head, isKey := strings.CutSuffix(value, "KEY"); isKey {
				value = head + publicKey(t)
			}
			ns.publish(name, value)
		case "sign":
			c.sign(strings.Fields(rest)...)
		case "change":
			old, to, ok := strings.Cut(rest, " => ")
			to, err := strconv.Unquote(`"` + to + `"`)
			if !ok || err != nil || strings.Count(c.message, old) != 1 {
				t.Fatalf("%s: change %q: not once in the message (%v)\n%s", file, old, err, c.message)
			}
			c.message = strings.Replace(c.message, old, to, 1)
		case "mx":
			name, host, _ := strings.Cut(rest, " ")
			ns.publish(name, "MX "+host)
		case "refused":
			c.refused = rest
		case "want":
			c.want = rest
		case "has":
			c.has = append(c.has, "+"+rest)
		case "hasnot":
			c.has = append(c.has, "-"+rest)
		default:
			t.Fatalf("%s: no such word: %s", file, word)
		}
	}
	return c
}

// sign puts a signature by python3-dkim above the message.
func (c *senderCase) sign(domainAndSelector ...string) {
	c.t.Helper()
	cmd := exec.Command(pythonWithDKIM(c.t), append([]string{"testdata/sign.py", signingKey}, domainAndSelector...)...)
	cmd.Stdin = strings.NewReader(c.message)
	var problem strings.Builder
	cmd.Stderr = &problem
	signed, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(signed), "DKIM-Signature:") {
		c.t.Fatalf("sign: %v %s", err, problem.String())
	}
	c.message = string(signed)
}

// deliver hands the message over as the case's host does; the server answers it, at RCPT or at the end, with a
// reply that starts with want.
func (c *senderCase) deliver(s *system, user, want string) {
	c.t.Helper()
	peer := dialWire(c.t, s.mx())
	peer.say("EHLO "+c.helo, "250")
	peer.say("MAIL FROM:<"+c.from+">", "250")
	peer.send("RCPT TO:<" + user + "@vezeuniqverse.com>\r\n")
	reply := peer.reply()
	if strings.HasPrefix(reply, "250") {
		peer.say("DATA", "354")
		peer.send(strings.ReplaceAll("\r\n"+c.message, "\r\n.", "\r\n..")[2:] + ".\r\n")
		reply = peer.reply()
	}
	if !strings.HasPrefix(reply, want) {
		c.t.Fatalf("the server says %q, want %s", reply, want)
	}
	peer.say("QUIT", "221")
}

// enforced delivers the message to a server that enforces its policy, and asks it why the message was not taken.
func (c *senderCase) enforced(s *system, user string) {
	c.t.Helper()
	if c.refused == "" {
		c.deliver(s, user, "250 2.0.0 ")
		return
	}
	reply, rule, _ := cutLast(c.refused, " ")
	c.deliver(s, user, reply+" ")
	var list struct{ Refusals []map[string]any }
	eventually(c.t, "the refusal can be looked up", func() bool {
		s.get(200, "email/api/refusals?user="+user+"&access_token=demo").JSON(c.t, &list)
		return len(list.Refusals) > 0
	})
	r := list.Refusals[0]
	if r["rule"] != rule || r["to"] != user+"@vezeuniqverse.com" || r["from"] != strings.ToLower(c.from) || !strings.HasPrefix(reply, fmt.Sprint(r["code"])) || r["text"] == "" {
		c.t.Errorf("the journal has %v, want %s", r, c.refused)
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func TestSMTPKnownSenders(t *testing.T) {
	pythonWithDKIM(t)
	files, err := filepath.Glob("testdata/senders/*.case")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	ns := startNameServer(t)
	s, strict := start(t, "EMAIL_DNS="+ns.addr), start(t, "EMAIL_DNS="+ns.addr, "EMAIL_POLICY=enforce", "VEZE_JWT_DEMO=1")
	blanks := regexp.MustCompile(`[\r\n\t ]+`)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".case")
		t.Run(name, func(t *testing.T) {
			c := readSenderCase(t, file, ns)
			user := "case" + name[:2]
			c.enforced(strict, user)
			if c.want == "" {
				reply, _, _ := cutLast(c.refused, " ")
				c.deliver(s, user, reply+" ")
				return
			}
			c.deliver(s, user, "250 2.0.0 ")
			list := s.inbox(user)
			if len(list) != 1 {
				t.Fatalf("%d messages came, want 1", len(list))
			}
			if got := fmt.Sprintf("spf=%s dkim=%s dmarc=%s", list[0].Auth.SPF, list[0].Auth.DKIM, list[0].Auth.DMARC); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			raw := s.raw(list[0])
			if !strings.HasPrefix(raw, "Authentication-Results: vezeuniqverse.com;") {
				t.Errorf("our verdict does not come first:\n%s", raw)
			}
			flat := blanks.ReplaceAllString(raw, " ")
			for _, h := range c.has {
				if text := h[1:]; strings.Contains(flat, text) != (h[0] == '+') {
					t.Errorf("is %q in the message? want %c\n%s", text, h[0], raw)
				}
			}
		})
	}
}

// Mail comes in whatever becomes of DNS, and soon: the checks have 5 s in all.
func TestSMTPTakesMailWithoutDNS(t *testing.T) {
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	for what, dns := range map[string]string{"nobody answers at its port": closed.LocalAddr().String(), "it says nothing": silent.LocalAddr().String(), "it is off": "off"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := start(t, "EMAIL_DNS="+dns)
			peer := dialWire(t, s.mx())
			peer.say("EHLO mx.peer.test", "250")
			peer.data("a@peer.test", "pilot@vezeuniqverse.com")
			// More signatures than are checked, each with a name of its own to look up.
			var signatures strings.Builder
			for i := range 8 {
				fmt.Fprintf(&signatures, "DKIM-Signature: v=1; a=rsa-sha256; d=d%d.test; s=s; h=From; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n", i)
			}
			began := time.Now()
			peer.send(signatures.String() + letter("a@peer.test", "pilot@vezeuniqverse.com", "no DNS", "x") + ".\r\n")
			peer.want("250 2.0.0 ")
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("it took %s", took)
			}
			m := s.withSubject("pilot", "no DNS")
			if m.Auth.SPF != "temperror" || m.Auth.DKIM != "temperror" || m.Auth.DMARC != "temperror" {
				t.Errorf("auth is %+v, want temperror", m.Auth)
			}
		})
	}
}

// Nothing is looked up for a user of ours.
func TestSMTPSubmissionAsksNoDNS(t *testing.T) {
	ns := startNameServer(t)
	ns.publish("vezeuniqverse.com", "v=spf1 -all")
	s := start(t, "EMAIL_DNS="+ns.addr)
	password := s.appPassword("sender")
	s.swaks(smtpd.Submissions, 0, "250 2.0.0", "--tls-on-connect", "--auth", "PLAIN", "--auth-user", "sender", "--auth-password", password,
		"--from", "sender@vezeuniqverse.com", "--to", "pilot@vezeuniqverse.com", "--header", "Subject: ours")
	if m := s.withSubject("pilot", "ours"); m.Auth.SPF != "none" {
		t.Errorf("auth is %+v", m.Auth)
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.n != 0 {
		t.Errorf("%d questions were asked", ns.n)
	}
}
