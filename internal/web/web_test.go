package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/templates"
)

// ledger is a transactor that keeps what was put into it, as the store would.
type ledger struct {
	mu    sync.Mutex
	rows  []string
	once  map[string]web.Once
	enter chan struct{} // when not nil, Update waits here after it was entered
	leave chan struct{}
}

type ledgerTx struct{ added []string }

func (l *ledger) Update(_ context.Context, once *web.Once, fn func(*ledgerTx) error) error {
	if l.enter != nil {
		l.enter <- struct{}{}
		<-l.leave
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if once != nil {
		if o, ok := l.once[once.Caller+once.Key]; ok {
			if o.Fingerprint != once.Fingerprint {
				return errs.BadField("Idempotency-Key", "was used for another request")
			}
			*once = o
			once.Replayed = true
			return nil
		}
	}
	tx := &ledgerTx{}
	if err := fn(tx); err != nil {
		return err
	}
	l.rows = append(l.rows, tx.added...)
	if once != nil {
		l.once[once.Caller+once.Key] = *once
	}
	return nil
}

// who authenticates by the bearer token: the token is the user's name.
type who struct{}

func (who) Authenticate(r *http.Request, _ bool) (web.Caller, error) {
	t := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch t {
	case "":
		return web.Caller{}, nil
	case "bad":
		return web.Caller{}, errs.New(errs.Unauthenticated, "the token is not valid")
	case "cookie":
		return web.Caller{User: "ann", Email: "ann@d.test", ID: 1, Scopes: []string{"play"}, Via: web.SessionCookie}, nil
	case "demo":
		return web.Caller{User: "demo", Email: "demo@d.test", ID: 9, Scopes: []string{"play"}, Demo: true}, nil
	}
	return web.Caller{User: t, Email: t + "@d.test", ID: 1, Scopes: []string{"play"}, Via: web.BearerToken}, nil
}

type addParams struct {
	Name  string   `json:"name" web:"required" max:"5"`
	Count int64    `json:"count,omitempty" min:"1" max:"10"`
	Ratio *float64 `json:"ratio,omitempty"`
	Flag  *bool    `json:"flag,omitempty"`
	Tags  []string `json:"tags,omitempty" max:"2"`
}

func newHandler(t *testing.T, l *ledger, more ...web.Endpoint) *web.Handler {
	t.Helper()
	set, err := templates.New(templates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	add := func(c *web.Call, tx *ledgerTx, in addParams) (addParams, error) {
		if in.Name == "boom" {
			panic("boom")
		}
		if in.Name == "sql" {
			return in, errors.New(`SELECT secret FROM t`)
		}
		tx.added = append(tx.added, in.Name)
		return in, nil
	}
	es := append([]web.Endpoint{
		web.Command(http.MethodPost, "/things", web.Needs("play"), "add", l, add).Redirect(func(c *web.Call, _ any) string { return "/things" }),
		web.Query(http.MethodGet, "/things", web.Needs("play"), "list", func(c *web.Call, p web.Paging) (web.Paging, error) { return p, nil }),
		web.View("/things", web.Needs("play"), "list page", func(c *web.Call, _ web.Paging) (web.Page, error) {
			return web.Page{Template: templates.PageComponents, Title: "Things"}, nil
		}),
		web.Query(http.MethodGet, "/admin", web.Needs("admin"), "admin", func(*web.Call, web.None) (web.None, error) { return web.None{}, nil }),
		web.Query(http.MethodPost, "/list", web.Needs("play"), "list in", func(_ *web.Call, in []addParams) (map[string]int, error) {
			return map[string]int{"n": len(in)}, nil
		}),
		web.Query(http.MethodPost, "/any", web.Needs("play"), "any in", func(_ *web.Call, in map[string]json.RawMessage) (map[string]json.RawMessage, error) {
			return in, nil
		}),
	}, more...)
	h, err := web.New(web.Options{Service: "test", Title: "Test", Version: "0", Endpoints: es, Auth: who{}, Templates: set, Site: &web.Site{Ports: map[string]int{"portal": 8000}},
		Metrics: metrics.NewSet(), Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func do(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer ann")
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"

// TestParameters: a handler takes its parameters from JSON, form or query alike, and refuses
// what it does not understand, each with its status.
func TestParameters(t *testing.T) {
	cases := []struct {
		name, target, typ, body string
		status                  int
		want                    string // part of the answer
	}{
		// The three ways, and both at once.
		{"json", "/things", asJSON, `{"name":"a","count":3}`, 200, `"count":3`},
		{"form", "/things", asForm, `name=a&count=3`, 200, `"count":3`},
		{"query", "/things?name=a&count=3", "", "", 200, `"count":3`},
		{"query beside json", "/things?count=3", asJSON, `{"name":"a"}`, 200, `"count":3`},
		{"multipart", "/things", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\na\r\n--x--\r\n", 200, `"name":"a"`},
		{"token in the query is no parameter", "/things?name=a&access_token=x", "", "", 200, `"name":"a"`},
		{"list in a form", "/things", asForm, "name=a&tags=x&tags=y", 200, `["x","y"]`},
		{"empty optional form field", "/things", asForm, "name=a&count=&ratio=", 200, `"name":"a"`},
		{"null is absent", "/things", asJSON, `{"name":"a","count":null}`, 200, `"name":"a"`},
		// Wrong content types and bodies.
		{"no content type", "/things", "", "name=a", 415, "Content-Type"},
		{"xml", "/things", "text/xml", "<a/>", 415, "text/xml"},
		{"broken json", "/things", asJSON, `{"name":`, 400, "JSON"},
		{"two values", "/things", asJSON, `{"name":"a"}{}`, 400, "more than one"},
		{"name twice", "/things", asJSON, `{"name":"a","name":"b"}`, 400, "twice"},
		{"nested name twice", "/any", asJSON, `{"a":{"b":1,"b":2}}`, 400, "twice"},
		{"too deep", "/any", asJSON, `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, 400, "deeper"},
		{"array for object", "/things", asJSON, `[1]`, 400, "object"},
		{"string for object", "/things", asJSON, `"x"`, 400, "object"},
		{"bad utf-8", "/things", asJSON, "{\"name\":\"\xff\"}", 400, "UTF-8"},
		{"bad escape in the query", "/things?name=%zz", "", "", 400, "query"},
		{"bad escape in the form", "/things", asForm, "name=%zz", 400, "form"},
		{"NUL in a form", "/things", asForm, "name=%00", 400, "UTF-8"},
		{"multipart without boundary", "/things", "multipart/form-data", "x", 400, "boundary"},
		{"a file", "/things", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"name\"; filename=\"f\"\r\n\r\na\r\n--x--\r\n", 422, "file"},
		// Wrong fields.
		{"missing", "/things", "", "", 422, `"field":"name"`},
		{"empty", "/things?name=%20", "", "", 422, "must not be empty"},
		{"unknown", "/things?name=a&nmae=b", "", "", 422, `"field":"nmae"`},
		{"unknown in json", "/things", asJSON, `{"name":"a","x":1}`, 422, `"field":"x"`},
		{"wrong type", "/things", asJSON, `{"name":"a","count":"3"}`, 422, "integer"},
		{"fraction", "/things", asJSON, `{"name":"a","count":1.5}`, 422, "integer"},
		{"text for number", "/things?name=a&count=x", "", "", 422, "integer"},
		{"too small", "/things?name=a&count=-1", "", "", 422, "at least 1"},
		{"too large", "/things?name=a&count=11", "", "", 422, "at most 10"},
		{"overflow", "/things?name=a&count=99999999999999999999", "", "", 422, "integer"},
		{"NaN", "/things?name=a&ratio=NaN", "", "", 422, "number"},
		{"infinity", "/things?name=a&ratio=Inf", "", "", 422, "number"},
		{"too long", "/things?name=abcdef", "", "", 422, "at most 5"},
		{"too many", "/things", asJSON, `{"name":"a","tags":["1","2","3"]}`, 422, "at most 2"},
		{"bad bool", "/things?name=a&flag=maybe", "", "", 422, "true or false"},
		{"twice with two values", "/things?name=a&name=b", "", "", 422, "more than once"},
		{"in query and body", "/things?name=a", asJSON, `{"name":"b"}`, 422, "give it once"},
		{"number for text", "/things", asJSON, `{"name":5}`, 422, "string"},
		// Lists and open objects.
		{"list", "/list", asJSON, `[{"name":"a"},{"name":"b"}]`, 200, `"n":2`},
		{"list with a wrong row", "/list", asJSON, `[{"name":"a"},{"name":5}]`, 422, `[1].name`},
		{"object for list", "/list", asJSON, `{}`, 400, "array"},
		{"any", "/any", asJSON, `{"x":{"y":[1]}}`, 200, `{"x":{"y":[1]}}`},
		{"any from a form", "/any", asForm, `x=1`, 200, `{"x":"1"}`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			l := &ledger{once: map[string]web.Once{}}
			h := newHandler(t, l)
			w := do(h, "POST", tc.target, tc.body, "Content-Type", tc.typ)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) {
				t.Fatalf("got %d %s, want %d with %q", w.Code, w.Body, tc.status, tc.want)
			}
			if tc.status != 200 {
				var p struct {
					Title, Detail string
					Status        int
				}
				if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Title == "" || p.Detail == "" || p.Status != tc.status {
					t.Errorf("not a problem document: %s", w.Body)
				}
				if len(l.rows) != 0 {
					t.Errorf("a refused request changed something: %v", l.rows)
				}
			}
		})
	}
}

// TestWho: 401 with WWW-Authenticate, 403 naming the scope, 405 with Allow, 404, and pages
// that send people to the sign-in.
func TestWho(t *testing.T) {
	h := newHandler(t, &ledger{})
	w := do(h, "GET", "/things", "", "Authorization", "")
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("nobody: %d %v", w.Code, w.Header())
	}
	if w = do(h, "GET", "/things", "", "Authorization", "Bearer bad"); w.Code != 401 {
		t.Errorf("bad token: %d", w.Code)
	}
	if w = do(h, "GET", "/admin", ""); w.Code != 403 || !strings.Contains(w.Body.String(), "scope admin") {
		t.Errorf("scope: %d %s", w.Code, w.Body)
	}
	if w = do(h, "DELETE", "/things", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("method: %d %q", w.Code, w.Header().Get("Allow"))
	}
	if w = do(h, "GET", "/nothing", ""); w.Code != 404 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("nothing: %d %v", w.Code, w.Header())
	}
	w = do(h, "GET", "/things?limit=3", "", "Authorization", "", "Accept", "text/html")
	if w.Code != 303 || w.Header().Get("Location") != "http://example.com:8000/login?next=http%3A%2F%2Fexample.com%2Fthings%3Flimit%3D3" {
		t.Errorf("sign-in: %d %q", w.Code, w.Header().Get("Location"))
	}
}

// TestPageAndAPI: one path is a page for browsers and JSON otherwise.
func TestPageAndAPI(t *testing.T) {
	h := newHandler(t, &ledger{once: map[string]web.Once{}})
	for accept, want := range map[string]string{"": "application/json", "*/*": "application/json", "application/json": "application/json",
		"text/html,application/xhtml+xml,*/*;q=0.8": "text/html", "text/html": "text/html"} {
		w := do(h, "GET", "/things", "", "Accept", accept)
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), want) {
			t.Errorf("Accept %q: %d %s", accept, w.Code, w.Header().Get("Content-Type"))
		}
	}
	w := do(h, "POST", "/things", "name=a", "Accept", "text/html", "Content-Type", asForm, "X-Forwarded-Prefix", "/proxy/test")
	if w.Code != 303 || w.Header().Get("Location") != "/proxy/test/things" {
		t.Errorf("form: %d %q", w.Code, w.Header().Get("Location"))
	}
	if w = do(h, "POST", "/things", "name=toolong", "Accept", "text/html", "Content-Type", asForm); w.Code != 422 || !strings.Contains(w.Body.String(), "<html") {
		t.Errorf("refused form: %d %s", w.Code, w.Header())
	}
	if w = do(h, "GET", "/things?utm_source=x", "", "Accept", "text/html"); w.Code != 200 {
		t.Errorf("a page with a stray parameter: %d", w.Code)
	}
}

// TestForeignPages: browsers of other sites can use neither a session nor the demo identity.
func TestForeignPages(t *testing.T) {
	h := newHandler(t, &ledger{once: map[string]web.Once{}})
	cases := []struct {
		who, method string
		header      []string
		want        int
	}{
		{"cookie", "POST", []string{"Origin", "https://evil.test"}, 403},
		{"cookie", "POST", []string{"Origin", "null"}, 403},
		{"cookie", "POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"cookie", "POST", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"cookie", "POST", []string{"Origin", "http://example.com"}, 200},
		{"cookie", "POST", []string{"Origin", "http://example.com:8000"}, 200},
		{"cookie", "POST", []string{"Origin", "http://example.com:9999"}, 403},
		{"cookie", "POST", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"cookie", "GET", []string{"Sec-Fetch-Site", "cross-site"}, 200},
		{"demo", "GET", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"demo", "GET", []string{"Origin", "https://evil.test"}, 403},
		{"demo", "GET", []string{"Sec-Fetch-Site", "none"}, 200},
		{"demo", "GET", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"}, 200},
		{"demo", "POST", nil, 200},
		{"ann", "POST", []string{"Origin", "https://tool.test"}, 200}, // a bearer token is nothing that a browser adds by itself
	}
	for _, tc := range cases {
		w := do(h, tc.method, "/things?name=a", "", append([]string{"Authorization", "Bearer " + tc.who}, tc.header...)...)
		want := tc.want
		if tc.method == "GET" && want == 200 {
			want = 422 // name is no parameter of the list: it was let in
		}
		if w.Code != want {
			t.Errorf("%s %s %v: %d, want %d", tc.who, tc.method, tc.header, w.Code, want)
		}
	}
}

// TestIdempotencyKey: a repeat answers as the first did, other parameters are 422, a running one is 409.
func TestIdempotencyKey(t *testing.T) {
	l := &ledger{once: map[string]web.Once{}}
	h := newHandler(t, l)
	first := do(h, "POST", "/things", `{"name":"a"}`, "Content-Type", asJSON, "Idempotency-Key", "k1")
	again := do(h, "POST", "/things?name=a", "", "Idempotency-Key", "k1")
	if first.Code != 200 || again.Code != 200 || first.Body.String() != again.Body.String() || len(l.rows) != 1 {
		t.Errorf("repeat: %d %s, %d %s, rows %v", first.Code, first.Body, again.Code, again.Body, l.rows)
	}
	if w := do(h, "POST", "/things?name=b", "", "Idempotency-Key", "k1"); w.Code != 422 {
		t.Errorf("other parameters: %d", w.Code)
	}
	if w := do(h, "POST", "/things?name=b", "", "Idempotency-Key", "k1", "Authorization", "Bearer bob"); w.Code != 200 {
		t.Errorf("the same key of somebody else: %d %s", w.Code, w.Body)
	}
	if w := do(h, "POST", "/things?name=a", "", "Idempotency-Key", strings.Repeat("k", 129)); w.Code != 400 {
		t.Errorf("long key: %d", w.Code)
	}
	l.enter, l.leave = make(chan struct{}), make(chan struct{})
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- do(h, "POST", "/things?name=c", "", "Idempotency-Key", "k2") }()
	<-l.enter
	if w := do(h, "POST", "/things?name=c", "", "Idempotency-Key", "k2"); w.Code != 409 || w.Header().Get("Retry-After") == "" {
		t.Errorf("while running: %d", w.Code)
	}
	l.leave <- struct{}{}
	if w := <-done; w.Code != 200 {
		t.Errorf("the first: %d", w.Code)
	}
}

// TestNothingLeaks: panics and causes are never shown, and every answer has the headers.
func TestNothingLeaks(t *testing.T) {
	h := newHandler(t, &ledger{})
	for _, name := range []string{"boom", "sql"} {
		w := do(h, "POST", "/things?name="+name, "")
		if w.Code != 500 || strings.Contains(w.Body.String(), "SELECT") || strings.Contains(w.Body.String(), "goroutine") || strings.Contains(w.Body.String(), "boom") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		for _, k := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "X-Qnetworks-Trace", "X-Qnetworks-Hops"} {
			if w.Header().Get(k) == "" {
				t.Errorf("%s: no %s", name, k)
			}
		}
		if strings.Contains(w.Header().Get("Content-Security-Policy"), "unsafe-inline") {
			t.Error("the policy allows inline scripts")
		}
	}
}

// TestTooLarge: a body beyond the bound is 413 and is not read to its end.
func TestTooLarge(t *testing.T) {
	h := newHandler(t, &ledger{})
	if w := do(h, "POST", "/things", "name="+strings.Repeat("a", 2<<20), "Content-Type", asForm); w.Code != 413 {
		t.Errorf("got %d", w.Code)
	}
}

// TestLimits: a user is held back with 429 and Retry-After; the demo identity is not.
func TestLimits(t *testing.T) {
	h := newHandler(t, &ledger{})
	last := 0
	for range 400 {
		w := do(h, "GET", "/things", "")
		last = w.Code
		if w.Code == 429 {
			if w.Header().Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			break
		}
	}
	if last != 429 {
		t.Errorf("400 requests at once were all let through: %d", last)
	}
	for range 400 {
		if w := do(h, "GET", "/things", "", "Authorization", "Bearer demo"); w.Code != 200 {
			t.Fatalf("demo was held back: %d", w.Code)
		}
	}
}

// TestTrace: the caller's trace goes on, and hops tell the way.
func TestTrace(t *testing.T) {
	h := newHandler(t, &ledger{})
	w := do(h, "GET", "/things", "", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "X-QNetworks-Hops", "portal;0.4")
	if got := w.Header().Get("X-QNetworks-Trace"); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("trace %q", got)
	}
	if got := w.Header().Get("X-QNetworks-Hops"); !strings.HasPrefix(got, "portal;0.4, test;") {
		t.Errorf("hops %q", got)
	}
	w = do(h, "GET", "/things", "", "traceparent", "garbage")
	if got := w.Header().Get("X-QNetworks-Trace"); len(got) != 32 {
		t.Errorf("no trace made: %q", got)
	}
}

// TestCommon: health, metrics, discovery and documentation are there without a token.
func TestCommon(t *testing.T) {
	h := newHandler(t, &ledger{})
	for path, want := range map[string]string{"/health": `"status":"ok"`, "/metrics": "uniqverse_", "/.veze/service.json": `"status":"green"`, "/openapi.json": `"/things"`, "/docs": "/things"} {
		w := do(h, "GET", path, "", "Authorization", "Bearer bad")
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %.200s", path, w.Code, w.Body)
		}
	}
}

// TestOpenAPIKnowsEveryRoute keeps the document true to the routes.
func TestOpenAPIKnowsEveryRoute(t *testing.T) {
	h := newHandler(t, &ledger{})
	res := do(h, "GET", "/openapi.json", "")
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	for _, e := range h.Endpoints() {
		if doc.Paths[e.Path][strings.ToLower(e.Method)] == nil {
			t.Errorf("%s %s is not in the document", e.Method, e.Path)
		}
	}
}
