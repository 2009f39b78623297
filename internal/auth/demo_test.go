package auth_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"uniqverse/internal/auth"
	"uniqverse/internal/config"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// The conditions of the demo identity, as section 3 of the contract has them: by the settings, and by the request's Host.
func TestDemoConditions(t *testing.T) {
	hosts := map[string]bool{
		"localhost": true, "localhost:8000": true, "LOCALHOST:8000": true, "localhost.:8000": true, "chat.localhost:8010": true,
		"127.0.0.1": true, "127.0.0.1:8000": true, "127.1.2.3:8000": true, "[::1]:8000": true, "[::1]": true, "[::ffff:127.0.0.1]:80": true,
		"hub.example.org": false, "localhost.example.org": false, "notlocalhost": false, "127.0.0.1.nip.io:8000": false, "0.0.0.0:8000": false,
		"192.168.1.5:8000": false, "10.0.0.1": false, "[2001:db8::1]:80": false, "2130706433": false, "0x7f.1": false, "127.1": false, "": false,
		"evil.com#localhost": false, "localhost@evil.com": false,
	}
	settings := []struct {
		name        string
		change      func(*config.Config)
		here, there bool // on for loopback names, on for others
	}{
		{"nothing set", func(*config.Config) {}, true, false},
		{"listening on ::1", func(c *config.Config) { c.Listen = "::1" }, true, false},
		{"listening on localhost", func(c *config.Config) { c.Listen = "localhost" }, true, false},
		{"listening everywhere", func(c *config.Config) { c.Listen = "0.0.0.0" }, false, false},
		{"listening on a name", func(c *config.Config) { c.Listen = "hub.example.org" }, false, false},
		{"a secret", withSecret, false, false},
		{"keys elsewhere", withKeysAt("http://127.0.0.1:1/keys"), false, false},
		{"forced off", noDemo, false, false},
		{"forced on", func(c *config.Config) { c.JWTDemo = config.ForcedOn }, true, true},
		{"forced on, a secret, everywhere", func(c *config.Config) { c.JWTDemo, c.JWTSecret, c.Listen = config.ForcedOn, secret, "0.0.0.0" }, true, true},
	}
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			w := open(t, s.change)
			for host, loopback := range hosts {
				on := s.there || s.here && loopback
				r := httptest.NewRequest("GET", "/?access_token=demo", nil)
				r.Host = host
				c, err := w.For("chat").Authenticate(r, true)
				if c.Demo != on || errs.Is(err, errs.Unauthenticated) == on {
					t.Errorf("host %q, in the query: %+v, %v; want demo %v", host, c, err, on)
				}
				r = httptest.NewRequest("GET", "/", nil)
				r.Host = host
				c, err = w.For("chat").Authenticate(r, false)
				if c.Demo != on || err != nil {
					t.Errorf("host %q, no token: %+v, %v; want demo %v", host, c, err, on)
				}
				c, err = w.For("email").Authenticate(r, true)
				if c.Known() || err != nil {
					t.Errorf("host %q, no token where one is wanted: %+v, %v", host, c, err)
				}
			}
		})
	}
}

// A proxy on this machine may write this machine's name as the Host; whom it asks for tells.
func TestDemoIsNotForwarded(t *testing.T) {
	w := open(t)
	for header, on := range map[string]bool{
		"X-Forwarded-For: 192.0.2.7": false, "X-Forwarded-For: 127.0.0.1, 192.0.2.7": false, "X-Forwarded-For: 127.0.0.1": true, "X-Forwarded-For: ::1": true,
		"X-Forwarded-Host: hub.example.org": false, "X-Forwarded-Host: localhost:8000": true, "X-Real-Ip: 192.0.2.7": false, "X-Forwarded-Proto: https": true,
	} {
		r := httptest.NewRequest("GET", "http://127.0.0.1:8000/", nil)
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
		if c, err := w.For("chat").Authenticate(r, false); c.Demo != on || err != nil {
			t.Errorf("%s: %+v, %v; want demo %v", header, c, err, on)
		}
	}
}

func TestDemoIdentity(t *testing.T) {
	w := open(t)
	r := httptest.NewRequest("GET", "http://localhost/", nil)
	r.Header.Set("Authorization", "Bearer demo")
	c := w.mustBe("demo", "email", r)
	if c.Email != "demo@"+domain || c.ID == 0 || !c.Demo || c.Via != web.BearerToken || c.Admin {
		t.Fatalf("%+v", c)
	}
	for _, s := range []string{"game.read_mail", "game.play", "email.read", "email.send", "chat.read", "chat.write", "chat.moderate", "ticket.manage", "portal.provision"} {
		if !c.Has(s) {
			t.Errorf("demo lacks %s", s)
		}
	}
	for _, s := range []string{"game.server", "email.admin", "portal.admin"} {
		if c.Has(s) {
			t.Errorf("demo has %s", s)
		}
	}
	if err := c.ActAs("somebody", ""); err != nil {
		t.Errorf("demo may name any user: %v", err)
	}
	// A wrong token is not demo, although no token would be.
	r.Header.Set("Authorization", "Bearer Demo")
	if c, err := w.For("chat").Authenticate(r, false); !errs.Is(err, errs.Unauthenticated) {
		t.Fatalf("%+v, %v", c, err)
	}
}

// A session is somebody; no token and a cookie that means nothing are demo.
func TestSessionBeatsDemo(t *testing.T) {
	w := open(t)
	_, s := w.signUp("pilot", "warp gate online")
	r := httptest.NewRequest("GET", "http://localhost/", nil)
	r.AddCookie(s.Cookie(r))
	c, err := w.For("chat").Authenticate(r, false)
	if err != nil || c.User != "pilot" || c.Demo || c.Via != web.SessionCookie {
		t.Fatalf("%+v, %v", c, err)
	}
	r = httptest.NewRequest("GET", "http://localhost/", nil)
	r.AddCookie(auth.SessionToken("ABCDEFGHIJKLMNOPQRSTUVWXYZ").Cookie(r))
	if c, err := w.For("chat").Authenticate(r, false); err != nil || !c.Demo {
		t.Fatalf("with a cookie of no session: %+v, %v", c, err)
	}
}

func TestNobodySignsUpAsDemo(t *testing.T) {
	w := open(t)
	for _, name := range []string{"demo", "Demo", " demo ", "postmaster", "admin", "support"} {
		_, err := w.PrepareSignUp(t.Context(), auth.Account{User: name, Password: "a long enough one"}, auth.Peer{})
		if !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
