package chat_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestRoomsAsTheContractSays(t *testing.T) {
	w := start(t, "")
	if a := w.must("GET", "/rooms", "", ""); strings.TrimSpace(a.body) != "[]" {
		t.Errorf("a fresh start lists %s", a.body)
	}
	// Query, form and JSON alike.
	for i, a := range []answer{
		w.must("POST", "/rooms?name=Hangar&kind=guild", "", ""),
		w.must("POST", "/rooms", "", "name=Bridge"),
		w.must("POST", "/rooms", "", `{"name":"Lobby","kind":"global"}`),
	} {
		want := []string{`{"id":1,"name":"Hangar","kind":"guild"}`, `{"id":2,"name":"Bridge","kind":"global"}`, `{"id":3,"name":"Lobby","kind":"global"}`}[i]
		if strings.TrimSpace(a.body) != want {
			t.Errorf("answer %s, want %s", a.body, want)
		}
	}
	if a := w.must("GET", "/rooms", "", ""); strings.TrimSpace(a.body) != `[{"id":1,"name":"Hangar","kind":"guild"},{"id":2,"name":"Bridge","kind":"global"},{"id":3,"name":"Lobby","kind":"global"}]` {
		t.Errorf("list: %s", a.body)
	}
	if a := w.must("GET", "/rooms?kind=guild", "", ""); strings.TrimSpace(a.body) != `[{"id":1,"name":"Hangar","kind":"guild"}]` {
		t.Errorf("guilds: %s", a.body)
	}
	var one map[string]any
	w.must("GET", "/rooms/1", "", "").json(t, &one)
	if one["name"] != "Hangar" || one["seq"] != 0.0 || one["epoch"] != w.hub.Epoch() {
		t.Errorf("one room: %v", one)
	}
	a := w.call("POST", "/rooms", "", `{"name":" Hangar "}`)
	if a.status != http.StatusConflict || !strings.Contains(a.body, "room 1") || a.header.Get("Location") != "/rooms/1" {
		t.Errorf("a name that is taken: %d %s %q", a.status, a.body, a.header.Get("Location"))
	}
}

func TestRoomsRefused(t *testing.T) {
	w := start(t, "")
	long := strings.Repeat("é", 120)
	w.must("POST", "/rooms", "", "name="+long)
	for _, tc := range []struct {
		method, path, token, body string
		status                    int
		says                      string
	}{
		{"POST", "/rooms", "", "", 422, `"field":"name"`},
		{"POST", "/rooms", "", `{"name":"   "}`, 422, `"field":"name"`},
		{"POST", "/rooms", "", `{"name":"\u200b"}`, 422, `"field":"name"`},
		{"POST", "/rooms", "", `{"name":"a\nb"}`, 422, "control"},
		{"POST", "/rooms", "", `{"name":"a\u0000b"}`, 422, "NUL"},
		{"POST", "/rooms", "", "name=" + long + "x", 422, "120"},
		{"POST", "/rooms", "", `{"name":"x","kind":"clan"}`, 422, `"field":"kind"`},
		{"POST", "/rooms", "", `{"name":"x","colour":"red"}`, 422, `"field":"colour"`},
		{"POST", "/rooms", "reader", `{"name":"x"}`, 403, "chat.write"},
		{"POST", "/rooms", "bad", `{"name":"x"}`, 401, ""},
		{"POST", "/rooms", "outsider", `{"name":"x","kind":"dm"}`, 403, domain},
		{"POST", "/rooms", "game", `{"name":"x","kind":"dm"}`, 403, domain},
		{"GET", "/rooms?kind=clan", "", "", 422, `"field":"kind"`},
		{"GET", "/rooms?limit=201", "", "", 422, `"field":"limit"`},
		{"GET", "/rooms/99", "", "", 404, "Room not found"},
		{"GET", "/rooms/x", "", "", 422, "integer"},
		{"DELETE", "/rooms", "", "", 405, "POST"},
	} {
		a := w.call(tc.method, tc.path, tc.token, tc.body)
		if a.status != tc.status || !strings.Contains(a.body, tc.says) {
			t.Errorf("%s %s %s: %d %s; want %d with %q", tc.method, tc.path, tc.body, a.status, a.body, tc.status, tc.says)
		}
	}
	w.must("POST", "/rooms", "pilot", `{"name":"direct","kind":"dm"}`)
	var rooms []any
	w.must("GET", "/rooms", "", "").json(t, &rooms)
	if len(rooms) != 2 {
		t.Errorf("refused calls left rooms behind: %v", rooms)
	}
}

var nextLink = regexp.MustCompile(`^<([^>]+)>; rel="next"$`)

// pages follows Link headers from path on and returns the ids of each page.
func pages(w *world, path string) (all [][]int64) {
	w.t.Helper()
	for path != "" {
		a := w.must("GET", path, "", "")
		var rows []struct{ ID int64 }
		a.json(w.t, &rows)
		ids := []int64{}
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		all = append(all, ids)
		path = ""
		if l := a.header.Get("Link"); l != "" {
			m := nextLink.FindStringSubmatch(l)
			if m == nil {
				w.t.Fatalf("Link: %s", l)
			}
			path = m[1]
		}
	}
	return all
}

func TestRoomPages(t *testing.T) {
	w := start(t, "")
	for i := range 7 {
		kind := "global"
		if i%2 == 1 {
			kind = "party"
		}
		w.must("POST", fmt.Sprintf("/rooms?name=r%d&kind=%s", i, kind), "", "")
	}
	for path, want := range map[string]string{
		"/rooms?limit=3":                    "[[1 2 3] [4 5 6] [7]]",
		"/rooms?limit=7":                    "[[1 2 3 4 5 6 7]]",
		"/rooms?limit=2&kind=party":         "[[2 4] [6]]",
		"/rooms?limit=2&after=5":            "[[6 7]]",
		"/rooms?limit=2&before=6":           "[[4 5] [2 3] [1]]",
		"/rooms?limit=3&offset=5":           "[[6 7]]",
		"/rooms?after=2&before=5":           "[[3 4]]",
		"/rooms?after=9223372036854775807":  "[[]]",
		"/rooms?before=9223372036854775807": "[[1 2 3 4 5 6 7]]",
	} {
		if got := fmt.Sprint(pages(w, path)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if a := w.must("GET", "/rooms?limit=3", "", "", "X-Forwarded-Prefix", "/proxy/chat"); !strings.HasPrefix(a.header.Get("Link"), "</proxy/chat/rooms?") {
		t.Errorf("behind the proxy: Link %s", a.header.Get("Link"))
	}
}

func TestRoomIsOpenedOncePerKey(t *testing.T) {
	w := start(t, "")
	first := w.must("POST", "/rooms", "", `{"name":"once"}`, "Idempotency-Key", "k")
	again := w.must("POST", "/rooms", "", `{"name":"once"}`, "Idempotency-Key", "k")
	if first.body != again.body {
		t.Errorf("%s, then %s", first.body, again.body)
	}
	if a := w.call("POST", "/rooms", "", `{"name":"other"}`, "Idempotency-Key", "k"); a.status != 422 {
		t.Errorf("another room with the same key: %d %s", a.status, a.body)
	}
}

func TestRoomPagesForPeople(t *testing.T) {
	w := start(t, "")
	const html = "Accept"
	a := w.call("POST", "/rooms", "", "name=%3Cb%3EHangar%3C%2Fb%3E", html, "text/html")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/rooms/1" {
		t.Fatalf("a form: %d %s", a.status, a.header.Get("Location"))
	}
	a = w.call("POST", "/rooms/1/messages", "pilot", "text=%3Cscript%3Ealert(1)%3C/script%3E", html, "text/html", "X-Forwarded-Prefix", "/proxy/chat")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/proxy/chat/rooms/1" {
		t.Fatalf("a line by form: %d %s %s", a.status, a.header.Get("Location"), a.body)
	}
	for path, wants := range map[string][]string{
		"/":        {"&lt;b&gt;Hangar", "@pilot"},
		"/rooms":   {"&lt;b&gt;Hangar", "@pilot"},
		"/rooms/1": {"&lt;script&gt;alert(1)&lt;/script&gt;", "@pilot", `data-after="1"`},
	} {
		a := w.must("GET", path, "", "", html, "text/html")
		for _, want := range wants {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s lacks %s", path, want)
			}
		}
		if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "<b>Hangar") {
			t.Errorf("%s runs what was posted", path)
		}
	}
	a = w.call("POST", "/rooms", "", "name=%3Cb%3EHangar%3C%2Fb%3E", html, "text/html")
	if a.status != http.StatusConflict || !strings.Contains(a.body, "exists already") || !strings.Contains(a.body, `value="&lt;b&gt;Hangar`) {
		t.Errorf("a refused form: %d", a.status)
	}
	a = w.call("POST", "/rooms/1/messages", "", "text=kill+yourself", html, "text/html")
	if a.status != 422 || !strings.Contains(a.body, "Toxic content") || !strings.Contains(a.body, "kill yourself") {
		t.Errorf("a refused line: %d", a.status)
	}
	if a := w.call("GET", "/rooms/9", "", "", html, "text/html"); a.status != 404 || !strings.Contains(a.header.Get("Content-Type"), "text/html") {
		t.Errorf("no room: %d %s", a.status, a.header.Get("Content-Type"))
	}
	if a := w.must("GET", "/rooms/1", "reader", "", html, "text/html"); strings.Contains(a.body, "data-composer") {
		t.Error("somebody who may only read is offered the composer")
	}
	for i := range 60 {
		w.must("POST", "/rooms/1/messages", "", fmt.Sprintf("text=line+%d", i))
	}
	older := regexp.MustCompile(`href="(/rooms/1\?before=\d+)"`).FindStringSubmatch(w.must("GET", "/rooms/1", "", "", html, "text/html").body)
	if older == nil {
		t.Fatal("no way to the older lines")
	}
	if a := w.must("GET", older[1], "", "", html, "text/html"); !strings.Contains(a.body, "line 5<") || strings.Contains(a.body, "line 20<") || !strings.Contains(a.body, `href="/rooms/1"`) {
		t.Error("the older lines are not there")
	}
}

func TestDiscovery(t *testing.T) {
	w := start(t, "")
	var d struct {
		Name, Category, Status string
		Routes                 []struct{ Label, Href string }
		Scopes, Events         []string
	}
	w.must("GET", "/.veze/service.json", "", "").json(t, &d)
	raw, _ := json.Marshal(d)
	for _, want := range []string{`"VEZEPyChat"`, `"communication"`, `"green"`, `"/rooms"`, `"/inbox"`, `"ticket.manage"`, `"chat.message.created"`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s lacks %s", raw, want)
		}
	}
}
