package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"uniqverse/internal/errs"
)

func (i *issuer) token(t testing.TB, w *world, kid string) string {
	return signed(t, jwt.SigningMethodEdDSA, kid, i.ed, w.facts())
}

// A key id that is not known makes one fetch, and then none for a while, whoever asks.
func TestRotation(t *testing.T) {
	iss := newIssuer(t)
	w := open(t, withKeysAt(iss.url))
	w.mustBe("pilot", "chat", bearer(iss.token(t, w, "d1")))
	if n := iss.fetches(); n != 1 {
		t.Fatalf("%d fetches for the first token", n)
	}
	// The issuer rotates: the new key is found at its first token.
	iss.publish(t, public("d2", iss.ed.Public()))
	w.clock.pass(11 * time.Second)
	w.mustBe("pilot", "chat", bearer(iss.token(t, w, "d2")))
	if n := iss.fetches(); n != 2 {
		t.Fatalf("%d fetches after the rotation", n)
	}
	// The old one is withdrawn with the fetch.
	w.mustRefuse(errs.Unauthenticated, "chat", bearer(signed(t, jwt.SigningMethodES256, "e1", iss.ec, w.facts())))
	// Made-up key ids cost no fetches.
	for n := range 50 {
		w.mustRefuse(errs.Unauthenticated, "chat", bearer(iss.token(t, w, fmt.Sprint("made-up-", n))))
	}
	if n := iss.fetches(); n != 2 {
		t.Fatalf("%d fetches after made-up key ids", n)
	}
	w.clock.pass(11 * time.Second)
	w.mustRefuse(errs.Unauthenticated, "chat", bearer(iss.token(t, w, "made-up")))
	if n := iss.fetches(); n != 3 {
		t.Fatalf("%d fetches after the pause", n)
	}
}

// Keys are asked for again now and then even when all are known, so that a withdrawn one stops.
func TestWithdrawnKeyStops(t *testing.T) {
	iss := newIssuer(t)
	w := open(t, withKeysAt(iss.url))
	claims := w.facts()
	claims["exp"] = w.clock.now().Unix() + 7200
	r := bearer(signed(t, jwt.SigningMethodES256, "e1", iss.ec, claims))
	w.mustBe("pilot", "chat", r)
	iss.publish(t, public("d1", iss.ed.Public()))
	w.clock.pass(16 * time.Minute)
	w.mustBe("pilot", "chat", r) // answered with the key known while the fetch runs
	w.Close()                    // waits for the fetch
	w.clock.pass(6 * time.Minute)
	w.mustRefuse(errs.Unauthenticated, "chat", r)
}

// While the issuer is down the known keys hold; what is signed with others is not known, and not wrong either.
func TestIssuerDown(t *testing.T) {
	iss := newIssuer(t)
	w := open(t, withKeysAt(iss.url))
	iss.set(func() { iss.code = http.StatusInternalServerError })
	w.mustRefuse(errs.Unavailable, "chat", bearer(iss.token(t, w, "d1")))
	iss.set(func() { iss.code = http.StatusOK })
	w.mustRefuse(errs.Unavailable, "chat", bearer(iss.token(t, w, "d1"))) // not asked again yet
	w.clock.pass(11 * time.Second)
	w.mustBe("pilot", "chat", bearer(iss.token(t, w, "d1")))

	iss.set(func() { iss.code = http.StatusBadGateway })
	w.clock.pass(20 * time.Minute)
	w.mustRefuse(errs.Unavailable, "chat", bearer(iss.token(t, w, "d9")))
	w.mustBe("pilot", "chat", bearer(iss.token(t, w, "d1")))
}

// An issuer that accepts the connection and never answers costs its callers two seconds once, not each of them, and nobody
// for ever.
func TestIssuerHangs(t *testing.T) {
	iss := newIssuer(t)
	w := open(t, withKeysAt(iss.url))
	iss.set(func() { iss.hang = make(chan struct{}) })
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			if _, err := w.ask("chat", bearer(iss.token(t, w, fmt.Sprint("d", n)))); !errs.Is(err, errs.Unavailable) {
				t.Errorf("error %v, want unavailable", err)
			}
		})
	}
	all.Wait()
	if n := iss.fetches(); n != 1 {
		t.Fatalf("%d fetches", n)
	}
}

// What an issuer's document may hold: keys that are not for us are passed over, a document without any use leaves
// the keys known as they are.
func TestKeyDocuments(t *testing.T) {
	iss := newIssuer(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this toolchain makes no small RSA keys")
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edited := func(k map[string]string, pairs ...string) map[string]string {
		for i := 0; i < len(pairs); i += 2 {
			k[pairs[i]] = pairs[i+1]
		}
		return k
	}
	pub := public("d1", iss.ed.Public())
	cases := []struct {
		name  string
		keys  []map[string]string
		token func(w *world) string
		holds bool
	}{
		{"one for encryption", []map[string]string{edited(public("d1", iss.ed.Public()), "use", "enc"), public("x", iss.ec.Public())}, nil, false},
		{"one for another algorithm", []map[string]string{edited(public("d1", iss.ed.Public()), "alg", "RS256"), public("x", iss.ec.Public())}, nil, false},
		{"a symmetric one", []map[string]string{{"kty": "oct", "kid": "d1", "k": "c2VjcmV0"}, public("x", iss.ec.Public())}, nil, false},
		{"rubbish beside a good one", []map[string]string{{"kty": "OKP", "crv": "Ed25519", "x": "!!"}, {}, pub}, nil, true},
		{"a point that is not on the curve", []map[string]string{edited(public("e1", iss.ec.Public()), "y", public("", iss.ec.Public())["x"]), public("x", iss.ed.Public())},
			func(w *world) string { return signed(t, jwt.SigningMethodES256, "e1", iss.ec, w.facts()) }, false},
		{"RSA of 1024 bits", []map[string]string{public("s", small.Public()), public("x", iss.ed.Public())},
			func(w *world) string { return signed(t, jwt.SigningMethodRS256, "s", small, w.facts()) }, false},
		{"RSA with exponent 1", []map[string]string{edited(public("r1", iss.rsa.Public()), "e", "AQ"), public("x", iss.ed.Public())},
			func(w *world) string { return signed(t, jwt.SigningMethodRS256, "r1", iss.rsa, w.facts()) }, false},
		{"P-384", []map[string]string{{"kty": "EC", "kid": "p", "crv": "P-384"}, public("x", iss.ed.Public())},
			func(w *world) string { return signed(t, jwt.SigningMethodES384, "p", p384, w.facts()) }, false},
		{"the same id twice", []map[string]string{public("d1", iss.ed.Public()), public("d1", iss.ed.Public())}, nil, false},
		{"the same id for two kinds", []map[string]string{public("d1", iss.rsa.Public()), public("d1", iss.ed.Public())}, nil, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			iss.publish(t, c.keys...)
			w := open(t, withKeysAt(iss.url))
			token := iss.token(t, w, "d1")
			if c.token != nil {
				token = c.token(w)
			}
			if c.holds {
				w.mustBe("pilot", "chat", bearer(token))
			} else {
				w.mustRefuse(errs.Unauthenticated, "chat", bearer(token))
			}
		})
	}
	for name, doc := range map[string]string{"no JSON": "<html>", "no keys": `{"keys":[]}`, "too large": `{"keys":[],"x":"` + string(make([]byte, 2<<20)) + `"}`} {
		t.Run(name, func(t *testing.T) {
			iss.publish(t, pub)
			w := open(t, withKeysAt(iss.url))
			w.mustBe("pilot", "chat", bearer(iss.token(t, w, "d1")))
			iss.set(func() { iss.doc = []byte(doc) })
			w.clock.pass(time.Minute)
			w.mustRefuse(errs.Unavailable, "chat", bearer(iss.token(t, w, "other")))
			w.mustBe("pilot", "chat", bearer(iss.token(t, w, "d1")))
		})
	}
}

// The setting names one address; the server there cannot send us on to another.
func TestKeysAreNotFollowedElsewhere(t *testing.T) {
	iss := newIssuer(t)
	elsewhere := httptest.NewServer(http.RedirectHandler(iss.url, http.StatusFound))
	defer elsewhere.Close()
	w := open(t, withKeysAt(elsewhere.URL))
	w.mustRefuse(errs.Unavailable, "chat", bearer(iss.token(t, w, "d1")))
	if n := iss.fetches(); n != 0 {
		t.Fatalf("followed a redirect %d times", n)
	}
}
