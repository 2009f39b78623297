package e2e_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// What fails beneath the mail listeners is temporary for whoever sends.

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
