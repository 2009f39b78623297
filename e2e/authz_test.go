package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/web"
)

// The kinds of callers, in the order of the columns of testdata/authz/matrix.txt.
func callerKinds() []string {
	return []string{"nobody", "nobody*", "demo*", "own", "without", "another", "server", "audience", "expired", "session*"}
}

// matrixLine is one route of the matrix.
type matrixLine struct {
	key     string            // "chat GET /rooms" or "chat GET /rooms page"
	access  string            // as accessText
	want    map[string]string // outcome by kind of caller
	own     string            // what the route is asked with, and
	another string            // what names somebody else
}

func routeKey(service string, e web.Endpoint) string {
	key := service + " " + e.Method + " " + e.Path
	if e.IsPage() {
		key += " page"
	}
	return key
}

func accessText(e web.Endpoint) string {
	text := e.Access.Scope
	switch {
	case e.Access.Open:
		return "open"
	case text == "":
		text = "known"
	}
	if e.Access.Token {
		text += "+token"
	}
	return text
}

// suggest is the line of a route that does what its Access says and names nobody.
func suggest(service string, e web.Endpoint) string {
	out := "in in in in in - in in in in"
	if !e.Access.Open {
		nobody, wrong := "401", "401"
		if e.IsPage() {
			nobody, wrong = "login", "login"
		}
		star, without := "in", "403"
		if e.Access.Token {
			star = nobody
		}
		if e.Access.Scope == "" {
			without = "in"
		}
		out = fmt.Sprintf("%s %s in in %s - in %s %s in", nobody, star, without, wrong, wrong)
	}
	return fmt.Sprintf("%s | %s | %s | |", routeKey(service, e), accessText(e), out)
}

func readMatrix(t *testing.T) []matrixLine {
	t.Helper()
	raw, err := os.ReadFile("../testdata/authz/matrix.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []matrixLine
	for i, text := range strings.Split(string(raw), "\n") {
		if strings.TrimSpace(text) == "" || strings.HasPrefix(text, "#") {
			continue
		}
		parts := strings.Split(text, "|")
		if len(parts) != 5 {
			t.Fatalf("matrix.txt:%d: %d columns, want 5", i+1, len(parts))
		}
		for n := range parts {
			parts[n] = strings.TrimSpace(parts[n])
		}
		line := matrixLine{key: strings.Join(strings.Fields(parts[0]), " "), access: parts[1], own: parts[3], another: parts[4], want: map[string]string{}}
		outcomes := strings.Fields(parts[2])
		if len(outcomes) != len(callerKinds()) {
			t.Fatalf("matrix.txt:%d: %d outcomes, want %d", i+1, len(outcomes), len(callerKinds()))
		}
		for n, kind := range callerKinds() {
			line.want[kind] = outcomes[n]
		}
		if (line.want["another"] == "-") != (line.another == "") {
			t.Fatalf("matrix.txt:%d: a route that names people has an outcome and a request for it, any other neither", i+1)
		}
		all = append(all, line)
	}
	return all
}

// request makes the call of a line: name=value pairs fill the path first and then the query; what begins
// with [ or { is a JSON body.
func (l matrixLine) request(t *testing.T, base, with string, page bool) *http.Request {
	t.Helper()
	fields := strings.Fields(l.key)
	method, path := fields[1], fields[2]
	if method == web.AnyMethod {
		method = http.MethodGet
	}
	query, body := url.Values{}, ""
	for _, word := range strings.Fields(with) {
		if strings.ContainsAny(word[:1], "[{") {
			body = word
			continue
		}
		name, value, _ := strings.Cut(word, "=")
		switch {
		case strings.Contains(path, "{"+name+"}"):
			path = strings.Replace(path, "{"+name+"}", value, 1)
		case strings.Contains(path, "{"+name+"...}"):
			path = strings.Replace(path, "{"+name+"...}", value, 1)
		default:
			query.Set(name, value)
		}
	}
	for _, n := range []string{"{id}", "{part}"} {
		path = strings.Replace(path, n, "1", 1)
	}
	if strings.Contains(path, "{") {
		t.Fatalf("%s: the line gives no value for %s", l.key, path)
	}
	u := base + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequest(method, u, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if page {
		req.Header.Set("Accept", "text/html")
	}
	return req
}

// outcome says whether a call was let in: "in", "401", "403", "404" or "login".
func outcome(t *testing.T, client *http.Client, req *http.Request) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel() // also ends event streams
	res, err := client.Do(req.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	switch {
	case res.StatusCode == 401 || res.StatusCode == 403 || res.StatusCode == 404:
		return fmt.Sprint(res.StatusCode)
	case res.StatusCode == 303 && strings.Contains(res.Header.Get("Location"), "/login?next="):
		return "login"
	case res.StatusCode >= 500 && res.StatusCode != 502 && res.StatusCode != 503:
		return fmt.Sprint(res.StatusCode)
	}
	return "in"
}

// withThings makes a room with three lines in it (ann's, and two of bob's), and a ticket and a message for each
// of ann and bob, who have these user ids.
func withThings(t *testing.T, s *system, bearer string, ann, bob int64) {
	t.Helper()
	s.post(200, "chat/rooms?name=Bridge&kind=global", "", "Authorization", "Bearer "+bearer)
	for _, id := range []int64{ann, bob, bob} {
		s.post(200, fmt.Sprintf("chat/rooms/1/messages?text=hello&user_id=%d", id), "", "Authorization", "Bearer "+bearer)
	}
	for _, id := range []int64{ann, bob} { // ann's have id 1, bob's have 2
		user := map[int64]string{ann: "ann", bob: "bob"}[id]
		s.sendMail("eve@example.org", user+"@vezeuniqverse.com", "hello", "hello")
		s.post(200, fmt.Sprintf("chat/tickets?subject=help&created_by=%d", id), "", "Authorization", "Bearer "+bearer)
	}
	if bearer != "demo" { // the queue's entry 1: dropped, so that no line of the matrix can send it
		s.post(202, "email/api/send?from=ann&to=x@example.org&text=hi", "", "Authorization", "Bearer "+bearer)
		s.post(200, "email/api/queue/1/drop", "", "Authorization", "Bearer "+bearer)
	}
}

// everyScope is every scope there is.
func everyScope() []string {
	return strings.Fields("game.read_mail game.play game.server email.read email.send email.admin chat.read chat.write chat.moderate ticket.manage portal.provision portal.admin")
}

// Every route, for every kind of caller: testdata/authz/matrix.txt says who is let in.
func TestAuthorisationMatrix(t *testing.T) {
	off := start(t, "VEZE_JWT_SECRET="+secret)
	on := start(t)
	for id, user := range []string{"ann", "bob"} { // in this order they are users 1 and 2, and people with mailboxes
		if n := userID(t, http.DefaultClient, off.URL("portal")+"/auth/whoami?access_token="+off.token(user, "")); n != int64(id+1) {
			t.Fatalf("%s is user %d, and the matrix says %d", user, n, id+1)
		}
	}
	ann, bob := signUp(t, on, "ann"), signUp(t, on, "bob")
	withThings(t, off, off.token("root", strings.Join(everyScope(), " ")), 1, 2)
	withThings(t, on, "demo", userID(t, ann, on.URL("portal")+"/auth/whoami"), userID(t, bob, on.URL("portal")+"/auth/whoami"))

	lines := map[string]matrixLine{}
	for _, l := range readMatrix(t) {
		if _, twice := lines[l.key]; twice {
			t.Errorf("matrix.txt has two lines for %s", l.key)
		}
		lines[l.key] = l
	}
	routes := map[string]bool{}
	var last []func()
	for service, h := range on.Handlers() {
		for _, e := range h.Endpoints() {
			key := routeKey(service, e)
			routes[key] = true
			l, ok := lines[key]
			if !ok {
				t.Errorf("matrix.txt has no line for a route; if the route means what it says, it is\n%s", suggest(service, e))
				continue
			}
			if l.access != accessText(e) {
				t.Errorf("%s: matrix.txt says it needs %q, the route says %q", key, l.access, accessText(e))
			}
			ask := func(kind string) { askAs(t, off, on, ann, service, l, e, kind) }
			for _, kind := range callerKinds() {
				if key == "portal POST /logout" && kind == "session*" {
					last = append(last, func() { ask(kind) }) // it ends the session that others are asked with
					continue
				}
				ask(kind)
			}
		}
	}
	for _, ask := range last {
		ask()
	}
	for key := range lines {
		if !routes[key] {
			t.Errorf("matrix.txt has a line for %s, and there is no such route", key)
		}
	}
}

// askAs makes the call of a line as one kind of caller; kinds with a star are asked where demo identity is on.
func askAs(t *testing.T, off, on *system, session *http.Client, service string, l matrixLine, e web.Endpoint, kind string) {
	t.Helper()
	want := l.want[kind]
	if want == "-" {
		return
	}
	s, with, client := off, l.own, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if strings.HasSuffix(kind, "*") {
		s = on
	}
	if kind == "another" || kind == "server" && l.another != "" {
		with = l.another
	}
	req := l.request(t, s.URL(service), with, e.IsPage())
	scope := e.Access.Scope
	token := ""
	switch kind {
	case "demo*":
		token = "demo"
	case "own", "another":
		token = off.token("ann", scope)
	case "without":
		token = off.token("ann", strings.Join(slices.DeleteFunc(everyScope(), func(s string) bool { return s == scope }), " "))
	case "server":
		token = off.token("robot", strings.TrimSpace(scope+" game.server chat.moderate email.admin ticket.manage portal.admin"))
	case "audience":
		token = off.token("ann", scope, "veze-other")
	case "expired":
		token = off.tokenFrom(time.Now().Add(-2*time.Hour), time.Hour, "ann", scope)
	case "session*":
		client = session
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if got := outcome(t, client, req); got != want && !(want == "in" && got == "404" && kind != "another") {
		t.Errorf("%s as %s: %s, want %s (%s)", l.key, kind, got, want, req.URL)
	}
}

// signUp makes an account and returns a browser that is signed in with it.
func signUp(t *testing.T, s *system, user string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(s.URL("portal")+"/signup", url.Values{"user": {user}, "password": {"a long enough passphrase"}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Fatalf("sign-up of %s: %d", user, res.StatusCode)
	}
	return client
}

// userID asks whose call it is.
func userID(t *testing.T, client *http.Client, whoami string) int64 {
	t.Helper()
	res, err := client.Get(whoami)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var who struct {
		ID int64 `json:"user_id"`
	}
	if err := json.NewDecoder(res.Body).Decode(&who); err != nil || who.ID == 0 {
		t.Fatalf("whoami: %d, %v", res.StatusCode, err)
	}
	return who.ID
}
