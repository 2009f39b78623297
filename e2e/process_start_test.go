package e2e_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"uniqverse/store"
)

// How the program starts, and how it refuses to.

// The block is what a newcomer reads first and what other programs wait for; its form is part
// of the product.
func TestProcessStartUpBlock(t *testing.T) {
	p := launched(t, "VEZE_LOG=text,info")
	want := regexp.MustCompile(`^
  UniQVerse \S+

  Portal \(Helm\)   http://localhost:\d+
  Game            http://localhost:\d+
  Mail            http://localhost:\d+
  Chat and desk   http://localhost:\d+
  SMTP \(MX\)       localhost:\d+
  SMTP submission localhost:\d+
  SMTP over TLS   localhost:\d+
  Data folder     ` + regexp.QuoteMeta(p.dir) + `
  Demo identity   on: [^\n]+
  Make the admin  http://localhost:\d+/setup\?token=\w+

UniQVerse ready
$`)
	if !want.MatchString(p.out.String()) {
		t.Errorf("the start-up block is\n%s\nwant\n%s", p.out, want)
	}
	for service := range p.urls {
		p.must(200, "GET", service+"/health", "")
	}
	if p.err.String() != "" {
		t.Errorf("an undisturbed start says on stderr:\n%s", p.err)
	}
	p.drained()
	if p.err.String() != "" {
		t.Errorf("an undisturbed drain says on stderr:\n%s", p.err)
	}
}

// With nothing set at all, the default ports and ./data are used.
func TestProcessStartsWithNothingSet(t *testing.T) {
	for _, port := range []int{8000, 8002, 8004, 8010, 2525, 2587, 2465} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Skipf("a default port is taken on this machine: %v", err)
		}
		l.Close()
	}
	p := newProgram(t)
	p.cwd = t.TempDir()
	p.env = map[string]string{"PATH": os.Getenv("PATH"), "HOME": t.TempDir()}
	if runtime.GOOS == "windows" {
		p.env["SYSTEMROOT"] = os.Getenv("SYSTEMROOT")
	}
	p.launch()
	for service, url := range map[string]string{"portal": "http://localhost:8000", "game": "http://localhost:8002", "email": "http://localhost:8004", "chat": "http://localhost:8010"} {
		if p.urls[service] != url {
			t.Errorf("%s is at %q, want %s", service, p.urls[service], url)
		}
		p.must(200, "GET", service+"/health", "")
	}
	if p.smtp["mx"] != "localhost:2525" || p.smtp["submission"] != "localhost:2587" || p.smtp["submissions"] != "localhost:2465" {
		t.Errorf("SMTP is at %v", p.smtp)
	}
	if _, err := os.Stat(filepath.Join(p.cwd, "data", "uniqverse.db")); err != nil {
		t.Error(err)
	}
	p.drained()
}

// What the program makes is for its owner alone.
func TestProcessFilesArePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	p := launched(t)
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	p.drained()
}

// snapshot reads every file below a folder.
func snapshot(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return all
}

// taken returns a port on which somebody else listens.
func taken(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// used is a data folder as a clean run leaves it.
func used(t testing.TB) map[string][]byte {
	t.Helper()
	p := launched(t)
	p.must(200, "POST", "chat/rooms?name=lounge&kind=global", "")
	p.drained()
	files := map[string][]byte{}
	for path, content := range snapshot(t, p.dir) {
		name, _ := filepath.Rel(p.dir, path)
		files[filepath.ToSlash(name)] = content
	}
	if len(files[store.FileName]) == 0 {
		t.Fatalf("a clean run leaves no %s", store.FileName)
	}
	return files
}

// restore writes such a folder as the program's.
func (p *program) restore(files map[string][]byte) {
	p.t.Helper()
	for name, content := range files {
		path := filepath.Join(p.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
}

// checkRefused runs the program and checks that it says one line with all of the words, ends
// with status 2, serves nothing and leaves every file that was there as it was.
func (p *program) checkRefused(words ...string) {
	p.t.Helper()
	before := snapshot(p.t, filepath.Dir(p.dir))
	status := p.refused()
	if status != 2 {
		p.t.Errorf("exit status %d, want 2", status)
	}
	line := p.err.String()
	if p.out.String() != "" {
		p.t.Errorf("it prints on stdout: %q", p.out)
	}
	if !strings.HasPrefix(line, "uniqverse: ") || strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		p.t.Errorf("stderr is not one line: %q", line)
	}
	for _, w := range words {
		if !strings.Contains(line, w) {
			p.t.Errorf("the line does not say %q: %s", w, line)
		}
	}
	after := snapshot(p.t, filepath.Dir(p.dir))
	for path, content := range before {
		if p.touched != "" && (filepath.Base(path) == p.touched || filepath.Base(path) == "uniqverse.run") {
			continue
		}
		if !bytes.Equal(after[path], content) {
			p.t.Errorf("%s was changed: %d bytes before, %d after", path, len(content), len(after[path]))
		}
	}
}

func TestProcessRefusesSettings(t *testing.T) {
	port := taken(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("not a folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		setting string   // NAME=value, or a flag
		words   []string // the setting, the value, the mend
	}{
		{"HTTP port taken", "GAME_PORT=" + port, []string{"GAME_PORT (--game-port)", port, "in use", "give another port"}},
		{"portal's port taken", "--portal-port=" + port, []string{"UNI_PORT (--portal-port)", port, "in use", "give another port"}},
		{"SMTP port taken", "EMAIL_SMTP_25=" + port, []string{"EMAIL_SMTP_25 (--smtp-port)", port, "in use", "give another port"}},
		{"submissions port taken", "EMAIL_SMTP_465=" + port, []string{"EMAIL_SMTP_465 (--submissions-port)", port, "in use", "give another port"}},
		{"no address of this machine", "VEZE_LISTEN=192.0.2.1", []string{"VEZE_LISTEN (--listen)", `"192.0.2.1"`, "127.0.0.1"}},
		{"folder is a file", "VEZE_DATA_DIR=" + file, []string{"VEZE_DATA_DIR (--data)", file, "name a folder"}},
		{"folder below a file", "--data=" + file + "/data", []string{"VEZE_DATA_DIR (--data)", file + "/data", "name a folder"}},
		{"no port", "CHAT_PORT=80a", []string{"CHAT_PORT (--chat-port)", `"80a"`, "65535"}},
		{"port too large", "--smtp-port=70000", []string{"EMAIL_SMTP_25 (--smtp-port)", `"70000"`, "65535"}},
		{"no switch", "VEZE_JWT_DEMO=maybe", []string{"VEZE_JWT_DEMO (--demo)", `"maybe"`}},
		{"no service", "VEZE_SERVICES=portal,gmae", []string{"VEZE_SERVICES (--services)", "gmae"}},
		{"no log level", "VEZE_LOG=text,loud", []string{"VEZE_LOG (--log)", "loud"}},
		{"no DNS server", "EMAIL_DNS=ns.example", []string{"EMAIL_DNS (--dns)", `"ns.example"`, "host:port"}},
		{"no URL", "VEZE_SERVICE_EMAIL=mail:8004", []string{"VEZE_SERVICE_EMAIL", "mail:8004", "http"}},
		{"half of a key pair", "EMAIL_TLS_CERT=" + file, []string{"EMAIL_TLS_CERT", file, "EMAIL_TLS_KEY", "set both"}},
		{"JWKS beyond this host in the clear", "VEZE_JWKS_URL=http://example.org/jwks", []string{"VEZE_JWKS_URL", "https"}},
		{"unknown flag", "--colour=blue", []string{"unknown flag --colour", "uniqverse help"}},
		{"misspelt flag", "--portal-prot=1", []string{"unknown flag --portal-prot", "--portal-port"}},
		{"PostgreSQL", "DATABASE_URL=postgres://u:hush@db/uni", []string{"DATABASE_URL", "postgres://", "unset it"}},
		{"PostgreSQL for mail", "EMAIL_DB_URL=postgres://u:hush@db/uni", []string{"EMAIL_DB_URL", "postgres://", "unset it"}},
		{"Redis", "VEZE_REDIS_URL=redis://:hush@cache/0", []string{"VEZE_REDIS_URL", "redis://", "unset it"}},
		{"Redis by its other name", "REDIS_URL=redis://:hush@cache/0", []string{"REDIS_URL", "redis://", "unset it"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProgram(t)
			if name, value, _ := strings.Cut(tc.setting, "="); strings.HasPrefix(tc.setting, "-") {
				p.args = []string{tc.setting}
			} else {
				p.env[name] = value
			}
			p.checkRefused(tc.words...)
			if strings.Contains(p.err.String(), "hush") {
				t.Errorf("it shows a password: %s", p.err)
			}
			if _, err := os.Stat(filepath.Join(p.dir, store.FileName)); err == nil {
				t.Error("a start that was refused made a database")
			}
		})
	}
}

// As root most folders can be written; those of the kernel cannot.
func TestProcessRefusesUnwritableFolder(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	p := newProgram(t, "VEZE_DATA_DIR=/proc/self/data")
	p.checkRefused("VEZE_DATA_DIR (--data)", `"/proc/self/data"`, "name a folder that this user may write")

	if os.Getuid() == 0 {
		return
	}
	locked := t.TempDir()
	if err := os.Chmod(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	p = newProgram(t, "VEZE_DATA_DIR="+locked)
	p.checkRefused("VEZE_DATA_DIR (--data)", locked, "name a folder that this user may write")
}

// The ports of mail are for those who have the right to them.
func TestProcessRefusesPortWithoutRight(t *testing.T) {
	if first, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err != nil || strings.TrimSpace(string(first)) == "0" {
		t.Skip("every user may listen on every port here")
	}
	p := newProgram(t, "EMAIL_SMTP_465=465")
	if os.Getuid() == 0 {
		p.wrap = []string{tool(t, "setpriv"), "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"}
	}
	p.checkRefused("EMAIL_SMTP_465 (--submissions-port)", "465", "permission denied", "cap_net_bind_service")
}

func TestProcessRefusesDatabases(t *testing.T) {
	good := used(t)
	database := good[store.FileName]
	for _, tc := range []struct {
		name  string
		file  []byte
		words []string
	}{
		{"garbage", bytes.Repeat([]byte("no database at all\n"), 1000), []string{"is damaged or not a database", "nothing was changed", "Put a good copy"}},
		{"a short text", []byte("hello\n"), []string{"is damaged or not a database", "nothing was changed"}},
		{"cut in half", database[:len(database)/2/4096*4096], []string{"is damaged or not a database", "nothing was changed"}},
		{"cut within a page", database[:len(database)-1000], []string{"is damaged or not a database", "nothing was changed"}},
		{"cut within its header", database[:60], []string{"is damaged or not a database", "nothing was changed"}},
		{"its schema overwritten", append(append(bytes.Clone(database[:200]), bytes.Repeat([]byte{0xA5}, 3896)...), database[4096:]...), []string{"is damaged or not a database", "nothing was changed"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProgram(t)
			p.restore(good)
			p.restore(map[string][]byte{store.FileName: tc.file})
			p.checkRefused(append(tc.words, filepath.Join(p.dir, store.FileName))...)
		})
	}
	t.Run("a newer one", func(t *testing.T) {
		p := newProgram(t)
		p.restore(good)
		db, err := store.Open(t.Context(), store.Options{Dir: p.dir})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Write(t.Context(), nil, func(tx *store.Tx) error {
			_, err := tx.Exec("INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (9000, '9000_future.sql', 'x', 1)")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		p.checkRefused(filepath.Join(p.dir, store.FileName), "newer", "9000")
	})
	t.Run("a folder", func(t *testing.T) {
		p := newProgram(t)
		if err := os.MkdirAll(filepath.Join(p.dir, store.FileName), 0o700); err != nil {
			t.Fatal(err)
		}
		p.checkRefused(filepath.Join(p.dir, store.FileName))
	})
	t.Run("an empty one is new", func(t *testing.T) {
		p := newProgram(t)
		p.restore(map[string][]byte{store.FileName: nil})
		p.launch()
		p.must(200, "GET", "chat/rooms", "")
		p.drained()
	})
	t.Run("a good one", func(t *testing.T) {
		p := newProgram(t)
		p.restore(good)
		p.launch()
		if rooms := p.must(200, "GET", "chat/rooms", ""); !contains(rooms, "lounge") {
			t.Errorf("the room is gone: %s", rooms)
		}
		p.drained()
	})
}

// A key that cannot be read must not be replaced in silence: every token would end.
func TestProcessRefusesBrokenKeys(t *testing.T) {
	good := used(t)
	keys := 0
	for name := range good {
		if !strings.HasPrefix(name, "keys/") && name != "service.token" {
			continue
		}
		keys++
		for what, content := range map[string][]byte{"empty": nil, "garbage": []byte("no key\n")} {
			t.Run(name+" "+what, func(t *testing.T) {
				p := newProgram(t)
				p.restore(good)
				p.restore(map[string][]byte{name: content})
				p.touched = store.FileName // it was opened and closed before the keys were read
				p.checkRefused(filepath.Join(p.dir, filepath.FromSlash(name)))
			})
		}
	}
	if keys < 2 {
		t.Errorf("only %d keys were found among %d files", keys, len(good))
	}
}

func TestProcessRefusesSecondOnFolder(t *testing.T) {
	first := launched(t)
	second := newProgram(t, "VEZE_DATA_DIR="+first.dir)
	status := second.refused()
	line := second.err.String()
	if status != 2 || strings.Count(line, "\n") != 1 || !strings.Contains(line, "VEZE_DATA_DIR (--data)") || !strings.Contains(line, first.dir) ||
		!strings.Contains(line, "another process already runs") {
		t.Errorf("status %d, stderr %q", status, line)
	}
	first.must(200, "POST", "chat/rooms?name=lounge&kind=global", "")
	first.drained()
	second.launch() // the folder is free again
	second.drained()
}

func TestProcessWarnsOfUnknownVariables(t *testing.T) {
	p := launched(t, "VEZE_DATADIR=/tmp/x", "UNRELATED=1")
	lines := p.err.String()
	if strings.Count(lines, "\n") != 1 || !strings.HasPrefix(lines, "uniqverse: warning: VEZE_DATADIR is not a setting") || !strings.Contains(lines, "VEZE_DATA_DIR") {
		t.Errorf("stderr is %q, want one warning that names VEZE_DATADIR and VEZE_DATA_DIR", lines)
	}
	p.drained()
}
