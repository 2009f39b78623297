package signer_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"uniqverse/services/email/signer"
)

const message = "From: ann@vezeuniqverse.com\r\nTo: bob@example.org\r\nSubject: hi\r\nDate: Sun, 22 Nov 2026 08:00:00 +0000\r\nMessage-ID: <1@vezeuniqverse.com>\r\n\r\nhello \r\n\r\n\r\n"

func present() map[string]int {
	return map[string]int{"from": 1, "to": 1, "subject": 1, "date": 1, "message-id": 1}
}

func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// sign signs the message and returns it with its signatures, and the DNS that goes with them.
func sign(t *testing.T, s *signer.Signer) (signed string, zone map[string]string) {
	t.Helper()
	fields, err := s.Sign(strings.NewReader(message), present())
	if err != nil {
		t.Fatal(err)
	}
	records, err := s.Records()
	if err != nil {
		t.Fatal(err)
	}
	zone = map[string]string{}
	for _, r := range records {
		zone[r.Name] = r.Value
	}
	return string(fields) + message, zone
}

// holding returns the selectors of the signatures that hold.
func holding(t *testing.T, signed string, zone map[string]string) (n int) {
	t.Helper()
	found, err := dkim.VerifyWithOptions(strings.NewReader(signed), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) { return []string{zone[name]}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		if v.Err == nil {
			n++
		}
	}
	return n
}

func TestSignatures(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dkim")
	signed, zone := sign(t, signer.New(dir, "vezeuniqverse.com", noon))
	if n := holding(t, signed, zone); n != 2 {
		t.Fatalf("%d signatures hold, want 2:\n%s", n, signed)
	}
	for _, want := range []string{"a=rsa-sha256", "a=ed25519-sha256", "s=uq20261122r", "s=uq20261122e", "d=vezeuniqverse.com"} {
		if !strings.Contains(signed, want) {
			t.Errorf("the signatures lack %s:\n%s", want, signed)
		}
	}
	for line := range strings.SplitSeq(signed, "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	for _, change := range [][2]string{{"hello", "hallo"}, {"Subject: hi", "Subject: ho"}, {"From: ann", "From: eve@example.org\r\nFrom: ann"}, {"To: bob", "Cc: eve@example.org\r\nTo: bob"}} {
		if n := holding(t, strings.Replace(signed, change[0], change[1], 1), zone); n != 0 {
			t.Errorf("%d signatures hold although %q became %q", n, change[0], change[1])
		}
	}
	if n := holding(t, "Received: by another host\r\n"+signed, zone); n != 2 {
		t.Errorf("a Received field on the way breaks signatures: %d hold", n)
	}
}

// outside is a verifier that shares no line with ours: Debian's python3-dkim, with the DNS that it is given.
const outside = `
import dkim, json, sys
zone = json.loads(sys.argv[1])
look = lambda name, **more: zone.get((name.decode() if isinstance(name, bytes) else name).rstrip("."), "").encode()
d = dkim.DKIM(sys.stdin.buffer.read(), minkey=1024)
def holds(i):
    try:
        return d.verify(idx=i, dnsfunc=look)
    except dkim.ValidationError:
        return False
print(" ".join(str(holds(i)) for i in range(2)))
`

func TestOutsideVerifier(t *testing.T) {
	python := "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import dkim, nacl").Run(); err != nil {
		t.Skip("python3-dkim and python3-nacl are not installed")
	}
	signed, zone := sign(t, signer.New(filepath.Join(t.TempDir(), "dkim"), "vezeuniqverse.com", noon))
	records, err := json.Marshal(zone)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, message, want string }{
		{"as it was signed", signed, "True True"},
		{"with another text", strings.Replace(signed, "hello", "hallo", 1), "False False"},
		{"with an author added", "From: eve@example.org\r\n" + signed, "False False"},
	} {
		cmd := exec.Command(python, "-c", outside, string(records))
		cmd.Stdin = strings.NewReader(c.message)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
	}
}

// The keys are made once, are nobody else's to read, and the newest of a kind signs.
func TestKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dkim")
	signed, zone := sign(t, signer.New(dir, "vezeuniqverse.com", noon))
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v (%v)", f.Name(), info.Mode(), err)
		}
	}
	later := signer.New(dir, "vezeuniqverse.com", func() time.Time { return noon().AddDate(1, 0, 0) })
	if records, err := later.Records(); err != nil || len(records) != 2 || zone[records[0].Name] != records[0].Value {
		t.Errorf("after a restart the records are %v, %v", records, err)
	}
	if n := holding(t, signed, zone); n != 2 {
		t.Errorf("%d signatures hold after a restart", n)
	}
	old, err := os.ReadFile(filepath.Join(dir, "uq20261122e.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "uq20270101e.pem"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if signed, _ = sign(t, signer.New(dir, "vezeuniqverse.com", noon)); !strings.Contains(signed, "s=uq20270101e") || strings.Contains(signed, "s=uq20261122e") {
		t.Errorf("signed by another key than the newest:\n%s", signed)
	}
	if err := os.WriteFile(filepath.Join(dir, "uq20280101r.pem"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signer.New(dir, "vezeuniqverse.com", noon).Sign(strings.NewReader(message), present()); err == nil {
		t.Error("a broken key is passed over in silence")
	}
}
