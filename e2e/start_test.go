package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"uniqverse/internal/config"
	"uniqverse/internal/node"
	"uniqverse/services/email/signer"
	"uniqverse/smtpd"
	"uniqverse/store/storetest"
)

// system is the product, started for one test.
type system struct {
	*node.Node
	t   testing.TB
	dir string
	env map[string]string
	log *slog.Logger // nil is silent, or stderr under -v

	busyWait time.Duration // see node.Options
}

// start runs the product in this process with these settings (NAME=value) on free ports and
// a folder that goes with the test, and ends it with the test.
func start(t testing.TB, env ...string) *system {
	t.Helper()
	s := prepare(t, env...)
	s.boot()
	t.Cleanup(s.end)
	return s
}

// prepare is start without the starting: for tests that change something before boot.
func prepare(t testing.TB, env ...string) *system {
	t.Helper()
	s := bare(t, storetest.Dir(t), env...)
	keys, err := dkimKeys()
	if err == nil {
		err = os.Mkdir(filepath.Join(s.dir, "dkim"), 0o700)
	}
	for name, pem := range keys {
		err = errors.Join(err, os.WriteFile(filepath.Join(s.dir, "dkim", name), pem, 0o600))
	}
	if err != nil {
		t.Fatalf("keys: %v", err)
	}
	return s
}

// bare is prepare on a folder as it is: for tests of a first start.
func bare(t testing.TB, dir string, env ...string) *system {
	t.Helper()
	s := &system{t: t, dir: dir, env: map[string]string{"UNI_PORT": "0", "GAME_PORT": "0", "EMAIL_PORT": "0", "CHAT_PORT": "0",
		"EMAIL_SMTP_25": "0", "EMAIL_SMTP_587": "0", "EMAIL_SMTP_465": "0", "EMAIL_DNS": "off"}}
	s.env["VEZE_DATA_DIR"] = s.dir
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		s.env[k] = v
	}
	return s
}

// dkimKeys is a pair of keys as a first start makes them, by the names of their files. Making the RSA key takes longer
// than most of the tests, so that all that are not about keys share it.
var dkimKeys = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "dkim")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if _, err := signer.New(dir, "vezeuniqverse.com", time.Now).Records(); err != nil {
		return nil, err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	keys := map[string][]byte{}
	for _, f := range files {
		if keys[f.Name()], err = os.ReadFile(filepath.Join(dir, f.Name())); err != nil {
			return nil, err
		}
	}
	return keys, nil
})

// boot starts the process on the folder; after end it is a restart.
func (s *system) boot() {
	s.t.Helper()
	var environ []string
	for k, v := range s.env {
		environ = append(environ, k+"="+v)
	}
	cfg, _, err := config.Load(nil, func(k string) string { return s.env[k] }, environ)
	if err != nil {
		s.t.Fatal(err)
	}
	log := s.log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if s.log == nil && testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	s.Node, err = node.Start(s.t.Context(), node.Options{Config: cfg, Version: "test", Log: log, BusyWait: s.busyWait})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) end() {
	if err := s.Shutdown(context.Background()); err != nil {
		s.t.Errorf("shutdown: %v", err)
	}
}

// mx is the address of the MX listener.
func (s *system) mx() string { return s.SMTP(smtpd.MX) }

// reply is an HTTP answer with its body read.
type reply struct {
	*http.Response
	body []byte
}

// JSON decodes the body, or fails the test.
func (r reply) JSON(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(r.body, into); err != nil {
		t.Fatalf("%s: not JSON: %v\n%.500s", r.Request.URL, err, r.body)
	}
}

// call makes one request: target is "service/path?query"; body is sent as it is; headers come in pairs.
// Redirects are not followed.
func (s *system) call(method, target string, body string, headers ...string) reply {
	s.t.Helper()
	service, path, _ := strings.Cut(target, "/")
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.URL(service)+"/"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 20 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{res, b}
}

// get is call with GET, and fails the test on another status.
func (s *system) get(status int, target string, headers ...string) reply {
	s.t.Helper()
	r := s.call("GET", target, "", headers...)
	if r.StatusCode != status {
		s.t.Fatalf("GET %s: %d, want %d\n%.500s", target, r.StatusCode, status, r.body)
	}
	return r
}

// post is call with POST and a JSON body ("" for none), and fails the test on another status.
func (s *system) post(status int, target, body string, headers ...string) reply {
	s.t.Helper()
	if body != "" {
		headers = append([]string{"Content-Type", "application/json"}, headers...)
	}
	r := s.call("POST", target, body, headers...)
	if r.StatusCode != status {
		s.t.Fatalf("POST %s: %d, want %d\n%.500s", target, r.StatusCode, status, r.body)
	}
	return r
}

// tool returns the path of a program, or skips the test where it is not installed (and fails
// it where UNIQ_REQUIRE names it).
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if slices.Contains(strings.Split(os.Getenv("UNIQ_REQUIRE"), ","), name) {
		t.Fatalf("%s is required here and not installed: apt-get install %s", name, name)
	}
	t.Skipf("%s is not installed: apt-get install %s", name, name)
	return ""
}

// nodeClients returns the folder of the npm clients, or skips the test where npm ci was not run there (and fails it
// where UNIQ_REQUIRE names node). Scripts are run there: node SCRIPT.mjs ARGS….
func nodeClients(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("testdata", "node"))
	if err != nil {
		t.Fatal(err)
	}
	_, noNode := exec.LookPath("node")
	_, noClients := os.Stat(filepath.Join(dir, "node_modules", "ws"))
	if noNode == nil && noClients == nil {
		return dir
	}
	const mend = "node or its clients are not installed: apt-get install nodejs npm; npm ci --prefix e2e/testdata/node"
	if slices.Contains(strings.Split(os.Getenv("UNIQ_REQUIRE"), ","), "node") {
		t.Fatal(mend)
	}
	t.Skip(mend)
	return ""
}

// eventually asks again until ok or 10 s have passed.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("did not happen within 10 s: %s", what)
}

func contains(b []byte, s string) bool { return bytes.Contains(b, []byte(s)) }
