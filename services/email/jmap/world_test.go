package jmap_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/hub"
	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/reach"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/jmap"
	"uniqverse/services/email/queue"
	"uniqverse/services/email/signer"
	"uniqverse/smtpd"
	"uniqverse/store"
	"uniqverse/store/jmapstore"
	"uniqverse/store/mailstore"
	"uniqverse/store/storetest"
	"uniqverse/templates"
)

const domain = "vezeuniqverse.com"

// who knows pilot and mallory, an administrator, and a reader who may send nothing; pilot's app password is secret.
type who struct{ withdrawn *atomic.Bool } // the app password

func (who) Authenticate(r *http.Request, _ bool) (web.Caller, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	scopes := map[string][]string{"pilot": {"email.read", "email.send"}, "mallory": {"email.read", "email.send"}, "admin": {"email.read", "email.send", "email.admin"}, "reader": {"email.read"}}
	switch list := scopes[token]; {
	case token == "":
		return web.Caller{}, nil
	case list == nil:
		return web.Caller{}, errs.New(errs.Unauthenticated, "the token is not valid")
	default:
		return web.Caller{User: token, Email: token + "@" + domain, ID: int64(len(token)), Scopes: list, Via: web.BearerToken}, nil
	}
}

func (w who) AuthenticateApp(r *http.Request) (web.Caller, error) {
	if name, password, _ := r.BasicAuth(); name == "pilot@"+domain && password == "secret" && !w.withdrawn.Load() {
		return web.Caller{User: "pilot", Email: name, ID: 5, Scopes: []string{"email.read", "email.send"}, Via: web.AppPassword}, nil
	}
	return web.Caller{}, errs.New(errs.Unauthenticated, "the user name or the app password is wrong")
}

type people struct{}

func (people) UserByName(_ context.Context, name string) (auth.User, error) {
	return auth.User{ID: 1, Name: name}, nil
}

func (people) AppLogin(context.Context, string, string) (auth.User, error) {
	return auth.User{}, errs.New(errs.Unauthenticated, "no")
}

func (people) TokenLogin(context.Context, string, string, string, bool) (auth.User, error) {
	return auth.User{}, errs.New(errs.Unauthenticated, "no")
}

// world is a mail service with its JMAP edge on a real store.
type world struct {
	t    testing.TB
	db   *store.DB
	hub  *hub.Local
	mail *email.Service
	jmap *jmap.Service
	srv  *httptest.Server
	now  *atomic.Int64 // unix ms; 0 follows the real clock
	vars map[string]any

	options   jmap.Options
	stop      func()      // ends the Run of jmap
	withdrawn atomic.Bool // pilot's app password
}

func start(t testing.TB) *world {
	t.Helper()
	dir := storetest.Dir(t)
	w := &world{t: t, now: new(atomic.Int64), vars: map[string]any{}}
	now := func() time.Time {
		if ms := w.now.Load(); ms != 0 {
			return time.UnixMilli(ms)
		}
		return time.Now()
	}
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var err error
	w.db, err = store.Open(ctx, store.Options{Dir: dir, Now: now, Publish: func(stream string, evs []event.Event) {
		if _, err := w.hub.Publish(ctx, stream, evs...); err != nil {
			t.Errorf("publish: %v", err)
		}
	}})
	must(err)
	w.hub, err = hub.NewLocal(ctx, hub.LocalOptions{Epoch: w.db.Epoch(), Reserve: w.db.ReserveIDs})
	must(err)
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	w.mail, err = email.New(email.Options{Store: mailstore.New(w.db), Hub: w.hub, Users: people{}, Domain: domain, Demo: true, Dir: filepath.Join(dir, "mail"), Log: log, Now: now,
		Metrics: metrics.NewSet(), DiskFull: store.IsFull, Deliverer: nobody{}, Signer: signer.New(filepath.Join(dir, "dkim"), domain, now), HoldAll: true})
	must(err)
	w.options = jmap.Options{Mail: w.mail, Store: jmapstore.New(w.db), Push: jmapstore.New(w.db), Hub: w.hub, Dir: filepath.Join(dir, "uploads"), Targets: reach.Loopback, Log: log, Now: now}
	w.jmap, err = jmap.New(w.options)
	must(err)
	set, err := templates.New(templates.Options{Now: now})
	must(err)
	h, err := web.New(web.Options{Service: "email", Title: "Mail", Version: "test", Discovery: w.mail.Discovery(), Endpoints: append(w.mail.Endpoints(), w.jmap.Endpoints()...),
		Auth: who{&w.withdrawn}, Templates: set, Site: &web.Site{}, Metrics: metrics.NewSet(), Log: log, Now: now})
	must(err)
	w.srv = httptest.NewServer(h)
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.jmap.Run(run) }()
	w.stop = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() {
		w.stop()
		w.srv.CloseClientConnections()
		w.srv.Close()
		w.hub.Close()
		if err := w.db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return w
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}

type nobody struct{}

func (nobody) Deliver(context.Context, queue.Job) queue.Result {
	return queue.Result{Verdict: queue.Temporary, Reply: "451 nobody is there"}
}

// call makes a request.
func (w *world) call(method, path, as, kind string, body []byte) (*http.Response, []byte) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.srv.URL+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if name, password, basic := strings.Cut(as, ":"); basic {
		req.SetBasicAuth(name, password)
	} else if as != "" {
		req.Header.Set("Authorization", "Bearer "+as)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res, b
}

// receive delivers mail from elsewhere.
func (w *world) receive(raw string, to ...string) {
	w.t.Helper()
	env := &smtpd.Envelope{ID: "ABCDEFGH23456789", ReversePath: "ann@example.org", Recipients: to, HELO: "mx.example.org", ESMTP: true, RemoteIP: netip.MustParseAddr("192.0.2.7"), ReceivedAt: time.Now().UTC()}
	raw = strings.ReplaceAll(strings.ReplaceAll(raw, "\r\n", "\n"), "\n", "\r\n")
	if err := w.mail.Deliver(context.Background(), env, smtpd.NewMessage([]byte("Received: from mx.example.org by "+domain+"; Sun, 22 Nov 2026 08:33:42 +0000\r\n"), []byte(raw))); err != nil {
		w.t.Fatal(err)
	}
}

// step is one request of a case and what its answer must hold.
type step struct {
	Name    string          `json:"name"`
	As      string          `json:"as"`      // whose token; pilot when left out
	Using   []string        `json:"using"`   // all there are when left out
	Calls   [][3]any        `json:"calls"`   // method, arguments, id
	Created map[string]any  `json:"created"` // createdIds
	Raw     *string         `json:"raw"`     // instead of all that: the body as it is
	Receive *string         `json:"receive"` // instead of all that: a mail that comes for pilot
	Upload  *string         `json:"upload"`  // instead of all that: a blob's bytes, and
	Type    string          `json:"type"`    // its type
	Get     string          `json:"get"`     // instead of all that: a path
	Status  int             `json:"status"`  // 200 when left out
	Text    *string         `json:"text"`    // the whole answer
	Expect  json.RawMessage `json:"expect"`  // of method responses; of the whole answer with raw, upload and get
}

func everything() []string {
	return []string{"urn:ietf:params:jmap:core", "urn:ietf:params:jmap:blob", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:quota", "urn:ietf:params:jmap:submission", "urn:ietf:params:jmap:vacationresponse"}
}

// A case is a file of testdata: steps one after the other. In what is expected, members that are not named may be anything;
// "$any" is anything, "$none" no member, "$save:x" anything that is called $x from then on, and $x that.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var steps []step
			dec := json.NewDecoder(bytes.NewReader(raw))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&steps); err != nil {
				t.Fatal(err)
			}
			w := start(t)
			for _, user := range []string{"pilot", "mallory", "admin", "reader"} {
				_, body := w.call("GET", "/jmap/session", user, "", nil)
				var s jmap.Session
				if err := json.Unmarshal(body, &s); err != nil {
					t.Fatalf("%v in %s", err, body)
				}
				w.vars[user] = s.PrimaryAccounts["urn:ietf:params:jmap:mail"]
			}
			w.vars["host"] = strings.TrimPrefix(w.srv.URL, "http://")
			for i, s := range steps {
				if !w.step(fmt.Sprintf("%d %s", i+1, s.Name), s) {
					return
				}
			}
		})
	}
}

// fill puts what was saved in the place of its names.
func (w *world) fill(v any) any {
	switch v := v.(type) {
	case string:
		if name, ok := strings.CutPrefix(v, "$"); ok {
			if saved, known := w.vars[name]; known {
				return saved
			}
		}
		for _, name := range slices.Backward(slices.Sorted(keysOf(w.vars))) {
			if text, ok := w.vars[name].(string); ok {
				v = strings.ReplaceAll(v, "${"+name+"}", text)
			}
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = w.fill(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[w.fill(k).(string)] = w.fill(x)
		}
		return out
	}
	return v
}

func keysOf(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (w *world) step(name string, s step) bool {
	t := w.t
	if s.As == "" {
		s.As = "pilot"
	}
	if s.Status == 0 {
		s.Status = 200
	}
	var res *http.Response
	var body []byte
	switch {
	case s.Receive != nil:
		w.receive(*s.Receive, "pilot@"+domain)
		return true
	case s.Upload != nil:
		if s.Status == 200 {
			s.Status = 201
		}
		res, body = w.call("POST", "/jmap/upload/"+w.vars[s.As].(string), s.As, s.Type, []byte(*s.Upload))
	case s.Get != "":
		res, body = w.call("GET", w.fill(s.Get).(string), s.As, "", nil)
	case s.Raw != nil:
		res, body = w.call("POST", "/jmap/api", s.As, "application/json", []byte(w.fill(*s.Raw).(string)))
	default:
		if s.Using == nil {
			s.Using = everything()
		}
		request := map[string]any{"using": s.Using, "methodCalls": []any{}}
		for _, c := range s.Calls {
			if args, ok := c[1].(map[string]any); ok && args["accountId"] == nil && !strings.HasPrefix(c[0].(string), "Core/") && !strings.HasPrefix(c[0].(string), "PushSub") {
				args["accountId"] = w.vars[s.As]
			}
			request["methodCalls"] = append(request["methodCalls"].([]any), w.fill([]any{c[0], c[1], c[2]}))
		}
		if s.Created != nil {
			request["createdIds"] = w.fill(s.Created)
		}
		text, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		res, body = w.call("POST", "/jmap/api", s.As, "application/json", text)
	}
	if res.StatusCode != s.Status {
		t.Errorf("%s: status %d, want %d\n%s", name, res.StatusCode, s.Status, body)
		return false
	}
	if s.Text != nil && string(body) != w.fill(*s.Text).(string) {
		t.Errorf("%s: the answer is\n%q, want\n%q", name, body, *s.Text)
		return false
	}
	if s.Expect == nil {
		return true
	}
	var got, want any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Errorf("%s: %v in %s", name, err, body)
		return false
	}
	if err := json.Unmarshal(s.Expect, &want); err != nil {
		t.Fatal(err)
	}
	if s.Calls != nil && s.Created == nil {
		got = got.(map[string]any)["methodResponses"]
	}
	if why := w.match(want, got, ""); why != "" {
		text, _ := json.MarshalIndent(got, "", " ")
		t.Errorf("%s: %s\n%s", name, why, text)
		return false
	}
	return true
}

// match says where an answer is not what is expected; "" when it is.
func (w *world) match(want, got any, at string) string {
	if text, ok := want.(string); ok {
		if text == "$any" {
			return ""
		}
		if save, ok := strings.CutPrefix(text, "$save:"); ok {
			w.vars[save] = got
			return ""
		}
	}
	switch v := want.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is %v, want an object", at, got)
		}
		for _, name := range slices.Sorted(keysOf(v)) {
			x, k := v[name], w.fill(name).(string)
			have, there := m[k]
			if x == "$none" {
				if there {
					return fmt.Sprintf("%s/%s is there", at, k)
				}
				continue
			}
			if !there {
				return fmt.Sprintf("%s/%s is not there", at, k)
			}
			if why := w.match(x, have, at+"/"+k); why != "" {
				return why
			}
		}
		return ""
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(v) {
			return fmt.Sprintf("%s is %v, want a list of %d", at, got, len(v))
		}
		for i := range v {
			if why := w.match(v[i], list[i], fmt.Sprintf("%s/%d", at, i)); why != "" {
				return why
			}
		}
		return ""
	}
	if filled := w.fill(want); !reflect.DeepEqual(filled, got) {
		return fmt.Sprintf("%s is %v, want %v", at, got, filled)
	}
	return ""
}
