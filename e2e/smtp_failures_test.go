package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
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

// A message of the largest size goes through in bounded memory: neither the edge nor the mail service holds it whole.
func TestSMTPLargeMessageInLittleMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the memory of a process is read from /proc")
	}
	p := launched(t)
	peer := dialWire(t, p.smtp["mx"])
	peer.say("EHLO mx.peer.test", "250")
	send := func(subject string, lines int) {
		peer.data("a@peer.test", "pilot@vezeuniqverse.com")
		peer.send("From: a@peer.test\r\nTo: pilot@vezeuniqverse.com\r\nSubject: " + subject + "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
			"--b\r\nContent-Type: text/plain\r\n\r\nsee below\r\n--b\r\nContent-Type: application/octet-stream; name=big.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n")
		block := strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 1000)
		for range lines / 1000 {
			peer.send(block)
		}
		peer.send("--b--\r\n.\r\n")
		peer.want("250 2.0.0 ")
	}
	send("small", 1000)
	before := peakMemory(t, p.cmd.Process.Pid)
	send("large", 330_000) // 25.7 MB
	if grown := peakMemory(t, p.cmd.Process.Pid) - before; grown > 64<<10 {
		t.Errorf("the process took %d KB more for a message of 25 MB, want 65536 at most", grown)
	} else {
		t.Logf("%d KB more than %d KB", grown, before)
	}
}

// peakMemory is the most that a process has had in memory, in KB.
func peakMemory(t testing.TB, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Skip("the system does not say how much memory a process has had")
	return 0
}
