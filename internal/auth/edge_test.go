package auth_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"
	"github.com/golang-jwt/jwt/v5"

	"uniqverse/internal/config"
	"uniqverse/internal/web"
	"uniqverse/templates"
)

// edge is a service behind package web with one endpoint of each kind of access, as the real ones have.
func edge(t *testing.T, w *world) http.Handler {
	t.Helper()
	set, err := templates.New(templates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	who := func(c *web.Call, _ web.None) (map[string]string, error) {
		return map[string]string{"user": c.Caller.User}, nil
	}
	page := func(c *web.Call, _ web.None) (web.Page, error) {
		return web.Page{Template: templates.PageError, Title: "page of " + c.Caller.User, Data: templates.ErrorView{Title: "page of " + c.Caller.User}}, nil
	}
	back := func(*web.Call, any) string { return "/page" }
	h, err := web.New(web.Options{
		Service: "email", Auth: w.For("email"), Templates: set, Site: &web.Site{Ports: map[string]int{"chat": 8010}}, Metrics: metrics.NewSet(),
		Log: slog.New(slog.DiscardHandler), Now: w.clock.now,
		Endpoints: []web.Endpoint{
			web.View("/page", web.NeedsToken("email.read"), "A page", page),
			web.Query("GET", "/list", web.NeedsToken("email.read"), "An API", who),
			web.Query("POST", "/star", web.NeedsToken("email.send"), "A form's target", who).Redirect(back),
			web.Query("GET", "/rooms", web.Needs("chat.read"), "An API that demo reads without a token", who),
			web.Query("POST", "/rooms", web.Needs("chat.write"), "An API that demo writes without a token", who),
			web.Query("POST", "/server", web.Needs("game.server"), "For servers", who),
			web.Query("GET", "/open", web.Anyone(), "For everybody", who),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Who is let in, by what the request brings. With demo identity on, pages and what their forms and scripts send are the
// demo user's; a program's calls want a token where the contract says so; foreign pages get nothing from it.
func TestAtTheEdge(t *testing.T) {
	demo, closed := open(t), open(t, func(c *config.Config) { c.JWTSecret = secret })
	good := signed(t, jwt.SigningMethodHS256, "", []byte(secret), closed.facts()) // chat.read and chat.write alone
	const html = "Accept: text/html,application/xhtml+xml"
	handlers := map[*world]http.Handler{demo: edge(t, demo), closed: edge(t, closed)}
	for _, c := range []struct {
		name, request string // method and path, headers after |
		at            *world
		status        int
		has           string
	}{
		// demo identity on
		{"page", "GET /page|" + html, demo, 200, "page of demo"},
		{"page for curl", "GET /page", demo, 200, "page of demo"},
		{"API", "GET /list", demo, 401, ""},
		{"API with a browser's Accept", "GET /list|" + html, demo, 401, ""},
		{"API, sent by our page", "GET /list|Sec-Fetch-Site: same-origin", demo, 200, `"demo"`},
		{"API, typed into the address bar", "GET /list|Sec-Fetch-Site: none", demo, 401, ""},
		{"API with demo's token", "GET /list?access_token=demo", demo, 200, `"demo"`},
		{"API with a bad token", "GET /list?access_token=dem", demo, 401, ""},
		{"form", "POST /star|" + html + "|Origin: http://localhost:8004", demo, 303, ""},
		{"form from another port of ours", "POST /star|" + html + "|Origin: http://localhost:8010", demo, 303, ""},
		{"form from another site", "POST /star|" + html + "|Origin: http://evil.example", demo, 403, ""},
		{"form from another port", "POST /star|" + html + "|Origin: http://localhost:9999", demo, 403, ""},
		{"form from an opaque page", "POST /star|" + html + "|Origin: null", demo, 403, ""},
		{"program's post", "POST /star", demo, 401, ""},
		{"program's post with the token", "POST /star?access_token=demo", demo, 200, ""},
		{"the token from another site", "POST /star?access_token=demo|Origin: http://evil.example", demo, 403, ""},
		{"read without a token", "GET /rooms", demo, 200, `"demo"`},
		{"written without a token", "POST /rooms", demo, 200, `"demo"`},
		{"read from another site", "GET /rooms|Origin: http://evil.example", demo, 403, ""},
		{"read across sites", "GET /rooms|Sec-Fetch-Site: cross-site", demo, 403, ""},
		{"across sites with an Origin of ours", "GET /rooms|Sec-Fetch-Site: cross-site|Origin: http://localhost:8004", demo, 403, ""},
		{"image on another port", "GET /rooms|Sec-Fetch-Site: same-site|Sec-Fetch-Mode: no-cors", demo, 403, ""},
		{"link on another port", "GET /rooms|Sec-Fetch-Site: same-site|Sec-Fetch-Mode: navigate", demo, 200, ""},
		{"WebSocket from another site", "GET /rooms|Connection: Upgrade|Upgrade: websocket|Origin: http://evil.example", demo, 403, ""},
		{"rebound name", "GET /rooms|Host: evil.example", demo, 401, ""},
		{"rebound name, page", "GET /page|Host: evil.example", demo, 401, ""},
		{"scope that demo lacks", "POST /server", demo, 403, ""},
		{"open to all, with a bad token", "GET /open?access_token=x", demo, 200, `""`},
		// demo identity off
		{"off: page", "GET /page|" + html, closed, 401, ""},
		{"off: sent by our page", "GET /list|Sec-Fetch-Site: same-origin", closed, 401, ""},
		{"off: demo's token", "GET /list?access_token=demo", closed, 401, ""},
		{"off: no token", "GET /rooms", closed, 401, ""},
		{"off: token", "GET /rooms|Authorization: Bearer " + good, closed, 200, `"pilot"`},
		{"off: token without the scope", "GET /list|Authorization: Bearer " + good, closed, 403, ""},
		{"off: token from another site", "POST /rooms|Origin: http://evil.example|Authorization: Bearer " + good, closed, 200, `"pilot"`},
		{"off: open to all", "GET /open", closed, 200, `""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts := strings.Split(c.request, "|")
			method, path, _ := strings.Cut(parts[0], " ")
			r := httptest.NewRequest(method, "http://localhost:8004"+path, nil)
			for _, h := range parts[1:] {
				name, value, _ := strings.Cut(h, ": ")
				if name == "Host" {
					r.Host = value
				}
				r.Header.Set(name, value)
			}
			rec := httptest.NewRecorder()
			handlers[c.at].ServeHTTP(rec, r)
			body, err := io.ReadAll(rec.Body)
			if err != nil || rec.Code != c.status || !strings.Contains(string(body), c.has) {
				t.Fatalf("%d %s; want %d with %q", rec.Code, body, c.status, c.has)
			}
			if rec.Code == 401 && !strings.HasPrefix(rec.Header().Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("WWW-Authenticate %q", rec.Header().Get("WWW-Authenticate"))
			}
		})
	}
}
