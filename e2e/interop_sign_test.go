package e2e_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Debian's Postfix signs in at our submission ports, and we sign in at Postfix; Debian's OpenDKIM signs what we verify.

// logged shows what a server wrote, when the test has failed.
func logged(t *testing.T, file string) {
	if text, err := os.ReadFile(file); t.Failed() && err == nil {
		t.Logf("%s says\n%s", filepath.Base(file), text)
	}
}

// await waits until a user has a mail with this subject.
func (s *system) await(user, subject string) {
	s.t.Helper()
	eventually(s.t, user+" has "+subject, func() bool {
		return slices.ContainsFunc(s.inbox(user), func(m mail) bool { return m.Subject == subject })
	})
}

// Postfix takes mail from whoever signs in alone, so that we have to as its user; and hands mail to our submission port, where
// it has to. Passwords go over TLS both ways.
func TestPostfixSignsInAndIsSignedInTo(t *testing.T) {
	saslpasswd := tool(t, "saslpasswd2")
	far := start(t, "DOMAIN_GATE=far.test", "VEZE_JWT_DEMO=1")
	submission, loginPort := freePort(t), freePort(t)
	like := mailServer{
		transports: map[string]string{"far.test": far.mx(), "near.test": "127.0.0.1:" + submission},
		settings: []string{"mynetworks = 192.0.2.1/32", "smtpd_relay_restrictions = permit_sasl_authenticated, reject", "smtpd_sasl_auth_enable = yes", "smtpd_sasl_type = cyrus",
			"smtpd_sasl_path = plain", "cyrus_sasl_config_path = DIR/conf/sasl", "smtpd_sasl_local_domain = postfix.test", "smtpd_tls_auth_only = yes",
			"smtp_sasl_auth_enable = yes", "smtp_sasl_password_maps = texthash:DIR/passwords", "smtp_sasl_security_options = noanonymous", "smtp_sasl_tls_security_options = noanonymous"},
		listeners: map[string]string{loginPort: "-o smtpd_sasl_path=login"},
		files: map[string]string{
			"conf/sasl/plain.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: DIR/sasldb\nmech_list: PLAIN\n",
			"conf/sasl/login.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: DIR/sasldb\nmech_list: LOGIN\n",
			"passwords":            ""},
	}
	passwords := ""
	like.prepare = func(dir string) {
		passwords = filepath.Join(dir, "passwords")
		cmd := exec.Command(saslpasswd, "-c", "-p", "-f", filepath.Join(dir, "sasldb"), "-u", "postfix.test", "relay")
		cmd.Stdin = strings.NewReader("open sesame")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("saslpasswd2: %v %s", err, out)
		}
		if err := os.Chmod(filepath.Join(dir, "sasldb"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	addr, log := startPostfix(t, like)
	defer func() { logged(t, log) }()
	credentials := []string{"EMAIL_SMARTHOST_USER=relay", "EMAIL_SMARTHOST_PASSWORD=open sesame"}
	near := start(t, append(credentials, "DOMAIN_GATE=near.test", "EMAIL_SMARTHOST="+addr, "EMAIL_SMTP_587="+submission)...)
	// Postfix has an app password of a user of ours; its client reads the file once.
	if err := os.WriteFile(passwords, fmt.Appendf(nil, "[127.0.0.1]:%s sender@near.test:%s\n", submission, near.appPassword("sender")), 0o644); err != nil {
		t.Fatal(err)
	}
	for mechanism, s := range map[string]*system{"PLAIN": near, "LOGIN": start(t, append(credentials, "DOMAIN_GATE=other.test", "EMAIL_SMARTHOST=127.0.0.1:"+loginPort)...)} {
		s.post(202, "email/jmap/send", `{"to":"bob@far.test","subject":"`+mechanism+`","text":"hello"}`, "Authorization", "Bearer demo")
		far.await("bob", mechanism)
		if raw := far.raw(far.withSubject("bob", mechanism)); !strings.Contains(raw, "by postfix.test (Postfix) with ESMTPSA id ") {
			t.Errorf("%s: the mail is\n%s", mechanism, raw)
		}
		if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "sasl_method="+mechanism+", sasl_username=relay") {
			t.Errorf("%v: Postfix notes nobody who signed in by %s", err, mechanism)
		}
	}

	// The other way.
	c, err := smtp.DialStartTLS(addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const letter = "From: sender@near.test\r\nTo: pilot@near.test\r\nSubject: by Postfix\r\n\r\nhello\r\n"
	if err := c.SendMail("sender@near.test", []string{"pilot@near.test"}, strings.NewReader(letter)); err == nil {
		t.Error("Postfix takes mail from anybody, so that nothing of this is proof")
	}
	if err := c.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(sasl.NewPlainClient("", "relay", "open sesame")); err != nil {
		t.Fatal(err)
	}
	if err := c.SendMail("sender@near.test", []string{"pilot@near.test"}, strings.NewReader(letter)); err != nil {
		t.Fatal(err)
	}
	near.await("pilot", "by Postfix")
	raw := near.raw(near.withSubject("pilot", "by Postfix"))
	for _, want := range []string{"\tby near.test with ESMTPSA id ", "auth=pass", "by postfix.test (Postfix) with ESMTPSA id "} {
		if !strings.Contains(raw, want) {
			t.Errorf("the mail lacks %q:\n%s", want, raw)
		}
	}
}

// startOpendkim runs Debian's OpenDKIM as a milter that signs for a domain, and returns its address as Postfix wants it.
func startOpendkim(t *testing.T, domain, key, algorithm string) (milter string) {
	t.Helper()
	opendkim := tool(t, "opendkim")
	dir, port := t.TempDir(), freePort(t)
	conf := filepath.Join(dir, "opendkim.conf")
	text := fmt.Sprintf("Mode s\nDomain %s\nSelector sel\nKeyFile %s\nSignatureAlgorithm %s\nCanonicalization relaxed/simple\nOversignHeaders From\nRequireSafeKeys no\nSocket inet:%s@127.0.0.1\nSyslog no\n", domain, key, algorithm, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, opendkim, "-f", "-x", conf)
	var out transcript
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		cmd.Wait()
		if t.Failed() {
			t.Logf("opendkim says %s", &out)
		}
	})
	eventually(t, "OpenDKIM listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return "inet:127.0.0.1:" + port
}

// What OpenDKIM signs on its way through Postfix passes here, with RSA and with Ed25519, and no more when it was changed.
func TestOpendkimSigns(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	edKey := filepath.Join(t.TempDir(), "ed25519.pem")
	if err := os.WriteFile(edKey, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	ns := startNameServer(t)
	far := start(t, "EMAIL_DNS="+ns.addr, "DOMAIN_GATE=far.test")
	edPort := freePort(t)
	rsaPort, log := startPostfix(t, mailServer{transports: map[string]string{"far.test": far.mx()},
		settings:  []string{"smtpd_milters = " + startOpendkim(t, "rsa.test", absolute(t, signingKey), "rsa-sha256"), "milter_default_action = tempfail"},
		listeners: map[string]string{edPort: "-o smtpd_milters=" + startOpendkim(t, "ed.test", edKey, "ed25519-sha256")}})
	defer func() { logged(t, log) }()
	for domain, record := range map[string]string{"rsa.test": publicKey(t), "ed.test": "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)} {
		ns.publish("sel._domainkey."+domain, record)
		ns.publish("_dmarc."+domain, "v=DMARC1; p=reject; adkim=s")
	}
	for domain, port := range map[string]string{"rsa.test": rsaPort, "ed.test": "127.0.0.1:" + edPort} {
		message := "From: Ann <ann@" + domain + ">\r\nTo: bob@far.test\r\nSubject: signed by " + domain + "\r\nDate: Sun, 22 Nov 2026 08:33:42 +0000\r\nMessage-ID: <1@" + domain + ">\r\n\r\nhello\r\n.\r\n..dots  \r\n\r\n"
		c, err := smtp.Dial(port)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SendMail("ann@"+domain, []string{"bob@far.test"}, strings.NewReader(message)); err != nil {
			t.Fatal(err)
		}
		far.await("bob", "signed by "+domain)
		m := far.withSubject("bob", "signed by "+domain)
		raw := far.raw(m)
		if m.Auth.DKIM != "pass" || m.Auth.DMARC != "pass" || !strings.Contains(raw, "a="+map[string]string{"rsa.test": "rsa-sha256", "ed.test": "ed25519-sha256"}[domain]) {
			t.Errorf("%s: %+v\n%s", domain, m.Auth, raw)
		}
		// The same signature under another text.
		_, signed, _ := strings.Cut(raw, "\r\nDKIM-Signature:")
		w := dialWire(t, far.mx())
		w.say("EHLO peer.test", "250")
		w.say("MAIL FROM:<ann@"+domain+">", "250")
		w.say("RCPT TO:<eve@far.test>", "250")
		w.say("DATA", "354")
		w.say(strings.ReplaceAll(strings.Replace("DKIM-Signature:"+signed, "hello", "hallo", 1), "\r\n.", "\r\n..")+".", "250")
		if m := far.withSubject("eve", "signed by "+domain); m.Auth.DKIM != "fail" || m.Auth.DMARC != "fail" {
			t.Errorf("%s changed: %+v", domain, m.Auth)
		}
	}
}
