package e2e_test

import (
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A start that is killed, at whatever moment, leaves a folder on which the next one works: no
// half of a key, a certificate or a schema.
func TestKillWhileStarting(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals")
	}
	p := newProgram(t)
	p.command() // builds the program, which is no part of a start
	began := time.Now()
	p.launch() // how long a start takes here
	took := time.Since(began)
	p.killed()
	const moments = 12
	ready := 0
	for i := range moments {
		p := newProgram(t)
		// The same folder is killed in two starts on end, then once while it drains.
		for life := range 2 {
			cmd := p.command()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(took * time.Duration(i+life) / moments) // any moment is right
			cmd.Process.Kill()
			cmd.Wait()
			if p.err.String() != "" {
				t.Fatalf("killed at moment %d, start %d says:\n%s", i, life, p.err)
			}
			if strings.HasSuffix(p.out.String(), "\nUniQVerse ready\n") {
				ready++
			}
		}
		p.launch()
		p.must(200, "GET", "portal/health", "")
		p.room("lounge")
		p.signal(syscall.SIGTERM)
		time.Sleep(took * time.Duration(i) / moments / 4)
		p.killed()
		p.launch()
		if rooms := p.must(200, "GET", "chat/rooms", ""); !contains(rooms, "lounge") {
			t.Errorf("a room is gone that was acknowledged before a drain that was killed: %s", rooms)
		}
		p.killed()
	}
	t.Logf("%d starts were killed, %d of them had got ready", 2*moments, ready)
}
