package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// onSmallDisk returns the program with a data folder on a disk of its own of so many MB, which
// only its process sees. Where the machine does not let us make one, the test is skipped.
func onSmallDisk(t testing.TB, megabytes int) *program {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("a small disk is made with Linux's unshare")
	}
	unshare := []string{"unshare", "--mount"}
	if os.Getuid() != 0 {
		unshare = append(unshare, "--map-root-user")
	}
	p := newProgram(t)
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mount := fmt.Sprintf(`mount -t tmpfs -o size=%dm,mode=700 tmpfs "$VEZE_DATA_DIR" && exec "$0" "$@"`, megabytes)
	p.wrap = append(unshare, "sh", "-c", mount)
	probe := exec.Command(p.wrap[0], append(slices.Clone(p.wrap[1:]), "true")...)
	probe.Env = append(os.Environ(), "VEZE_DATA_DIR="+p.dir)
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v: %s", err, out)
	}
	return p
}

// fill takes all the space that is left on the program's disk; the function gives it back.
func (p *program) fill() (free func()) {
	p.t.Helper()
	path := filepath.Join(fmt.Sprintf("/proc/%d/root", p.cmd.Process.Pid), p.dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		p.t.Skipf("the program's disk cannot be reached from outside: %v", err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			p.t.Fatal(err)
		}
	}
}

// A full disk costs the messages that come while it is full, and nothing else.
func TestProcessSurvivesFullDisk(t *testing.T) {
	p := onSmallDisk(t, 16)
	p.launch()
	room := p.room("lounge")
	peer := dialWire(t, p.smtp["mx"])
	peer.say("EHLO peer.test", "250")
	acknowledged := map[string]int{}
	sent := 0
	mail := func(size int) (reply string) {
		t.Helper()
		sent++
		subject := fmt.Sprint("mail ", sent)
		// The recipient's mailbox is there, so that only the end of data needs space.
		peer.data("a@peer.test", "pilot@vezeuniqverse.com")
		peer.send(letter("a@peer.test", "pilot@vezeuniqverse.com", subject, strings.Repeat("all work and no play\r\n", size/22)) + ".\r\n")
		if reply = peer.reply(); strings.HasPrefix(reply, "250 ") {
			acknowledged[subject]++
		}
		return reply
	}
	lines := 0
	say := func() (status int) {
		t.Helper()
		text := fmt.Sprintf(`{"text":"line %d %s"}`, lines+1, strings.Repeat("x", 3000))
		status, _, err := p.ask(t.Context(), "POST", "chat/rooms/"+room+"/messages", text)
		if err != nil {
			t.Fatal(err)
		}
		if status == http.StatusOK {
			lines++
		}
		return status
	}
	if got := mail(1000); !strings.HasPrefix(got, "250 ") {
		t.Fatalf("before the disk is full: %q", got)
	}

	free := p.fill()
	// The log of the database may have room of its own left from before.
	got := mail(50_000)
	for range 300 {
		if !strings.HasPrefix(got, "250 ") {
			break
		}
		got = mail(50_000)
	}
	if !strings.HasPrefix(got, "452 4.3.1 ") {
		t.Errorf("SMTP on a full disk answers %q, want 452 4.3.1", got)
	}
	if got := mail(3_000_000); !strings.HasPrefix(got, "452 4.3.1 ") {
		t.Errorf("a large mail on a full disk is answered %q, want 452 4.3.1", got)
	}
	status := say()
	for range 3000 {
		if status != http.StatusOK {
			break
		}
		status = say()
	}
	if status != http.StatusServiceUnavailable {
		t.Errorf("HTTP on a full disk answers %d, want 503", status)
	}
	// Mail for others is not taken into the queue either, and what cannot be queued has no copy.
	outgoing := func(text string) int {
		t.Helper()
		status, _, err := p.ask(t.Context(), "POST", "email/jmap/send", `{"to":"bob@example.org","subject":"out","text":"`+text+`"}`, "Authorization", "Bearer demo", "Content-Type", "application/json")
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	if status := outgoing(strings.Repeat("all work and no play ", 10_000)); status != http.StatusServiceUnavailable {
		t.Errorf("mail for others on a full disk is answered %d, want 503", status)
	}
	if n := len(p.mails("demo")); n != 0 {
		t.Errorf("the sender has %d copies of what was refused", n)
	}
	p.must(http.StatusServiceUnavailable, "GET", "chat/health", "")
	p.must(http.StatusOK, "GET", "chat/rooms", "") // reading needs no space
	if n := len(p.mails("pilot")); n != len(acknowledged) {
		t.Errorf("the mailbox holds %d messages, %d were acknowledged", n, len(acknowledged))
	}

	free()
	eventually(t, "health after space was freed", func() bool {
		status, _, err := p.ask(t.Context(), "GET", "chat/health", "")
		return err == nil && status == http.StatusOK
	})
	for _, size := range []int{1000, 3_000_000} {
		if got := mail(size); !strings.HasPrefix(got, "250 ") {
			t.Errorf("a mail of %d bytes after space was freed: %q", size, got)
		}
	}
	if status := outgoing("hello"); status != http.StatusAccepted {
		t.Errorf("mail for others after space was freed is answered %d", status)
	}
	if status := say(); status != http.StatusOK {
		t.Errorf("a chat line after space was freed: %d", status)
	}
	for subject, n := range subjects(p.mails("pilot")) {
		if n != 1 || acknowledged[subject] != 1 {
			t.Errorf("%q is there %d times and was acknowledged %d times", subject, n, acknowledged[subject])
		}
		delete(acknowledged, subject)
	}
	if len(acknowledged) > 0 {
		t.Errorf("acknowledged and lost: %v", acknowledged)
	}
	p.drained()
}
