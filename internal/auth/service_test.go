package auth_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"uniqverse/internal/config"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// call is a request of one of our services, named as the registry names it.
func call(t *testing.T, w *world, as, to, user string, scopes ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequest("GET", "http://"+to+"/", nil)
	if err := w.Internal.Sign(r, as, to, user, scopes...); err != nil {
		t.Fatal(err)
	}
	return r
}

// Our own services are known whatever users' tokens are verified with.
func TestServiceCalls(t *testing.T) {
	iss := newIssuer(t)
	for name, change := range map[string]func(*config.Config){"own keys": noDemo, "secret": withSecret, "keys elsewhere": withKeysAt(iss.url),
		"an issuer named": func(c *config.Config) { c.JWTSecret, c.JWTIssuer = secret, "https://login.example" }} {
		t.Run(name, func(t *testing.T) {
			w := open(t, change)
			c := w.mustBe("pilot", "email", call(t, w, "game", "email", "pilot", "email.read"))
			if c.Server != "game" || !c.Has("email.read") || c.Has("email.send") || c.Demo || c.Admin || c.ID == 0 {
				t.Fatalf("%+v", c)
			}
			c = w.mustBe("", "chat", call(t, w, "game", "desk", "", "ticket.manage")) // the desk is on chat's handler
			if c.Server != "game" || c.ID != 0 {
				t.Fatalf("%+v", c)
			}
			w.mustRefuse(errs.Unauthenticated, "chat", call(t, w, "game", "email", "pilot", "email.read"))
			late := call(t, w, "game", "email", "pilot", "email.read")
			w.clock.pass(91 * time.Second)
			w.mustRefuse(errs.Unauthenticated, "email", late)
		})
	}
}

func TestServiceCallsNeedTheSecret(t *testing.T) {
	one, two := open(t, noDemo), open(t, noDemo)
	two.mustRefuse(errs.Unauthenticated, "email", call(t, one, "game", "email", "pilot", "email.read"))

	shared := func(c *config.Config) { c.ServiceToken = "shared by both processes" }
	one, two = open(t, noDemo, shared), open(t, withSecret, shared)
	two.mustBe("pilot", "email", call(t, one, "game", "email", "pilot", "email.read"))

	// The secret itself signs nothing: neither a user's token nor a service's.
	w := open(t, func(c *config.Config) { c.JWTSecret, c.ServiceToken = secret, secret })
	claims := jwt.MapClaims{"iss": "uniqverse-service", "sub": "game", "aud": "service:chat", "exp": w.clock.now().Unix() + 60, "uniq_user": "pilot"}
	w.mustRefuse(errs.Unauthenticated, "chat", bearer(signed(t, jwt.SigningMethodHS256, "uniqverse-service", []byte(secret), claims)))
	w.mustRefuse(errs.Unauthenticated, "chat", bearer(signed(t, jwt.SigningMethodHS256, "", []byte(secret), claims)))
	claims["aud"] = "veze-chat"
	got, err := w.ask("chat", bearer(signed(t, jwt.SigningMethodHS256, "", []byte(secret), claims)))
	if got.Server != "" {
		t.Fatalf("a user's token made itself a service: %+v, %v", got, err)
	}
}

// A disabled user is shut out of calls that services make for them, too.
func TestServiceForDisabledUser(t *testing.T) {
	w := open(t, noDemo)
	c := w.mustBe("pilot", "email", call(t, w, "game", "email", "pilot"))
	u, err := w.UserByID(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.disable(u)
	w.mustRefuse(errs.Unauthenticated, "email", call(t, w, "game", "email", "pilot"))
}

func TestAuthorize(t *testing.T) {
	demo := web.Caller{User: "demo", Demo: true}
	pilot := web.Caller{User: "pilot"}
	for _, c := range []struct {
		name   string
		change func(*config.Config)
		far    bool
		caller web.Caller
		demo   bool // the token is the word
	}{
		{"near", func(*config.Config) {}, false, demo, false},
		{"far, nothing shared", func(*config.Config) {}, true, demo, true},
		{"far, nothing shared, a person", func(*config.Config) {}, true, pilot, false},
		{"far, a secret shared", func(c *config.Config) { c.ServiceToken = "shared by both processes" }, true, demo, false},
		{"far, demo off", noDemo, true, demo, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := open(t, c.change)
			r := httptest.NewRequest("GET", "http://email/", nil)
			r.Header.Set("Authorization", "Bearer of the caller")
			if err := w.Internal.Authorize(r, "game", "email", c.far, c.caller, "email.read"); err != nil {
				t.Fatal(err)
			}
			if got := r.Header.Get("Authorization") == "Bearer demo"; got != c.demo {
				t.Fatalf("Authorization %q", r.Header.Get("Authorization"))
			}
			if c.demo {
				return
			}
			got := w.mustBe(c.caller.User, "email", r)
			if got.Demo != c.caller.Demo || got.Server != "game" || strings.Join(got.Scopes, " ") != "email.read" {
				t.Fatalf("%+v", got)
			}
		})
	}
}

// What the portal passes on to another host carries its user, and never the session's secret.
func TestRelay(t *testing.T) {
	shared := func(c *config.Config) { c.JWTDemo, c.ServiceToken = config.ForcedOff, "shared by both processes" }
	here, there := open(t, shared), open(t, shared)
	u, session := here.signUp("pilot", "warp gate online")
	request := func(token string) *http.Request {
		r := bearer(token)
		r.AddCookie(&http.Cookie{Name: "theme", Value: "dark"})
		r.AddCookie(session.Cookie(r))
		return r
	}
	for _, c := range []struct {
		name    string
		r       *http.Request
		ownPage bool
		user    string
	}{
		{"a session", request(""), true, "pilot"},
		{"a session on another site's page", request(""), false, ""},
		{"a session and a token: the token counts", request("x.y.z"), true, ""},
		{"a cookie of no session", func() *http.Request {
			r := bearer("")
			r.AddCookie(&http.Cookie{Name: "uniq_session", Value: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
			return r
		}(), true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := c.r.Header.Get("Authorization")
			if err := here.Relay(c.r, "chat", c.ownPage); err != nil {
				t.Fatal(err)
			}
			if len(c.r.CookiesNamed("uniq_session")) != 0 {
				t.Error("the session's secret leaves the host")
			}
			if token != "" {
				if got := c.r.Header.Get("Authorization"); got != token {
					t.Errorf("Authorization %q", got)
				}
				return
			}
			got := there.mustBe(c.user, "chat", c.r)
			if c.user != "" && (got.Server != "portal" || !got.Has("chat.write") || got.Has("chat.moderate")) {
				t.Errorf("%+v", got)
			}
		})
	}
	r := request("")
	if err := here.Relay(r, "chat", true); err != nil || r.Header.Get("Cookie") != "theme=dark" {
		t.Errorf("cookies %q, %v", r.Header.Get("Cookie"), err)
	}
	here.disable(u)
	r = request("")
	if err := here.Relay(r, "chat", true); err != nil || r.Header.Get("Authorization") != "" {
		t.Errorf("disabled: %q, %v", r.Header.Get("Authorization"), err)
	}
}

// The data folder keeps the secrets: the same after a restart, and for their owner alone.
func TestSecretsOfTheDataFolder(t *testing.T) {
	w := open(t, noDemo)
	var files []string
	err := filepath.WalkDir(w.cfg.DataDir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != 0o600 && os.PathSeparator == '/' {
			t.Errorf("%s has mode %v", p, info.Mode())
		}
		files = append(files, d.Name())
		return nil
	})
	if err != nil || len(files) != 2 {
		t.Fatalf("files %q, %v", files, err)
	}
	r := call(t, w, "game", "email", "pilot")
	again := &world{t: t, clock: w.clock, cfg: w.cfg}
	again.Auth = again.onNewStore()
	again.mustBe("pilot", "email", r)
}
