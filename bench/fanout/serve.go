package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"uniqverse/internal/config"
	"uniqverse/internal/node"
)

// serve is the server's process: the product on free ports, with a data folder, and the door for measurements. It ends
// with its standard input.
func serve(args []string) error {
	if os.Getenv("UNIQ_EXACT_HEAP") != "" {
		runtime.MemProfileRate = 1
	}
	env := map[string]string{"VEZE_DATA_DIR": args[0], "UNI_PORT": "0", "GAME_PORT": "0", "EMAIL_PORT": "0", "CHAT_PORT": "0",
		"EMAIL_SMTP_25": "0", "EMAIL_SMTP_587": "0", "EMAIL_SMTP_465": "0", "EMAIL_DNS": "off"}
	var environ []string
	for k, v := range env {
		environ = append(environ, k+"="+v)
	}
	cfg, _, err := config.Load(nil, func(k string) string { return env[k] }, environ)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	n, err := node.Start(ctx, node.Options{Config: cfg, Version: "bench", Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/gc", func(w http.ResponseWriter, _ *http.Request) {
		runtime.GC()
		runtime.GC()
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprint(w, runtime.NumGoroutine(), " ", m.HeapAlloc, " ", m.StackInuse, " ", m.HeapInuse, " ", m.HeapSys-m.HeapReleased)
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	door := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go door.Serve(ln)
	fmt.Printf("%s http://%s\n", n.URL("chat"), ln.Addr())
	io.Copy(io.Discard, os.Stdin)
	door.Close()
	return n.Shutdown(context.Background())
}

// server is a process that is measured.
type server struct {
	cmd   *exec.Cmd
	stdin io.Closer
	dir   string
	url   string // of chat, or the address of the yardstick
	door  string
}

// start starts this program once more in another role.
func start(role string, args ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.Command(self, append([]string{role}, args...)...)}
	s.cmd.Stderr = os.Stderr
	s.stdin, err = s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.end()
		return nil, fmt.Errorf("the server does not start: %w", err)
	}
	s.url, s.door, _ = strings.Cut(strings.TrimSpace(line), " ")
	return s, nil
}

// product starts the product with a new data folder.
func product() (*server, error) {
	dir, err := os.MkdirTemp("", "uniqverse-fanout-*")
	if err != nil {
		return nil, err
	}
	s, err := start("serve", dir)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	s.dir = dir
	return s, nil
}

func (s *server) end() {
	s.stdin.Close()
	s.cmd.Wait()
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// cpu is the user and system time that the process has used.
func (s *server) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rss is the resident memory after a forced garbage collection, in bytes, and how many goroutines there are.
func (s *server) rss() (bytes int64, goroutines int, err error) {
	text, err := get(s.door + "/gc")
	if err != nil {
		return 0, 0, err
	}
	goroutines, _ = strconv.Atoi(strings.Fields(text)[0])
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb * 1024, goroutines, err
		}
	}
	return 0, 0, fmt.Errorf("/proc does not tell the resident memory")
}

// metric returns a figure of /metrics, 0 when it is not there.
func (s *server) metric(name string) float64 {
	text, err := get(s.url + "/metrics")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, _ := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return v
		}
	}
	return 0
}

// profile writes a CPU profile of the server to a file while f runs.
func (s *server) profile(file string, d time.Duration) (wait func() error) {
	done := make(chan error, 1)
	go func() {
		text, err := get(fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.door, max(1, int(d.Seconds()))))
		if err == nil {
			err = os.WriteFile(file, []byte(text), 0o644)
		}
		done <- err
	}()
	return func() error { return <-done }
}

func get(url string) (string, error) {
	res, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("%s: %d %.200s", url, res.StatusCode, b)
	}
	return string(b), err
}
