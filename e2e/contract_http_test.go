package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/web"
)

// The same parameters as JSON, as a form, as multipart and in the query do the same, on every service.
func TestParametersFromBodyFormAndQuery(t *testing.T) {
	s := start(t)
	s.post(200, "chat/rooms?name=Bridge&kind=global", "")
	s.sendMail("ann@example.org", "demo@vezeuniqverse.com", "one", "x")
	for target, fields := range map[string][][2]string{
		"chat/rooms/1/messages":                              {{"text", "hello & welcome ✓"}, {"user_id", "981"}, {"handle", "@pilot"}},
		"chat/tickets":                                       {{"subject", "Lost ship"}, {"created_by", "12"}},
		"game/matchmaking/dequeue":                           {{"user_id", "ann"}},
		"game/leaderboards/submit":                           {{"user_id", "ann"}, {"score", "12.5"}, {"season", "s1"}, {"mode", "duel"}},
		"game/inventory/ann":                                 {{"sku", "gem"}, {"qty", "2"}},
		"email/api/messages/1/read?access_token=demo":        {{"read", "true"}},
		"email/api/messages/1/labels?access_token=demo":      {{"labels", "urgent"}},
		"portal/auth/token?access_token=" + s.token("a", ""): {{"ttl", "60"}},
	} {
		form, parts := url.Values{}, "--b\r\n"
		var object []string
		for _, f := range fields {
			form.Set(f[0], f[1])
			parts += "Content-Disposition: form-data; name=\"" + f[0] + "\"\r\n\r\n" + f[1] + "\r\n--b\r\n"
			value, _ := json.Marshal(f[1])
			if regexp.MustCompile(`^([\d.]+|true)$`).MatchString(f[1]) {
				value = []byte(f[1])
			}
			if f[0] == "labels" {
				value = []byte(`["` + f[1] + `"]`)
			}
			object = append(object, `"`+f[0]+`":`+string(value))
		}
		sep := "?"
		if strings.Contains(target, "?") {
			sep = "&"
		}
		for how, call := range map[string]func() reply{
			"JSON": func() reply { return s.post(200, target, "{"+strings.Join(object, ",")+"}") },
			"a form": func() reply {
				return s.call("POST", target, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
			},
			"multipart": func() reply {
				return s.call("POST", target, strings.TrimSuffix(parts, "\r\n")+"--\r\n", "Content-Type", `multipart/form-data; boundary="b"`)
			},
			"the query": func() reply { return s.call("POST", target+sep+form.Encode(), "") },
			"an empty JSON body and the query": func() reply {
				return s.call("POST", target+sep+form.Encode(), "{}", "Content-Type", "application/json; charset=utf-8")
			},
		} {
			if r := call(); r.StatusCode != 200 {
				t.Errorf("POST %s with %s: %d %s", target, how, r.StatusCode, r.body)
			}
		}
	}
	var lines []struct{ Text, Handle string }
	s.get(200, "chat/rooms/1/messages").JSON(t, &lines)
	if len(lines) != 5 {
		t.Fatalf("%d lines, want 5", len(lines))
	}
	for _, l := range lines {
		if l.Text != "hello & welcome ✓" || l.Handle != "@pilot" {
			t.Errorf("line %+v, want the same from every way", l)
		}
	}
}

// Every JSON answer says that it is UTF-8, every time in it is RFC 3339 in UTC with milliseconds, and every
// id that the seeds show as an integer is one.
func TestJSONAndTimes(t *testing.T) {
	s := start(t)
	s.post(200, "chat/rooms?name=Bridge&kind=global", "")
	s.post(200, "chat/rooms/1/messages?text=hello", "")
	s.post(200, "chat/tickets?subject=help&created_by=1", "")
	s.post(200, "chat/tickets/1/comments?text=hello", "")
	s.sendMail("ann@example.org", "demo@vezeuniqverse.com", "one", "x")
	stamp := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	times := 0
	var look func(target, name string, v any)
	look = func(target, name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				look(target, k, e)
			}
		case []any:
			for _, e := range v {
				look(target, name, e)
			}
		case string:
			if strings.HasSuffix(name, "_at") || name == "date" || name == "last_seen" || name == "created" {
				times++
				if !stamp.MatchString(v) {
					t.Errorf("GET %s: %s is %q, want RFC 3339 in UTC with milliseconds", target, name, v)
				}
			}
			if name == "id" || name == "user_id" && strings.HasPrefix(target, "chat/") || name == "room_id" || name == "created_by" {
				t.Errorf("GET %s: %s is text, want an integer", target, name)
			}
		}
	}
	admin := "access_token=" + s.token("root", "portal.admin")
	for _, target := range []string{"chat/rooms", "chat/rooms/1", "chat/rooms/1/messages", "chat/tickets", "chat/tickets/1", "chat/tickets/1/comments",
		"email/api/messages?user=demo&access_token=demo", "email/api/messages/1?access_token=demo", "email/api/mailboxes?access_token=demo", "email/api/messages/1/headers?access_token=demo",
		"game/email/mail?user=demo&access_token=demo", "game/inventory/ann", "game/leaderboards", "portal/api/services", "portal/admin/users?" + admin, "portal/auth/whoami"} {
		r := s.get(200, target)
		if ct := r.Header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
			t.Errorf("GET %s: Content-Type %q", target, ct)
		}
		var v any
		r.JSON(t, &v)
		look(target, "", v)
	}
	if times < 15 {
		t.Errorf("saw only %d times; the test looks in the wrong places", times)
	}
}

// listOf is the ids of a list, and the Link to its next page.
func listOf(t *testing.T, s *system, target, field string) (ids []int64, next string) {
	t.Helper()
	r := s.get(200, target)
	var rows []struct{ ID int64 }
	if field == "" {
		r.JSON(t, &rows)
	} else {
		var o map[string]json.RawMessage
		r.JSON(t, &o)
		if err := json.Unmarshal(o[field], &rows); err != nil {
			t.Fatalf("GET %s: %v", target, err)
		}
	}
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	if m := regexp.MustCompile(`^<([^>]+)>; rel="next"$`).FindStringSubmatch(r.Header.Get("Link")); m != nil {
		next = m[1]
	}
	return ids, next
}

// Every list takes limit, before, after and offset, and is newest first but for the rooms; bare arrays lead on by Link.
func TestListsPage(t *testing.T) {
	s := start(t)
	for i := range 60 {
		s.post(200, fmt.Sprintf("chat/rooms?name=room%d", i), "")
		s.post(200, fmt.Sprintf("chat/rooms/1/messages?text=line%d", i), "")
		s.post(200, fmt.Sprintf("chat/tickets?subject=ticket%d", i), "")
		s.post(200, fmt.Sprintf("chat/tickets/1/comments?text=comment%d", i), "")
		s.post(200, "game/telemetry/bulk", `[{"event":"jump","ts":1}]`)
		s.sendMail("ann@example.org", "demo@vezeuniqverse.com", fmt.Sprint("mail", i), "x")
		s.get(200, "portal/auth/whoami?access_token="+s.token(fmt.Sprint("user", i), ""))
	}
	admin := "access_token=" + s.token("user0", "portal.admin")
	for _, l := range []struct {
		target, field string
		oldestFirst   bool
		bare          bool
	}{
		{"chat/rooms?", "", true, true},
		{"chat/rooms/1/messages?", "", false, true},
		{"chat/tickets?", "", false, true},
		{"chat/tickets/1/comments?", "", false, true},
		{"email/api/messages?user=demo&access_token=demo&", "messages", false, false},
		{"game/email/mail?user=demo&access_token=demo&", "messages", false, false},
		{"game/telemetry/events?", "events", false, false},
		{"portal/admin/users?" + admin + "&", "users", false, false},
	} {
		all, _ := listOf(t, s, l.target+"limit=200", l.field)
		if len(all) < 60 {
			t.Fatalf("%s: %d rows, want 60", l.target, len(all))
		}
		sorted := slices.Clone(all)
		slices.Sort(sorted)
		if !l.oldestFirst {
			slices.Reverse(sorted)
		}
		if !slices.Equal(all, sorted) {
			t.Errorf("%s: order %v", l.target, all)
		}
		expect := func(query string, want []int64) {
			t.Helper()
			got, next := listOf(t, s, l.target+query, l.field)
			if !slices.Equal(got, want) {
				t.Errorf("%s%s: %v, want %v", l.target, query, got, want)
			}
			if l.bare && len(want) > 0 && len(want) < 20 && strings.HasPrefix(query, "limit=") && (next == "") != (want[len(want)-1] == all[len(all)-1]) {
				t.Errorf("%s%s: the next page is %q", l.target, query, next)
			}
		}
		at := func(i int) int64 { return all[i] }
		expect("", all[:50])
		expect("limit=3", all[:3])
		expect("limit=3&offset=2", all[2:5])
		expect("offset=58", all[58:])
		newer, older := "after", "before" // of a list that is newest first: what stands above is after
		if l.oldestFirst {
			newer, older = older, newer
		}
		expect(fmt.Sprintf("limit=3&%s=%d", older, at(9)), all[10:13])
		expect(fmt.Sprintf("limit=3&%s=%d", newer, at(9)), all[6:9])
		expect(fmt.Sprintf("%s=%d", older, at(len(all)-1)), nil)
		for query := range map[string]string{"limit=0": "", "limit=201": "", "limit=-1": "", "before=0": "", "offset=-1": "", "after=x": "", "page=2": ""} {
			if r := s.call("GET", l.target+query, ""); r.StatusCode != 422 {
				t.Errorf("%s%s: %d, want 422", l.target, query, r.StatusCode)
			}
		}
		if !l.bare {
			continue
		}
		var walked []int64
		service, _, _ := strings.Cut(l.target, "/")
		for target := l.target + "limit=7"; target != ""; {
			ids, next := listOf(t, s, target, l.field)
			walked = append(walked, ids...)
			if target = ""; next != "" {
				target = service + next
			}
		}
		if !slices.Equal(walked, all) {
			t.Errorf("%s: the Links lead to %v, want %v", l.target, walked, all)
		}
	}
}

// A board is in its own order, a bare array, and leads on by Link.
func TestBoardsPageByLink(t *testing.T) {
	s := start(t)
	for i := range 23 {
		s.post(200, fmt.Sprintf("game/leaderboards/submit?user_id=u%d&score=%d&season=s1&mode=duel", i, i%7), "")
	}
	rank, target := 0, "game/leaderboards/s1/duel?limit=5"
	for target != "" {
		r := s.get(200, target)
		var rows []struct{ Rank int }
		r.JSON(t, &rows)
		for _, row := range rows {
			if rank++; row.Rank != rank {
				t.Fatalf("rank %d at place %d", row.Rank, rank)
			}
		}
		m := regexp.MustCompile(`^<([^>]+)>; rel="next"$`).FindStringSubmatch(r.Header.Get("Link"))
		if target = ""; m != nil {
			target = "game" + m[1]
		}
	}
	s.get(422, "game/leaderboards/s1/duel?before=1") // its rows have no id to page by
	if rank != 23 {
		t.Errorf("the Links lead over %d rows, want 23", rank)
	}
}

// A repeat with its Idempotency-Key answers as the first did, also after a restart, and has no second effect;
// the key with other parameters or on another path is refused.
func TestRepeatsOverARestart(t *testing.T) {
	s := start(t)
	s.post(200, "chat/rooms?name=Bridge&kind=global", "")
	s.post(200, "chat/tickets?subject=first", "")
	s.sendMail("ann@example.org", "demo@vezeuniqverse.com", "one", "x")
	calls := []struct{ target, body, other string }{
		{"chat/rooms", `{"name":"Deck"}`, `{"name":"Hold"}`},
		{"chat/rooms/1/messages", `{"text":"hello"}`, `{"text":"bye"}`},
		{"chat/tickets", `{"subject":"help"}`, `{"subject":"more help"}`},
		{"chat/tickets/1/comments", `{"text":"hello"}`, `{"text":"bye"}`},
		{"chat/tickets/1/assign", `{"assignee_id":7}`, `{"assignee_id":8}`},
		{"game/leaderboards/submit", `{"user_id":"ann","score":5,"season":"s1","mode":"duel"}`, `{"user_id":"ann","score":6,"season":"s1","mode":"duel"}`},
		{"game/inventory/ann", `{"sku":"gem","qty":2}`, `{"sku":"gem","qty":3}`},
		{"game/telemetry/bulk", `[{"event":"jump","ts":1}]`, `[{"event":"land","ts":1}]`},
		{"game/matchmaking/enqueue", `{"user_id":"ann","mmr":1500,"mode":"duel","region":"eu"}`, `{"user_id":"ann","mmr":1600,"mode":"duel","region":"eu"}`},
		{"email/api/messages/1/star?access_token=demo", ``, `{"starred":true}`},
		{"email/api/messages/1/labels?access_token=demo", `{"labels":["a"]}`, `{"labels":["b"]}`},
		{"email/api/mailboxes?access_token=demo", `{"user":"carol"}`, `{"user":"dora"}`},
		{"portal/provision/pilot", ``, ``},
	}
	first := map[string]string{}
	for i, c := range calls {
		first[c.target] = string(s.post(200, c.target, c.body, "Idempotency-Key", fmt.Sprint("key ", i)).body)
	}
	state := visible(s)
	again := func(when string) {
		for i, c := range calls {
			key := fmt.Sprint("key ", i)
			if r := s.post(200, c.target, c.body, "Idempotency-Key", key); string(r.body) != first[c.target] {
				t.Errorf("POST %s repeated %s: %s, the first time %s", c.target, when, r.body, first[c.target])
			}
			if c.other != "" {
				s.post(422, c.target, c.other, "Idempotency-Key", key)
			}
			s.post(422, "chat/tickets/1/solve", "", "Idempotency-Key", key)
		}
	}
	again("at once")
	s.restart()
	again("after a restart")
	if after := visible(s); after != state {
		t.Errorf("repeats changed what is stored:\n%s\nbefore:\n%s", after, state)
	}
	s.post(200, "chat/rooms/1/messages", `{"text":"another caller, the same key"}`, "Idempotency-Key", "key 1", "Authorization", "Bearer "+s.token("ann", "chat.write"))
}

// What is both a page and an API is a page for browsers alone.
func TestPageForBrowsersJSONForOthers(t *testing.T) {
	s := start(t)
	s.post(200, "chat/rooms?name=Bridge&kind=global", "")
	s.post(200, "chat/tickets?subject=help", "")
	for _, target := range []string{"chat/rooms", "chat/inbox", "chat/rooms/1", "chat/tickets/1", "game/leaderboards", "portal/proxy/chat/rooms", "portal/proxy/game/leaderboards"} {
		for accept, want := range map[string]string{"": "application/json", "*/*": "application/json", "application/json": "application/json", "text/plain": "application/json",
			"text/html": "text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": "text/html"} {
			if r := s.get(200, target, "Accept", accept); !strings.HasPrefix(r.Header.Get("Content-Type"), want) {
				t.Errorf("GET %s for %q: %s, want %s", target, accept, r.Header.Get("Content-Type"), want)
			}
		}
	}
}

// A user who asks too often is told to wait; servers and the demo identity are not.
func TestLimitsHoldBackPeople(t *testing.T) {
	s := start(t, "VEZE_JWT_SECRET="+secret, "VEZE_JWT_DEMO=1")
	hammer := func(service, token string) (limited reply) {
		path := map[string]string{"chat": "chat/rooms", "game": "game/leaderboards/seasons", "email": "email/api/mailboxes", "portal": "portal/auth/whoami"}[service]
		for range 320 {
			if r := s.call("GET", path, "", "Authorization", "Bearer "+token); r.StatusCode != 200 {
				return r
			}
		}
		return reply{}
	}
	for service, scopes := range map[string]string{"chat": "chat.read", "game": "game.play", "email": "email.read", "portal": ""} {
		r := hammer(service, s.token("ann", scopes))
		if r.Response == nil || r.StatusCode != 429 || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s held nobody back within 320 calls at once", service)
			continue
		}
		like(t, service, `{"type":"<text>","title":"Too Many Requests","status":429,"detail":"<text>","request_id":"<text>"}`, r.body)
	}
	for service, token := range map[string]string{"chat": s.token("robot", "chat.read chat.moderate"), "game": s.token("robot", "game.play game.server"), "email": s.token("robot", "email.read email.admin"), "portal": "demo"} {
		if r := hammer(service, token); r.Response != nil {
			t.Errorf("%s held back a server or the demo identity: %d", service, r.StatusCode)
		}
	}
}

// Every answer of every route carries the security headers, refusals and proxied answers too.
func TestSecurityHeadersEverywhere(t *testing.T) {
	s := start(t)
	check := func(target, accept string) {
		t.Helper()
		service, path, _ := strings.Cut(target, "/")
		req, err := http.NewRequest("GET", s.URL(service)+"/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		csp := strings.Join(res.Header.Values("Content-Security-Policy"), " AND ")
		if !strings.Contains(csp, "default-src") || strings.Contains(csp, "unsafe") || strings.Contains(csp, " AND ") {
			t.Errorf("GET %s: policy %q", target, csp)
		}
		if !strings.Contains(csp, "frame-ancestors") && res.Header.Get("X-Frame-Options") == "" {
			t.Errorf("GET %s: may be framed", target)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"} {
			if got := res.Header.Values(name); len(got) != 1 || got[0] != want && name != "Referrer-Policy" {
				t.Errorf("GET %s: %s is %q, want %q once", target, name, got, want)
			}
		}
	}
	for service, h := range s.Handlers() {
		for _, e := range h.Endpoints() {
			path := regexp.MustCompile(`\{[a-z_.]+\}`).ReplaceAllString(strings.TrimPrefix(e.Path, "/"), "1")
			accept := "application/json"
			if e.IsPage() {
				accept = "text/html"
			}
			check(service+"/"+path, accept)
			if service != "portal" {
				check("portal/proxy/"+service+"/"+path, accept)
			}
		}
		check(service+"/nowhere", "text/html")
		check(service+"/static/app.css", "*/*")
	}
}

// With its store or hub down a service says which part fails, and the discovery document is red.
func TestHealthNamesTheFailingPart(t *testing.T) {
	s := start(t)
	handlers := s.Handlers()
	for service := range handlers {
		like(t, service, `{"status":"ok","service":"`+service+`","version":"test","checks":{"store":"ok","hub":"ok"}}`, s.get(200, service+"/health").body)
	}
	s.end() // the handlers can still be asked
	for service, h := range handlers {
		ask := func(path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			return w
		}
		w := ask("/health")
		if w.Code != 503 {
			t.Errorf("%s is healthy without store and hub: %d", service, w.Code)
		}
		var health struct {
			Status string
			Checks map[string]string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &health); err != nil || health.Status == "ok" || health.Checks["store"] == "ok" || health.Checks["hub"] == "ok" || len(health.Checks) != 2 {
			t.Errorf("%s: %s, want store and hub failing", service, w.Body)
		}
		if w := ask("/.veze/service.json"); decodeObject(t, w.Body.Bytes())["status"] != "red" {
			t.Errorf("%s: the discovery document says %s", service, w.Body)
		}
		if w := ask("/metrics"); w.Code != 200 {
			t.Errorf("%s: metrics are %d without a store", service, w.Code)
		}
	}
	s.boot()
}

// Metrics are lines of Prometheus text, on every service.
func TestMetricsArePrometheusText(t *testing.T) {
	s := start(t)
	s.get(200, "chat/rooms")
	s.get(404, "game/nowhere")
	line := regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*"(, ?)?)*\})? -?([0-9.eE+-]+|NaN|[+-]?Inf)$`)
	for service := range s.Handlers() {
		r := s.get(200, service+"/metrics")
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
			t.Errorf("%s: Content-Type %q", service, r.Header.Get("Content-Type"))
		}
		for text := range strings.Lines(string(r.body)) {
			if text = strings.TrimSpace(text); text != "" && !strings.HasPrefix(text, "#") && !line.MatchString(text) {
				t.Errorf("%s: %q is no line of Prometheus text", service, text)
			}
		}
		if !contains(r.body, `uniqverse_http_requests_total{service="chat",route="GET /rooms",code="200"} 1`) {
			t.Errorf("%s: the call of chat is not counted", service)
		}
	}
	// Sockets are counted by how they ended.
	s.post(200, "chat/rooms", `{"name":"counted"}`)
	c := s.speak("/ws/rooms/1", "", "nonsense")
	for err := error(nil); err == nil; {
		_, _, err = c.ReadMessage()
	}
	eventually(t, "the socket's end is counted", func() bool {
		figures := s.get(200, "chat/metrics").body
		for _, want := range []string{`uniqverse_chat_sockets_closed_total{code="3501"} 1`, "uniqverse_chat_sockets 0", "uniqverse_chat_sockets_opened_total 1", "uniqverse_game_sockets 0"} {
			if !contains(figures, want+"\n") {
				return false
			}
		}
		return true
	})
}

// The discovery document of every service has the seed's fields, and the scopes and events of the contract.
func TestDiscoveryDocuments(t *testing.T) {
	s := start(t)
	scopes, types := everyScope(), contractEventTypes(t)
	for service := range s.Handlers() {
		for _, target := range []string{service + "/.veze/service.json", "portal/proxy/" + service + "/.veze/service.json"} {
			if target == "portal/proxy/portal/.veze/service.json" {
				continue
			}
			r := s.get(200, target)
			var all map[string]json.RawMessage
			r.JSON(t, &all)
			delete(all, "limits") // chat's own, beside what every service says
			rest, err := json.Marshal(all)
			if err != nil {
				t.Fatal(err)
			}
			like(t, target, `{"name":"<text>","category":"<text>","status":"green","routes":[{"label":"<text>","href":"<text>"}],"scopes":"<texts>","events":"<texts>"}`, rest)
			var d web.Discovery
			r.JSON(t, &d)
			if d.Name == "" || len(d.Routes) == 0 || len(d.Scopes) == 0 || len(d.Events) == 0 {
				t.Errorf("GET %s: something is empty: %+v", target, d)
			}
			for _, scope := range d.Scopes {
				if !slices.Contains(scopes, scope) {
					t.Errorf("GET %s: %q is no scope of the contract", target, scope)
				}
			}
			for _, typ := range d.Events {
				if !slices.Contains(types, typ) {
					t.Errorf("GET %s: %q is no event of the contract", target, typ)
				}
			}
			for _, route := range d.Routes {
				if page := s.call("GET", strings.TrimSuffix(target, "/.veze/service.json")+route.Href, "", "Accept", "text/html"); page.StatusCode != 200 {
					t.Errorf("GET %s offers %s, which is %d", target, route.Href, page.StatusCode)
				}
			}
		}
	}
}

// The OpenAPI document and the page of each service have exactly the routes that there are, with the scopes that they ask for.
func TestOpenAPIMatchesTheRoutes(t *testing.T) {
	s := start(t)
	for service, h := range s.Handlers() {
		var doc struct {
			OpenAPI string
			Paths   map[string]map[string]struct {
				Scope    *string               `json:"x-scope"`
				Token    bool                  `json:"x-token-wanted"`
				Security []map[string][]string `json:"security"`
			}
		}
		s.get(200, service+"/openapi.json").JSON(t, &doc)
		page := s.get(200, service+"/docs", "Accept", "text/html")
		routes := map[string]bool{}
		for _, e := range h.Endpoints() {
			path := strings.ReplaceAll(e.Path, "...}", "}")
			routes[strings.ToLower(e.Method)+" "+path] = true
			op, ok := doc.Paths[path][strings.ToLower(e.Method)]
			if !ok {
				t.Errorf("%s: the document has no %s %s", service, e.Method, path)
				continue
			}
			if (op.Scope == nil) != e.Access.Open || op.Scope != nil && *op.Scope != e.Access.Scope || op.Token != (e.Access.Token && !e.Access.Open) || (len(op.Security) == 0) != e.Access.Open {
				t.Errorf("%s %s %s: the document says %+v, the route %+v", service, e.Method, e.Path, op, e.Access)
			}
			if !contains(page.body, e.Path) && !contains(page.body, strings.ReplaceAll(e.Path, "{", "&#123;")) {
				t.Errorf("%s: the page does not show %s", service, e.Path)
			}
		}
		for path, methods := range doc.Paths {
			for method := range methods {
				if !routes[method+" "+path] {
					t.Errorf("%s: the document has %s %s, and there is no such route", service, method, path)
				}
			}
		}
		if !strings.HasPrefix(doc.OpenAPI, "3.1") {
			t.Errorf("%s: OpenAPI %q", service, doc.OpenAPI)
		}
	}
}

// A service that hangs, one that answers nonsense and one that is not there are 504, 502 and 503 from who asks them.
func TestUpstreamFailures(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(hang)
	nonsense := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }))
	defer nonsense.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for base, want := range map[string]int{slow.URL: 504, nonsense.URL: 502, gone.URL: 503} {
		s := start(t, "VEZE_SERVICES=game", "VEZE_SERVICE_EMAIL="+base)
		began := time.Now()
		r := s.call("GET", "game/email/mail?user=demo&access_token=demo", "")
		if r.StatusCode != want || r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("mail at %s: %d %s, want %d\n%s", base, r.StatusCode, r.Header.Get("Content-Type"), want, r.body)
		}
		if spent := time.Since(began); spent > 3*time.Second {
			t.Errorf("a dead service was told after %s; the promise is 3 s", spent)
		}
	}
}
