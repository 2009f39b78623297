// Package signer signs outgoing mail with DKIM (RFC 6376, RFC 8463) and keeps the keys for it.
//
// There is an RSA key (2048 bits), which everybody can verify, and an Ed25519 key beside it. They are made when they are
// first needed, as <selector>.pem in a folder of the data folder, readable by their owner alone; the selector
// carries the day. Whoever puts a newer pair there signs with that from the next start on.
//
// # Rotation
//
// Rotate makes a new pair, which waits as <selector>.next: its records go into the DNS first. Activate signs with it from
// then on; the pair before it becomes <selector>.old, whose records stay in the DNS for KeepOld, for mail that is under
// way. Then Tidy removes it. Tidy also activates the new pair by itself once its records were seen for an hour. A crash
// at any point leaves a pair to sign with.
//
// Fields that people see are signed once more than they are there, so that none can be added to a signed message.
//
// It does not verify (package smtpd/senderauth does) and publishes nothing: Records says what belongs in
// the DNS. A Signer is safe for concurrent use.
package signer

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// How long a pair signs before its administrator is reminded to make a new one, and how long the records of the one before
// stay.
const (
	Old     = 180 * 24 * time.Hour
	KeepOld = 14 * 24 * time.Hour
)

// seenFor is how long the records of a new pair must be there before it signs by itself: others may remember that
// there were none.
const seenFor = time.Hour

// State is what a key is for.
type State string

// The states of a key.
const (
	Active State = "active" // signs
	Next   State = "next"   // will sign when its record is in the DNS
	Former State = "old"    // signed; its record stays for a while
)

// suffix is how the file of a key in a state ends.
func (s State) suffix() string {
	return map[State]string{Active: ".pem", Next: ".next", Former: ".old"}[s]
}

// Signer signs for one domain. Make one with New.
type Signer struct {
	dir, domain string
	now         func() time.Time

	mu   sync.Mutex
	keys []key     // all of them, once they are loaded
	seen time.Time // since when the records of the next pair are there; zero for not
}

// key is one private key and the name of its public half.
type key struct {
	selector string
	kind     string // rsa or ed25519
	state    State
	since    time.Time // when it came into its state
	crypto.Signer
}

// Record is a DNS record to publish, so that others can verify what is signed.
type Record struct {
	Selector  string `json:"selector"`
	Algorithm string `json:"algorithm"` // rsa-sha256 or ed25519-sha256
	Name      string `json:"name"`      // of the record: selector._domainkey.domain
	Type      string `json:"type"`      // TXT
	Value     string `json:"value"`     // whole; a zone file parts it in strings of at most 255 bytes
	State     State  `json:"state"`     // active, next or old
	Since     string `json:"since"`     // when it came into that state, RFC 3339
}

// New returns a signer for a domain (in ASCII) with its keys in dir. It reads and makes nothing yet.
func New(dir, domain string, now func() time.Time) *Signer {
	return &Signer{dir: dir, domain: domain, now: now}
}

// kinds are the keys that there are, the one that everybody knows first.
func kinds() []string { return []string{"rsa", "ed25519"} }

// load returns all keys, and makes the ones that are missing to sign with. The caller holds the lock.
func (s *Signer) load() ([]key, error) {
	if s.keys != nil {
		return s.keys, nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder for DKIM keys: %w", err)
	}
	files, err := os.ReadDir(s.dir) // by name, so the newest selector of a kind comes last
	if err != nil {
		return nil, fmt.Errorf("folder for DKIM keys: %w", err)
	}
	var keys []key
	newest := map[string]int{} // the key that signs, by kind
	for _, f := range files {
		for _, state := range []State{Active, Next, Former} {
			selector, ok := strings.CutSuffix(f.Name(), state.suffix())
			if !ok || f.IsDir() {
				continue
			}
			k, err := read(filepath.Join(s.dir, f.Name()))
			if err != nil {
				return nil, err
			}
			k.selector, k.state = selector, state
			if info, err := f.Info(); err == nil {
				k.since = info.ModTime()
			}
			if state == Active {
				if i, ok := newest[k.kind]; ok {
					keys[i].state = Former // a newer one was put beside it
				}
				newest[k.kind] = len(keys)
			}
			keys = append(keys, k)
		}
	}
	for _, kind := range kinds() {
		if _, ok := newest[kind]; ok {
			continue
		}
		k, err := s.generate(kind, Active)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	s.keys = keys
	return keys, nil
}

// of returns the keys in a state, RSA first.
func of(keys []key, state State) (out []key) {
	for _, kind := range kinds() {
		for _, k := range keys {
			if k.kind == kind && k.state == state {
				out = append(out, k)
			}
		}
	}
	return out
}

// read reads a key as generate wrote it, or as openssl does (PKCS #8).
func read(file string) (key, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return key{}, fmt.Errorf("DKIM key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return key{}, fmt.Errorf("DKIM key %s is not PEM", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return key{}, fmt.Errorf("DKIM key %s: %w", file, err)
	}
	switch p := parsed.(type) {
	case *rsa.PrivateKey:
		return key{kind: "rsa", Signer: p}, nil
	case ed25519.PrivateKey:
		return key{kind: "ed25519", Signer: p}, nil
	}
	return key{}, fmt.Errorf("DKIM key %s is neither RSA nor Ed25519", file)
}

// generate makes a key and puts it on disk before it is used: a signature whose key is lost can never be verified.
func (s *Signer) generate(kind string, state State) (key, error) {
	now := s.now().UTC()
	k := key{selector: "uq" + now.Format("20060102") + kind[:1], kind: kind, state: state, since: now}
	for _, st := range []State{Active, Next, Former} {
		if _, err := os.Stat(filepath.Join(s.dir, k.selector+st.suffix())); err == nil { // the second pair of a day
			k.selector = "uq" + now.Format("20060102t150405") + kind[:1]
		}
	}
	var err error
	if kind == "rsa" {
		k.Signer, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		_, k.Signer, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return k, fmt.Errorf("make a DKIM key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.Signer)
	if err != nil {
		return k, fmt.Errorf("make a DKIM key: %w", err)
	}
	// Under another name until it is whole: a disk that was full must not leave half a key behind.
	f, err := os.CreateTemp(s.dir, "new-*")
	if err != nil {
		return k, fmt.Errorf("DKIM key: %w", err)
	}
	_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = errors.Join(os.Chtimes(f.Name(), now, now), os.Rename(f.Name(), filepath.Join(s.dir, k.selector+state.suffix())))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return k, fmt.Errorf("DKIM key: %w", err)
	}
	return k, nil
}

// fields are the header fields that are signed: each as often as it is there, and once more.
func fields() []string {
	return []string{"From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
}

// Sign reads a whole message with CRLF line ends and returns the fields to put before it, each ending in CRLF.
// present counts the header fields of the message by name in lower case.
func (s *Signer) Sign(message io.Reader, present map[string]int) ([]byte, error) {
	s.mu.Lock()
	all, err := s.load()
	keys := of(all, Active)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range fields() {
		for range min(present[strings.ToLower(f)], 4) + 1 { // nobody needs more, and the line has its bound
			names = append(names, f)
		}
	}
	var signers []*dkim.Signer
	var to []io.Writer
	for _, k := range keys {
		sg, err := dkim.NewSigner(&dkim.SignOptions{Domain: s.domain, Selector: k.selector, Signer: k.Signer, Hash: crypto.SHA256,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed, HeaderKeys: slices.Clone(names)})
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		defer sg.Close()
		signers, to = append(signers, sg), append(to, sg)
	}
	if _, err := io.Copy(io.MultiWriter(to...), message); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	var out []byte
	for _, sg := range signers {
		if err := sg.Close(); err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		out = append(out, sg.Signature()...)
	}
	return out, nil
}

// Records returns the DNS records to publish: those of the keys that sign, of the ones that will, and of the ones that did.
func (s *Signer) Records() ([]Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records()
}

func (s *Signer) records() ([]Record, error) {
	keys, err := s.load()
	if err != nil {
		return nil, err
	}
	var out []Record
	for _, k := range slices.Concat(of(keys, Active), of(keys, Next), of(keys, Former)) {
		public, tag := []byte(nil), ""
		switch p := k.Public().(type) {
		case *rsa.PublicKey:
			if public, err = x509.MarshalPKIXPublicKey(p); err != nil {
				return nil, err
			}
			tag = "rsa"
		case ed25519.PublicKey:
			public, tag = p, "ed25519"
		}
		out = append(out, Record{Selector: k.selector, Algorithm: tag + "-sha256", Name: k.selector + "._domainkey." + s.domain, Type: "TXT",
			Value: "v=DKIM1; k=" + tag + "; p=" + base64.StdEncoding.EncodeToString(public), State: k.state, Since: k.since.UTC().Format(time.RFC3339)})
	}
	return out, nil
}
