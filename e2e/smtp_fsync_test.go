package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// traced puts the program under strace, which writes each flush to disk with its moment.
func traced(t testing.TB) (p *program, record string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("system calls are counted with Linux's strace")
	}
	strace := tool(t, "strace")
	if out, err := exec.Command(strace, "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("processes cannot be traced here (ptrace is not permitted): %v: %s", err, out)
	}
	p = newProgram(t)
	record = filepath.Join(t.TempDir(), "flushes")
	// -D: the program itself stays our child, and gets our signals.
	p.wrap = []string{strace, "-D", "-f", "-ttt", "-e", "trace=fsync,fdatasync", "-e", "signal=none", "-o", record}
	return p, record
}

// flushes returns the moments of every successful fsync and fdatasync of the program, which
// has ended.
func flushes(t testing.TB, record string) []time.Time {
	t.Helper()
	begun := regexp.MustCompile(`^(\d+) +(\d+)\.(\d{6}) (?:fsync|fdatasync)\(.*(= 0|<unfinished \.\.\.>)$`)
	failed := regexp.MustCompile(`(?m)^.*sync.*= -1 .*$`)
	var text string
	eventually(t, "strace finishes its record", func() bool {
		b, err := os.ReadFile(record)
		text = string(b)
		return err == nil && strings.Contains(text, "+++ exited with 0 +++\n")
	})
	if bad := failed.FindString(text); bad != "" {
		t.Errorf("a flush failed: %s", bad)
	}
	var all []time.Time
	for l := range strings.SplitSeq(text, "\n") {
		if m := begun.FindStringSubmatch(l); m != nil {
			seconds, _ := strconv.ParseInt(m[2], 10, 64)
			micros, _ := strconv.ParseInt(m[3], 10, 64)
			all = append(all, time.Unix(seconds, micros*1000))
		}
	}
	return all
}

// Between the end of a mail's data and its 250 there is a flush to disk: with one sender none
// is shared, so that each mail has its own.
func TestSMTPEachAcknowledgedMailIsFlushed(t *testing.T) {
	p, record := traced(t)
	p.launch()
	peer := dialWire(t, p.smtp["mx"])
	peer.say("EHLO peer.test", "250")
	const mails = 20
	var sent, acknowledged [mails]time.Time
	for i := range mails {
		size := 10
		if i%5 == 4 {
			size = 300_000 // kept in a file of its own beside the database
		}
		peer.data("a@peer.test", "pilot@vezeuniqverse.com")
		peer.send(letter("a@peer.test", "pilot@vezeuniqverse.com", fmt.Sprint("mail ", i), strings.Repeat("0123456789\r\n", size/12)))
		sent[i] = time.Now()
		peer.say(".", "250 2.0.0")
		acknowledged[i] = time.Now()
	}
	p.drained()
	all := flushes(t, record)
	count, least := 0, len(all)
	for i := range mails {
		n := 0
		for _, at := range all {
			// The record has microseconds, so it may round a moment down.
			if at.After(sent[i].Add(-time.Microsecond)) && at.Before(acknowledged[i]) {
				n++
			}
		}
		want := 1
		if i%5 == 4 {
			want = 2 // the file, and the row that names it
		}
		if n < want {
			t.Errorf("mail %d was acknowledged with %d flushes to disk, want %d or more", i, n, want)
		}
		count, least = count+n, min(least, n)
	}
	t.Logf("%d mails one after the other: %d flushes to disk between the end of a mail and its 250, %d at least for each; %d in the whole run", mails, count, least, len(all))
}
