package desk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/api"
	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/desk"
	"uniqverse/store"
	"uniqverse/store/storetest"
	"uniqverse/templates"
)

const domain = "vezeuniqverse.com"

// who authenticates by a fixed table of tokens; no token is the demo identity.
type who struct{}

func (who) Authenticate(r *http.Request, _ bool) (web.Caller, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	person := func(id int64, scopes ...string) (web.Caller, error) {
		return web.Caller{User: token, Email: token + "@" + domain, ID: id, Scopes: scopes, Via: web.BearerToken}, nil
	}
	switch token {
	case "", "demo":
		return web.Caller{User: "demo", Email: "demo@" + domain, ID: 1, Scopes: []string{"chat.read", "chat.write", "ticket.manage"}, Demo: true}, nil
	case "ann":
		return person(2, "chat.read", "chat.write")
	case "bob":
		return person(3, "chat.read", "chat.write")
	case "agent":
		return person(4, "chat.read", "chat.write", "ticket.manage")
	case "reader":
		return person(5, "chat.read")
	case "game":
		return web.Caller{Server: "game", Scopes: []string{"chat.read", "chat.write"}, Via: web.BearerToken}, nil
	}
	return web.Caller{}, errs.New(errs.Unauthenticated, "the token is not valid")
}

type people struct{}

func (people) UserByID(_ context.Context, id int64) (auth.User, error) {
	for name, known := range map[string]int64{"demo": 1, "ann": 2, "bob": 3, "agent": 4} {
		if id == known {
			return auth.User{ID: id, Name: name}, nil
		}
	}
	return auth.User{}, errs.New(errs.NotFound, "there is no such user")
}

// world is a desk on a real store.
type world struct {
	t      *testing.T
	srv    *httptest.Server
	mu     sync.Mutex // guards events
	events []event.Event
	stop   func()
}

func start(t *testing.T, dir string) *world {
	t.Helper()
	w := &world{t: t}
	db, err := store.Open(context.Background(), store.Options{Dir: dir, Publish: func(stream string, evs []event.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, evs...)
		if stream != event.StreamChat {
			t.Errorf("events on %s", stream)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	svc := desk.New(desk.Options{Store: store.NewDesk(db), Users: people{}})
	set, err := templates.New(templates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := web.New(web.Options{Service: "chat", Title: "Chat", Version: "0", Endpoints: svc.Endpoints(), Auth: who{}, Templates: set,
		Site: &web.Site{}, Metrics: metrics.NewSet(), Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	w.srv = httptest.NewServer(h)
	w.stop = sync.OnceFunc(func() {
		w.srv.Close()
		if err := db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

type answer struct {
	status int
	header http.Header
	body   string
}

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
	return answer{res.StatusCode, res.Header, strings.TrimSpace(string(b))}
}

func (w *world) must(method, path, token, body string, headers ...string) answer {
	w.t.Helper()
	a := w.call(method, path, token, body, headers...)
	if a.status != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	return a
}

// told returns the events so far as type and payload, and forgets them.
func (w *world) told() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ev := range w.events {
		out = append(out, ev.Type+" "+ev.User+" "+string(ev.Payload))
	}
	w.events = nil
	return out
}

func TestTicketsAsTheContractSays(t *testing.T) {
	dir := storetest.Dir(t)
	w := start(t, dir)
	if a := w.must("GET", "/tickets", "", ""); a.body != "[]" {
		t.Errorf("a fresh start lists %s", a.body)
	}
	for i, a := range []answer{
		w.must("POST", "/tickets?subject=No+warp&created_by=981", "", ""),
		w.must("POST", "/tickets", "", "subject=Second&tags=a&tags=b&tags=a"),
		w.must("POST", "/tickets", "", `{"subject":"Third","created_by":2}`),
	} {
		if want := fmt.Sprintf(`{"id":%d,"status":"open"}`, i+1); a.body != want {
			t.Errorf("answer %s, want %s", a.body, want)
		}
	}
	var assigned map[string]any
	if err := json.Unmarshal([]byte(w.must("POST", "/tickets/1/assign?assignee_id=55", "", "").body), &assigned); err != nil || assigned["ok"] != true {
		t.Errorf("assigned: %v %v", assigned, err)
	}
	want := []string{
		`ticket.created user 981 {"ticket_id":1,"subject":"No warp","created_by":981}`,
		`ticket.created demo {"ticket_id":2,"subject":"Second","created_by":1}`,
		`ticket.created ann {"ticket_id":3,"subject":"Third","created_by":2}`,
		`ticket.assigned user 981 {"ticket_id":1,"assignee_id":55}`,
	}
	if got := w.told(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("events %q, want %q", got, want)
	}
	w.stop()
	w = start(t, dir) // all of it survives
	var one map[string]any
	if err := json.Unmarshal([]byte(w.must("GET", "/tickets/1", "", "").body), &one); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"created_at", "last_msg_at"} {
		if when, err := time.Parse(event.TimeLayout, one[at].(string)); err != nil || time.Since(when) > time.Minute {
			t.Errorf("%s is %v", at, one[at])
		}
		delete(one, at)
	}
	if got := fmt.Sprint(one); got != "map[assignee: assignee_id:55 created_by:981 id:1 requester: status:assigned subject:No warp tags:[]]" {
		t.Errorf("ticket %s", got)
	}
	for _, path := range []string{"/tickets", "/inbox"} {
		var all []api.Ticket
		if err := json.Unmarshal([]byte(w.must("GET", path, "", "").body), &all); err != nil || len(all) != 3 || all[0].ID != 3 || all[0].AssigneeID != nil || fmt.Sprint(all[1].Tags) != "[a b]" {
			t.Errorf("%s: %+v %v", path, all, err)
		}
	}
}

func TestTicketsRefused(t *testing.T) {
	w := start(t, storetest.Dir(t))
	w.must("POST", "/tickets", "ann", `{"subject":"ann's"}`)
	w.must("POST", "/tickets", "bob", `{"subject":"bob's"}`)
	w.must("POST", "/tickets/2/assign", "agent", "assignee_id=4")
	w.must("POST", "/tickets/2/solve", "agent", "")
	w.told()
	long := strings.Repeat("é", 201)
	for _, tc := range []struct {
		method, path, token, body string
		status                    int
		says                      string
	}{
		{"POST", "/tickets", "", "", 422, `"field":"subject"`},
		{"POST", "/tickets", "", `{"subject":" \n"}`, 422, `"field":"subject"`},
		{"POST", "/tickets", "", `{"subject":"a\nb"}`, 422, "control"},
		{"POST", "/tickets", "", "subject=" + long, 422, "200"},
		{"POST", "/tickets", "", "subject=x&created_by=0", 422, `"field":"created_by"`},
		{"POST", "/tickets", "", "subject=x&priority=high", 422, `"field":"priority"`},
		{"POST", "/tickets", "", `{"subject":"x","tags":["a","b\nc"]}`, 422, ""},
		{"POST", "/tickets", "", `{"subject":"x","tags":["1","2","3","4","5","6","7","8","9","10","11"]}`, 422, "at most 10"},
		{"POST", "/tickets", "ann", "subject=x&created_by=3", 403, "acts for"},
		{"POST", "/tickets", "agent", "subject=x&created_by=99", 422, `"field":"created_by"`},
		{"POST", "/tickets", "reader", "subject=x", 403, "chat.write"},
		{"POST", "/tickets", "bad", "subject=x", 401, ""},
		{"POST", "/tickets/1/assign", "ann", "assignee_id=2", 403, "ticket.manage"},
		{"POST", "/tickets/1/assign", "agent", "", 422, `"field":"assignee_id"`},
		{"POST", "/tickets/1/assign", "agent", "assignee_id=99", 422, `"field":"assignee_id"`},
		{"POST", "/tickets/9/assign", "agent", "assignee_id=99", 404, "Ticket not found"},
		{"POST", "/tickets/2/assign", "agent", "assignee_id=3", 409, "reopen"},
		{"POST", "/tickets/2/solve", "agent", "", 409, "already"},
		{"POST", "/tickets/1/reopen", "agent", "", 409, "nothing to reopen"},
		{"POST", "/tickets/1/solve", "bob", "", 403, "somebody else"},
		{"POST", "/tickets/9/solve", "bob", "", 404, ""},
		{"GET", "/tickets/9", "", "", 404, "Ticket not found"},
		{"GET", "/tickets/1", "bob", "", 403, "somebody else"},
		{"GET", "/tickets/1", "game", "", 403, "somebody else"},
		{"GET", "/tickets/1/comments", "bob", "", 403, "somebody else"},
		{"POST", "/tickets/1/comments", "bob", "text=hi", 403, "somebody else"},
		{"POST", "/tickets/1/comments", "ann", "text=", 422, `"field":"text"`},
		{"POST", "/tickets/1/comments", "ann", `{"text":"a\u001bb"}`, 422, "control"},
		{"POST", "/tickets/1/comments", "ann", "text=" + strings.Repeat("x", 10_001), 422, "10000"},
		{"POST", "/tickets/9/comments", "ann", "text=hi", 404, ""},
		{"GET", "/tickets?status=closed", "", "", 422, `"field":"status"`},
		{"GET", "/tickets?limit=0", "", "", 422, `"field":"limit"`},
	} {
		a := w.call(tc.method, tc.path, tc.token, tc.body)
		if a.status != tc.status || !strings.Contains(a.body, tc.says) {
			t.Errorf("%s %s as %s %.40s: %d %s; want %d with %q", tc.method, tc.path, tc.token, tc.body, a.status, a.body, tc.status, tc.says)
		}
	}
	if got := w.told(); len(got) != 0 {
		t.Errorf("refused calls told of %q", got)
	}
}

func TestATicketsLife(t *testing.T) {
	w := start(t, storetest.Dir(t))
	w.must("POST", "/tickets", "ann", `{"subject":"No <b>warp</b>"}`)
	w.must("POST", "/tickets/1/comments", "ann", "text=one%0D%0Atwo")
	w.must("POST", "/tickets/1/assign", "agent", "assignee_id=3")
	w.must("POST", "/tickets/1/assign", "agent", "assignee_id=3") // theirs already: nothing happens
	w.must("POST", "/tickets/1/comments", "bob", "text=on+it")    // the assignee may talk without the scope
	status := func() string {
		var one api.Ticket
		if err := json.Unmarshal([]byte(w.must("GET", "/tickets/1", "ann", "").body), &one); err != nil {
			t.Fatal(err)
		}
		return one.Status
	}
	if s := status(); s != "assigned" {
		t.Errorf("status %s", s)
	}
	w.must("POST", "/tickets/1/solve", "ann", "")
	if s := status(); s != "solved" {
		t.Errorf("status %s", s)
	}
	w.must("POST", "/tickets/1/reopen", "ann", "")
	if s := status(); s != "assigned" {
		t.Errorf("status %s", s)
	}
	want := []string{
		`ticket.created ann {"ticket_id":1,"subject":"No \u003cb\u003ewarp\u003c/b\u003e","created_by":2}`,
		`ticket.commented ann {"ticket_id":1,"comment_id":1,"user_id":2}`,
		`ticket.assigned ann {"ticket_id":1,"assignee_id":3}`,
		`ticket.commented ann {"ticket_id":1,"comment_id":3,"user_id":3}`,
		`ticket.solved ann {"ticket_id":1,"status":"solved","user_id":2}`,
		`ticket.reopened ann {"ticket_id":1,"status":"assigned","user_id":2}`,
	}
	if got := w.told(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("events\n%q, want\n%q", got, want)
	}
	var history []api.TicketComment
	if err := json.Unmarshal([]byte(w.must("GET", "/tickets/1/comments", "ann", "").body), &history); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range history {
		got = append(got, fmt.Sprintf("%d %s %s %q", e.ID, e.Author, e.Kind, e.Text))
	}
	if want := `[5 ann event "reopened" 4 ann event "solved" 3 bob comment "on it" 2 agent event "assigned to @bob" 1 ann comment "one\ntwo"]`; fmt.Sprint(got) != want {
		t.Errorf("history %v, want %s", got, want)
	}
}

func TestWhoSeesWhichTickets(t *testing.T) {
	w := start(t, storetest.Dir(t))
	for _, token := range []string{"ann", "bob", "ann", "bob", "game"} {
		w.must("POST", "/tickets", token, `{"subject":"s"}`)
	}
	w.must("POST", "/tickets/2/assign", "agent", "assignee_id=2") // bob's, now ann has it
	link := regexp.MustCompile(`^<([^>]+)>; rel="next"$`)
	for _, tc := range []struct{ token, path, want string }{
		{"ann", "/tickets", "[[3 2 1]]"},
		{"bob", "/tickets", "[[4 2]]"},
		{"game", "/tickets", "[[]]"},
		{"agent", "/tickets", "[[5 4 3 2 1]]"},
		{"", "/tickets?limit=2", "[[5 4] [3 2] [1]]"},
		{"", "/inbox?limit=2&status=open", "[[5 4] [3 1]]"},
		{"", "/tickets?limit=2&after=1", "[[3 2] [5 4]]"},
		{"", "/tickets?status=assigned", "[[2]]"},
		{"", "/tickets?assignee_id=2", "[[2]]"},
		{"ann", "/tickets?limit=1&status=open", "[[3] [1]]"},
	} {
		var all [][]int64
		for path := tc.path; path != ""; {
			a := w.must("GET", path, tc.token, "")
			var page []struct{ ID int64 }
			if err := json.Unmarshal([]byte(a.body), &page); err != nil {
				t.Fatal(err)
			}
			ids := []int64{}
			for _, p := range page {
				ids = append(ids, p.ID)
			}
			all = append(all, ids)
			path = ""
			if m := link.FindStringSubmatch(a.header.Get("Link")); m != nil {
				path = m[1]
			}
		}
		if got := fmt.Sprint(all); got != tc.want {
			t.Errorf("%s of %s: %s, want %s", tc.path, tc.token, got, tc.want)
		}
	}
}

func TestRepeatsAreAnsweredOnce(t *testing.T) {
	w := start(t, storetest.Dir(t))
	for _, tc := range []struct{ path, body string }{{"/tickets", "subject=x"}, {"/tickets/1/assign", "assignee_id=2"}, {"/tickets/1/comments", "text=hi"}, {"/tickets/1/solve", ""}} {
		first := w.must("POST", tc.path, "", tc.body, "Idempotency-Key", "k"+tc.path)
		again := w.must("POST", tc.path, "", tc.body, "Idempotency-Key", "k"+tc.path)
		if first.body != again.body {
			t.Errorf("%s: %s, then %s", tc.path, first.body, again.body)
		}
	}
	if got := w.told(); len(got) != 4 {
		t.Errorf("events %q", got)
	}
}

func TestPagesOfTheDesk(t *testing.T) {
	w := start(t, storetest.Dir(t))
	page := []string{"Accept", "text/html"}
	a := w.call("POST", "/tickets", "ann", "subject=%3Cscript%3Ealert(1)%3C/script%3E", page...)
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/tickets/1" {
		t.Fatalf("a form: %d %s", a.status, a.header.Get("Location"))
	}
	a = w.call("POST", "/tickets/1/comments", "ann", "text=%3Cb%3Ehelp%3C/b%3E", append(page, "X-Forwarded-Prefix", "/proxy/chat")...)
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/proxy/chat/tickets/1" {
		t.Fatalf("a comment by form: %d %s", a.status, a.header.Get("Location"))
	}
	a = w.call("POST", "/tickets/1/assign", "agent", "assignee_id=4", page...)
	if a.status != http.StatusSeeOther {
		t.Fatalf("assign by form: %d %s", a.status, a.body)
	}
	for path, wants := range map[string][]string{
		"/inbox":                 {"&lt;script&gt;alert(1)", "@ann"},
		"/inbox?status=assigned": {"&lt;script&gt;alert(1)"},
		"/tickets/1":             {"&lt;script&gt;alert(1)", "&lt;b&gt;help", "@ann", "assigned to @agent", "@agent"},
	} {
		body := w.must("GET", path, "agent", "", page...).body
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %s", path, want)
			}
		}
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<b>help") {
			t.Errorf("%s runs what was posted", path)
		}
	}
	if body := w.must("GET", "/inbox?status=open", "agent", "", page...).body; strings.Contains(body, "alert(1)") {
		t.Error("an assigned ticket is among the open ones")
	}
	if body := w.must("GET", "/tickets/1", "ann", "", page...).body; strings.Contains(body, "/tickets/1/assign") {
		t.Error("assigning is offered to somebody who may not")
	}
	for _, tc := range []struct {
		path, token, body string
		status            int
		says              string
	}{
		{"/tickets", "ann", "subject=", 422, "is required"},
		{"/tickets/1/comments", "ann", "text=", 422, "is required"},
		{"/tickets/1/assign", "agent", "assignee_id=99", 422, "names nobody"},
		{"/tickets/1/comments", "bob", "text=x", 403, "somebody else"},
		{"/tickets/9/comments", "bob", "text=x", 404, "Ticket not found"},
	} {
		a := w.call("POST", tc.path, tc.token, tc.body, page...)
		if a.status != tc.status || !strings.Contains(a.body, tc.says) || !strings.Contains(a.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s %s: %d, want %d with %q", tc.path, tc.body, a.status, tc.status, tc.says)
		}
	}
	if a := w.call("GET", "/tickets/1", "bob", "", page...); a.status != http.StatusForbidden {
		t.Errorf("somebody else's ticket: %d", a.status)
	}
}
