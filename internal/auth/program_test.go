package auth_test

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"uniqverse/internal/config"
	"uniqverse/internal/errs"
)

// A mail program's token is held to what the service takes over HTTP.
func TestTokenLogin(t *testing.T) {
	w := open(t, withSecret)
	token := func(change func(jwt.MapClaims)) string {
		c := w.facts()
		c["aud"], c["scope"] = w.cfg.Audience("email"), "email.read email.send"
		change(c)
		return signed(t, jwt.SigningMethodHS256, "", []byte(secret), c)
	}
	for name, c := range map[string]struct {
		token string
		kind  errs.Kind
	}{
		"good":                {token(func(jwt.MapClaims) {}), ""},
		"for another service": {token(func(c jwt.MapClaims) { c["aud"] = w.cfg.Audience("chat") }), errs.Unauthenticated},
		"without the scope":   {token(func(c jwt.MapClaims) { c["scope"] = "email.read" }), errs.Denied},
		"expired":             {token(func(c jwt.MapClaims) { c["exp"] = w.clock.now().Add(-1e12).Unix() }), errs.Unauthenticated},
		"of nobody":           {token(func(c jwt.MapClaims) { delete(c, "sub") }), errs.Unauthenticated},
		"nonsense":            {"x", errs.Unauthenticated},
		"demo":                {"demo", errs.Unauthenticated},
	} {
		u, err := w.TokenLogin(t.Context(), "email", "email.send", c.token, true)
		if c.kind == "" && (err != nil || u.Name != "pilot") || c.kind != "" && !errs.Is(err, c.kind) {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
	w = open(t)
	if u, err := w.TokenLogin(t.Context(), "email", "email.send", "demo", true); err != nil || u.Name != "demo" {
		t.Errorf("demo on this machine: %+v, %v", u, err)
	}
	if _, err := w.TokenLogin(t.Context(), "email", "email.send", "demo", false); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("demo from elsewhere: %v", err)
	}
	w = open(t, func(c *config.Config) { c.JWTDemo = config.ForcedOn })
	if _, err := w.TokenLogin(t.Context(), "email", "email.send", "demo", false); err != nil {
		t.Errorf("demo from elsewhere, forced: %v", err)
	}
}
