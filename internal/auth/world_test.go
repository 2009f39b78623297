package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"uniqverse/internal/auth"
	"uniqverse/internal/config"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/store"
	"uniqverse/store/storetest"
)

const (
	domain = "vezeuniqverse.com"
	secret = "a shared secret of the tests"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// world is an Auth on a store of its own.
type world struct {
	*auth.Auth
	t     *testing.T
	clock *clock
	cfg   config.Config

	mu     sync.Mutex
	events []event.Event
}

func open(t *testing.T, change ...func(*config.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{at: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)}, cfg: config.Default()}
	w.cfg.DataDir = t.TempDir()
	for _, c := range change {
		c(&w.cfg)
	}
	w.Auth = w.onNewStore()
	return w
}

// onSameStore is another Auth on the world's data folder and database, as after a restart.
func (w *world) onSameStore() *auth.Auth {
	w.t.Helper()
	a, err := auth.New(auth.Options{Config: w.cfg, Store: w.Store(), Now: w.clock.now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(a.Close)
	return a
}

// onNewStore is an Auth with the world's settings and data folder, and a database of its own.
func (w *world) onNewStore() *auth.Auth {
	w.t.Helper()
	db := storetest.Open(w.t, func(o *store.Options) {
		o.Now = w.clock.now
		o.Publish = func(_ string, evs []event.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, evs...)
		}
	})
	a, err := auth.New(auth.Options{Config: w.cfg, Store: store.NewAuth(db), Now: w.clock.now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(a.Close)
	auth.CheapHashes(a)
	return a
}

func withSecret(c *config.Config) { c.JWTSecret = secret }

func withKeysAt(url string) func(*config.Config) {
	return func(c *config.Config) { c.JWKSURL = url }
}

func noDemo(c *config.Config) { c.JWTDemo = config.ForcedOff }

// bearer is a request to another machine's name, so that demo identity plays no part.
func bearer(token string) *http.Request {
	r := httptest.NewRequest("GET", "http://hub.example.org/", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// ask authenticates at a service.
func (w *world) ask(service string, r *http.Request) (web.Caller, error) {
	return w.For(service).Authenticate(r, true)
}

// mustBe asks and wants the caller to be that user.
func (w *world) mustBe(user, service string, r *http.Request) web.Caller {
	w.t.Helper()
	c, err := w.ask(service, r)
	if err != nil || c.User != user {
		w.t.Fatalf("at %s: caller %q, error %v; want %q", service, c.User, err, user)
	}
	return c
}

// mustRefuse asks and wants a refusal of the kind.
func (w *world) mustRefuse(kind errs.Kind, service string, r *http.Request) {
	w.t.Helper()
	c, err := w.ask(service, r)
	if !errs.Is(err, kind) {
		w.t.Fatalf("at %s: caller %q, error %v; want %s", service, c.User, err, kind)
	}
}

// change runs something in a transaction and makes it count, as the portal does.
func (w *world) change(u auth.User, fn func(tx auth.Tx) error) {
	w.t.Helper()
	if err := w.Store().Update(w.t.Context(), nil, fn); err != nil {
		w.t.Fatal(err)
	}
	w.Changed(u)
}

func (w *world) disable(u auth.User) {
	w.t.Helper()
	w.change(u, func(tx auth.Tx) error { _, err := w.SetDisabled(tx, u.ID, true); return err })
}

// signUp makes an account.
func (w *world) signUp(name, password string) (auth.User, auth.SessionToken) {
	w.t.Helper()
	n, err := w.PrepareSignUp(w.t.Context(), auth.Account{User: name, Password: password}, auth.Peer{Address: "192.0.2.1"})
	if err != nil {
		w.t.Fatal(err)
	}
	var u auth.User
	var s auth.SessionToken
	err = w.Store().Update(w.t.Context(), nil, func(tx auth.Tx) error {
		u, s, err = w.SignUp(w.t.Context(), tx, n, auth.Peer{Address: "192.0.2.1", Device: "Firefox on Linux"})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return u, s
}

// facts are a token's claims that hold at every service; cases change them.
func (w *world) facts() jwt.MapClaims {
	now := w.clock.now().Unix()
	return jwt.MapClaims{"iss": "https://login.example", "sub": "pilot", "aud": []string{"veze-chat", "veze-email"},
		"iat": now, "nbf": now, "exp": now + 600, "scope": "chat.read chat.write"}
}

func signed(t testing.TB, method jwt.SigningMethod, kid string, key any, c jwt.MapClaims) string {
	t.Helper()
	tok := jwt.NewWithClaims(method, c)
	if kid != "" {
		tok.Header["kid"] = kid
	}
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// issuer is an outside issuer of tokens with one key of each kind, which publishes what it is told to.
type issuer struct {
	rsa   *rsa.PrivateKey
	ec    *ecdsa.PrivateKey
	ed    ed25519.PrivateKey
	mu    sync.Mutex
	doc   []byte
	code  int
	asked int
	hang  chan struct{} // not nil: answers wait for it
	url   string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{code: 200}
	var err error
	if i.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, i.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	i.publish(t, public("r1", i.rsa.Public()), public("e1", i.ec.Public()), public("d1", i.ed.Public()))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		doc, code, hang := i.doc, i.code, i.hang
		i.asked++
		i.mu.Unlock()
		if hang != nil {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
		w.WriteHeader(code)
		w.Write(doc)
	}))
	t.Cleanup(srv.Close)
	i.url = srv.URL + "/keys"
	return i
}

func (i *issuer) publish(t testing.TB, keys ...map[string]string) {
	t.Helper()
	doc, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	i.set(func() { i.doc = doc })
}

func (i *issuer) set(fn func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	fn()
}

func (i *issuer) fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// public is a key as a JWKS holds it.
func public(kid string, key crypto.PublicKey) map[string]string {
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := key.(type) {
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": b64(k.N.Bytes()), "e": "AQAB"}
	case *ecdsa.PublicKey:
		point, _ := k.Bytes()
		return map[string]string{"kty": "EC", "kid": kid, "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(k)}
	}
	return nil
}
