package main

import (
	"os"
	"strings"
	"testing"
)

// The page and the help text are what the comments say; `go generate ./internal/config`
// writes them anew.
func TestManualIsCurrent(t *testing.T) {
	src, err := os.ReadFile("../config.go")
	if err != nil {
		t.Fatal(err)
	}
	m, err := read(src)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"../../../docs/config.md": m.page(),
		"../usage.txt":            m.usage(),
	} {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ReplaceAll(string(got), "\r\n", "\n") != want {
			t.Errorf("%s is not what the comments of config.Config say; run: go generate ./internal/config", path)
		}
	}
}

func TestReadRefusesASilentSetting(t *testing.T) {
	for name, src := range map[string]string{
		"no comment":    "type Config struct {\n// # A\n\n\nX int `env:\"X\" default:\"1\"`\n}",
		"no default":    "type Config struct {\n// # A\n\n// Says X.\nX int `env:\"X\"`\n}",
		"two defaults":  "type Config struct {\n// # A\n\n// Says X.\nX int `env:\"X\" default:\"1\" unset:\"none\"`\n}",
		"no chapter":    "type Config struct {\n// Says X.\nX int `env:\"X\" default:\"1\"`\n}",
		"no struct":     "type Other struct{}",
		"not Go at all": "typo Config",
	} {
		if m, err := read([]byte("package config\n" + src)); err == nil {
			t.Errorf("%s: read as %+v, want an error", name, m)
		}
	}
	src := "package config\ntype Config struct {\n// # A\n\n// Says X. And more.\nX int `env:\"X\" default:\"1\"`\n}"
	m, err := read([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.usage(), "\nA:\n  X (default: 1)\n      Says X.\n"; got != want {
		t.Errorf("usage = %q, want %q", got, want)
	}
}
