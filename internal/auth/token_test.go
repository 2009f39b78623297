package auth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"uniqverse/internal/auth"
	"uniqverse/internal/config"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// Each case changes the claims of a good token, signed with the shared secret, and says who the caller is then; "" is
// 401. The claims are those of section 3 of the contract.
func TestClaims(t *testing.T) {
	w := open(t, withSecret)
	now := w.clock.now().Unix()
	set := func(pairs ...any) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) {
			for i := 0; i < len(pairs); i += 2 {
				c[pairs[i].(string)] = pairs[i+1]
			}
		}
	}
	without := func(name string) func(jwt.MapClaims) { return func(c jwt.MapClaims) { delete(c, name) } }
	cases := []struct {
		name   string
		change func(jwt.MapClaims)
		user   string
	}{
		{"good", set(), "pilot"},
		// expiry
		{"no exp", without("exp"), ""},
		{"expired", set("exp", now-31), ""},
		{"expired within the leeway", set("exp", now-29), "pilot"},
		{"exp is no number", set("exp", "tomorrow"), ""},
		{"exp null", set("exp", nil), ""},
		{"exp far beyond any date", set("exp", 1e300), ""},
		// not before, issued at
		{"not yet", set("nbf", now+31), ""},
		{"not yet, within the leeway", set("nbf", now+29), "pilot"},
		{"no nbf, no iat", func(c jwt.MapClaims) { delete(c, "nbf"); delete(c, "iat") }, "pilot"},
		{"issued in the future", set("iat", now+60), ""},
		// audience
		{"no aud", without("aud"), ""},
		{"another's aud", set("aud", "veze-game"), ""},
		{"aud as one text", set("aud", "veze-chat"), "pilot"},
		{"aud among several", set("aud", []string{"other", "veze-chat"}), "pilot"},
		{"aud as prefix", set("aud", "veze-cha"), ""},
		{"aud empty", set("aud", ""), ""},
		{"aud of a service's own call", set("aud", "service:chat"), ""},
		// issuer: any, when VEZE_JWT_ISS is not set
		{"no iss", without("iss"), "pilot"},
		// the user
		{"no sub", without("sub"), ""},
		{"sub with a space", set("sub", "bad id"), ""},
		{"sub in capitals is not somebody else", set("sub", "Pilot"), ""},
		{"sub too long", set("sub", strings.Repeat("a", 65)), ""},
		{"sub as long as may be", set("sub", strings.Repeat("a", 64)), strings.Repeat("a", 64)},
		{"sub is an address", set("sub", "pilot@"+domain), ""},
		{"sub with a plus", set("sub", "pilot+x"), ""},
		{"sub of a number", set("sub", 7), ""},
		{"email in the domain", set("email", "ada@"+domain), "ada"},
		{"email in capitals", set("email", "Ada@VezeUniqVerse.com"), "ada"},
		{"email in the domain, no sub", func(c jwt.MapClaims) { delete(c, "sub"); c["email"] = "ada@" + domain }, "ada"},
		{"email elsewhere", set("email", "ada@example.org"), "pilot"},
		{"email in a longer domain", set("email", "ada@"+domain+".example.org"), "pilot"},
		{"email in a subdomain", set("email", "ada@x."+domain), "pilot"},
		{"email in a domain that ends the same", set("email", "ada@evil"+domain), "pilot"},
		{"email of two ats", set("email", "ada@x@"+domain), "pilot"},
		{"email that is no local part", set("email", "a b@"+domain), ""},
		{"email not verified", set("email", "ada@"+domain, "email_verified", false), "pilot"},
		{"email not verified, as text", set("email", "ada@"+domain, "email_verified", "false"), "pilot"},
		{"email verified", set("email", "ada@"+domain, "email_verified", true), "ada"},
		// scopes of the wrong type
		{"scope is a number", set("scope", 1), ""},
		{"scp is an object", set("scp", map[string]string{"a": "b"}), ""},
		{"scp with numbers", set("scp", []any{"chat.read", 1}), ""},
		{"too many scopes", set("scp", strings.Fields(many("s", 201))), ""},
		// what only our own services' tokens may say means nothing in others
		{"claims to act for another", set("uniq_user", "ada", "uniq_demo", true), "pilot"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			claims := w.facts()
			c.change(claims)
			token := signed(t, jwt.SigningMethodHS256, "", []byte(secret), claims)
			for range 2 { // the second time from memory
				got, err := w.ask("chat", bearer(token))
				if got.User != c.user || got.Demo || got.Server != "" {
					t.Fatalf("caller %+v, error %v; want user %q", got, err, c.user)
				}
				if c.user == "" && !errs.Is(err, errs.Unauthenticated) {
					t.Fatalf("error %v, want unauthenticated", err)
				}
				if err != nil && strings.Contains(err.(*errs.Error).Detail, "eyJ") {
					t.Fatalf("the refusal repeats the token: %v", err)
				}
			}
		})
	}
}

// many returns n words.
func many(word string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(word + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + strings.Repeat("y", i/26) + " ")
	}
	return b.String()
}

func TestScopes(t *testing.T) {
	w := open(t, withSecret)
	for _, c := range []struct {
		scope, scp any
		want       string
	}{
		{"chat.read chat.write", nil, "chat.read chat.write"},
		{nil, []string{"chat.write", "chat.read"}, "chat.read chat.write"},
		{nil, "chat.read  chat.write", "chat.read chat.write"},
		{"chat.read", []string{"chat.read", "chat.write"}, "chat.read chat.write"},
		{"", nil, ""},
		{nil, nil, ""},
		{"chat.read,chat.write", nil, "chat.read,chat.write"}, // one strange scope, not two
	} {
		claims := w.facts()
		delete(claims, "scope")
		if c.scope != nil {
			claims["scope"] = c.scope
		}
		if c.scp != nil {
			claims["scp"] = c.scp
		}
		got := w.mustBe("pilot", "chat", bearer(signed(t, jwt.SigningMethodHS256, "", []byte(secret), claims)))
		if strings.Join(got.Scopes, " ") != c.want {
			t.Errorf("scope %v, scp %v: %q, want %q", c.scope, c.scp, got.Scopes, c.want)
		}
		if got.Has("portal.admin") || got.Admin {
			t.Errorf("scope %v, scp %v: an administrator", c.scope, c.scp)
		}
	}
}

// Every algorithm that is not the installation's own is refused, and so is every key that stands for another algorithm.
func TestAlgorithmsAndKeys(t *testing.T) {
	iss := newIssuer(t)
	shared, published, own := open(t, withSecret), open(t, withKeysAt(iss.url)), open(t, noDemo)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(iss.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	spki := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	plain := func(c jwt.MapClaims) string {
		return signed(t, jwt.SigningMethodNone, "", jwt.UnsafeAllowNoneSignatureType, c)
	}
	withHeader := func(header, token string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + token[strings.Index(token, "."):]
	}
	good := shared.facts()
	hs := signed(t, jwt.SigningMethodHS256, "", []byte(secret), good)
	critical := jwt.NewWithClaims(jwt.SigningMethodHS256, good)
	critical.Header["crit"] = []string{"exp"}
	crit, err := critical.SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	oddKid := jwt.NewWithClaims(jwt.SigningMethodHS256, good)
	oddKid.Header["kid"] = 7
	odd, err := oddKid.SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name  string
		at    *world
		token string
		holds bool
	}{
		{"HS256 with the secret", shared, hs, true},
		{"HS256 with another secret", shared, signed(t, jwt.SigningMethodHS256, "", []byte("another secret"), good), false},
		{"HS256 with no secret", shared, signed(t, jwt.SigningMethodHS256, "", []byte{}, good), false},
		{"HS384", shared, signed(t, jwt.SigningMethodHS384, "", []byte(secret), good), false},
		{"HS512", shared, signed(t, jwt.SigningMethodHS512, "", []byte(secret), good), false},
		{"none", shared, plain(good), false},
		{"none at the keys", published, plain(good), false},
		{"none at the portal's own", own, plain(good), false},
		{"alg None in another spelling", shared, withHeader(`{"alg":"nOnE","typ":"JWT"}`, plain(good)), false},
		{"alg hs256 in small letters", shared, withHeader(`{"alg":"hs256","typ":"JWT"}`, hs), false},
		{"no alg", shared, withHeader(`{"typ":"JWT"}`, hs), false},
		{"crit", shared, crit, false},
		{"a key id that is a number", shared, odd, false},
		{"RS256 without any keys published", shared, signed(t, jwt.SigningMethodRS256, "r1", iss.rsa, good), false},

		{"RS256", published, signed(t, jwt.SigningMethodRS256, "r1", iss.rsa, good), true},
		{"ES256", published, signed(t, jwt.SigningMethodES256, "e1", iss.ec, good), true},
		{"EdDSA", published, signed(t, jwt.SigningMethodEdDSA, "d1", iss.ed, good), true},
		{"RS256 without a key id, one such key", published, signed(t, jwt.SigningMethodRS256, "", iss.rsa, good), true},
		{"RS256 with a key that is not published", published, signed(t, jwt.SigningMethodRS256, "r1", other, good), false},
		{"RS256 under the id of the EC key", published, signed(t, jwt.SigningMethodRS256, "e1", iss.rsa, good), false},
		{"RS512", published, signed(t, jwt.SigningMethodRS512, "r1", iss.rsa, good), false},
		{"PS256", published, signed(t, jwt.SigningMethodPS256, "r1", iss.rsa, good), false},
		{"HS256 with the public key as PEM", published, signed(t, jwt.SigningMethodHS256, "r1", spki, good), false},
		{"HS256 with the public key as DER", published, signed(t, jwt.SigningMethodHS256, "r1", der, good), false},
		{"HS256 with the modulus", published, signed(t, jwt.SigningMethodHS256, "r1", iss.rsa.N.Bytes(), good), false},
		{"HS256 with the Ed25519 key", published, signed(t, jwt.SigningMethodHS256, "d1", []byte(iss.ed.Public().(ed25519.PublicKey)), good), false},
		{"HS256 with a secret where none is set", published, hs, false},

		{"somebody's EdDSA at the portal's own", own, signed(t, jwt.SigningMethodEdDSA, "d1", iss.ed, good), false},
		{"HS256 at the portal's own", own, hs, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.holds {
				c.at.mustBe("pilot", "chat", bearer(c.token))
				return
			}
			c.at.mustRefuse(errs.Unauthenticated, "chat", bearer(c.token))
		})
	}
}

func TestBothSecretAndKeys(t *testing.T) {
	iss := newIssuer(t)
	w := open(t, withSecret, withKeysAt(iss.url))
	w.mustBe("pilot", "chat", bearer(signed(t, jwt.SigningMethodHS256, "", []byte(secret), w.facts())))
	w.mustBe("pilot", "chat", bearer(signed(t, jwt.SigningMethodES256, "e1", iss.ec, w.facts())))
}

func TestIssuer(t *testing.T) {
	w := open(t, withSecret, func(c *config.Config) { c.JWTIssuer = "https://login.example" })
	for iss, holds := range map[string]bool{"https://login.example": true, "https://login.example/": false, "": false, "uniqverse": false, "uniqverse-service": false} {
		claims := w.facts()
		claims["iss"] = iss
		r := bearer(signed(t, jwt.SigningMethodHS256, "", []byte(secret), claims))
		if holds {
			w.mustBe("pilot", "chat", r)
		} else {
			w.mustRefuse(errs.Unauthenticated, "chat", r)
		}
	}
}

func TestAudiencePerService(t *testing.T) {
	w := open(t, withSecret, func(c *config.Config) { c.GameAud = "our-game" })
	for service, aud := range map[string]string{"portal": "veze-portal", "game": "our-game", "email": "veze-email", "chat": "veze-chat"} {
		claims := w.facts()
		claims["aud"] = aud
		token := signed(t, jwt.SigningMethodHS256, "", []byte(secret), claims)
		for _, at := range []string{"portal", "game", "email", "chat"} {
			if at == service {
				w.mustBe("pilot", at, bearer(token))
			} else {
				w.mustRefuse(errs.Unauthenticated, at, bearer(token))
			}
		}
	}
}

// A token that was good a moment ago is remembered, but not beyond its expiry.
func TestRememberedTokensExpire(t *testing.T) {
	w := open(t, withSecret)
	claims := w.facts()
	claims["exp"] = w.clock.now().Unix() + 60
	r := bearer(signed(t, jwt.SigningMethodHS256, "", []byte(secret), claims))
	w.mustBe("pilot", "chat", r)
	w.clock.pass(89 * time.Second)
	w.mustBe("pilot", "chat", r)
	w.clock.pass(2 * time.Second)
	w.mustRefuse(errs.Unauthenticated, "chat", r)
}

func TestWhereTheTokenIs(t *testing.T) {
	w := open(t, withSecret)
	token := signed(t, jwt.SigningMethodHS256, "", []byte(secret), w.facts())
	for _, c := range []struct {
		name, target string
		headers      []string
		via          web.Credential
		user         string
		refused      bool
	}{
		{"header", "/", []string{"Bearer " + token}, web.BearerToken, "pilot", false},
		{"header in small letters", "/", []string{"bearer " + token}, web.BearerToken, "pilot", false},
		{"query", "/?a=b&access_token=" + token, nil, web.QueryToken, "pilot", false},
		{"nowhere", "/", nil, web.NoCredential, "", false},
		{"another parameter", "/?xaccess_token=" + token, nil, web.NoCredential, "", false},
		{"header and query", "/?access_token=" + token, []string{"Bearer " + token}, 0, "", true},
		{"twice in the query", "/?access_token=" + token + "&access_token=" + token, nil, 0, "", true},
		{"two headers", "/", []string{"Bearer " + token, "Bearer " + token}, 0, "", true},
		{"empty header", "/", []string{""}, 0, "", true},
		{"Bearer and nothing", "/", []string{"Bearer "}, 0, "", true},
		{"Basic", "/", []string{"Basic cGlsb3Q6cHc="}, 0, "", true},
		{"token without a scheme", "/", []string{token}, 0, "", true},
		{"empty query", "/?access_token=", nil, 0, "", true},
		{"rubbish", "/?access_token=rubbish", nil, 0, "", true},
		{"longer than any", "/", []string{"Bearer " + token + strings.Repeat("x", 20_000)}, 0, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://hub.example.org"+c.target, nil)
			r.Header["Authorization"] = c.headers
			got, err := w.ask("chat", r)
			if errs.Is(err, errs.Unauthenticated) != c.refused || got.User != c.user || got.Via != c.via {
				t.Fatalf("caller %+v, error %v", got, err)
			}
		})
	}
}

// The row of a user is made at the first call of a verified token, once, and told.
func TestUserIsMadeAtTheFirstCall(t *testing.T) {
	w := open(t, withSecret)
	if _, err := w.UserByName(t.Context(), "pilot"); !errs.Is(err, errs.NotFound) {
		t.Fatalf("before the first call: %v", err)
	}
	w.mustRefuse(errs.Unauthenticated, "game", bearer(signed(t, jwt.SigningMethodHS256, "", []byte(secret), w.facts())))
	if len(w.events) != 0 {
		t.Fatalf("a refused token made a user: %v", w.events)
	}
	first := w.mustBe("pilot", "chat", bearer(signed(t, jwt.SigningMethodHS256, "", []byte(secret), w.facts())))
	again := w.mustBe("pilot", "email", bearer(signed(t, jwt.SigningMethodHS256, "", []byte(secret), w.facts())))
	if first.ID == 0 || first.ID != again.ID || first.Email != "pilot@"+domain {
		t.Fatalf("callers %+v and %+v", first, again)
	}
	u, err := w.UserByID(t.Context(), first.ID)
	if err != nil || u.Name != "pilot" || !slices.Equal(u.Roles, []string{auth.RoleUser}) || u.Password {
		t.Fatalf("user %+v, %v", u, err)
	}
	if len(w.events) != 1 || w.events[0].Type != "auth.user.created" || !strings.Contains(string(w.events[0].Payload), `"user":"pilot@`+domain) {
		t.Fatalf("events %+v", w.events)
	}
}

// A user who is disabled is out at the next request, whatever was remembered, and in again when enabled.
func TestDisabledAtOnce(t *testing.T) {
	w := open(t, withSecret)
	r := bearer(signed(t, jwt.SigningMethodHS256, "", []byte(secret), w.facts()))
	c := w.mustBe("pilot", "chat", r)
	u, err := w.UserByID(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.change(u, func(tx auth.Tx) error { _, err := w.SetDisabled(tx, c.ID, true); return err })
	w.mustRefuse(errs.Unauthenticated, "chat", r)
	w.change(u, func(tx auth.Tx) error { _, err := w.SetDisabled(tx, c.ID, false); return err })
	w.mustBe("pilot", "chat", r)
}
