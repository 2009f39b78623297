package cert_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"uniqverse/smtpd/cert"
)

func TestLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first := serial(t, dir, "mail.test")
	for _, f := range []string{cert.CertFile, cert.KeyFile} {
		fi, err := os.Stat(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f, fi.Mode())
		}
	}
	if again := serial(t, dir, "mail.test"); again != first {
		t.Error("a second start made another pair")
	}
}

func TestReload(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	conf, err := cert.Load(dir, "mail.test", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	before, err := conf.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	serial(t, other, "real.test")
	// Half of the new pair: the old one serves on.
	replace(t, dir, other, cert.CertFile)
	if c, err := conf.GetCertificate(nil); err != nil || c != before {
		t.Fatalf("between the two files: %v", err)
	}
	replace(t, dir, other, cert.KeyFile)
	c, err := conf.GetCertificate(nil)
	if err != nil || c == before {
		t.Fatalf("the new pair is not served: %v", err)
	}
	if err := c.Leaf.VerifyHostname("real.test"); err != nil {
		t.Error(err)
	}
}

func TestHalfAPair(t *testing.T) {
	dir := t.TempDir()
	serial(t, dir, "mail.test")
	if err := os.Remove(filepath.Join(dir, cert.KeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Load(dir, "mail.test", time.Now); err == nil {
		t.Error("a certificate without its key was taken")
	}
}

func serial(t *testing.T, dir, domain string) string {
	t.Helper()
	conf, err := cert.Load(dir, domain, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c, err := conf.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := leaf.VerifyHostname(domain); err != nil {
		t.Error(err)
	}
	return leaf.SerialNumber.String()
}

// replace puts the file of another pair in place, with a time that differs for sure.
func replace(t *testing.T, dir, from, name string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
}

// A start that was killed between giving the two files their names is finished by the next;
// one file alone that we did not make so is an error.
func TestKilledBetweenTheFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := cert.Load(dir, "mail.test", time.Now); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, cert.CertFile)
	if err := os.Rename(path, path+".new"); err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Load(dir, "mail.test", time.Now); err != nil {
		t.Error(err)
	}
	if err := os.Rename(path, path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte("half a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Load(dir, "mail.test", time.Now); err == nil {
		t.Error("half a certificate was taken")
	}
}
