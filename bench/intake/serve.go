package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/config"
	"uniqverse/internal/node"
	"uniqverse/smtpd"
)

// serve is the server's process: the product on free ports, and the door for profiles. It ends with its standard input.
func serve(dir, dns string) error {
	env := map[string]string{"VEZE_DATA_DIR": dir, "UNI_PORT": "0", "GAME_PORT": "0", "EMAIL_PORT": "0", "CHAT_PORT": "0",
		"EMAIL_SMTP_25": "0", "EMAIL_SMTP_587": "0", "EMAIL_SMTP_465": "0", "EMAIL_DNS": dns}
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
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	door := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go door.Serve(ln)
	fmt.Printf("%s %s http://%s\n", n.SMTP(smtpd.MX), n.URL("email"), ln.Addr())
	io.Copy(io.Discard, os.Stdin)
	door.Close()
	return n.Shutdown(context.Background())
}

// server is the process that is measured.
type server struct {
	cmd             *exec.Cmd
	stdin           io.Closer
	smtp, url, door string
	profiled        time.Duration // that a profile covers
}

// start starts the product with a new data folder in dir, and makes the mailbox.
func start(dir, dns string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.Command(self, "serve", dir+"/data", dns)}
	s.cmd.Stderr = os.Stderr
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
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
	if err == nil {
		_, err = fmt.Sscan(line, &s.smtp, &s.url, &s.door)
	}
	if err != nil {
		s.end()
		return nil, fmt.Errorf("the server does not start: %w", err)
	}
	if _, err := s.call(http.MethodPost, "/api/mailboxes", `{"user":"`+recipient+`"}`); err != nil {
		s.end()
		return nil, fmt.Errorf("the mailbox cannot be made: %w", err)
	}
	return s, nil
}

// call asks the mail API as the demo identity.
func (s *server) call(method, path, body string) ([]byte, error) {
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer demo")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s: %d %.300s", path, res.StatusCode, text)
	}
	return text, err
}

func (s *server) end() {
	s.stdin.Close()
	s.cmd.Wait()
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

// rest waits until the server has nothing to do: two seconds with hardly any work.
func (s *server) rest() {
	for began := time.Now(); time.Since(began) < time.Minute; {
		before := s.cpu()
		time.Sleep(2 * time.Second)
		if s.cpu()-before <= 30*time.Millisecond {
			return
		}
	}
}

// counted holds that the mailbox has so many messages, and that the last one was checked.
func (s *server) counted(want int) error {
	text, err := s.call(http.MethodGet, "/api/messages?limit=1&user="+recipient, "")
	if err != nil {
		return err
	}
	var list api.EmailList
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	if list.Total != int64(want) || len(list.Messages) != 1 {
		return fmt.Errorf("there should be %d messages, and there are %d", want, list.Total)
	}
	if a := list.Messages[0].Auth; a.SPF != "pass" || a.DMARC != "pass" {
		return fmt.Errorf("the checks did not pass: %+v", a)
	}
	return nil
}

// profile writes a CPU profile of the server to a file, and beside it one of what was allocated since the start.
func (s *server) profile(file string) (wait func() error) {
	done := make(chan error, 1)
	go func() {
		done <- errors.Join(save(fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.door, max(1, int(s.profiled.Seconds()))), file),
			save(s.door+"/debug/pprof/allocs", file+".allocs"))
	}()
	return func() error { return <-done }
}

// save writes what an address answers to a file.
func save(url, file string) error {
	res, err := http.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
