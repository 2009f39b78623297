package email_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
)

func TestWhoMayCall(t *testing.T) {
	w := start(t, "")
	w.receive(mail("hello", "1@example.org", "body"), at("pilot"))
	id := w.list("demo", at("pilot")).Messages[0].ID
	msg := fmt.Sprintf("/api/messages/%d", id)
	for _, c := range []struct {
		method, path, token, body string
		want                      int
		says                      string
	}{
		// The list.
		{"GET", "/api/messages?user=test@" + domain, "", "", 401, ""},
		{"GET", "/api/messages?user=test@" + domain, "demo", "", 200, `{"user":"test@` + domain + `","unread":0,"total":0,"messages":[]}`},
		{"GET", "/api/messages?user=test@" + domain + "&access_token=demo", "", "", 200, ""},
		{"GET", "/api/messages?user=x@example.org&access_token=demo", "", "", 403, "must be an address at"},
		{"GET", "/api/messages?user=x@example.org", "pilot", "", 403, ""},
		{"GET", "/api/messages", "demo", "", 422, "user"},
		{"GET", "/api/messages?user=", "demo", "", 422, "user"},
		{"GET", "/api/messages?user=a..b@" + domain, "demo", "", 422, "user"},
		{"GET", "/api/messages?user=PILOT@" + strings.ToUpper(domain), "pilot", "", 200, `"user":"pilot@`},
		{"GET", "/api/messages?user=pilot", "pilot", "", 200, ""},
		{"GET", "/api/messages?user=@pilot", "pilot", "", 200, ""},
		{"GET", "/api/messages?user=mallory", "pilot", "", 403, "acts for"},
		{"GET", "/api/messages?user=pilot", "mallory", "", 403, ""},
		{"GET", "/api/messages?user=pilot", "player", "", 403, "email.read"},
		{"GET", "/api/messages?user=pilot", "admin", "", 200, ""},
		{"GET", "/api/messages?user=pilot", "wrong", "", 401, ""},
		{"GET", "/api/messages?user=pilot&qq=x", "pilot", "", 422, "qq"},
		{"GET", "/api/messages?user=pilot&limit=0", "pilot", "", 422, "limit"},
		{"GET", "/api/messages?user=pilot&limit=201", "pilot", "", 422, "limit"},
		{"GET", "/api/messages?user=pilot&unread=perhaps", "pilot", "", 422, "unread"},
		// One message: another's is the same as none.
		{"GET", msg, "", "", 401, ""},
		{"GET", msg, "mallory", "", 404, "no such message"},
		{"GET", "/api/messages/999", "mallory", "", 404, "no such message"},
		{"GET", "/api/messages/x", "pilot", "", 422, ""},
		{"GET", msg, "pilot", "", 200, `"text":"body"`},
		{"GET", msg + "/raw", "mallory", "", 404, ""},
		{"GET", msg + "/html", "mallory", "", 404, ""},
		{"GET", msg + "/html", "pilot", "", 404, "no HTML"},
		{"GET", msg + "/headers", "mallory", "", 404, ""},
		{"GET", msg + "/headers", "pilot", "", 200, `{"headers":[{"name":"Received","value":"from mx.example.org by ` + domain + `","ours":true},{"name":"From","value":"Ann Pilot`},
		{"GET", msg + "/parts/0", "mallory", "", 404, ""},
		{"GET", msg + "/parts/7", "pilot", "", 404, "no part"},
		{"POST", msg + "/read", "", "", 401, ""},
		{"POST", msg + "/read", "mallory", "", 404, ""},
		{"POST", msg + "/star", "mallory", "", 404, ""},
		{"POST", msg + "/labels", "mallory", `{"labels":["x"]}`, 404, ""},
		{"POST", msg + "/read", "pilot", `{"read":"perhaps"}`, 422, "read"},
		{"POST", msg + "/read", "pilot", `{"unread":true}`, 422, "unread"},
		{"POST", msg + "/labels", "pilot", `{}`, 422, "labels"},
		{"PUT", msg, "pilot", "", 405, ""},
		{"DELETE", msg, "mallory", "", 404, ""},
		{"POST", msg + "/move", "mallory", `{"folder":"archive"}`, 404, ""},
		{"POST", msg + "/move", "pilot", `{"folder":"nowhere"}`, 422, "folder"},
		{"POST", msg + "/move", "pilot", `{}`, 422, "folder"},
		{"GET", msg + "/thread", "mallory", "", 404, ""},
		{"POST", "/api/messages/bulk", "mallory", fmt.Sprintf(`{"ids":[%d],"action":"read"}`, id), 404, ""},
		{"POST", "/api/messages/bulk", "pilot", fmt.Sprintf(`{"ids":[%d],"action":"burn"}`, id), 422, "action"},
		{"POST", "/api/messages/bulk", "pilot", fmt.Sprintf(`{"ids":[%d],"action":"move"}`, id), 422, "folder"},
		{"GET", "/api/messages?user=pilot&mailbox=nowhere", "pilot", "", 422, "mailbox"},
		{"GET", "/api/folders?user=pilot", "mallory", "", 403, ""},
		{"POST", "/api/folders", "mallory", `{"user":"pilot","name":"x"}`, 403, ""},
		{"POST", "/api/folders", "pilot", `{"name":"a/b"}`, 422, "name"},
		{"POST", "/api/folders", "pilot", `{"name":"x","parent":999}`, 422, "parent"},
		{"PATCH", "/api/folders/1", "mallory", `{"name":"x"}`, 404, ""},
		{"PATCH", "/api/folders/1", "pilot", `{"name":"x"}`, 409, "inbox"},
		{"DELETE", "/api/folders/1", "pilot", "", 409, ""},
		{"DELETE", "/api/folders/1", "mallory", "", 404, ""},
		{"POST", "/api/folders/1/empty", "pilot", "", 409, "trash"},
		// The page's forms are behind the same checks.
		{"POST", fmt.Sprintf("/messages/%d/star", id), "mallory", "", 404, ""},
		// Events.
		{"GET", "/api/events?user=pilot", "", "", 401, ""},
		{"GET", "/api/events", "pilot", "", 422, "user"},
		{"GET", "/api/events?user=pilot", "mallory", "", 403, ""},
		{"GET", "/api/events?user=x@example.org", "demo", "", 403, ""},
		// Mailboxes and aliases.
		{"POST", "/api/mailboxes", "", `{"user":"x"}`, 401, ""},
		{"POST", "/api/mailboxes", "portal", `{"user":"newone@` + domain + `"}`, 200, `"made":true`},
		{"POST", "/api/mailboxes", "portal", `{"user":"newone"}`, 200, `"made":false`},
		{"POST", "/api/mailboxes", "demo", `{"user":"another"}`, 200, ""},
		{"POST", "/api/mailboxes", "pilot", `{"user":"pilot"}`, 200, ""},
		{"POST", "/api/mailboxes", "pilot", `{"user":"another"}`, 403, ""},
		{"POST", "/api/mailboxes", "player", `{"user":"player"}`, 403, ""},
		{"POST", "/api/mailboxes", "admin", `{"user":"third"}`, 200, ""},
		{"POST", "/api/mailboxes", "admin", `{"user":"x@example.org"}`, 403, ""},
		{"POST", "/api/mailboxes", "admin", `{"user":"no one"}`, 422, ""},
		{"GET", "/api/mailboxes", "pilot", "", 200, `{"mailboxes":[{"user":"pilot@` + domain + `","messages":1,"unread":1`},
		{"GET", "/api/mailboxes", "mallory", "", 200, `{"mailboxes":[]}`},
		{"GET", "/api/aliases", "pilot", "", 403, ""},
		{"POST", "/api/aliases", "pilot", `{"alias":"x","targets":["pilot"]}`, 403, ""},
		{"POST", "/api/aliases", "admin", `{"alias":"x","targets":["x@example.org"]}`, 422, "targets"},
		{"POST", "/api/aliases", "admin", `{"alias":"a b","targets":["pilot"]}`, 422, "alias"},
		// Pages open without a token where demo identity is on; others' mail does not exist.
		{"GET", "/messages/999", "mallory", "", 404, ""},
		{"GET", fmt.Sprintf("/messages/%d", id), "mallory", "", 404, ""},
		{"GET", "/inbox?user=pilot", "mallory", "", 403, ""},
	} {
		status, body, h := w.call(c.method, c.path, c.token, c.body)
		if status != c.want || !strings.Contains(body, c.says) {
			t.Errorf("%s %s as %q with %s: %d %s; want %d with %q", c.method, c.path, c.token, c.body, status, body, c.want, c.says)
		}
		if status == 401 && h.Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s: 401 without WWW-Authenticate", c.method, c.path)
		}
	}
}

func TestListPagesAndFilters(t *testing.T) {
	w := start(t, "")
	var ids []int64
	for i := range 7 {
		w.receive(mail(fmt.Sprintf("m%d", i), fmt.Sprintf("%d@example.org", i), "x"), at("pilot"))
		w.receive(mail("other", fmt.Sprintf("o%d@example.org", i), "x"), at("mallory"))
	}
	for _, m := range w.list("demo", "pilot").Messages {
		ids = append(ids, m.ID)
	}
	if len(ids) != 7 || !slices.IsSortedFunc(ids, func(a, b int64) int { return int(b - a) }) {
		t.Fatalf("ids %v are not newest first", ids)
	}
	post := func(id int64, what, body string) {
		t.Helper()
		if status, out, _ := w.call("POST", fmt.Sprintf("/api/messages/%d/%s", id, what), "pilot", body); status != 200 {
			t.Fatalf("%s: %d %s", what, status, out)
		}
	}
	post(ids[0], "read", `{"read":true}`)
	post(ids[2], "read", `{"read":true}`)
	post(ids[1], "star", "")
	post(ids[3], "labels", `{"labels":["crew"," two words ","crew",""]}`)
	post(ids[5], "labels", `labels=crew,+urgent`)
	is := func(query string, want ...int) {
		t.Helper()
		var got []int
		for _, m := range w.list("demo", "pilot", query).Messages {
			got = append(got, slices.Index(ids, m.ID))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s gives %v, want %v", query, got, want)
		}
	}
	is("limit=3", 0, 1, 2)
	is("limit=3&offset=2", 2, 3, 4)
	is(fmt.Sprintf("before=%d&limit=2", ids[2]), 3, 4)
	is(fmt.Sprintf("after=%d&limit=2", ids[4]), 2, 3)
	is(fmt.Sprintf("after=%d", ids[2]), 0, 1)
	is(fmt.Sprintf("after=%d&before=%d", ids[5], ids[2]), 3, 4)
	is(fmt.Sprintf("after=%d", ids[0]))
	is("unread=false", 0, 2)
	is("unread=true&limit=2", 1, 3)
	is("starred=true", 1)
	is("starred=false&limit=1", 0)
	is("label=crew", 3, 5)
	is("label=two+words", 3)
	is("label=none")
	is("label=crew&unread=true&limit=1", 3)
	if l := w.list("demo", "pilot"); l.Unread != 5 || l.Total != 7 {
		t.Errorf("counts are %d of %d", l.Unread, l.Total)
	}
}

func TestReadStarAndLabels(t *testing.T) {
	w := start(t, "")
	w.receive(mail("hello", "1@example.org", "body"), at("pilot"))
	base := fmt.Sprintf("/api/messages/%d", w.list("demo", "pilot").Messages[0].ID)
	post := func(path, body string, headers ...string) api.EmailMessage {
		t.Helper()
		status, out, _ := w.call("POST", base+path, "pilot", body, headers...)
		var m api.EmailMessage
		if err := json.Unmarshal([]byte(out), &m); status != 200 || err != nil {
			t.Fatalf("%s %s: %d %s", path, body, status, out)
		}
		return m
	}
	for i, c := range []struct {
		path, body      string
		unread, starred bool
	}{
		{"/read", "", false, false}, {"/read", "", false, false}, {"/read", `{"read":false}`, true, false}, {"/read", `{"read":true}`, false, false},
		{"/read", "read=false", true, false}, {"/read?read=true", "", false, false},
		{"/star", "", false, true}, {"/star", "", false, false}, {"/star", `{"starred":true}`, false, true}, {"/star", `{"starred":true}`, false, true}, {"/star", `{}`, false, false},
	} {
		if m := post(c.path, c.body); m.Unread != c.unread || m.Starred != c.starred {
			t.Errorf("step %d, %s %s: unread %v, starred %v", i, c.path, c.body, m.Unread, m.Starred)
		}
		if l := w.list("demo", "pilot"); l.Unread == 1 != c.unread {
			t.Errorf("step %d: %d are counted as unread", i, l.Unread)
		}
	}
	for _, c := range []struct {
		body string
		want []string
	}{
		{`{"labels":["b","a"," a "]}`, []string{"a", "b"}}, {`{"labels":[]}`, []string{}}, {`labels=x&labels=y`, []string{"x", "y"}}, {`labels=`, []string{}},
	} {
		if m := post("/labels", c.body); !slices.Equal(m.Labels, c.want) || m.Labels == nil {
			t.Errorf("%s gives %v, want %v", c.body, m.Labels, c.want)
		}
	}
	many, _ := json.Marshal(map[string]any{"labels": strings.Split(strings.Repeat("l", 20)+"abcdefghijklmnopqrstu", "")})
	for _, bad := range []string{`{"labels":["` + strings.Repeat("x", 65) + `"]}`, `{"labels":["a,b"]}`, string(many), `{"labels":"a"}`, `{"labels":[1]}`} {
		if status, out, _ := w.call("POST", base+"/labels", "pilot", bad); status != 422 || !strings.Contains(out, "labels") {
			t.Errorf("%.60s: %d %s", bad, status, out)
		}
	}
	// A repeat with the key answers as the first did and toggles once.
	a, b := post("/star", "", "Idempotency-Key", "k1"), post("/star", "", "Idempotency-Key", "k1")
	if !a.Starred || !b.Starred || !w.list("demo", "pilot").Messages[0].Starred {
		t.Errorf("with a key: %v, %v", a.Starred, b.Starred)
	}
	if status, _, _ := w.call("POST", base+"/star", "pilot", `{"starred":false}`, "Idempotency-Key", "k1"); status != 422 {
		t.Errorf("the same key for something else: %d", status)
	}
}

// sse reads an event stream: each event as "type data".
func sse(t *testing.T, url string, headers ...string) (next func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("the stream answers %d %v", res.StatusCode, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	return func() string {
		t.Helper()
		typ := ""
		for lines.Scan() {
			if v, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				typ = v
			}
			if v, ok := strings.CutPrefix(lines.Text(), "data: "); ok && typ != "" {
				return typ + " " + v
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
}

func TestEventStream(t *testing.T) {
	w := start(t, "")
	next := sse(t, w.srv.URL+"/api/events?user=pilot&access_token=pilot")
	w.receive(mail("for another", "0@example.org", "body"), at("mallory"))
	w.receive(mail("hello", "1@example.org", "body"), at("pilot"))
	first := next()
	if !strings.HasPrefix(first, "mail.received ") || !strings.Contains(first, `"subject":"hello"`) {
		t.Fatalf("the first event is %s", first)
	}
	base := fmt.Sprintf("/api/messages/%d", w.list("demo", "pilot").Messages[0].ID)
	for _, c := range []struct{ path, body, want string }{
		{"/read", `{"read":true}`, `mail.read {"type":"mail.read","message_id":`},
		{"/star", ``, `"starred":true`},
		{"/labels", `{"labels":["crew"]}`, `"labels":["crew"]`},
	} {
		if status, out, _ := w.call("POST", base+c.path, "pilot", c.body); status != 200 {
			t.Fatalf("%s: %d %s", c.path, status, out)
		}
		if got := next(); !strings.HasPrefix(got, "mail."+strings.Trim(c.path, "/")+" ") || !strings.Contains(got, c.want) {
			t.Errorf("after %s comes %s", c.path, got)
		}
	}
	// Whoever comes back with the id of the first event gets what came after.
	var ev struct{ ID int64 }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(first, "mail.received ")), &ev); err != nil {
		t.Fatal(err)
	}
	again := sse(t, w.srv.URL+"/api/events?user=pilot&access_token=pilot", "Last-Event-ID", fmt.Sprint(ev.ID))
	for _, want := range []string{`recovered {"recovered":true}`, "mail.read ", "mail.star ", "mail.labels "} {
		if got := again(); !strings.HasPrefix(got, want) {
			t.Errorf("resumed with %s, want %s", got, want)
		}
	}
}

func TestTypedClient(t *testing.T) {
	w := start(t, "")
	w.receive(mail("hello", "1@example.org", "body"), at("pilot"))
	ctx := context.Background()
	client := func(token string) *api.Email {
		return api.NewEmail(&http.Client{Transport: toServer(w.srv.URL)}, func(r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		})
	}
	list, err := client("demo").Messages(ctx, at("pilot"), api.EmailListOptions{Limit: 5})
	if err != nil || len(list.Messages) != 1 || list.Messages[0].Subject != "hello" {
		t.Fatalf("messages: %+v, %v", list, err)
	}
	box, err := client("portal").Provision(ctx, "newone")
	if err != nil || box.User != at("newone") {
		t.Errorf("provision: %+v, %v", box, err)
	}
	for _, c := range []struct {
		token, user string
		limit       int
		want        errs.Kind
	}{
		{"demo", "x@example.org", 0, errs.Denied}, {"demo", "no one", 0, errs.Invalid}, {"demo", "pilot", 999, errs.Invalid},
		{"wrong", "pilot", 0, errs.Upstream}, {"player", "pilot", 0, errs.Upstream},
	} {
		if _, err := client(c.token).Messages(ctx, c.user, api.EmailListOptions{Limit: c.limit}); !errs.Is(err, c.want) {
			t.Errorf("%+v: %v (%s)", c, err, errs.KindOf(err))
		}
	}
	url := w.srv.URL
	w.stop()
	_, err = api.NewEmail(&http.Client{Transport: toServer(url)}, nil).Messages(ctx, "pilot", api.EmailListOptions{})
	if !errs.Is(err, errs.Unavailable) {
		t.Errorf("a dead service: %v", err)
	}
}

// toServer sends what is addressed to http://email to a test server.
type toServer string

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	u, err := url.Parse(string(s))
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = u.Scheme, u.Host
	return http.DefaultTransport.RoundTrip(r)
}
