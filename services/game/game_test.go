package game_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/game"
	"uniqverse/store"
	"uniqverse/templates"
)

const domain = "vezeuniqverse.com"

// who knows a few callers by their token; without one everybody is the demo user, where that
// is allowed.
type who struct{}

func (who) Authenticate(r *http.Request, tokenWanted bool) (web.Caller, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == "" {
		token = r.URL.Query().Get("access_token")
	}
	all := []string{"game.play", "game.read_mail"}
	demo := web.Caller{User: "demo", Email: "demo@" + domain, ID: 1, Scopes: all, Demo: true}
	switch token {
	case "":
		if tokenWanted {
			return web.Caller{}, nil
		}
		return demo, nil
	case "demo":
		demo.Via = web.QueryToken
		return demo, nil
	case "server":
		return web.Caller{Server: "arena", Scopes: append(all, "game.server"), Via: web.BearerToken}, nil
	case "reader":
		return web.Caller{User: "reader", Email: "reader@" + domain, ID: 8, Scopes: []string{"chat.read"}, Via: web.BearerToken}, nil
	case "bad":
		return web.Caller{}, errs.New(errs.Unauthenticated, "the token is not valid")
	}
	return web.Caller{User: token, Email: token + "@" + domain, ID: 7, Scopes: all, Via: web.BearerToken}, nil
}

// post is an email service: it answers what it was told to.
type post struct {
	mu   sync.Mutex
	err  error
	last string
}

func (p *post) Messages(_ context.Context, c web.Caller, user string, _ api.EmailListOptions) (api.EmailList, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = c.User + c.Server + " reads " + user
	return api.EmailList{User: user, Messages: []api.EmailMessage{{ID: 4, Subject: "Warp"}}}, p.err
}

// place is a running game on a store in a folder.
type place struct {
	*httptest.Server
	t    *testing.T
	dir  string
	db   *store.DB
	hub  *hub.Local
	mail *post
	now  func() time.Time
	mu   sync.Mutex
	evs  []event.Event
	stop func()
}

func start(t *testing.T, dir string, now func() time.Time) *place {
	t.Helper()
	p := &place{t: t, dir: dir, mail: &post{}, now: now}
	var err error
	p.db, err = store.Open(t.Context(), store.Options{Dir: dir, Now: now, Publish: p.publish})
	if err != nil {
		t.Fatal(err)
	}
	if p.hub, err = hub.NewLocal(t.Context(), hub.LocalOptions{Epoch: p.db.Epoch(), Now: now}); err != nil {
		t.Fatal(err)
	}
	svc := game.New(game.Options{Store: store.NewGame(p.db), Hub: p.hub, Mail: p.mail, Domain: domain, Now: now})
	set, err := templates.New(templates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := web.New(web.Options{Service: "game", Title: "Game", Version: "0", Discovery: svc.Discovery(), Endpoints: svc.Endpoints(), Auth: who{}, Templates: set,
		Site: &web.Site{}, Metrics: metrics.NewSet(), Log: slog.New(slog.DiscardHandler), Now: now,
		Limits: web.Limits{PerUser: 1e6, UserBurst: 1e6, PerAddress: 1e6, AddressBurst: 1e6, Refused: 1e6, RefusedBurst: 1e6}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := svc.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	p.Server = httptest.NewServer(h)
	var once sync.Once
	p.stop = func() {
		once.Do(func() {
			cancel()
			wg.Wait()
			p.Server.Close()
			if err := p.db.Close(); err != nil {
				t.Error(err)
			}
			p.hub.Close()
		})
	}
	t.Cleanup(p.stop)
	return p
}

func (p *place) publish(stream string, evs []event.Event) {
	p.mu.Lock()
	p.evs = append(p.evs, evs...)
	p.mu.Unlock()
	if _, err := p.hub.Publish(context.Background(), stream, evs...); err != nil {
		p.t.Error(err)
	}
}

// told returns the payloads of the events of a type.
func (p *place) told(typ string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, e := range p.evs {
		if e.Type == typ {
			out = append(out, string(e.Payload))
		}
	}
	return out
}

// call sends "METHOD path" with a JSON body ("" is none) and headers in pairs.
func (p *place) call(what, body string, headers ...string) (int, string, http.Header) {
	p.t.Helper()
	method, path, _ := strings.Cut(what, " ")
	r, err := http.NewRequest(method, p.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		p.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := p.Client().Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(b)), res.Header
}

// want calls and compares status and, when it is not "", the whole JSON answer.
func (p *place) want(status int, answer, what, body string, headers ...string) string {
	p.t.Helper()
	got, b, _ := p.call(what, body, headers...)
	if got != status {
		p.t.Errorf("%s %s: %d, want %d: %s", what, body, got, status, b)
	} else if answer != "" && !sameJSON(b, answer) {
		p.t.Errorf("%s %s:\n got %s\nwant %s", what, body, b, answer)
	}
	return b
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}

func into[T any](t *testing.T, body string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

// user returns the headers of a caller; "" is nobody.
func user(name string) []string {
	if name == "" {
		return nil
	}
	return []string{"Authorization", "Bearer " + name}
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}
