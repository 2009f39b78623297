package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"uniqverse/services/email/signer"
)

// Other people's mail servers and verifiers, against the whole program.

// freePort is a port that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// pemPair writes a self-signed pair for a name.
func pemPair(t testing.TB, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// mailServer is how a Postfix is to be.
type mailServer struct {
	transports map[string]string // where mail goes by domain: an SMTP server as host:port, over TLS always
	settings   []string          // further lines of main.cf
	listeners  map[string]string // further ports on loopback, and the options of their smtpd
	files      map[string]string // what else lies in its folder
	prepare    func(dir string)  // unless nil, does the rest to the folder; DIR in the texts above stands for it
}

// startPostfix runs Debian's Postfix in a folder of its own, on a loopback port that it returns.
func startPostfix(t *testing.T, like mailServer) (addr, log string) {
	t.Helper()
	postfix := tool(t, "postfix")
	if os.Getuid() != 0 {
		t.Skip("Postfix is started by root alone")
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Skip("there is no user postfix")
	}
	dir, err := os.MkdirTemp("", "uqpf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	uid, _ := strconv.Atoi(owner.Uid)
	for _, d := range []string{"", "conf", "spool", "data"} {
		d = filepath.Join(dir, d)
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(filepath.Join(dir, "data"), uid, -1); err != nil {
		t.Fatal(err)
	}
	cert, key := pemPair(t, dir, "postfix.test")
	port, log := freePort(t), filepath.Join(dir, "mail.log")
	var routes []string
	for domain, to := range like.transports {
		host, p, _ := net.SplitHostPort(to)
		routes = append(routes, fmt.Sprintf("{%s = smtp:[%s]:%s}", domain, host, p))
	}
	main := strings.Join([]string{"compatibility_level = 3.6", "queue_directory = " + dir + "/spool", "data_directory = " + dir + "/data", "maillog_file = " + log, "maillog_file_prefixes = " + dir,
		"command_directory = /usr/sbin", "daemon_directory = /usr/lib/postfix/sbin", "mail_owner = postfix", "setgid_group = postdrop", "myhostname = postfix.test", "mydestination =", "local_recipient_maps =",
		"alias_maps =", "alias_database =", "mynetworks = 127.0.0.0/8", "inet_interfaces = 127.0.0.1", "inet_protocols = ipv4", "smtp_tls_security_level = encrypt", "smtpd_tls_security_level = may",
		"smtpd_tls_cert_file = " + cert, "smtpd_tls_key_file = " + key, "smtpd_tls_received_header = yes", "smtp_dns_support_level = disabled", "smtp_host_lookup = native", "minimal_backoff_time = 300s",
		"transport_maps = inline:{" + strings.Join(routes, ", ") + "}", "multi_instance_enable = no", ""}, "\n") + strings.Join(like.settings, "\n") + "\n"
	services := "127.0.0.1:" + port + " inet n - n - - smtpd\n"
	for port, options := range like.listeners {
		services += "127.0.0.1:" + port + " inet n - n - - smtpd " + options + "\n"
	}
	for _, s := range []string{"pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "tlsmgr unix - - n 1000? 1 tlsmgr", "rewrite unix - - n - - trivial-rewrite",
		"bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap",
		"smtp unix - - n - - smtp", "relay unix - - n - - smtp", "error unix - - n - - error", "retry unix - - n - - error", "discard unix - - n - - discard", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache",
		"postlog unix-dgram n - n - 1 postlogd"} {
		services += s + "\n"
	}
	conf := filepath.Join(dir, "conf")
	files := map[string]string{"conf/main.cf": main, "conf/master.cf": services}
	maps.Copy(files, like.files)
	for name, text := range files {
		name = filepath.Join(dir, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o644),
			os.Chmod(filepath.Dir(name), 0o755), os.Chmod(name, 0o644)) // whatever the umask is
		if err != nil {
			t.Fatal(err)
		}
	}
	if like.prepare != nil {
		like.prepare(dir)
	}
	if out, err := exec.Command(postfix, "-c", conf, "start").CombinedOutput(); err != nil {
		text, _ := os.ReadFile(log)
		t.Fatalf("postfix start: %v\n%s\n%s", err, out, text)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(postfix, "-c", conf, "stop").CombinedOutput(); err != nil {
			t.Errorf("postfix stop: %v\n%s", err, out)
		}
	})
	addr = "127.0.0.1:" + port
	eventually(t, "Postfix listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return addr, log
}

// Postfix takes our mail as a smarthost over TLS, and hands it to another installation over TLS; what that one refuses comes
// back to us from Postfix as its bounce.
func TestPostfixTakesAndDelivers(t *testing.T) {
	far := start(t, "DOMAIN_GATE=far.test", "VEZE_JWT_DEMO=1")
	near := prepare(t, "DOMAIN_GATE=near.test", "EMAIL_SMTP_25="+freePort(t))
	addr, log := startPostfix(t, mailServer{transports: map[string]string{"far.test": far.mx(), "near.test": "127.0.0.1:" + near.env["EMAIL_SMTP_25"]}})
	near.env["EMAIL_SMARTHOST"] = addr
	near.boot()
	t.Cleanup(near.end)
	defer func() {
		if text, err := os.ReadFile(log); t.Failed() && err == nil {
			t.Logf("Postfix says\n%s", text)
		}
	}()
	send := func(to, subject string) {
		t.Helper()
		near.post(202, "email/jmap/send", `{"to":"`+to+`","subject":"`+subject+`","text":"hello\n.\n..dots\n"}`, "Authorization", "Bearer demo", "Content-Type", "application/json")
	}
	send("bob@far.test", "through postfix")
	eventually(t, "bob has the mail", func() bool { return len(far.inbox("bob")) == 1 })
	raw := far.raw(far.withSubject("bob", "through postfix"))
	for _, want := range []string{"by postfix.test (Postfix) with ESMTPS", " with ESMTPS id ", "\r\n.\r\n..dots\r\n", "DKIM-Signature: "} {
		if !strings.Contains(raw, want) {
			t.Errorf("the mail lacks %q:\n%s", want, raw)
		}
	}
	if n := strings.Count(raw, "DKIM-Signature: "); n != 2 {
		t.Errorf("%d signatures", n)
	}
	send("x@elsewhere.test", "to nowhere")
	eventually(t, "Postfix's bounce is in demo's inbox", func() bool {
		for _, m := range near.inbox("demo") {
			if strings.HasPrefix(m.Subject, "Undelivered Mail") {
				return true
			}
		}
		return false
	})
}

// Debian's libopendkim accepts both of our signatures, and none when the mail was changed. This program of it signs with
// SHA-1 alone, which we know and do not count (RFC 8301); python3-dkim's signatures pass in TestSMTPKnownSenders.
func TestOpendkimAgrees(t *testing.T) {
	testmsg := tool(t, "opendkim-testmsg")
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("only root can give a program a DNS of its own")
	}
	ns := startNameServer(t)
	const resolver = "127.77.0.1"
	for _, network := range []string{"udp", "tcp"} {
		srv := &dns.Server{Addr: resolver + ":53", Net: network, Handler: ns}
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		failed := make(chan error, 1)
		go func() { failed <- srv.ListenAndServe() }()
		select {
		case err := <-failed:
			t.Skipf("no DNS server on port 53: %v", err)
		case <-started:
			t.Cleanup(func() { srv.Shutdown(); <-failed })
		}
	}
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver "+resolver+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(message string, args ...string) (string, error) {
		t.Helper()
		cmd := exec.Command("unshare", append([]string{"-m", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, conf, testmsg}, args...)...)
		cmd.Stdin = strings.NewReader(message)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	keys := signer.New(t.TempDir(), "us.test", time.Now)
	const message = "From: ann@us.test\r\nTo: bob@far.test\r\nSubject: hi\r\nDate: Sun, 22 Nov 2026 08:33:42 +0000\r\nMessage-ID: <1@us.test>\r\n\r\nhello\r\n"
	fields, err := keys.Sign(strings.NewReader(message), map[string]int{"from": 1, "to": 1, "subject": 1, "date": 1, "message-id": 1})
	if err != nil {
		t.Fatal(err)
	}
	records, err := keys.Records()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		ns.publish(r.Name, r.Value)
	}
	signed := string(fields) + message
	// It verifies the first signature that it knows; each is shown alone, too.
	one, two, _ := strings.Cut(string(fields), "\r\nDKIM-Signature:")
	for name, m := range map[string]string{"both": signed, "the first": one + "\r\n" + message, "the second": "DKIM-Signature:" + two + message} {
		out, err := run(m)
		if err != nil || out != "" {
			t.Errorf("%s: %v %q", name, err, out)
		}
	}
	for name, m := range map[string]string{"another text": strings.Replace(signed, "hello", "hallo", 1), "another author": strings.Replace(signed, "From: ann", "From: eve", 1), "an author added": "From: eve@us.test\r\n" + signed} {
		if out, err := run(m); err == nil && out == "" {
			t.Errorf("%s: accepted", name)
		}
	}

	theirs, err := run(strings.ReplaceAll(message, "us.test", "theirs.test"), "-C", "-d", "theirs.test", "-s", "sel", "-k", absolute(t, signingKey))
	if err != nil {
		t.Fatalf("%v: %s", err, theirs)
	}
	ns.publish("sel._domainkey.theirs.test", publicKey(t))
	s := start(t, "EMAIL_DNS="+ns.addr, "DOMAIN_GATE=far.test")
	w := dialWire(t, s.mx())
	w.say("EHLO peer.test", "250")
	w.say("MAIL FROM:<ann@theirs.test>", "250")
	w.say("RCPT TO:<bob@far.test>", "250")
	w.say("DATA", "354")
	w.say(strings.TrimSuffix(theirs, "\r\n")+"\r\n.", "250")
	if m := s.withSubject("bob", "hi"); m.Auth.DKIM != "policy" {
		t.Errorf("what opendkim signed is %+v", m.Auth)
	}
}
