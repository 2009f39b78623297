package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Helpers of the tests that need the program as operators have it: a file that is executed,
// with a process of its own to signal, to kill and to trace.

// binary builds the program once for all tests of a run, in a folder that TestMain removes.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "uniqverse-binary-*")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "uniqverse")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	built.Store("folder", dir)
	cmd := exec.Command("go", "build", "-o", path, "uniqverse")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// built remembers the folder of the binary for TestMain.
var built sync.Map

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, ok := built.Load("folder"); ok {
		os.RemoveAll(dir.(string))
	}
	os.Exit(status)
}

// longWait bounds the wait for what is to come at once; only a failure takes so long.
const longWait = 10 * time.Second

// transcript is what a process wrote, readable while it writes.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// program is the executable with its settings and, once launched, its process.
type program struct {
	t    testing.TB
	dir  string            // the data folder
	env  map[string]string // all of its environment
	args []string          // after its name
	wrap []string          // a command that executes what follows it, such as strace; nil for none
	cwd  string            // "" is the data folder's parent

	touched string // the database when a refused start may have written it, and the word beside it

	cmd      *exec.Cmd
	out, err *transcript
	ended    chan struct{} // closed when the process is gone
	urls     map[string]string
	smtp     map[string]string // "mx", "submission" and "submissions" to host:port
	client   *http.Client
}

// newProgram returns the program with a folder of its own, free ports and no DNS; settings
// (NAME=value) come on top.
func newProgram(t testing.TB, settings ...string) *program {
	t.Helper()
	if testing.Short() {
		t.Skip("what runs the program as a process of its own is left out by -short")
	}
	dir := filepath.Join(t.TempDir(), "data")
	p := &program{t: t, dir: dir, env: map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": t.TempDir(), "TMPDIR": t.TempDir(), "VEZE_DATA_DIR": dir, "VEZE_LOG": "text,warn",
		"UNI_PORT": "0", "GAME_PORT": "0", "EMAIL_PORT": "0", "CHAT_PORT": "0",
		"EMAIL_SMTP_25": "0", "EMAIL_SMTP_587": "0", "EMAIL_SMTP_465": "0", "EMAIL_DNS": "off"}}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		p.env[name] = value
	}
	return p
}

// command makes the process of one run, which is not started yet.
func (p *program) command() *exec.Cmd {
	p.t.Helper()
	path, err := binary()
	if err != nil {
		p.t.Fatal(err)
	}
	words := append(append(append([]string{}, p.wrap...), path), p.args...)
	cmd := exec.Command(words[0], words[1:]...)
	for name, value := range p.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if cmd.Dir = p.cwd; p.cwd == "" {
		cmd.Dir = filepath.Dir(p.dir)
	}
	p.out, p.err = &transcript{}, &transcript{}
	cmd.Stdout, cmd.Stderr = p.out, p.err
	return cmd
}

// refused runs the program, which must end by itself, and returns its exit status.
func (p *program) refused() int {
	p.t.Helper()
	cmd := p.command()
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	watchdog := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if !watchdog.Stop() {
		p.t.Fatalf("it was to end by itself, and was still running after 20 s\n%s%s", p.out, p.err)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// launched is newProgram, and launch.
func launched(t testing.TB, settings ...string) *program {
	t.Helper()
	p := newProgram(t, settings...)
	p.launch()
	return p
}

// launch starts the program and waits until it says that it is ready. It may be launched
// again on its folder when the process is gone. The test's end kills what still runs.
func (p *program) launch() {
	p.t.Helper()
	p.cmd = p.command()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, ended := p.cmd, make(chan struct{})
	p.ended = ended
	go func() {
		cmd.Wait()
		close(ended)
	}()
	p.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 128},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	client := p.client
	p.t.Cleanup(func() {
		client.CloseIdleConnections()
		cmd.Process.Kill()
		<-ended
		if p.t.Failed() && p.cmd == cmd {
			p.t.Logf("the program's stderr:\n%.8000s", p.err)
		}
	})
	for end := time.Now().Add(20 * time.Second); !strings.HasSuffix(p.out.String(), "\nUniQVerse ready\n"); time.Sleep(2 * time.Millisecond) {
		select {
		case <-ended:
			p.t.Fatalf("the program ended instead of getting ready: %s\n%s%s", cmd.ProcessState, p.out, p.err)
		default:
		}
		if time.Now().After(end) {
			p.t.Fatalf("the program was not ready within 20 s\n%s%s", p.out, p.err)
		}
	}
	p.readBlock()
}

// readBlock takes the addresses from the start-up block.
func (p *program) readBlock() {
	p.urls, p.smtp = map[string]string{}, map[string]string{}
	titles := map[string]string{"Portal (Helm)": "portal", "Game": "game", "Mail": "email", "Chat and desk": "chat"}
	modes := map[string]string{"SMTP (MX)": "mx", "SMTP submission": "submission", "SMTP over TLS": "submissions"}
	for line := range strings.SplitSeq(p.out.String(), "\n") {
		if len(line) < 19 {
			continue
		}
		title, value := strings.TrimSpace(line[:17]), strings.TrimSpace(line[17:])
		if service := titles[title]; service != "" {
			p.urls[service] = value
		}
		if mode := modes[title]; mode != "" {
			p.smtp[mode] = value
		}
	}
}

// signal sends a signal to the process.
func (p *program) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// gone waits for the end of the process and returns its exit status: -1 when a signal ended it.
func (p *program) gone(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.t.Fatalf("the program still ran after %s\n%s", within, p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// drained ends the process as an operator does, and fails the test unless it ends well.
func (p *program) drained() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if status := p.gone(10 * time.Second); status != 0 {
		p.t.Errorf("exit status %d after SIGTERM, want 0\n%s", status, p.err)
	}
}

// killed ends the process as a power cut does.
func (p *program) killed() {
	p.t.Helper()
	p.cmd.Process.Kill()
	p.gone(10 * time.Second)
	p.client.CloseIdleConnections()
}

// ask makes one request that may fail; target is "service/path?query", a body is JSON.
func (p *program) ask(ctx context.Context, method, target, body string, headers ...string) (status int, answer []byte, err error) {
	service, path, _ := strings.Cut(target, "/")
	req, err := http.NewRequestWithContext(ctx, method, p.urls[service]+"/"+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := p.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// must is ask, and fails the test on an error or another status.
func (p *program) must(status int, method, target, body string, headers ...string) []byte {
	p.t.Helper()
	got, answer, err := p.ask(p.t.Context(), method, target, body, headers...)
	if err != nil || got != status {
		p.t.Fatalf("%s %s: %d (%v), want %d\n%.500s", method, target, got, err, status, answer)
	}
	return answer
}
