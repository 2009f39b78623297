package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"uniqverse/smtpd"
)

// Python's POP3 client, over STLS and over TLS from the first byte: it lists, reads and deletes.
const poplibScript = `
import poplib, ssl, sys
ctx = ssl.create_default_context(); ctx.check_hostname = False; ctx.verify_mode = ssl.CERT_NONE
host, port, secure, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "secure", sys.argv[4], sys.argv[5]
p = poplib.POP3_SSL(host, port, context=ctx) if secure else poplib.POP3(host, port)
assert "UIDL" in p.capa()
if not secure: p.stls(context=ctx)
p.user(user); p.pass_(password)
n = p.stat()[0]
for i in range(1, n + 1):
    lines = p.retr(i)[1]
    print("message", i, p.uidl(i).split()[2].decode(), [l.decode() for l in lines if l.lower().startswith(b"subject")][0], sum(len(l) + 2 for l in lines) == int(p.list(i).split()[2]))
if n: p.dele(1)
p.quit()
`

// Mail is read over POP3 by programs that others wrote; what they delete is in the trash.
func TestPOP3(t *testing.T) {
	python := tool(t, "python3")
	s := start(t, "EMAIL_POP3_110=0", "EMAIL_POP3_995=0")
	const address = "pilot@vezeuniqverse.com"
	password := s.appPassword("pilot")
	for _, subject := range []string{"First light", "Second wind"} {
		s.sendMail("ann@example.org", address, subject, "The gate is open.\r\n.dot\r\nreally")
	}
	read := func(secure bool) string {
		host, port, err := net.SplitHostPort(s.POP3(secure))
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(python, "-c", poplibScript, host, port, map[bool]string{true: "secure", false: "plain"}[secure], address, password).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	first := read(false)
	if !strings.Contains(first, "Subject: First light True") || !strings.Contains(first, "Subject: Second wind True") {
		t.Errorf("read over STLS:\n%s", first)
	}
	second := read(true)
	if strings.Contains(second, "First light") || !strings.Contains(second, "Second wind True") {
		t.Errorf("read over TLS, after the first was deleted:\n%s", second)
	}
	var uid [2]string
	for i, text := range []string{first, second} {
		for _, line := range strings.Split(text, "\n") {
			if strings.Contains(line, "Second wind") {
				uid[i] = strings.Fields(line)[2]
			}
		}
	}
	if uid[0] == "" || uid[0] != uid[1] {
		t.Errorf("a message has the uids %q", uid)
	}
	trash := s.get(200, "email/api/messages?mailbox=trash&access_token=demo&user="+address)
	if !strings.Contains(string(trash.body), "First light") {
		t.Errorf("the trash has %s", trash.body)
	}
}

// Mutt reads by POP3 and answers through submission.
func TestMuttReadsAndAnswers(t *testing.T) {
	mutt, script := tool(t, "mutt"), tool(t, "script")
	s := start(t, "EMAIL_POP3_995=0")
	const address = "pilot@vezeuniqverse.com"
	password := s.appPassword("pilot")
	s.sendMail("wing@vezeuniqverse.com", address, "Formation", "Close up.")
	dir := t.TempDir()
	_, pop, err := net.SplitHostPort(s.POP3(true))
	if err != nil {
		t.Fatal(err)
	}
	rc := filepath.Join(dir, "muttrc")
	conf := fmt.Sprintf(`set from="%[1]s" realname="Pilot" use_from=yes hostname=localhost
set certificate_file="%[2]s" ssl_verify_host=no ssl_force_tls=yes
set pop_host="pops://%[1]s@127.0.0.1:%[3]s/" pop_user="%[1]s" pop_pass="%[4]s" pop_delete=no
set smtp_url="smtp://%[1]s@%[5]s/" smtp_pass="%[4]s" smtp_authenticators="plain"
set spoolfile="%[6]s/in" folder="%[6]s" record="" mbox_type=mbox sleep_time=0 beep=no wait_key=no copy=no fast_reply=yes include=no editor=true abort_unmodified=no
`, address, filepath.Join(s.dir, "tls", "smtp-cert.pem"), pop, password, s.SMTP(smtpd.Submission), dir)
	for name, text := range map[string]string{rc: conf, filepath.Join(dir, "in"): ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(keys string) {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, script, "-qec", fmt.Sprintf("%s -F %s -e 'push %s'", mutt, rc, keys), "/dev/null")
		cmd.Env = append(os.Environ(), "TERM=xterm", "HOME="+dir, "LC_ALL=C.UTF-8", "EMAIL="+address)
		cmd.WaitDelay = time.Second
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("mutt: %v\n%s", err, out)
		}
	}
	run("<fetch-mail><sync-mailbox><quit>")
	in, err := os.ReadFile(filepath.Join(dir, "in"))
	if err != nil || !strings.Contains(string(in), "Close up.") {
		t.Fatalf("mutt fetched %q, %v", in, err)
	}
	run("<reply><send-message><quit>")
	eventually(t, "the answer is in the other mailbox", func() bool {
		return contains(s.get(200, "email/api/messages?access_token=demo&user=wing@vezeuniqverse.com").body, "Re: Formation")
	})
}
