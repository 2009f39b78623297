package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// row is one call of the contract's section 7 with its answer.
type row struct {
	call   string // METHOD service/path?query, with {names} that earlier rows kept
	body   string // JSON, or ""
	status int
	want   string // template for like; "" leaves the body alone
	keep   string // name=field: keeps a field of the answer for later rows
	lasts  bool   // answers the same after a restart
}

// kept are values that rows keep for later ones.
type kept map[string]string

var name = regexp.MustCompile(`\{[a-z_]+\}`)

func (k kept) fill(text string) string {
	return name.ReplaceAllStringFunc(text, func(n string) string {
		if v, ok := k[strings.Trim(n, "{}")]; ok {
			return v
		}
		return n
	})
}

// ask makes the call of a row and compares the answer.
func (s *system) ask(t *testing.T, k kept, r row) reply {
	t.Helper()
	method, target, _ := strings.Cut(k.fill(r.call), " ")
	var headers []string
	if r.body != "" {
		headers = []string{"Content-Type", "application/json"}
	}
	answer := s.call(method, target, k.fill(r.body), headers...)
	if answer.StatusCode != r.status {
		t.Errorf("%s %s: %d, want %d\n%.300s", method, target, answer.StatusCode, r.status, answer.body)
		return answer
	}
	if r.status >= 400 {
		like(t, r.call, fmt.Sprintf(`{"title":"<text>","status":%d,"detail":"<text>","…":0}`, r.status), answer.body)
	}
	if r.want != "" {
		like(t, r.call, k.fill(r.want), answer.body)
	}
	if field, path, ok := strings.Cut(r.keep, "="); ok {
		k[field] = fmt.Sprint(decodeObject(t, answer.body)[path])
	}
	return answer
}

// walk asks every row in order, restarts, and asks those that last once more.
func walk(t *testing.T, s *system, k kept, rows []row) {
	t.Helper()
	before := map[int]string{}
	for i, r := range rows {
		answer := s.ask(t, k, r)
		if r.lasts {
			before[i] = string(answer.body)
		}
	}
	if t.Failed() {
		return
	}
	s.restart()
	for i, r := range rows {
		if !r.lasts {
			continue
		}
		if after := s.ask(t, k, r); string(after.body) != before[i] {
			t.Errorf("%s: after a restart\n%.500s\nbefore\n%.500s", r.call, after.body, before[i])
		}
	}
}

const message = `{"id":"<int>","subject":"<text>","from_":"<text>","from":"<text>","to":"<text>","date":"<time>","snippet":"<text>","labels":"<texts>",
	"flags":"<texts>","size":"<int>","spam_score":"<number>","unread":"<bool>","auth":{"spf":"<text>","dkim":"<text>","dmarc":"<text>"},"…":0}`

// Section 7, the rows of provisioning and mail.
func TestSeedChecksMail(t *testing.T) {
	s := start(t)
	k := kept{}
	first := s.ask(t, k, row{call: "POST portal/provision/testuser", status: 200,
		want: `{"user":"testuser@vezeuniqverse.com","provisioned":true,"messages":[` + message + `]}`})
	again := s.ask(t, k, row{call: "POST portal/provision/testuser", status: 200})
	if string(first.body) != string(again.body) {
		t.Errorf("provisioned again:\n%s\nthe first time:\n%s", again.body, first.body)
	}
	boxes := struct{ Mailboxes []struct{ User string } }{}
	s.get(200, "email/api/mailboxes", "Authorization", "Bearer "+s.token("root", "email.admin email.read")).JSON(t, &boxes)
	n := 0
	for _, b := range boxes.Mailboxes {
		if b.User == "testuser@vezeuniqverse.com" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("testuser has %d mailboxes, want one: %v", n, boxes)
	}
	s.sendMail("ann@example.org", "test@vezeuniqverse.com", "Warp", "The gate is online.")
	walk(t, s, k, []row{
		{call: "POST portal/provision/bad%20id", status: 400},
		{call: "GET game/email/mail", status: 422},
		{call: "GET game/email/mail?access_token=demo", status: 422},
		{call: "GET game/email/mail?user=demo@vezeuniqverse.com&access_token=demo", status: 200, lasts: true,
			want: `{"user":"demo@vezeuniqverse.com","messages":[` + message + `],"…":0}`},
		{call: "GET game/email/mail?user=test@vezeuniqverse.com&access_token=demo", status: 200, lasts: true,
			want: `{"user":"test@vezeuniqverse.com","messages":[` + message + `],"…":0}`},
		{call: "GET game/email/mail?user=demo@vezeuniqverse.com", status: 401},
		{call: "GET game/email/mail?user=demo@vezeuniqverse.com&access_token=" + s.token("demo", "game.play email.read"), status: 403},
		{call: "GET email/api/messages?user=test@vezeuniqverse.com", status: 401},
		{call: "GET email/api/messages?user=test@vezeuniqverse.com&access_token=demo", status: 200, lasts: true,
			want: `{"user":"test@vezeuniqverse.com","messages":[` + message + `],"…":0}`},
		{call: "GET email/api/messages?user=x@example.org&access_token=demo", status: 403},
	})
	var list struct{ Messages []struct{ ID int } }
	s.get(200, "email/api/messages?user=test@vezeuniqverse.com&access_token=demo").JSON(t, &list)
	if len(list.Messages) != 1 {
		t.Fatalf("%d messages, want the one that was sent", len(list.Messages))
	}
}

// Section 7: read, star and labels, each with its event on the stream.
func TestSeedChecksMailChanges(t *testing.T) {
	s := start(t)
	s.sendMail("ann@example.org", "test@vezeuniqverse.com", "Warp", "The gate is online.")
	const list = "email/api/messages?user=test@vezeuniqverse.com&access_token=demo"
	var got struct{ Messages []object }
	s.get(200, list).JSON(t, &got)
	if len(got.Messages) != 1 {
		t.Fatalf("%d messages, want 1", len(got.Messages))
	}
	id := fmt.Sprint(got.Messages[0]["id"])
	events := s.listen("email/api/events?user=test@vezeuniqverse.com&access_token=demo")
	for _, step := range []struct {
		verb, body, event string
		field             string
		want              any
	}{
		{"read", `{"read":true}`, "mail.read", "unread", false},
		{"read", `{"read":false}`, "mail.read", "unread", true},
		{"read", ``, "mail.read", "unread", false},
		{"star", `{"starred":true}`, "mail.star", "starred", true},
		{"star", ``, "mail.star", "starred", false},
		{"star", ``, "mail.star", "starred", true},
		{"labels", `{"labels":["urgent","guild"]}`, "mail.labels", "labels", []any{"guild", "urgent"}},
		{"labels", `{"labels":["guild"]}`, "mail.labels", "labels", []any{"guild"}},
		{"labels", `{"labels":[]}`, "mail.labels", "labels", []any{}},
	} {
		s.post(200, "email/api/messages/"+id+"/"+step.verb+"?access_token=demo", step.body)
		ev := events.next()
		if ev.name != step.event || fmt.Sprint(ev.data["message_id"]) != id {
			t.Fatalf("%s %s: event %s %v, want %s of message %s", step.verb, step.body, ev.name, ev.data, step.event, id)
		}
		s.get(200, list).JSON(t, &got)
		if fmt.Sprint(got.Messages[0][step.field]) != fmt.Sprint(step.want) {
			t.Errorf("%s %s: %s is %v, want %v", step.verb, step.body, step.field, got.Messages[0][step.field], step.want)
		}
	}
	before := s.get(200, list).body
	s.restart()
	if after := s.get(200, list).body; string(after) != string(before) {
		t.Errorf("after a restart:\n%s\nbefore:\n%s", after, before)
	}
}

// Section 7: what swaks sends is in the list, on the inbox page, on the event stream and in the Game's proxy.
func TestSeedChecksArrival(t *testing.T) {
	s := start(t)
	s.post(200, "portal/provision/pilot", "")
	events := s.listen("email/api/events?user=pilot@vezeuniqverse.com&access_token=demo")
	s.sendMail("ann@example.org", "pilot@vezeuniqverse.com", "Through the gate 4711", "hello")
	if ev := events.next(); ev.name != "mail.received" || ev.data["subject"] != "Through the gate 4711" {
		t.Errorf("event %s %v, want mail.received with the subject", ev.name, ev.data)
	}
	for _, target := range []string{
		"email/api/messages?user=pilot@vezeuniqverse.com&access_token=demo",
		"game/email/mail?user=pilot@vezeuniqverse.com&access_token=demo",
		"portal/proxy/email/api/messages?user=pilot@vezeuniqverse.com&access_token=demo",
	} {
		if r := s.get(200, target); !contains(r.body, "Through the gate 4711") {
			t.Errorf("GET %s: the message is not there\n%.500s", target, r.body)
		}
	}
	if r := s.get(200, "email/inbox?user=pilot@vezeuniqverse.com", "Accept", "text/html"); !contains(r.body, "Through the gate 4711") {
		t.Error("the message is not on the inbox page")
	}
}

// Section 7, the rows of the game.
func TestSeedChecksGame(t *testing.T) {
	s := start(t)
	k := kept{}
	walk(t, s, k, []row{
		{call: "POST game/matchmaking/match", body: `{"mode":"duel","region":"eu"}`, status: 200, want: `{"found":false,"…":0}`},
		{call: "POST game/matchmaking/enqueue", body: `{"user_id":1,"mmr":1500,"mode":"duel","region":"eu"}`, status: 200, want: `{"queued":true,"…":0}`},
		{call: "POST game/matchmaking/enqueue", body: `{"user_id":2,"mmr":1700,"mode":"duel","region":"eu"}`, status: 200, want: `{"queued":true,"…":0}`},
		{call: "POST game/matchmaking/enqueue", body: `{"user_id":9,"mmr":1500,"mode":"duel","region":"us"}`, status: 200, want: `{"queued":true,"…":0}`},
		{call: "POST game/matchmaking/match", body: `{"mode":"duel","region":"eu"}`, status: 200, want: `{"found":false,"…":0}`},
		{call: "POST game/matchmaking/enqueue", body: `{"user_id":3,"mmr":1540,"mode":"duel","region":"eu","party_id":"p1"}`, status: 200, want: `{"queued":true,"…":0}`},
		{call: "POST game/matchmaking/match", body: `{"mode":"duel","region":"eu"}`, status: 200,
			want: `{"found":true,"players":"<list>","teams":"<list>","match_id":"<any>","…":0}`},
		{call: "POST game/matchmaking/match", body: `{"mode":"duel","region":"eu"}`, status: 200, want: `{"found":false,"…":0}`},
		{call: "POST game/matchmaking/dequeue", body: `{"user_id":1}`, status: 200, want: `{"removed":false}`},
		{call: "POST game/matchmaking/dequeue", body: `{"user_id":3}`, status: 200, want: `{"removed":false}`},
		{call: "POST game/matchmaking/dequeue", body: `{"user_id":2}`, status: 200, want: `{"removed":true}`},
		{call: "POST game/matchmaking/dequeue", body: `{"user_id":2}`, status: 200, want: `{"removed":false}`},

		{call: "POST game/leaderboards/submit", body: `{"user_id":"ann","score":90,"season":"s1","mode":"duel"}`, status: 200, want: `{"ok":true,"…":0}`},
		{call: "POST game/leaderboards/submit", body: `{"user_id":"bob","score":120,"season":"s1","mode":"duel"}`, status: 200},
		{call: "POST game/leaderboards/submit", body: `{"user_id":"cat","score":90,"season":"s1","mode":"duel"}`, status: 200},
		{call: "POST game/leaderboards/submit", body: `{"user_id":"bob","score":5,"season":"s1","mode":"duel"}`, status: 200},
		{call: "POST game/leaderboards/submit", body: `{"user_id":"ann","score":1,"season":"s2","mode":"race"}`, status: 200},
		{call: "GET game/leaderboards/s1/duel?limit=10&offset=0", status: 200, lasts: true,
			want: `[{"user_id":"bob","score":120,"rank":1},{"user_id":"ann","score":90,"rank":2},{"user_id":"cat","score":90,"rank":3}]`},
		{call: "GET game/leaderboards/s1/duel?limit=1&offset=1", status: 200, lasts: true, want: `[{"user_id":"ann","score":90,"rank":2}]`},
		{call: "GET game/leaderboards/seasons", status: 200, lasts: true, want: `{"seasons":[{"id":"s2","modes":["race"]},{"id":"s1","modes":["duel"]}]}`},

		{call: "GET game/inventory/newcomer", status: 200, want: `{"user_id":"newcomer","items":[{"sku":"starter_pack","qty":1}]}`},
		{call: "POST game/inventory/newcomer", body: `{"sku":"gem","qty":3}`, status: 200, want: ``},
		{call: "POST game/inventory/newcomer", body: `{"sku":"gem","qty":2}`, status: 200},
		{call: "POST game/inventory/newcomer", body: `{"sku":"gem","qty":0}`, status: 422},
		{call: "POST game/inventory/newcomer", body: `{"sku":"gem","qty":-1}`, status: 422},
		{call: "GET game/inventory/newcomer", status: 200, lasts: true, want: `{"user_id":"newcomer","items":[{"sku":"gem","qty":5},{"sku":"starter_pack","qty":1}]}`},

		{call: "POST game/telemetry/bulk", body: `[{"event":"jump","ts":1764000000.25,"user_id":"ann","payload":{"x":1}},{"event":"jump","ts":1764000001},{"event":"land","ts":1764000002,"user_id":"ann"}]`,
			status: 200, want: `{"accepted":3}`},
		{call: "GET game/telemetry/events?event=jump&user_id=ann", status: 200, lasts: true},

		{call: "POST game/ml/predict_skill", body: `{"features":[]}`, status: 400},
		{call: "POST game/ml/predict_skill", body: `{"features":[0.2,0.9,12]}`, status: 200, want: `{"skill":"<number>","model":"<text>"}`, lasts: true},
		{call: "POST game/ml/detect_bot", body: `{"signals":[]}`, status: 400},
		{call: "POST game/ml/detect_bot", body: `{"signals":[0.1,0.4]}`, status: 200, want: `{"is_bot":"<bool>","score":"<number>","model":"<text>"}`, lasts: true},
	})
}

// Section 7: the skill and bot scores depend on what is sent.
func TestSeedChecksScoresDependOnInput(t *testing.T) {
	s := start(t)
	for _, c := range []struct{ path, name, field string }{{"predict_skill", "features", "skill"}, {"detect_bot", "signals", "score"}} {
		seen := map[any]bool{}
		for _, list := range []string{"[0,0,0]", "[0.5,0.5,0.5]", "[1,1,1]", "[3,40,500]"} {
			o := decodeObject(t, s.post(200, "game/ml/"+c.path, `{"`+c.name+`":`+list+`}`).body)
			n, _ := o[c.field].(float64)
			seen[n] = true
			if c.field == "score" && (n < 0 || n > 1) {
				t.Errorf("%s %s: score %v is not within 0 and 1", c.path, list, n)
			}
		}
		if len(seen) < 2 {
			t.Errorf("%s answers the same whatever it is given: %v", c.path, seen)
		}
	}
}

// Section 7: a posted input reaches every connected client of /ws/events unchanged.
func TestSeedChecksInputs(t *testing.T) {
	s := start(t)
	one, two := s.dial("game/ws/events"), s.dial("game/ws/events")
	like(t, "POST /ws/inputs", `{"ok":true}`, s.post(200, "game/ws/inputs", `{"type":"input","key":"W","down":true,"nested":{"list":[1,2,3]}}`).body)
	for _, conn := range []interface {
		ReadMessage() (int, []byte, error)
	}{one, two} {
		for {
			_, data, err := conn.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			if decodeObject(t, data)["type"] != "input" {
				continue // a greeting, or another event
			}
			like(t, "the frame", `{"type":"input","key":"W","down":true,"nested":{"list":[1,2,3]},"ts":"<time>","id":"<int>","epoch":"<text>","trace":{"id":"<text>","hops":"<list>"}}`, data)
			break
		}
	}
}

// Section 7, the rows of chat.
func TestSeedChecksChat(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := kept{}
	s.ask(t, k, row{call: "POST chat/rooms?name=Bridge&kind=global", status: 200, want: `{"id":"<int>","name":"Bridge","kind":"global"}`, keep: "room=id"})
	one, two := s.dial(k.fill("chat/ws/rooms/{room}")), s.dial(k.fill("chat/ws/rooms/{room}"))
	s.ask(t, k, row{call: "POST chat/rooms/{room}/messages?user_id=981&handle=%40pilot&text=Warp+gate+online", status: 200,
		want: `{"id":"<int>","…":0}`, keep: "message=id"})
	for _, conn := range []interface {
		ReadMessage() (int, []byte, error)
	}{one, two} {
		_, data, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		like(t, "the frame", k.fill(`{"type":"chat.message.created","room_id":{room},"message_id":{message},"user_id":981,"handle":"@pilot","text":"Warp gate online",
			"seq":1,"ts":"<time>","id":"<int>","epoch":"<text>","trace":{"id":"<text>","hops":"<list>"},"…":0}`), data)
	}
	walk(t, s, k, []row{
		{call: "GET chat/rooms", status: 200, lasts: true, want: `[{"id":"<int>","name":"<text>","kind":"<text>"}]`},
		{call: "GET portal/proxy/chat/rooms", status: 200, lasts: true, want: `[{"id":{room},"name":"Bridge","kind":"global"}]`},
		{call: "POST chat/rooms/999999/messages?user_id=981&handle=%40pilot&text=hello", status: 404},
		{call: "POST chat/rooms/{room}/messages?user_id=981&handle=%40pilot&text=kill+yourself", status: 422},
		{call: "GET chat/rooms/{room}/messages", status: 200, lasts: true,
			want: `[{"id":{message},"room_id":{room},"user_id":981,"handle":"@pilot","text":"Warp gate online","created_at":"<time>","seq":1,"flags":"<any>"}]`},
	})
	if a, b := s.get(200, "chat/rooms"), s.get(200, "portal/proxy/chat/rooms"); string(a.body) != string(b.body) {
		t.Errorf("/proxy/chat/rooms answers\n%s\nand chat itself\n%s", b.body, a.body)
	}
}

// Section 7, the rows of the desk.
func TestSeedChecksTickets(t *testing.T) {
	s := start(t)
	const ticket = `{"id":{ticket},"subject":"Lost ship","created_by":12,"assignee_id":%s,"status":"%s","tags":"<texts>","last_msg_at":"<time>","…":0}`
	k := kept{}
	s.ask(t, k, row{call: "POST chat/tickets?subject=Lost+ship&created_by=12", status: 200, want: `{"id":"<int>","status":"open"}`, keep: "ticket=id"})
	walk(t, s, k, []row{
		{call: "POST chat/tickets/{ticket}/assign?assignee_id=77", status: 200, want: `{"ok":true,"…":0}`},
		{call: "GET chat/tickets", status: 200, lasts: true},
		{call: "GET chat/tickets/{ticket}", status: 200, lasts: true, want: fmt.Sprintf(ticket, "77", "assigned")},
		{call: "GET chat/tickets/999999", status: 404},
	})
	if r := s.get(200, "chat/tickets"); !contains(r.body, "Lost ship") {
		t.Errorf("the ticket is not in the list: %s", r.body)
	}
}

// Section 7: health on every port, its own and behind the portal.
func TestSeedChecksHealth(t *testing.T) {
	s := start(t)
	for service := range s.Handlers() {
		like(t, service, `{"status":"ok","…":0}`, s.get(200, service+"/health").body)
		if service != "portal" {
			like(t, service+" behind the portal", `{"status":"ok","…":0}`, s.get(200, "portal/proxy/"+service+"/health").body)
		}
	}
}

// Section 7, its last words: the pages, for the demo identity and for nobody.
func TestSeedChecksPages(t *testing.T) {
	s := start(t)
	var room, ticket struct{ ID int }
	s.post(200, "chat/rooms?name=Bridge&kind=global", "").JSON(t, &room)
	s.post(200, "chat/tickets?subject=Lost+ship&created_by=12", "").JSON(t, &ticket)
	s.sendMail("ann@example.org", "demo@vezeuniqverse.com", "Warp 4711", "The gate is online.")
	var mail struct{ Messages []struct{ ID int } }
	s.get(200, "email/api/messages?user=demo@vezeuniqverse.com&access_token=demo").JSON(t, &mail)
	s.post(200, "game/leaderboards/submit", `{"user_id":"ann4711","score":90,"season":"s1","mode":"duel"}`)
	pages := map[string]string{ // page → what is on it
		"portal/": "UniQVerse", "portal/helm": "UniQVerse", "portal/login": `action="/login"`, "portal/signup": `action="/signup"`,
		"email/": "html", "email/inbox": "Warp 4711", fmt.Sprintf("email/messages/%d", mail.Messages[0].ID): "The gate is online.",
		"chat/": "Bridge", "chat/rooms": "Bridge", fmt.Sprintf("chat/rooms/%d", room.ID): "Bridge",
		"chat/inbox": "Lost ship", fmt.Sprintf("chat/tickets/%d", ticket.ID): "Lost ship",
		"game/": "html", "game/leaderboards": "ann4711",
	}
	visit := func(s *system, target string) reply { return s.call("GET", target, "", "Accept", "text/html") }
	for target, word := range pages {
		service, path, _ := strings.Cut(target, "/")
		targets := []string{target}
		if service != "portal" {
			targets = append(targets, "portal/proxy/"+target)
		}
		for _, target := range targets {
			r := visit(s, target)
			if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/html; charset=utf-8" || !contains(r.body, word) || !contains(r.body, "<!doctype html>") {
				t.Errorf("page %s: %d %s, want 200, HTML and %q", target, r.StatusCode, r.Header.Get("Content-Type"), word)
			}
		}
		_ = path
	}
	off := start(t, "VEZE_JWT_DEMO=0")
	for target := range pages {
		service, path, _ := strings.Cut(target, "/")
		r := visit(off, target)
		if service == "portal" {
			if r.StatusCode != http.StatusOK {
				t.Errorf("page %s without demo identity: %d, want 200", target, r.StatusCode)
			}
			continue
		}
		if to := r.Header.Get("Location"); r.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, off.URL("portal")+"/login?next=") {
			t.Errorf("page %s without demo identity: %d to %q, want 303 to the portal's sign-in", target, r.StatusCode, to)
		}
		_ = path
	}
}

// The directory that Helm shows names every service and where it is.
func TestDirectoryNamesEveryService(t *testing.T) {
	s := start(t, `VEZE_SERVICES_JSON=[{"name":"wiki","title":"Wiki","category":"docs","href":"https://wiki.example.org/"}]`)
	eventually(t, "every service is green", func() bool {
		var list struct {
			Services []struct{ Name, Status, Href string }
		}
		if err := json.Unmarshal(s.get(200, "portal/api/services").body, &list); err != nil {
			return false
		}
		status := map[string]string{}
		for _, e := range list.Services {
			status[e.Name] = e.Status
			if e.Name == "wiki" && e.Href != "https://wiki.example.org/" {
				t.Fatalf("the added entry leads to %q", e.Href)
			}
		}
		_, added := status["wiki"]
		return added && status["game"] == "green" && status["email"] == "green" && status["chat"] == "green"
	})
}
