// Package cert keeps the TLS pair of the mail listeners: a self-signed one until the operator
// puts a real one in its place.
//
// It is not an ACME client. The pair lives in two PEM files, and a change of the files counts
// at the next handshake, without a restart. A self-signed pair lets programs encrypt, and
// nothing more: it proves no name.
//
// The tls.Config that Load returns is safe for concurrent use.
package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The files, in the folder given to Load.
const (
	CertFile = "smtp-cert.pem"
	KeyFile  = "smtp-key.pem"
)

// validFor is long, because nobody renews a self-signed pair and nobody trusts it either.
const validFor = 10 * 365 * 24 * time.Hour

// Load returns a TLS configuration that serves the pair in dir, and makes a self-signed one
// for domain first (ECDSA P-256, files of mode 0600) when neither file is there. One file
// without the other, or a pair that does not fit together, is an error.
func Load(dir, domain string, now func() time.Time) (*tls.Config, error) {
	p := &pair{certPath: filepath.Join(dir, CertFile), keyPath: filepath.Join(dir, KeyFile)}
	if err := p.finish(); err != nil {
		return nil, fmt.Errorf("make the mail certificate in %s: %w", dir, err)
	}
	_, errCert := os.Stat(p.certPath)
	_, errKey := os.Stat(p.keyPath)
	if errors.Is(errCert, fs.ErrNotExist) && errors.Is(errKey, fs.ErrNotExist) {
		if err := p.generate(dir, domain, now()); err != nil {
			return nil, fmt.Errorf("make the mail certificate in %s: %w", dir, err)
		}
	}
	if _, err := p.current(); err != nil {
		return nil, fmt.Errorf("mail certificate: %w (put a matching pair in %s and %s, or remove both to get a new self-signed one)", err, p.certPath, p.keyPath)
	}
	return p.config(), nil
}

// LoadFiles returns a TLS configuration that serves the pair in two files of the operator's.
// It fails when they cannot be read or do not belong together.
func LoadFiles(certPath, keyPath string) (*tls.Config, error) {
	p := &pair{certPath: certPath, keyPath: keyPath}
	if _, err := p.current(); err != nil {
		return nil, err
	}
	return p.config(), nil
}

func (p *pair) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current() },
	}
}

// pair is the loaded pair and the state of the files it came from.
type pair struct {
	certPath, keyPath string

	mu     sync.Mutex // guards what follows
	stamp  [2]stamp
	loaded *tls.Certificate
}

type stamp struct {
	mod  time.Time
	size int64
}

// current returns the pair, read again when a file changed. While the files do not fit
// together, as between the two steps of replacing them, the old pair serves on.
func (p *pair) current() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var now [2]stamp
	for i, path := range []string{p.certPath, p.keyPath} {
		fi, err := os.Stat(path)
		if err != nil {
			return p.keepOr(err)
		}
		now[i] = stamp{fi.ModTime(), fi.Size()}
	}
	if p.loaded != nil && now == p.stamp {
		return p.loaded, nil
	}
	c, err := tls.LoadX509KeyPair(p.certPath, p.keyPath)
	if err != nil {
		return p.keepOr(err)
	}
	p.loaded, p.stamp = &c, now
	return p.loaded, nil
}

func (p *pair) keepOr(err error) (*tls.Certificate, error) {
	if p.loaded != nil {
		return p.loaded, nil
	}
	return nil, err
}

func (p *pair) generate(dir, domain string, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: domain},
		DNSNames:     []string{domain, "localhost"},
		NotBefore:    now.Add(-time.Hour), // clocks differ
		NotAfter:     now.Add(validFor),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := write(p.keyPath+fresh, "PRIVATE KEY", keyDER); err != nil {
		return err
	}
	if err := write(p.certPath+fresh, "CERTIFICATE", der); err != nil {
		return err
	}
	// Both are whole and on disk before either has its name, so that a start which is killed
	// between the two steps is finished by the next one.
	if err := os.Rename(p.keyPath+fresh, p.keyPath); err != nil {
		return err
	}
	return os.Rename(p.certPath+fresh, p.certPath)
}

// fresh ends the name of a file that has not got its own name yet.
const fresh = ".new"

// finish does the last step of generate when a start was killed before it.
func (p *pair) finish() error {
	if _, err := os.Stat(p.keyPath); err != nil {
		return nil
	}
	if _, err := os.Stat(p.certPath); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(p.certPath+fresh, p.keyPath); err != nil {
		return nil // not ours: Load says what is missing
	}
	return os.Rename(p.certPath+fresh, p.certPath)
}

// write makes a file that is on disk when it returns.
func write(path, kind string, der []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	return errors.Join(err, f.Sync(), f.Close())
}
