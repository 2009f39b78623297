package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"uniqverse/internal/config"
)

// load runs Load on environment lines (NAME=value) and arguments alone, never on the
// environment of the test.
func load(environ, args []string) (config.Config, []string, error) {
	getenv := func(name string) string {
		for _, e := range environ {
			if n, v, _ := strings.Cut(e, "="); n == name {
				return v
			}
		}
		return ""
	}
	return config.Load(args, getenv, environ)
}

// testCase is one paragraph of testdata/*.txt; testdata/README says how they are written.
type testCase struct {
	line          int
	environ, args []string
	failure       string
	warnings      []string
	want          [][2]string // key, value
}

func readCases(t *testing.T, path, dir string) []testCase {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []testCase
	open := false
	for i, line := range strings.Split(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n") {
		line = strings.ReplaceAll(line, "$DIR", dir)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if strings.TrimSpace(line) == "" {
			open = false
			continue
		}
		if !open {
			all = append(all, testCase{line: i + 1})
			open = true
		}
		c := &all[len(all)-1]
		key, value, isResult := strings.Cut(line, ": ")
		switch {
		case isResult && key == "  error":
			c.failure = value
		case isResult && key == "  warning":
			c.warnings = append(c.warnings, value)
		case isResult && strings.HasPrefix(key, "  "):
			c.want = append(c.want, [2]string{strings.TrimSpace(key), value})
		case strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+"):
			c.args = append(c.args, strings.TrimPrefix(line, "+"))
		default:
			c.environ = append(c.environ, line)
		}
	}
	return all
}

// results returns what a case may ask for: each entry with its source, and the methods that
// join several settings.
func results(c config.Config) map[string]string {
	r := map[string]string{
		"demo":     map[bool]string{true: "on", false: "off"}[c.DemoIdentity()],
		"loopback": fmt.Sprint(c.Loopback()),
		"traces":   c.TracesURL(),
		"address":  c.Addr(c.PortalPort),
		"ports":    fmt.Sprint(c.HTTPPort("portal"), c.HTTPPort("game"), c.HTTPPort("email"), c.HTTPPort("chat"), c.HTTPPort("desk")),
	}
	for _, e := range c.Entries() {
		r[e.Name] = e.Value + " from " + string(e.Source)
	}
	return r
}

func TestCases(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good.json":    `[{"name":"wiki","url":"https://wiki.example.org"}]`,
		"bad.json":     `{"name":"wiki"}`,
		"unnamed.json": `[{"name":"wiki"},{"url":"https://wiki.example.org"}]`,
		"cert.pem":     "certificate",
		"key.pem":      "key",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no case files: %v", err)
	}
	for _, path := range files {
		for _, tc := range readCases(t, path, filepath.ToSlash(dir)) {
			t.Run(fmt.Sprintf("%s:%d", filepath.Base(path), tc.line), func(t *testing.T) {
				c, warnings, err := load(tc.environ, tc.args)
				got := ""
				if err != nil {
					got = err.Error()
				}
				if got != tc.failure {
					t.Errorf("error\n got %s\nwant %s", got, tc.failure)
				}
				if strings.Contains(got, "\n") {
					t.Errorf("the error is not one line: %q", got)
				}
				if !slices.Equal(warnings, tc.warnings) {
					t.Errorf("warnings\n got %q\nwant %q", warnings, tc.warnings)
				}
				if tc.failure != "" {
					if len(c.Services) != 0 {
						t.Errorf("a refused setting gave a usable Config: %v", c)
					}
					return
				}
				have := results(c)
				for _, w := range tc.want {
					if have[w[0]] != w[1] {
						t.Errorf("%s is %q, want %q", w[0], have[w[0]], w[1])
					}
				}
			})
		}
	}
}

// No secret may be read from an error, from a warning, or from a Config that is printed.
func TestSecretsAreNeverShown(t *testing.T) {
	const secret = "tomatensalat-9000"
	shown := []string{}
	for _, environ := range [][]string{
		{"VEZE_JWT_SECRET=" + secret},
		{"VEZE_SERVICE_TOKEN=" + secret},
		{"OTEL_EXPORTER_OTLP_HEADERS=authorization=" + secret},
	} {
		c, w, err := load(environ, nil)
		if err != nil {
			t.Fatalf("%s: %v", environ, err)
		}
		shown = append(shown, c.String(), fmt.Sprintf("%v %+v %#v %s", c, c, c, c), fmt.Sprint(w))
		for _, s := range []config.Secret{c.JWTSecret, c.ServiceToken, c.OTelHeaders} {
			shown = append(shown, fmt.Sprintf("%v %s %q %#v", s, s, s, s))
		}
	}
	for _, environ := range [][]string{
		{"DATABASE_URL=postgres://veze:" + secret + "@db.example.org/veze"},
		{"EMAIL_DB_URL=mysql://veze:" + secret + "@[db.example.org/veze"},
		{"VEZE_REDIS_URL=redis://:" + secret + "@redis.example.org:6379/4"},
		{"VEZE_SERVICE_EMAIL=http://user:" + secret + "@mail.example.org"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://user:" + secret + "@otel.example.org"},
		{"VEZE_JWKS_URL=https://user:" + secret + "@id.example.org/keys"},
		{"VEZE_JWKS_URL=ftp://user:" + secret + "@id.example.org"},
		{"VEZE_SERVICE_EMAIL=http://user:" + secret + "@mail.example.org:99999"},
		{"OTEL_EXPORTER_OTLP_HEADERS=" + secret},
	} {
		_, _, err := load(environ, nil)
		if err == nil {
			t.Fatalf("%s: taken, want it refused", environ)
		}
		shown = append(shown, err.Error())
	}
	if _, w, err := load([]string{"VEZE_JWT_SECRET=" + secret[:9]}, nil); err != nil || len(w) != 1 || strings.Contains(w[0], secret[:9]) || !strings.Contains(w[0], "9 bytes") {
		t.Errorf("a short secret: %v %v", w, err)
	}
	for _, s := range shown {
		if strings.Contains(s, secret) {
			t.Errorf("shows the secret: %s", s)
		}
	}
	c, _, _ := load([]string{"VEZE_JWT_SECRET=" + secret}, nil)
	if c.JWTSecret.Reveal() != secret {
		t.Errorf("Reveal = %q, want the secret itself", c.JWTSecret.Reveal())
	}
}

// The demo identity by section 3 of the contract, every combination.
func TestDemoIdentity(t *testing.T) {
	for _, forced := range []string{"", "1", "0"} {
		for _, secret := range []string{"", "0123456789abcdef"} {
			for _, jwks := range []string{"", "https://id.example.org/keys"} {
				for _, listen := range []string{"127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "192.0.2.7", "uni.example.org"} {
					environ := []string{"VEZE_JWT_DEMO=" + forced, "VEZE_JWT_SECRET=" + secret, "VEZE_JWKS_URL=" + jwks, "VEZE_LISTEN=" + listen}
					c, warnings, err := load(environ, nil)
					if err != nil {
						t.Fatalf("%s: %v", environ, err)
					}
					loopback := listen == "127.0.0.1" || listen == "::1" || listen == "localhost"
					want := secret == "" && jwks == "" && loopback
					if forced != "" {
						want = forced == "1"
					}
					if got := c.DemoIdentity(); got != want {
						t.Errorf("%s: demo %v, want %v", environ, got, want)
					}
					if warned := len(warnings) == 1; warned != (forced == "1") {
						t.Errorf("%s: warnings %q", environ, warnings)
					}
					if c.DemoForced() != (forced == "1") {
						t.Errorf("%s: DemoForced is %v", environ, c.DemoForced())
					}
				}
			}
		}
	}
}

func TestAudiences(t *testing.T) {
	c, _, err := load([]string{"VEZE_EMAIL_AUD=post"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]string{"portal": "veze-portal", "game": "veze-game", "email": "post", "chat": "veze-chat", "desk": "veze-chat"} {
		if got := c.Audience(service); got != want {
			t.Errorf("audience of %s is %q, want %q", service, got, want)
		}
	}
}

func TestPairs(t *testing.T) {
	got := config.Pairs("authorization=Bearer%20x, team = blue")
	if len(got) != 2 || got["authorization"] != "Bearer x" || got["team"] != "blue" {
		t.Errorf("Pairs = %q", got)
	}
	if config.Pairs("") != nil {
		t.Error("Pairs of nothing is not nil")
	}
}

// Every flag of the contract is there, and each setting is in the help text.
func TestEverySettingIsInTheHelp(t *testing.T) {
	help := config.Usage()
	for _, e := range config.Default().Entries() {
		if !strings.Contains(help, e.Name) || !strings.Contains(help, e.Flag) {
			t.Errorf("%s %s is not in the help text; run: go generate ./internal/config", e.Name, e.Flag)
		}
	}
	for _, flag := range strings.Fields("data listen portal-port game-port email-port chat-port smtp-port submission-port submissions-port services domain demo dns log") {
		if !strings.Contains(help, "--"+flag+",") {
			t.Errorf("--%s is not in the help text", flag)
		}
	}
}

func TestLogger(t *testing.T) {
	for setting, want := range map[string]string{
		"text,info":  "level=INFO msg=seen",
		"json,info":  `"msg":"seen"`,
		"text,warn":  "",
		"json,debug": `"msg":"seen"`,
	} {
		c, _, err := load([]string{"VEZE_LOG=" + setting}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		c.Log.Logger(&b).Info("seen")
		if !strings.Contains(b.String(), want) || (want == "") != (b.Len() == 0) {
			t.Errorf("%s logs %q, want it to hold %q", setting, b.String(), want)
		}
	}
}

func TestBuildNamesEverything(t *testing.T) {
	got := config.Build()
	for _, part := range []string{config.Version(), "commit ", "go1.", "/"} {
		if !strings.Contains(got, part) {
			t.Errorf("Build = %q, does not hold %q", got, part)
		}
	}
}
