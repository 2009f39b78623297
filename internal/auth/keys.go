package auth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The keys with which the portal signs tokens live in <data>/keys, a file each:
//
//	keys/token-20260102T150405.000.pem    PKCS #8, Ed25519, mode 0600
//
// The one with the latest name signs; every one there verifies and is published. To rotate, add
// one (RotateKey); to withdraw one, delete its file once its last token has expired, or at once
// when it leaked, and restart.
const keyFolder = "keys"

// signingKey is one of our own keys.
type signingKey struct {
	id      string // RFC 7638 thumbprint, shortened
	private ed25519.PrivateKey
}

func (k signingKey) public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// loadKeys reads the keys of the data folder, the signing one first, and makes one when there is none.
func loadKeys(dir string, now time.Time) ([]signingKey, error) {
	keys, err := readKeys(dir)
	if err != nil || len(keys) > 0 {
		return keys, err
	}
	if err := RotateKey(dir, now); err != nil {
		return nil, err
	}
	return readKeys(dir)
}

func readKeys(dir string) ([]signingKey, error) {
	folder := filepath.Join(dir, keyFolder)
	files, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	var keys []signingKey
	for _, f := range slices.Backward(files) { // ReadDir sorts by name: the newest comes first
		if !strings.HasPrefix(f.Name(), "token-") || !strings.HasSuffix(f.Name(), ".pem") {
			continue
		}
		path := filepath.Join(folder, f.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the signing key: %w", err)
		}
		k, err := parseKey(text)
		if err != nil {
			return nil, fmt.Errorf("read the signing key %s: %w; put back the file from a backup, or delete it to get a new key (tokens signed with it then end)", path, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func parseKey(text []byte) (signingKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return signingKey{}, errors.New("not a PEM file")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return signingKey{}, err
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return signingKey{}, fmt.Errorf("a %T where an Ed25519 key belongs", parsed)
	}
	return signingKey{id: thumbprint(private.Public().(ed25519.PublicKey)), private: private}, nil
}

// RotateKey adds a new signing key to the data folder; the older ones go on verifying. A running server takes it
// up at the first token that was signed with it, or at its next start.
func RotateKey(dir string, now time.Time) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode the signing key: %w", err)
	}
	name := "token-" + now.UTC().Format("20060102T150405.000") + ".pem"
	_, err = writeSecret(filepath.Join(dir, keyFolder, name), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return err
}

// writeSecret makes a file that its owner alone can read, whole or not at all, and returns what is in it: another
// process may have been first.
func writeSecret(path string, text []byte) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // made with mode 0600
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	// A link fails when the name exists, a rename does not; file systems without links get the rename.
	if err := os.Link(tmp.Name(), path); errors.Is(err, fs.ErrExist) {
		return os.ReadFile(path)
	} else if err != nil {
		if err := os.Rename(tmp.Name(), path); err != nil {
			return nil, fmt.Errorf("make %s: %w", path, err)
		}
	}
	return text, nil
}

// serviceSecret returns the secret of calls between our own services: the setting, else the
// data folder's service.token, which is made when it is not there.
func serviceSecret(setting, dir string) ([]byte, error) {
	if setting != "" {
		return []byte(setting), nil
	}
	path := filepath.Join(dir, "service.token")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = writeSecret(path, []byte(rand.Text()+rand.Text()+"\n"))
	}
	if err != nil {
		return nil, fmt.Errorf("read the services' secret: %w", err)
	}
	text = bytes.TrimSpace(text)
	if len(text) < 16 {
		return nil, fmt.Errorf("the services' secret in %s is shorter than 16 bytes; delete the file to get a new one", path)
	}
	return text, nil
}

// jwk is a public key as RFC 7517, 7518 and 8037 write it.
type jwk struct {
	Kty string `json:"kty"`
	Kid string `json:"kid,omitempty"`
	Use string `json:"use,omitempty"`
	Alg string `json:"alg,omitempty"`
	Crv string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
}

// thumbprint is the key's id: the start of its RFC 7638 thumbprint.
func thumbprint(key ed25519.PublicKey) string {
	text := fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":%q}`, base64.RawURLEncoding.EncodeToString(key))
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:22]
}

// JWKS returns the document for /.well-known/jwks.json: our own public keys, none when tokens come from elsewhere.
func (a *Auth) JWKS() json.RawMessage {
	doc := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, k := range a.ownKeys() {
		doc.Keys = append(doc.Keys, jwk{Kty: "OKP", Kid: k.id, Use: "sig", Alg: "EdDSA", Crv: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.public())})
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return json.RawMessage(`{"keys":[]}`) // strings alone always encode
	}
	return raw
}

// ownKeys returns our keys, the signing one first; none when the portal is not the issuer.
func (a *Auth) ownKeys() []signingKey {
	a.keysMu.Lock()
	defer a.keysMu.Unlock()
	return a.keys
}

// ownKey finds one of our keys by id. For an unknown one the folder is read again, at most once in
// five seconds: a key may have been added beside us.
func (a *Auth) ownKey(id string) (ed25519.PublicKey, bool) {
	a.keysMu.Lock()
	defer a.keysMu.Unlock()
	find := func() (ed25519.PublicKey, bool) {
		for _, k := range a.keys {
			if k.id == id {
				return k.public(), true
			}
		}
		return nil, false
	}
	if key, ok := find(); ok || len(a.keys) == 0 {
		return key, ok
	}
	now := a.now()
	if now.Sub(a.keysRead) < 5*time.Second {
		return nil, false
	}
	a.keysRead = now
	keys, err := readKeys(a.dir)
	if err != nil {
		a.log.Warn("signing keys not read again", "err", err.Error())
		return nil, false
	}
	if len(keys) > 0 {
		a.keys = keys
	}
	return find()
}
