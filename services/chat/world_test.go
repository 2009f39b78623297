package chat_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/golang-jwt/jwt/v5"

	"uniqverse/hub"
	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/chat"
	"uniqverse/services/chat/attachment"
	"uniqverse/services/chat/live"
	"uniqverse/services/chat/moderation"
	"uniqverse/services/chat/pins"
	"uniqverse/services/chat/requests"
	"uniqverse/services/chat/retention"
	"uniqverse/services/chat/search"
	"uniqverse/services/chat/settings"
	"uniqverse/services/xengine"
	"uniqverse/store"
	"uniqverse/store/chatstore"
	"uniqverse/store/storetest"
	"uniqverse/templates"
)

const domain = "vezeuniqverse.com"

// who authenticates by a fixed table of tokens; no token is the demo identity.
type who struct{}

func (who) Authenticate(r *http.Request, _ bool) (web.Caller, error) {
	via := web.BearerToken
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == "" {
		token, via = r.URL.Query().Get("access_token"), web.QueryToken
	}
	if token == "" {
		if c, err := r.Cookie("session"); err == nil {
			token, via = c.Value, web.SessionCookie
		}
	}
	person := func(id int64, scopes ...string) (web.Caller, error) {
		return web.Caller{User: token, Email: token + "@" + domain, ID: id, Scopes: scopes, Via: via}, nil
	}
	switch token {
	case "", "demo":
		return web.Caller{User: "demo", Email: "demo@" + domain, ID: 1, Scopes: []string{"chat.read", "chat.write", "chat.moderate", "ticket.manage"}, Demo: true}, nil
	case "pilot":
		return person(2, "chat.read", "chat.write")
	case "reader":
		return person(3, "chat.read")
	case "agent":
		return person(4, "chat.read", "chat.write", "chat.moderate", "ticket.manage")
	case "brief": // a token that ends while the socket is open
		c, err := person(2, "chat.read", "chat.write")
		c.Expires = time.Now().Add(400 * time.Millisecond)
		return c, err
	case "expired":
		return web.Caller{}, &errs.Error{Kind: errs.Unauthenticated, Detail: "the token has expired; get a new one", Err: jwt.ErrTokenExpired}
	case "nobody":
		return web.Caller{}, nil
	case "game":
		return web.Caller{Server: "game", Scopes: []string{"chat.read", "chat.write", "chat.moderate"}, Via: via}, nil
	case "outsider":
		return web.Caller{User: "outsider", Email: "outsider@other." + domain, ID: 5, Scopes: []string{"chat.read", "chat.write"}, Via: via}, nil
	}
	return web.Caller{}, errs.New(errs.Unauthenticated, "the token is not valid")
}

// people are the users there are.
type people struct{}

func (people) UserByID(_ context.Context, id int64) (auth.User, error) {
	if id == 5 {
		return auth.User{ID: 5, Name: "outsider", Email: "outsider@other." + domain}, nil
	}
	for name, known := range map[string]int64{"demo": 1, "pilot": 2, "reader": 3, "agent": 4} {
		if id == known {
			return auth.User{ID: id, Name: name, Email: name + "@" + domain}, nil
		}
	}
	return auth.User{}, errs.New(errs.NotFound, "there is no such user")
}

func (p people) UserByName(ctx context.Context, name string) (auth.User, error) {
	for id := int64(1); id <= 5; id++ {
		if u, err := p.UserByID(ctx, id); err == nil && u.Name == name {
			return u, nil
		}
	}
	return auth.User{}, errs.New(errs.NotFound, "there is no such user")
}

func (p people) Ensure(ctx context.Context, name string) (auth.User, error) {
	if u, err := p.UserByName(ctx, name); err == nil {
		return u, nil
	}
	return auth.User{ID: 100 + int64(len(name)), Name: name, Email: name + "@" + domain}, nil
}

// world is a running chat on a real store.
type world struct {
	t   testing.TB
	dir string
	db  *store.DB
	hub *hub.Local
	svc *chat.Service
	srv *httptest.Server
	now func() time.Time

	files *attachment.Service
	find  *search.Service
	order *moderation.Service
	pipe  *moderation.Pipeline
	old   *retention.Sweeper
	stop  func()
}

// start opens a world in dir ("" for a new one); the test's end closes it.
func start(t testing.TB, dir string, change ...func(*chat.Options, *hub.LocalOptions)) *world {
	t.Helper()
	if dir == "" {
		dir = storetest.Dir(t)
	}
	w := &world{t: t, dir: dir}
	ctx := context.Background()
	var err error
	now := time.Now
	w.db, err = store.Open(ctx, store.Options{Dir: dir, Now: func() time.Time { return now() }, Publish: func(stream string, evs []event.Event) {
		if _, err := w.hub.Publish(ctx, stream, evs...); err != nil {
			t.Errorf("publish: %v", err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	site := &web.Site{}
	hubOpts := hub.LocalOptions{Epoch: w.db.Epoch(), Reserve: w.db.ReserveIDs}
	opts := chat.Options{
		Store: chatstore.New(w.db), Users: people{}, Domain: domain, Moderator: w.pipeline(xengine.New(xengine.Options{}), nil),
		Edge: ws.EdgeOptions{Spread: time.Millisecond, CloseWait: 50 * time.Millisecond},
	}
	for _, c := range change {
		c(&opts, &hubOpts)
	}
	if opts.Now != nil {
		now = opts.Now
	}
	w.now = now
	if w.hub, err = hub.NewLocal(ctx, hubOpts); err != nil {
		t.Fatal(err)
	}
	opts.Hub = w.hub
	w.svc = chat.New(opts)
	folder, err := attachment.OpenFolder(w.folder())
	if err != nil {
		t.Fatal(err)
	}
	w.files = attachment.New(attachment.Options{Store: chatstore.NewAttachments(w.db), Folder: folder, Rooms: w.svc, Hub: w.hub, Now: opts.Now})
	w.find = search.New(search.Options{Store: chatstore.NewSearch(w.db), Hub: w.hub, Rooms: w.svc, Now: opts.Now})
	w.order = moderation.New(moderation.Options{Store: chatstore.NewModeration(w.db), Pipeline: w.pipe, Rooms: w.svc, Now: opts.Now})
	w.old = retention.New(retention.Options{Store: chatstore.NewRetention(w.db), Now: opts.Now})
	set, err := templates.New(templates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := web.New(web.Options{Service: "chat", Title: "Chat", Version: "0", Discovery: w.svc.Discovery(), Endpoints: slices.Concat(w.svc.Endpoints(), w.files.Endpoints(), w.find.Endpoints(), w.order.Endpoints(), settings.New(chatstore.New(w.db), w.svc).Endpoints(),
		pins.New(chatstore.NewPins(w.db), w.svc).Endpoints(), requests.New(chatstore.NewRequests(w.db), w.svc).Endpoints()), Auth: who{}, Templates: set,
		Site: site, Metrics: metrics.NewSet(), Log: slog.New(slog.DiscardHandler), Now: time.Now, Limits: web.Limits{PerUser: 1e6, UserBurst: 1e6}})
	if err != nil {
		t.Fatal(err)
	}
	w.srv = httptest.NewServer(h)
	running, cancel := context.WithCancel(ctx)
	parts := []func(context.Context) error{w.svc.Run, w.files.Run, w.find.Run}
	done := make(chan error, len(parts))
	for _, run := range parts {
		go func() { done <- run(running) }()
	}
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		for range parts {
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		}
		w.srv.CloseClientConnections()
		w.srv.Close()
		w.hub.Close()
		if err := w.db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	}
	t.Cleanup(w.stop)
	return w
}

// pipeline makes the moderation that the world has.
func (w *world) pipeline(scorer moderation.Scorer, engine *moderation.Engine) *moderation.Pipeline {
	w.pipe = moderation.NewPipeline(moderation.PipelineOptions{Store: chatstore.NewModeration(w.db), Scorer: scorer, Engine: engine})
	return w.pipe
}

// folder is where the world's attachments lie.
func (w *world) folder() string { return filepath.Join(w.dir, "attachments") }

// answer is what a call was answered with.
type answer struct {
	status int
	header http.Header
	body   string
}

// json decodes the answer into v.
func (a answer) json(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("answer %d %q: %v", a.status, a.body, err)
	}
}

// call makes a request as the token's user; headers are pairs of name and value. A body that begins with { is JSON,
// any other a form.
func (w *world) call(method, path, token, body string, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequest(method, w.srv.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "application/json")
	} else if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// must is call, and fails the test unless the answer is 200.
func (w *world) must(method, path, token, body string, headers ...string) answer {
	w.t.Helper()
	a := w.call(method, path, token, body, headers...)
	if a.status != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	return a
}

// room opens a room and returns its id.
func (w *world) room(name string) int64 {
	w.t.Helper()
	var r struct{ ID int64 }
	w.must("POST", "/rooms?name="+url.QueryEscape(name), "", "").json(w.t, &r)
	return r.ID
}

// log returns a room's log.
func (w *world) log(room int64) ([]live.Logged, error) {
	return chatstore.New(w.db).Events(context.Background(), room, 0, 1<<40, 1000)
}
