package e2e_test

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What fails beneath the mail listeners is temporary for whoever sends.

// lockDatabase takes the write lock of the program's database from outside, as a copy program or a stuck tool does;
// the function gives it back.
func lockDatabase(t testing.TB, dir string) (release func()) {
	t.Helper()
	const hold = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('PRAGMA busy_timeout = 10000')\nc.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.read()\nc.execute('ROLLBACK')\n"
	cmd := exec.Command(tool(t, "python3"), "-c", hold, filepath.Join(dir, "uniqverse.db"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the database could not be locked: %q, %v", line, err)
	}
	released := false
	release = func() {
		if released {
			return
		}
		released = true
		in.Close()
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the lock: %v", err)
		}
	}
	t.Cleanup(release)
	return release
}

// Row 44 of docs/smtp.md: while another program holds the database, mail is put off with 451; then it is taken, and
// nothing that was put off is there twice.
func TestSMTPLockedDatabase(t *testing.T) {
	p := launched(t)
	peer := dialWire(t, p.smtp["mx"])
	peer.say("EHLO mx.peer.test", "250")
	send := func(subject, want string) {
		t.Helper()
		peer.data("a@peer.test", "pilot@vezeuniqverse.com")
		peer.send(letter("a@peer.test", "pilot@vezeuniqverse.com", subject, "x") + ".\r\n")
		peer.want(want)
	}
	send("before", "250 2.0.0 ")
	release := lockDatabase(t, p.dir)
	send("while it is locked", "451 4.3.0 ")
	release()
	send("while it is locked", "250 2.0.0 ")
	list := string(p.must(200, "GET", "email/api/messages?user=pilot&access_token=demo", ""))
	if n := strings.Count(list, `"subject":"while it is locked"`); n != 1 {
		t.Errorf("it is there %d times: %s", n, list)
	}
	// The refusal itself is in the journal, although the store could not be written at that moment.
	eventually(t, "the refusal can be looked up", func() bool {
		return strings.Contains(string(p.must(200, "GET", "email/api/refusals?user=pilot&access_token=demo", "")), `"rule":"unavailable"`)
	})
}
