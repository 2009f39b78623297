package e2e_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"uniqverse/smtpd"
)

// rspamd starts a scanner of its own, with two rules: "xjunkx" in a subject is junk, "xbadx" worse. It returns where it
// answers over HTTP, and where as a milter.
func rspamd(t *testing.T) (http, milter string) {
	t.Helper()
	program, dir := tool(t, "rspamd"), t.TempDir()
	http, milter = "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	conf := `options { pidfile = "DIR/pid"; filters = "regexp"; dns { timeout = 0.2s; retransmits = 1; nameserver = ["127.0.0.1:1"]; } }
logging { type = "console"; level = "error"; }
metric { name = "default"; actions { reject = 15; add_header = 6; } }
regexp {
	"TEST_JUNK" { re = "Subject=/xjunkx/i{header}"; score = 9.0; }
	"TEST_BAD" { re = "Subject=/xbadx/i{header}"; score = 20.0; }
}
worker "normal" { bind_socket = "HTTP"; count = 1; }
worker "rspamd_proxy" { bind_socket = "MILTER"; milter = true; count = 1; upstream "local" { default = true; hosts = "HTTP"; } }
`
	conf = strings.NewReplacer("DIR", dir, "HTTP", http, "MILTER", milter).Replace(conf)
	if err := os.WriteFile(filepath.Join(dir, "rspamd.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-f", "-i", "-c", filepath.Join(dir, "rspamd.conf"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with its workers
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // it compiles tables first
	defer cancel()
	for _, addr := range []string{http, milter} {
		for {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			if err == nil {
				c.Close()
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("rspamd does not listen on %s: %v", addr, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return http, milter
}

// Debian's rspamd is asked over HTTP and as a milter, and what it says is a reason that people can look up.
func TestRspamd(t *testing.T) {
	http, milter := rspamd(t)
	for name, setting := range map[string]string{"rspamd": "EMAIL_RSPAMD=http://" + http, "milter": "EMAIL_MILTER=" + milter} {
		s := start(t, setting)
		for subject, junk := range map[string]bool{"hello": false, "xjunkx": true, "xbadx": true} {
			s.swaks(smtpd.MX, 0, "250", "--to", "pilot@vezeuniqverse.com", "--h-Subject", subject, "--body", "text")
			m := s.withSubject("pilot", subject)
			if slices.Contains(m.Flags, "spam") != junk {
				t.Errorf("%s: %q has the flags %v: %s", name, subject, m.Flags, s.get(200, "email/api/junk?access_token=demo&user=pilot").body)
			}
		}
		list := string(s.get(200, "email/api/junk?access_token=demo&user=pilot").body)
		if strings.Count(list, `"rule":"`+name+`"`) != 2 {
			t.Errorf("%s: the reasons are %s", name, list)
		}
	}
}

// A scanner that is not there loses nothing and refuses nothing.
func TestScannersThatAreDown(t *testing.T) {
	s := start(t, "EMAIL_RSPAMD=http://127.0.0.1:"+freePort(t), "EMAIL_MILTER=127.0.0.1:"+freePort(t))
	s.swaks(smtpd.MX, 0, "250", "--to", "pilot@vezeuniqverse.com", "--h-Subject", "hello", "--body", "text")
	if m := s.withSubject("pilot", "hello"); slices.Contains(m.Flags, "spam") {
		t.Errorf("flags %v", m.Flags)
	}
	if m := s.get(200, "email/api/messages/1/spam?access_token=demo"); strings.Count(string(m.body), `"scanner_down"`) != 2 {
		t.Errorf("%s", m.body)
	}
}
