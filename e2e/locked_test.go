package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// lockDatabase takes the write lock of a data folder's database from outside, as a copy program or a stuck tool does;
// the function gives it back.
func lockDatabase(t testing.TB, dir, begin string) (release func()) {
	t.Helper()
	const hold = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('PRAGMA busy_timeout = 10000')\nc.execute(sys.argv[2])\nprint('locked', flush=True)\nsys.stdin.read()\nc.execute('ROLLBACK')\n"
	cmd := exec.Command(tool(t, "python3"), "-c", hold, filepath.Join(dir, "uniqverse.db"), begin)
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

// Row 44 of docs/smtp.md: while another program holds the database, mail is put off with 451 and HTTP answers 503 and when to
// come again, reading goes on, and a mail that is under way to another host is delivered once. Then all is taken and sent, and
// nothing that was put off is there twice. UNIQ_LOCK_30S=1 holds it for 30 s, with the waits of the product.
func TestLockedDatabase(t *testing.T) {
	out := startSink(t)
	s := prepare(t, "EMAIL_SMARTHOST="+out.addr)
	held := time.Duration(0)
	if s.busyWait = 100 * time.Millisecond; os.Getenv("UNIQ_LOCK_30S") != "" {
		s.busyWait, held = 0, 30*time.Second
	}
	s.boot()
	t.Cleanup(s.end)
	s.post(200, "chat/rooms?name=Bridge", "")
	peer := dialWire(t, s.mx())
	peer.say("EHLO mx.peer.test", "250")
	mail := func(subject string) (reply string) {
		t.Helper()
		peer.data("a@peer.test", "pilot@vezeuniqverse.com")
		peer.send(letter("a@peer.test", "pilot@vezeuniqverse.com", subject, "x") + ".\r\n")
		return peer.reply()
	}
	write := func(want int, key string) {
		t.Helper()
		r := s.call("POST", "email/jmap/send", `{"to":"`+key+`@away.example","subject":"`+key+`","text":"y"}`, "Authorization", "Bearer demo", "Content-Type", "application/json", "Idempotency-Key", key)
		again, _ := strconv.Atoi(r.Header.Get("Retry-After"))
		if r.StatusCode != want || (want == http.StatusServiceUnavailable) != (again > 0) {
			t.Errorf("POST /jmap/send: %d, Retry-After %q, want %d\n%s", r.StatusCode, r.Header.Get("Retry-After"), want, r.body)
		}
	}
	sent := func(key string) int {
		out.mu.Lock()
		defer out.mu.Unlock()
		return out.got[key+"@away.example"][0]
	}
	for i, begin := range []string{"BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"} {
		before, during := fmt.Sprint("before-", i), fmt.Sprint("during-", i)
		if got := mail(before); !strings.HasPrefix(got, "250 2.0.0 ") {
			t.Fatalf("before: %q", got)
		}
		out.hold(true)
		write(http.StatusAccepted, before)
		eventually(t, "the mail is with the other host", func() bool { return sent(before) == 1 })
		release := lockDatabase(t, s.dir, begin)
		out.hold(false) // its answer cannot be written down now
		for end := time.Now().Add(held); ; {
			if got := mail(during); !strings.HasPrefix(got, "451 4.3.0 ") {
				t.Errorf("%s: SMTP answers %q", begin, got)
			}
			write(http.StatusServiceUnavailable, during)
			if r := s.call("POST", "chat/rooms/1/messages", "text="+during, "Content-Type", "application/x-www-form-urlencoded"); r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
				t.Errorf("%s: chat answers %d %s", begin, r.StatusCode, r.body)
			}
			s.get(200, "email/api/messages?user=pilot&access_token=demo")
			s.get(200, "chat/rooms/1/messages")
			if h := s.get(503, "email/health"); !contains(h.body, "store") {
				t.Errorf("%s: health is %s", begin, h.body)
			}
			if time.Now().After(end) {
				break
			}
		}
		release()
		if got := mail(during); !strings.HasPrefix(got, "250 2.0.0 ") {
			t.Errorf("after %s: SMTP answers %q", begin, got)
		}
		write(http.StatusAccepted, during)
		s.post(200, "chat/rooms/1/messages?text="+during, "")
		s.get(200, "email/health")
		eventually(t, "what was queued is sent", func() bool { return sent(during) == 1 })
		n := 0
		for _, m := range s.inbox("pilot") {
			if m.Subject == during {
				n++
			}
		}
		if n != 1 {
			t.Errorf("the mail that was put off is there %d times", n)
		}
	}
	// The refusals themselves are in the journal, although the store could not be written at that moment.
	eventually(t, "the refusal can be looked up", func() bool {
		return contains(s.get(200, "email/api/refusals?user=pilot&access_token=demo").body, `"rule":"unavailable"`)
	})
	if lines := string(s.get(200, "chat/rooms/1/messages").body); strings.Count(lines, "during-") != 2 {
		t.Errorf("the lines are %s", lines)
	}
	for _, key := range []string{"before-0", "during-0", "before-1", "during-1"} {
		if n := sent(key); n != 1 {
			t.Errorf("%s was sent %d times", key, n)
		}
	}
}
