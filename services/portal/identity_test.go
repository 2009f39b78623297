package portal_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/auth"
	"uniqverse/internal/config"
	"uniqverse/internal/web"
	"uniqverse/services/portal"
	"uniqverse/store"
	"uniqverse/store/storetest"
	"uniqverse/templates"
)

const phrase = "warp gate online"

// gate is the accounts' part of the portal behind a real server.
type gate struct {
	t    *testing.T
	auth *auth.Auth
	url  string
}

func newGate(t *testing.T, change ...func(*config.Config)) *gate {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.JWTDemo = t.TempDir(), config.ForcedOff
	for _, c := range change {
		c(&cfg)
	}
	a, err := auth.New(auth.Options{Config: cfg, Store: store.NewAuth(storetest.Open(t))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	set, err := templates.New(templates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	site := &web.Site{Ports: map[string]int{"chat": 8010}}
	identity := portal.NewIdentity(portal.IdentityOptions{Auth: a, Site: site, Submission: "127.0.0.1:2587"})
	h, err := web.New(web.Options{Service: "portal", Auth: a.For("portal"), Templates: set, Site: site, Metrics: metrics.NewSet(),
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Endpoints: identity.Endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &gate{t: t, auth: a, url: srv.URL}
}

// person is somebody at a browser, or with curl, who keeps cookies and follows no redirects.
type person struct {
	g      *gate
	client *http.Client
	header map[string]string
}

func (g *gate) browser() *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return &person{g: g, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		header: map[string]string{"Accept": "text/html", "Origin": g.url}}
}

func (g *gate) program() *person {
	p := g.browser()
	p.header = map[string]string{"Content-Type": "application/json"}
	return p
}

type answer struct {
	*http.Response
	body string
}

// do sends a form (pairs of name and value) or, from a program, the body.
func (p *person) do(method, path string, fields ...string) answer {
	p.g.t.Helper()
	body := ""
	if p.header["Content-Type"] == "" {
		form := url.Values{}
		for i := 0; i+1 < len(fields); i += 2 {
			form.Add(fields[i], fields[i+1])
		}
		body = form.Encode()
	} else if len(fields) > 0 {
		body = fields[0]
	}
	r, err := http.NewRequest(method, p.g.url+path, strings.NewReader(body))
	if err != nil {
		p.g.t.Fatal(err)
	}
	if method == http.MethodPost && p.header["Content-Type"] == "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range p.header {
		r.Header.Set(k, v)
	}
	res, err := p.client.Do(r)
	if err != nil {
		p.g.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.g.t.Fatal(err)
	}
	return answer{res, string(text)}
}

// want checks the status, and that the body holds the text.
func (a answer) want(t *testing.T, status int, has string) answer {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.body, has) {
		t.Fatalf("%s %s: %d, want %d with %q:\n%.1500s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, has, a.body)
	}
	return a
}

func (a answer) to(t *testing.T, location string) answer {
	t.Helper()
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != location {
		t.Fatalf("%s %s: %d to %q, want 303 to %q:\n%.800s", a.Request.Method, a.Request.URL.Path, a.StatusCode, a.Header.Get("Location"), location, a.body)
	}
	return a
}

func (p *person) signUp(name string) *person {
	p.g.t.Helper()
	p.do("POST", "/signup", "user", name, "name", "", "password", phrase, "next", "").to(p.g.t, "/")
	return p
}

// captain is the first administrator.
func (g *gate) captain() *person {
	g.t.Helper()
	link, _, err := g.auth.SetupLink(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	p := g.browser()
	p.do("POST", "/setup", "token", link, "user", "captain", "name", "The Captain", "password", phrase).to(g.t, "/")
	return p
}

func (p *person) whoami() (who struct {
	User   string
	UserID int64 `json:"user_id"`
	Scopes []string
	Via    string
	Demo   bool
	Admin  bool
}) {
	p.g.t.Helper()
	a := p.do("GET", "/auth/whoami")
	if a.StatusCode == 200 {
		if err := json.Unmarshal([]byte(a.body), &who); err != nil {
			p.g.t.Fatal(err)
		}
	}
	return who
}

func TestSignUpSignInSignOut(t *testing.T) {
	g := newGate(t)
	p := g.browser()
	p.do("GET", "/signup?next=/account").want(t, 200, `value="/account"`)
	p.do("POST", "/signup", "user", "Pilot", "name", "The Pilot", "password", phrase, "next", "/proxy/chat/rooms/7").to(t, "/proxy/chat/rooms/7")
	if who := p.whoami(); who.User != "pilot@vezeuniqverse.com" || who.Via != "session" || who.UserID == 0 {
		t.Fatalf("%+v", who)
	}
	p.do("GET", "/account").want(t, 200, "The Pilot")
	p.do("POST", "/logout").to(t, "/")
	if who := p.whoami(); who.User != "" {
		t.Fatalf("after signing out: %+v", who)
	}
	p.do("GET", "/account").to(t, g.url+"/login?next=%2Faccount")
	p.do("POST", "/login", "user", "pilot@vezeuniqverse.com", "password", phrase, "next", "http://127.0.0.1:8010/rooms").to(t, "http://127.0.0.1:8010/rooms")
	p.do("POST", "/login", "user", "pilot", "password", phrase, "next", "https://evil.example/").to(t, "/")
	list, err := g.auth.Sessions(t.Context(), p.whoami().UserID)
	if err != nil || len(list) != 1 {
		t.Fatalf("a new sign-in on the same browser ends its earlier session: %+v, %v", list, err)
	}
}

// Refused forms come again with what was typed and what was wrong, and never with a password.
func TestFormsAgain(t *testing.T) {
	g := newGate(t)
	g.browser().signUp("ada")
	p := g.browser()
	for _, c := range []struct {
		path   string
		fields []string
		status int
		has    []string
	}{
		{"/login", []string{"user", "ada", "password", "not my secret", "next", "/account"}, 401, []string{`value="ada"`, `value="/account"`, "The user name or the password is wrong."}},
		{"/login", []string{"user", "ada", "password", "", "next", ""}, 422, []string{`value="ada"`}},
		{"/signup", []string{"user", "ada", "name", "Ada L.", "password", "not my secret"}, 422, []string{`value="Ada L."`, "is taken"}},
		{"/signup", []string{"user", "admin", "name", "", "password", "not my secret"}, 422, []string{"is taken"}},
		{"/signup", []string{"user", "demo", "name", "", "password", "not my secret"}, 422, []string{"is taken"}},
		{"/signup", []string{"user", "a b", "name", "", "password", "short"}, 422, []string{`value="a b"`, "at least 10 characters", "letter or digit"}},
		{"/signup", []string{"user", "<script>", "name", "", "password", "not my secret"}, 422, []string{"&lt;script&gt;"}},
		{"/setup", []string{"token", "nonsense", "user", "ada", "name", "", "password", "not my secret"}, 403, []string{"This link has been used"}},
	} {
		a := p.do("POST", c.path, c.fields...)
		for _, has := range c.has {
			a.want(t, c.status, has)
		}
		a.want(t, c.status, "<form")
		if strings.Contains(a.body, "not my secret") || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s %v shows the password or signs in", c.path, c.fields)
		}
	}
}

// The same for programs: problem documents.
func TestProblems(t *testing.T) {
	g := newGate(t)
	p := g.program()
	p.do("POST", "/login", `{"user":"ada","password":"no such user"}`).want(t, 401, `"detail":"the user name or the password is wrong"`)
	p.do("POST", "/login", `{"user":"ada"}`).want(t, 422, `"field":"password"`)
	p.do("POST", "/signup", `{"user":"ada","password":"`+phrase+`"}`).want(t, 200, `"user":"ada@vezeuniqverse.com"`)
	p.do("POST", "/signup", `{"user":"ada","password":"`+phrase+`"}`).want(t, 422, `"field":"user"`)
	p.do("POST", "/login", `{"user":"ada","password":"`+phrase+`"}`).want(t, 200, `"roles":["user"]`)
	for range 10 {
		g.program().do("POST", "/login", `{"user":"bob","password":"wrong wrong"}`).want(t, 401, "")
	}
	a := g.program().do("POST", "/login", `{"user":"bob","password":"wrong wrong"}`).want(t, 429, "")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	p.header["Idempotency-Key"] = "k1"
	p.do("POST", "/login", `{"user":"ada","password":"`+phrase+`"}`).want(t, 422, "Idempotency-Key")
	q := g.program()
	q.header["Idempotency-Key"] = "k2"
	one := q.do("POST", "/signup", `{"user":"mary","password":"`+phrase+`"}`).want(t, 200, "mary")
	q.client.Jar = nil
	two := q.do("POST", "/signup", `{"user":"mary","password":"`+phrase+`"}`).want(t, 200, "mary")
	if one.body != two.body || two.Header.Get("Set-Cookie") != "" {
		t.Errorf("the repeat answers %s", two.body)
	}
}

// Forms are taken from our own pages only, before and after signing in.
func TestForeignPages(t *testing.T) {
	g := newGate(t)
	p := g.browser().signUp("ada")
	p.header["Origin"] = "http://evil.example"
	for _, path := range []string{"/login", "/logout", "/signup", "/setup", "/auth/token", "/account/profile", "/account/password", "/account/app-passwords", "/account/sessions/revoke-others"} {
		p.do("POST", path, "user", "ada", "password", phrase).want(t, 403, "")
	}
	p.header["Origin"] = g.url
	if p.whoami().User != "ada@vezeuniqverse.com" {
		t.Error("still signed in")
	}
}

func TestAccount(t *testing.T) {
	g := newGate(t)
	p := g.browser().signUp("ada")
	p.do("POST", "/account/profile", "name", "Ada L.").to(t, "/account")
	p.do("GET", "/account").want(t, 200, "Ada L.")
	p.do("POST", "/account/profile", "name", "a\nb").want(t, 422, "80 characters")

	made := p.do("POST", "/account/app-passwords", "label", "Thunderbird").want(t, 200, "Thunderbird")
	secret := regexp.MustCompile(`[a-z2-7]{6}(-[a-z2-7]{6}){3}`).FindString(made.body)
	if _, err := g.auth.AppLogin(t.Context(), "ada", secret); err != nil {
		t.Fatalf("%q: %v", secret, err)
	}
	page := p.do("GET", "/account").want(t, 200, "Thunderbird")
	if strings.Contains(page.body, secret) {
		t.Error("the secret is shown twice")
	}
	revoke := regexp.MustCompile(`/account/app-passwords/\d+/revoke`).FindString(page.body)
	g.browser().signUp("bob").do("POST", revoke).want(t, 404, "")
	p.do("POST", revoke).to(t, "/account")
	if _, err := g.auth.AppLogin(t.Context(), "ada", secret); err == nil {
		t.Error("revoked and taken")
	}
	p.do("POST", "/account/app-passwords", "label", "").want(t, 422, "")

	// Another browser is signed out from this one.
	other := g.browser()
	other.do("POST", "/login", "user", "ada", "password", phrase, "next", "").to(t, "/")
	page = p.do("GET", "/account")
	end := regexp.MustCompile(`/account/sessions/\d+/revoke"`).FindString(page.body)
	p.do("POST", strings.TrimSuffix(end, `"`)).to(t, "/account")
	if other.whoami().User != "" || p.whoami().User == "" {
		t.Error("the other browser is out, this one is not")
	}
	other.do("POST", "/login", "user", "ada", "password", phrase, "next", "").to(t, "/")
	p.do("POST", "/account/sessions/revoke-others").to(t, "/account")
	if other.whoami().User != "" || p.whoami().User == "" {
		t.Error("all others are out, this one is not")
	}

	p.do("POST", "/account/password", "username", "ada@vezeuniqverse.com", "current", "wrong one", "password", "another good one").want(t, 422, "is not your password")
	p.do("POST", "/account/password", "username", "bob@vezeuniqverse.com", "current", phrase, "password", "another good one").want(t, 422, "")
	p.do("POST", "/account/password", "username", "ada@vezeuniqverse.com", "current", phrase, "password", "short").want(t, 422, "at least 10")
	p.do("POST", "/account/password", "username", "ada@vezeuniqverse.com", "current", phrase, "password", "another good one").to(t, "/account")
	other.do("POST", "/login", "user", "ada", "password", phrase, "next", "").want(t, 401, "")
	other.do("POST", "/login", "user", "ada", "password", "another good one", "next", "").to(t, "/")
}

// An account is changed by who signed in, not with a token, which may carry less than the account.
func TestTokensDoNotChangeAccounts(t *testing.T) {
	g := newGate(t)
	g.browser().signUp("ada")
	p := g.program()
	var tok struct {
		Text    string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
		Scope   string
	}
	a := p.do("POST", "/auth/token", `{"user":"ada","password":"`+phrase+`"}`).want(t, 200, `"token_type":"Bearer"`)
	if err := json.Unmarshal([]byte(a.body), &tok); err != nil || tok.Expires != 3600 || !strings.Contains(tok.Scope, "chat.read") {
		t.Fatalf("%s, %v", a.body, err)
	}
	p.header["Authorization"] = "Bearer " + tok.Text
	if who := p.whoami(); who.User != "ada@vezeuniqverse.com" || who.Via != "bearer" {
		t.Fatalf("%+v", who)
	}
	for _, path := range []string{"/account/profile", "/account/sessions/revoke-others", "/account/app-passwords/1/revoke", "/account/sessions/1/revoke"} {
		p.do("POST", path).want(t, 403, "")
	}
	p.do("POST", "/account/app-passwords", `{"label":"x"}`).want(t, 403, "")
	p.do("POST", "/account/password", `{"current":"`+phrase+`","password":"another good one"}`).want(t, 403, "")
	p.do("GET", "/admin/users").want(t, 403, "portal.admin")
}

func TestTokens(t *testing.T) {
	g := newGate(t)
	p := g.program()
	p.do("POST", "/auth/token").want(t, 401, "")
	p.do("POST", "/auth/token", `{"user":"ada","password":"wrong wrong"}`).want(t, 401, "")
	p.do("POST", "/auth/token", `{"user":"ada"}`).want(t, 422, "")
	p.do("POST", "/auth/token", `{"ttl":5}`).want(t, 422, `"field":"ttl"`)
	b := g.browser().signUp("ada")
	b.header = map[string]string{"Content-Type": "application/json", "Origin": g.url}
	a := b.do("POST", "/auth/token", `{"aud":"chat","scope":"chat.read","ttl":60}`).want(t, 200, `"scope":"chat.read"`)
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", a.Header.Get("Cache-Control"))
	}
	b.do("POST", "/auth/token", `{"scope":"portal.admin"}`).want(t, 403, "")
	b.do("POST", "/auth/token", `{"aud":"moon"}`).want(t, 422, `"field":"aud"`)
	keys := p.do("GET", "/.well-known/jwks.json").want(t, 200, `"crv":"Ed25519"`)
	if strings.Contains(keys.body, `"d"`) {
		t.Error("the private key is published")
	}
}

func TestSetupPage(t *testing.T) {
	g := newGate(t)
	link, _, err := g.auth.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := g.browser()
	p.do("GET", "/setup?token="+link).want(t, 200, link)
	p.do("GET", "/setup?token=nonsense").want(t, 200, "This link has been used")
	p.do("GET", "/setup").want(t, 200, "This link has been used")
	p.do("POST", "/setup", "token", link, "user", "captain", "name", "", "password", "short").want(t, 422, link)
	p.do("POST", "/setup", "token", link, "user", "captain", "name", "", "password", phrase).to(t, "/")
	if who := p.whoami(); !who.Admin {
		t.Fatalf("%+v", who)
	}
	p.do("GET", "/setup?token="+link).want(t, 200, "This link has been used")
	p.do("POST", "/setup", "token", link, "user", "second", "name", "", "password", phrase).want(t, 403, "This link has been used")
}

func TestUsers(t *testing.T) {
	g := newGate(t)
	captain := g.captain()
	ada := g.browser().signUp("ada")
	ada.do("GET", "/admin/users").want(t, 403, "")
	g.browser().do("GET", "/admin/users").to(t, g.url+"/login?next=%2Fadmin%2Fusers")
	page := captain.do("GET", "/admin/users").want(t, 200, "ada@vezeuniqverse.com")
	page.want(t, 200, "captain@vezeuniqverse.com")
	if page = captain.do("GET", "/admin/users?q=ad"); strings.Contains(page.body, "#1<") || !strings.Contains(page.body, "ada@") {
		t.Error("the search finds ada alone")
	}
	captain.do("GET", "/admin/users?q=%25").want(t, 200, "Nobody found")
	captain.do("GET", "/admin/users?limit=1").want(t, 200, "/admin/users?limit=1&amp;offset=1")

	id := fmt.Sprint(ada.whoami().UserID)
	captain.do("POST", "/admin/users/"+id+"/roles", "roles", "user", "roles", "agent").to(t, "/admin/users")
	if s := strings.Join(ada.whoami().Scopes, " "); !strings.Contains(s, "ticket.manage") || strings.Contains(s, "portal.admin") {
		t.Errorf("scopes %s", s)
	}
	captain.do("POST", "/admin/users/"+id+"/roles", "roles", "emperor").want(t, 422, "")
	captain.do("POST", "/admin/users/999/roles", "roles", "user").want(t, 404, "")
	captain.do("POST", "/admin/users/"+id+"/disable").to(t, "/admin/users")
	if ada.whoami().User != "" {
		t.Error("disabled and signed in")
	}
	ada.do("POST", "/login", "user", "ada", "password", phrase, "next", "").want(t, 403, "disabled")
	captain.do("POST", "/admin/users/"+id+"/enable").to(t, "/admin/users")
	if ada.whoami().User != "" {
		t.Error("a session from before came back")
	}
	ada.do("POST", "/login", "user", "ada", "password", phrase, "next", "").to(t, "/")
	captain.do("POST", "/admin/users/"+id+"/roles").to(t, "/admin/users")
	if who := ada.whoami(); who.User == "" || len(who.Scopes) != 0 {
		t.Errorf("without roles: %+v", who)
	}
	me := fmt.Sprint(captain.whoami().UserID)
	captain.do("POST", "/admin/users/"+me+"/disable").want(t, 409, "")
	captain.do("POST", "/admin/users/"+me+"/roles", "roles", "user").want(t, 409, "")
	api := captain.program()
	api.do("GET", "/admin/users?limit=1").want(t, 200, `"total":2`)
	api.do("GET", "/admin/users?q=captain@vezeuniqverse.com").want(t, 200, `"name":"The Captain"`)
}

// program is the same session without a browser's headers.
func (p *person) program() *person {
	return &person{g: p.g, client: p.client, header: map[string]string{"Content-Type": "application/json"}}
}

// The demo identity sees the pages, and has no account to change.
func TestDemoHasNoAccount(t *testing.T) {
	g := newGate(t, func(c *config.Config) { c.JWTDemo = config.Unset })
	p := g.browser()
	p.do("GET", "/login").want(t, 200, "Look around as demo")
	p.do("GET", "/account").want(t, 200, "demo@vezeuniqverse.com")
	p.do("POST", "/account/app-passwords", "label", "x").want(t, 403, "sign up for one of your own")
	p.do("POST", "/account/profile", "name", "x").want(t, 403, "")
	p.do("POST", "/auth/token").want(t, 403, "")
	p.do("POST", "/signup", "user", "ada", "name", "", "password", phrase, "next", "").to(t, "/")
	if who := p.whoami(); who.User != "ada@vezeuniqverse.com" || who.Demo {
		t.Errorf("%+v", who)
	}
}

func TestNoSignUpBesideAnotherIssuer(t *testing.T) {
	g := newGate(t, func(c *config.Config) { c.JWTSecret = "a shared secret of the tests" })
	g.browser().do("GET", "/signup").want(t, 200, "sign in there")
	g.program().do("POST", "/signup", `{"user":"ada","password":"`+phrase+`"}`).want(t, 403, "")
	page := g.browser().do("GET", "/login").want(t, 200, "")
	if strings.Contains(page.body, `href="/signup"`) {
		t.Error("the sign-in page leads to a sign-up that is closed")
	}
}
