package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"sync"
	"time"

	"uniqverse/internal/errs"
)

// How the published keys are fetched: at the first token, again for a key id that is not known
// (at most once in jwksPause, whoever sends it), and behind the scenes when older than jwksFresh.
const (
	jwksDeadline = 2 * time.Second
	jwksPause    = 10 * time.Second
	jwksFresh    = 15 * time.Minute
	jwksMaxBody  = 1 << 20
	jwksMaxKeys  = 100
)

// keySet is the keys that are published at an address. When a fetch fails the keys of the last one
// stay; when it succeeds its keys replace them, so that a key withdrawn there is one withdrawn here.
type keySet struct {
	url    string
	client *http.Client
	log    *slog.Logger
	now    func() time.Time

	mu       sync.Mutex // guards everything below; never held during a fetch
	keys     []publicKey
	tried    time.Time     // when the last fetch began
	fetched  time.Time     // when the last one succeeded
	failed   bool          // the last one failed
	fetching chan struct{} // closed when the running fetch has ended; nil when none runs

	running sync.WaitGroup // the fetch behind fetching, for close
}

// publicKey is one key with the one algorithm that it may verify: a token cannot choose another.
type publicKey struct {
	id, alg string
	key     crypto.PublicKey
}

func newKeySet(url string, client *http.Client, log *slog.Logger, now func() time.Time) *keySet {
	if client == nil {
		client = &http.Client{Timeout: jwksDeadline, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: jwksDeadline, ResponseHeaderTimeout: jwksDeadline,
			MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: time.Minute, MaxIdleConns: 2,
		}}
	}
	c := *client
	// The setting names one address; it is not for that server to send us to another (or to plain http).
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &keySet{url: url, client: &c, log: log, now: now}
}

// find returns the key for a token with this key id and algorithm. It waits for a fetch at most
// jwksDeadline. A key that is not published is errs.Unauthenticated; one that cannot be asked for is errs.Unavailable.
func (s *keySet) find(ctx context.Context, id, alg string) (crypto.PublicKey, error) {
	s.mu.Lock()
	key, err := s.lookup(id, alg)
	now := s.now()
	known := err == nil
	due := now.Sub(s.fetched) > jwksFresh || !known
	if due && s.fetching == nil && (s.tried.IsZero() || now.Sub(s.tried) >= jwksPause) {
		s.tried = now
		s.fetching = make(chan struct{})
		done := s.fetching
		s.running.Go(func() { s.fetch(done) })
	}
	wait := s.fetching
	s.mu.Unlock()
	if known {
		return key, nil
	}
	if wait != nil {
		ctx, cancel := context.WithTimeout(ctx, jwksDeadline)
		defer cancel()
		select {
		case <-wait:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err = s.lookup(id, alg)
	if err != nil && (s.failed || s.fetching != nil) {
		return nil, &errs.Error{Kind: errs.Unavailable, Detail: "the keys of the token's issuer cannot be had right now; try again in a moment", RetryAfter: jwksPause, Err: err}
	}
	return key, err
}

// lookup finds a key among those held; the caller holds mu. A token without a key id is good with the only key
// of its algorithm.
func (s *keySet) lookup(id, alg string) (crypto.PublicKey, error) {
	var found crypto.PublicKey
	n := 0
	for _, k := range s.keys {
		if k.alg == alg && (k.id == id || id == "") {
			found = k.key
			n++
		}
	}
	switch {
	case n == 1:
		return found, nil
	case n > 1:
		return nil, refuse("the token does not say which key it is signed with", nil)
	}
	return nil, refuse("the token is signed with a key that its issuer does not publish", nil)
}

// fetch gets the keys and tells who waits. It belongs to nobody's request, so that one caller
// who goes away does not fail the others; the client's deadline ends it.
func (s *keySet) fetch(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), jwksDeadline)
	defer cancel()
	keys, err := s.get(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err != nil
	if err != nil {
		s.log.Warn("keys of the token issuer not fetched; those known stay", "url", s.url, "known", len(s.keys), "err", err.Error())
	} else {
		s.keys, s.fetched = keys, s.now()
	}
	s.fetching = nil
	close(done)
}

func (s *keySet) get(ctx context.Context) ([]publicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, jwksMaxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > jwksMaxBody {
		return nil, fmt.Errorf("the answer is larger than %d bytes", jwksMaxBody)
	}
	return parseJWKS(body)
}

// parseJWKS reads the keys that can verify one of our algorithms. Others are skipped, as RFC 7517, 5
// asks; a document without a single usable key is an error.
func parseJWKS(body []byte) ([]publicKey, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	var keys []publicKey
	for _, raw := range doc.Keys {
		var k jwk
		if json.Unmarshal(raw, &k) != nil || k.Use != "" && k.Use != "sig" || len(keys) == jwksMaxKeys {
			continue
		}
		if pk, err := k.public(); err == nil && (k.Alg == "" || k.Alg == pk.alg) {
			keys = append(keys, pk)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no RS256, ES256 or EdDSA key is in the key set")
	}
	return keys, nil
}

func (k jwk) public() (publicKey, error) {
	part := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			return nil
		}
		return b
	}
	switch {
	case k.Kty == "RSA":
		n, e := new(big.Int).SetBytes(part(k.N)), new(big.Int).SetBytes(part(k.E))
		if n.BitLen() < 2048 || n.BitLen() > 8192 || e.BitLen() > 31 || e.Int64() < 3 || e.Bit(0) == 0 {
			return publicKey{}, errors.New("RSA key out of bounds")
		}
		return publicKey{k.Kid, "RS256", &rsa.PublicKey{N: n, E: int(e.Int64())}}, nil
	case k.Kty == "EC" && k.Crv == "P-256":
		x, y := part(k.X), part(k.Y)
		if len(x) != 32 || len(y) != 32 {
			return publicKey{}, errors.New("P-256 point of the wrong size")
		}
		// The parser refuses a point that is not on the curve.
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		return publicKey{k.Kid, "ES256", key}, err
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		x := part(k.X)
		if len(x) != ed25519.PublicKeySize {
			return publicKey{}, errors.New("Ed25519 key of the wrong size")
		}
		return publicKey{k.Kid, "EdDSA", ed25519.PublicKey(x)}, nil
	}
	return publicKey{}, errors.New("kind of key not used")
}
