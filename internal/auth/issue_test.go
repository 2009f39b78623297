package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/auth"
	"uniqverse/internal/config"
	"uniqverse/internal/errs"
)

func TestTokensForPeople(t *testing.T) {
	for name, change := range map[string]func(*config.Config){"own keys": noDemo, "secret": withSecret,
		"own keys, named issuer": func(c *config.Config) { c.JWTDemo, c.JWTIssuer = config.ForcedOff, "https://helm.example" }} {
		t.Run(name, func(t *testing.T) {
			w := open(t, change)
			u, err := w.Ensure(t.Context(), "pilot")
			if err != nil {
				t.Fatal(err)
			}
			tok, err := w.IssueTo(u, auth.Grant{})
			if err != nil || tok.Expires != time.Hour {
				t.Fatal(tok.Expires, err)
			}
			for _, service := range []string{"portal", "game", "email", "chat"} {
				c := w.mustBe("pilot", service, bearer(tok.Text))
				if !slices.Equal(c.Scopes, auth.ScopesOf([]string{"user"})) {
					t.Fatalf("scopes %q", c.Scopes)
				}
			}
			tok, err = w.IssueTo(u, auth.Grant{Audience: "chat veze-email", Scope: "chat.read", TTL: 2 * time.Minute})
			if err != nil || tok.Scope != "chat.read" {
				t.Fatal(tok.Scope, err)
			}
			w.mustBe("pilot", "email", bearer(tok.Text))
			w.mustRefuse(errs.Unauthenticated, "portal", bearer(tok.Text))
			w.clock.pass(151 * time.Second)
			w.mustRefuse(errs.Unauthenticated, "chat", bearer(tok.Text))
			for _, c := range []struct {
				g    auth.Grant
				kind errs.Kind
			}{
				{auth.Grant{Scope: "portal.admin"}, errs.Denied},
				{auth.Grant{Scope: "chat.read game.server"}, errs.Denied},
				{auth.Grant{Audience: "somewhere"}, errs.Invalid},
				{auth.Grant{TTL: time.Second}, errs.Invalid},
				{auth.Grant{TTL: 25 * time.Hour}, errs.Invalid},
			} {
				if _, err := w.IssueTo(u, c.g); !errs.Is(err, c.kind) {
					t.Errorf("%+v: %v", c.g, err)
				}
			}
		})
	}
}

// A token gets another that is at most itself.
func TestTokenForTokenOnlyNarrows(t *testing.T) {
	w := open(t, noDemo)
	u, err := w.Ensure(t.Context(), "pilot")
	if err != nil {
		t.Fatal(err)
	}
	first, err := w.IssueTo(u, auth.Grant{Audience: "portal chat", Scope: "chat.read chat.write", TTL: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.pass(4 * time.Minute)
	r := bearer(first.Text)
	c := w.mustBe("pilot", "portal", r)
	second, err := w.IssueFor(r, c, auth.Grant{})
	if err != nil || second.Expires != 6*time.Minute || second.Scope != "chat.read chat.write" {
		t.Fatalf("%+v, %v", second, err)
	}
	w.mustRefuse(errs.Unauthenticated, "email", bearer(second.Text))
	for _, g := range []auth.Grant{{Scope: "email.read"}, {Audience: "email"}} {
		if _, err := w.IssueFor(r, c, g); !errs.Is(err, errs.Denied) {
			t.Errorf("%+v: %v", g, err)
		}
	}
	if long, err := w.IssueFor(r, c, auth.Grant{TTL: time.Hour}); err != nil || long.Expires != 6*time.Minute {
		t.Errorf("longer than itself: %+v, %v", long, err)
	}
}

// The demo identity gets no token: one would outlive its conditions.
func TestNoTokenForDemo(t *testing.T) {
	w := open(t)
	r := httptest.NewRequest("POST", "http://localhost/auth/token?access_token=demo", nil)
	c := w.mustBe("demo", "portal", r)
	if _, err := w.IssueFor(r, c, auth.Grant{}); !errs.Is(err, errs.Denied) {
		t.Fatal(err)
	}
}

func TestNoTokensBesideKeysElsewhere(t *testing.T) {
	w := open(t, withKeysAt("http://127.0.0.1:1/"))
	u, err := w.Ensure(t.Context(), "pilot")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.IssueTo(u, auth.Grant{}); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	if _, err := auth.Mint(t.Context(), auth.MintOptions{Config: w.cfg, User: "pilot"}); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	if string(w.JWKS()) != `{"keys":[]}` {
		t.Errorf("%s", w.JWKS())
	}
}

// The shell's token works at a server that runs on the same data folder, also when made before its first start, and
// carries any scope.
func TestMint(t *testing.T) {
	for name, change := range map[string]func(*config.Config){"own keys": noDemo, "secret": withSecret} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			change(&cfg)
			cfg.DataDir = t.TempDir() + "/not/there/yet"
			now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
			mint := func(o auth.MintOptions) (string, error) {
				o.Config, o.Now = cfg, func() time.Time { return now }
				return auth.Mint(t.Context(), o)
			}
			early, err := mint(auth.MintOptions{User: "Server@" + domain, Scopes: []string{"game.server"}, TTL: 24 * time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			w := open(t, change, func(c *config.Config) { c.DataDir = cfg.DataDir })
			if c := w.mustBe("server", "game", bearer(early)); strings.Join(c.Scopes, " ") != "game.server" {
				t.Fatalf("%+v", c)
			}
			late, err := mint(auth.MintOptions{User: "pilot", Audience: []string{"chat"}})
			if err != nil {
				t.Fatal(err)
			}
			w.mustBe("pilot", "chat", bearer(late))
			w.mustRefuse(errs.Unauthenticated, "email", bearer(late))
			for _, o := range []auth.MintOptions{{User: ""}, {User: "a b"}, {User: "x@example.org"}, {User: "x", Scopes: []string{"root"}}, {User: "x", TTL: -1}, {User: "x", TTL: 400 * 24 * time.Hour}} {
				if _, err := mint(o); !errs.Is(err, errs.Invalid) {
					t.Errorf("%+v: %v", o, err)
				}
			}
		})
	}
}

// A key added beside a running server is taken up at its first token; those from before go on.
func TestOwnKeyRotation(t *testing.T) {
	w := open(t, noDemo)
	u, err := w.Ensure(t.Context(), "pilot")
	if err != nil {
		t.Fatal(err)
	}
	before, err := w.IssueTo(u, auth.Grant{})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.pass(time.Minute)
	if err := auth.RotateKey(w.cfg.DataDir, w.clock.now()); err != nil {
		t.Fatal(err)
	}
	after, err := auth.Mint(t.Context(), auth.MintOptions{Config: w.cfg, User: "pilot", Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	w.mustBe("pilot", "chat", bearer(after))
	w.mustBe("pilot", "chat", bearer(before.Text))
	var doc struct {
		Keys []struct{ Kty, Crv, Alg, Use, Kid, X, D string }
	}
	if err := json.Unmarshal(w.JWKS(), &doc); err != nil || len(doc.Keys) != 2 || doc.Keys[0].Kid == doc.Keys[1].Kid {
		t.Fatalf("%s, %v", w.JWKS(), err)
	}
	for _, k := range doc.Keys {
		if k.Kty != "OKP" || k.Crv != "Ed25519" || k.Alg != "EdDSA" || k.Use != "sig" || k.X == "" || k.D != "" {
			t.Errorf("%+v", k)
		}
	}
	if !strings.Contains(after, ".") || !strings.HasPrefix(doc.Keys[0].Kid, kidOf(t, after)) {
		t.Errorf("the newest key signs")
	}
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ Kid string }
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	return h.Kid
}
