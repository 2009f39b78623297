package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runWith runs the program with an environment of its own and returns what it said.
func runWith(ctx context.Context, environ []string, args ...string) (status int, out, errOut string) {
	var o, e bytes.Buffer
	c := command{getenv: lookup(environ), environ: environ, out: &o, errOut: &e}
	status = c.run(ctx, args)
	return status, o.String(), e.String()
}

func lookup(environ []string) func(string) string {
	return func(name string) string {
		for _, entry := range environ {
			if n, v, _ := strings.Cut(entry, "="); n == name {
				return v
			}
		}
		return ""
	}
}

// freePorts are settings under which two programs never meet.
func freePorts(t *testing.T) []string {
	t.Helper()
	return []string{"VEZE_DATA_DIR=" + t.TempDir(), "UNI_PORT=0", "GAME_PORT=0", "EMAIL_PORT=0", "CHAT_PORT=0",
		"EMAIL_SMTP_25=0", "EMAIL_SMTP_587=0", "EMAIL_SMTP_465=0", "EMAIL_DNS=off"}
}

func TestSubcommands(t *testing.T) {
	for _, tc := range []struct {
		args    string
		status  int
		out     string // a part of what it prints
		problem string // a part of what it prints on stderr
	}{
		{"version", 0, "uniqverse dev, commit ", ""},
		{"help", 0, "uniqverse token --user", ""},
		{"--help", 0, "VEZE_DATA_DIR", ""},
		{"serve -h", 0, "VEZE_DATA_DIR", ""},
		{"config --help", 0, "VEZE_DATA_DIR", ""},
		{"config --domain=example.org", 0, "example.org", ""},
		{"config --demo", 0, "--demo", "warning: VEZE_JWT_DEMO (--demo) is 1"},
		{"config --colour=blue", 2, "", "unknown flag --colour"},
		{"sevre", 2, "", `"sevre" is not a subcommand; there are serve, config, token, version and help`},
		{"serve extra", 2, "", `unexpected argument "extra"`},
		{"--portal-port=x", 2, "", `UNI_PORT (--portal-port) is "x", which is not a port`},
		{"token --help", 0, "", "-scopes"},
		{"token --colour", 2, "", "-colour"},
		{"token extra", 2, "", `unexpected argument "extra"`},
	} {
		status, out, problem := runWith(t.Context(), nil, strings.Fields(tc.args)...)
		if status != tc.status || !strings.Contains(out, tc.out) || !strings.Contains(problem, tc.problem) {
			t.Errorf("uniqverse %s: status %d, printed %q and %q; want %d, %q and %q", tc.args, status, out, problem, tc.status, tc.out, tc.problem)
		}
		if status == 2 && !strings.HasPrefix(tc.args, "token --c") && strings.Count(problem, "\n") != 1 {
			t.Errorf("uniqverse %s: the refusal is not one line: %q", tc.args, problem)
		}
	}
}

// readyWriter ends the wait of a test when the start-up block is complete.
type readyWriter struct {
	io.Writer
	ready context.CancelFunc
	seen  strings.Builder
}

func (w *readyWriter) Write(p []byte) (int, error) {
	w.seen.Write(p)
	if strings.Contains(w.seen.String(), "UniQVerse ready") {
		w.ready()
	}
	return w.Writer.Write(p)
}

// A start gets ready, a signal drains it, and the status is 0.
func TestServeUntilTheSignal(t *testing.T) {
	environ := freePorts(t)
	ctx, signal := context.WithCancel(t.Context())
	defer signal()
	var out, errOut bytes.Buffer
	c := command{getenv: lookup(environ), environ: environ, errOut: &errOut, out: &readyWriter{Writer: &out, ready: signal}}
	if status := c.run(ctx, nil); status != 0 {
		t.Fatalf("status %d, want 0\n%s%s", status, out.String(), errOut.String())
	}
}

// A start that cannot be says so in one line that names the setting, serves nothing and
// damages nothing.
func TestStartIsRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("not a folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	garbage := bytes.Repeat([]byte("no database at all\n"), 1000)
	if err := os.WriteFile(filepath.Join(broken, "uniqverse.db"), garbage, 0o600); err != nil {
		t.Fatal(err)
	}

	for name, tc := range map[string]struct{ setting, problem string }{
		"port taken":       {"--game-port=" + port, "GAME_PORT"},
		"smtp port taken":  {"--smtp-port=" + port, "EMAIL_SMTP_25"},
		"folder is a file": {"--data=" + file, "VEZE_DATA_DIR"},
		"broken database":  {"--data=" + broken, "uniqverse.db"},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, problem := runWith(t.Context(), freePorts(t), tc.setting)
			if status != 2 || strings.Contains(out, "UniQVerse ready") {
				t.Errorf("status %d, printed %q; want status 2 before anything is served", status, out)
			}
			last := problem[strings.LastIndex(strings.TrimRight(problem, "\n"), "\n")+1:]
			if !strings.HasPrefix(last, "uniqverse: ") || !strings.Contains(last, tc.problem) {
				t.Errorf("the last line is %q; want one that names %s", last, tc.problem)
			}
		})
	}
	if after, err := os.ReadFile(filepath.Join(broken, "uniqverse.db")); err != nil || !bytes.Equal(after, garbage) {
		t.Errorf("the broken database was changed (%v)", err)
	}
}

// A token is minted with the data folder's key, and no token without knowing for whom.
func TestToken(t *testing.T) {
	environ := freePorts(t)
	status, out, problem := runWith(t.Context(), environ, "token", "--user", "pilot", "--scopes", "email.read game.play", "--aud", "veze-email", "--ttl", "10m")
	if status != 0 || strings.Count(strings.TrimSpace(out), ".") != 2 || strings.ContainsAny(strings.TrimSpace(out), " \n") {
		t.Errorf("status %d, printed %q and %q; want a token alone on stdout", status, out, problem)
	}
	for _, args := range [][]string{
		{"token", "--aud", "veze-email"},
		{"token", "--user", "pilot", "--aud", "veze-email", "--ttl", "-1h"},
		{"token", "--user", "pilot", "--aud", "veze-email", "--scopes", "no.such"},
		{"token", "--user", "pilot@example.com"},
		{"token", "--user", "two words", "--aud", "veze-email"},
	} {
		status, out, problem := runWith(t.Context(), environ, args...)
		if status != 2 || out != "" || !strings.HasPrefix(problem, "uniqverse: ") {
			t.Errorf("%s: status %d, printed %q and %q; want status 2 and one line", args, status, out, problem)
		}
	}
}
