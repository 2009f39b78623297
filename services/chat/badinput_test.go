package chat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/hub"
	"uniqverse/services/chat"
)

// next reads frames until one has the words, and returns it.
func next(t *testing.T, c *websocket.Conn, words string) string {
	t.Helper()
	for {
		f, err := read(c)
		if err != nil {
			t.Fatalf("no frame with %s: %v", words, err)
		}
		if strings.Contains(f.raw, words) {
			return f.raw
		}
	}
}

// What cannot be said is refused with the same words over every protocol, and nobody hears of it. Rooms: 1 is for everybody, 2 is
// agent's guild, 3 the direct room of agent and reader, from 4 pilot is banned.
func TestBadInputOverEveryProtocol(t *testing.T) {
	begin, looks := time.Now(), atomic.Int64{}
	w := start(t, "", func(o *chat.Options, _ *hub.LocalOptions) {
		o.Now = func() time.Time { return begin.Add(time.Duration(looks.Add(1)) * time.Second) } // so that nobody is too fast
	})
	w.room("hall")
	w.must("POST", "/rooms", "agent", `{"name":"guild","kind":"guild"}`)
	w.must("POST", "/dm", "agent", `{"with":"reader"}`)
	w.must("POST", "/rooms", "agent", `{"name":"closed"}`)
	w.must("POST", "/rooms/4/ban", "agent", `{"user_id":2,"reason":"<b>spam</b>"}`)
	many := ""
	for i := range 1000 {
		many += fmt.Sprintf("@%c%c ", 'a'+i/26%26, 'a'+i%26)
	}
	hears := w.socket("/ws/rooms/1")
	veze := w.hello("pilot")
	next(t, veze, `"ok":true`)
	clients := w.socket("/connection/websocket", "Authorization", "Bearer pilot")
	say(t, clients, `{"id":1,"connect":{}}`)
	next(t, clients, `"id":1`)
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	n := 1
	for _, tc := range []struct {
		what, room, text string // the text as JSON
		status           int
		says             string
	}{
		{"too long", "1", quoted(strings.Repeat("é", 4001)), 422, "4000"},
		{"NUL", "1", `"a\u0000b"`, 422, "NUL"},
		{"a control character", "1", quoted("a\x1b[2Jb"), 422, "control"},
		{"nothing to see", "1", quoted("\u200b\u2060\u200e\ufeff"), 422, "text"},
		{"toxic between marks of no width", "1", quoted("k\u200bi\u200dl\u2060l yourself"), 422, "Toxic content"},
		{"a thousand mentions", "1", quoted(many[:3999]), 422, "20 people"},
		{"nested", "1", deep, 400, "nested"},
		{"a list", "1", `["a"]`, 422, "text"},
		{"no room", "77", `"hi"`, 404, "Room not found"},
		{"another's guild", "2", `"hi"`, 404, "Room not found"},
		{"another's direct room", "3", `"hi"`, 404, "Room not found"},
		{"banned", "4", `"hi"`, 403, "banned"},
	} {
		n++
		if a := w.call("POST", "/rooms/"+tc.room+"/messages", "pilot", `{"text":`+tc.text+`}`); a.status != tc.status || !strings.Contains(a.body, tc.says) {
			t.Errorf("%s: %d %.300s, want %d with %q", tc.what, a.status, a.body, tc.status, tc.says)
		}
		say(t, veze, fmt.Sprintf(`{"n":%d,"op":"send","room_id":%s,"text":%s}`, n, tc.room, tc.text))
		if got := next(t, veze, fmt.Sprintf(`"n":%d`, n)); !strings.Contains(got, fmt.Sprintf(`"status":%d`, tc.status)) || !strings.Contains(got, tc.says) {
			t.Errorf("%s, over veze.v1: %.300s, want %d with %q", tc.what, got, tc.status, tc.says)
		}
		say(t, clients, fmt.Sprintf(`{"id":%d,"publish":{"channel":"room:%s","data":{"text":%s}}}`, n, tc.room, tc.text))
		code := map[int]int{400: 107, 422: 107, 404: 102, 403: 103}[tc.status]
		if got := next(t, clients, fmt.Sprintf(`"id":%d`, n)); !strings.Contains(got, fmt.Sprintf(`"code":%d,`, code)) || !strings.Contains(got, tc.says) {
			t.Errorf("%s, over Centrifugo's protocol: %.300s, want %d with %q", tc.what, got, code, tc.says)
		}
	}
	// Who may not come in hears nothing either.
	for room, status := range map[string]int{"2": 404, "3": 404, "4": 403, "77": 404} {
		if _, got, _ := w.dial("/ws/rooms/"+room, "Authorization", "Bearer pilot"); got != status {
			t.Errorf("the socket of room %s: %d, want %d", room, got, status)
		}
		if a := w.call("GET", "/rooms/"+room+"/events", "pilot", ""); a.status != status {
			t.Errorf("the event stream of room %s: %d, want %d", room, a.status, status)
		}
		n++
		say(t, veze, fmt.Sprintf(`{"n":%d,"op":"sub","room_id":%s}`, n, room))
		if got := next(t, veze, fmt.Sprintf(`"n":%d`, n)); !strings.Contains(got, fmt.Sprintf(`"status":%d`, status)) {
			t.Errorf("room %s over veze.v1: %s", room, got)
		}
		say(t, clients, fmt.Sprintf(`{"id":%d,"subscribe":{"channel":"room:%s"}}`, n, room))
		if got := next(t, clients, fmt.Sprintf(`"id":%d`, n)); !strings.Contains(got, `"error"`) {
			t.Errorf("room %s over Centrifugo's protocol: %s", room, got)
		}
	}
	// What is no UTF-8 or nests beyond all measure ends a socket; the text of nobody is stored.
	for name, open := range map[string]func() *websocket.Conn{
		"plain":      func() *websocket.Conn { return w.socket("/ws/rooms/1", "Authorization", "Bearer reader") },
		"veze.v1":    func() *websocket.Conn { return w.hello("reader") },
		"centrifugo": func() *websocket.Conn { return w.socket("/connection/websocket", "Authorization", "Bearer reader") },
	} {
		for frame, code := range map[string]int{"{\"text\":\"\xff\"}": 1007, strings.Repeat("[", 500): 3501, strings.Repeat("x", 65<<10): 1009} {
			c := open()
			say(t, c, frame)
			if got := ended(c); got != code {
				t.Errorf("%s: %.20q closes with %d, want %d", name, frame, got, code)
			}
		}
	}
	if a := w.call("POST", "/rooms/1/messages", "pilot", `{"text":`+strings.Repeat("[", 400_000)); a.status != 400 {
		t.Errorf("nesting without an end: %d %.100s", a.status, a.body)
	}
	w.must("POST", "/rooms/1/messages", "agent", "text=the+end")
	if f, err := read(hears); err != nil || f.Text != "the end" || f.Seq != 1 {
		t.Errorf("the room heard %s: %v", f.raw, err)
	}
}

func quoted(s string) string {
	raw, _ := json.Marshal(s)
	return string(raw)
}

// HTML, script and marks that turn a text around are data in every field: pages show them, and no page or frame has them as markup.
func TestHostileTextInEveryField(t *testing.T) {
	w := start(t, "")
	evil := `<script>alert(1)</script><img src=x onerror=alert(2)>"'`
	turned := "abc\u202egpj.exe"
	fields := []struct{ method, path, token, body string }{
		{"POST", "/rooms", "agent", `{"name":%s,"kind":"guild"}`},
		{"PATCH", "/rooms/1", "agent", `{"topic":%s}`},
		{"POST", "/rooms/1/messages", "agent", `{"text":%s}`},
		{"PATCH", "/rooms/1/messages/1", "agent", `{"text":%s}`},
		{"POST", "/rooms/1/messages/1/report", "agent", `{"reason":%s}`},
		{"POST", "/rooms/1/invite", "agent", `{"user_id":2}`},
		{"POST", "/rooms/1/mute", "agent", `{"user_id":2,"reason":%s}`},
		{"POST", "/rooms/1/messages", "agent", `{"text":"x","user_id":77,"handle":%s}`},
	}
	for _, f := range fields {
		body := f.body
		if strings.Contains(body, "%s") {
			body = fmt.Sprintf(body, quoted(evil))
		}
		if a := w.call(f.method, f.path, f.token, body); a.status != 200 && a.status != 422 {
			t.Errorf("%s %s: %d %s", f.method, f.path, a.status, a.body)
		}
	}
	for _, page := range []string{"/", "/rooms", "/rooms/1", "/search?q=alert", "/moderation/queue", "/rooms/1/pins"} {
		a := w.must("GET", page, "agent", "", "Accept", "text/html")
		if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "<img src=x") {
			t.Errorf("%s has it as markup", page)
		}
	}
	if a := w.must("GET", "/rooms/1", "agent", "", "Accept", "text/html"); !strings.Contains(a.body, "&lt;script&gt;alert(1)") {
		t.Error("the room's page does not show it as text")
	}
	frames, err := readTo(w.socket("/ws/rooms/1?after=0", "Authorization", "Bearer agent"), 0, 3)
	for _, f := range frames {
		if strings.Contains(f.raw, "<script") {
			t.Errorf("a frame with markup in it: %s", f.raw)
		}
	}
	if err != nil {
		t.Error(err)
	}
	// A mark that turns what follows around is refused in names, and isolated where text is shown.
	for _, f := range []struct{ path, body string }{{"/rooms", `{"name":%s}`}, {"/rooms/1/messages", `{"text":"x","user_id":77,"handle":%s}`}, {"/rooms/1/mute", `{"user_id":2,"reason":%s}`}, {"/rooms/1/ban", `{"user_id":2,"reason":%s}`},
		{"/rooms/1/kick", `{"user_id":2,"reason":%s}`}, {"/moderation/queue/1/warn", `{"reason":%s}`}} {
		if a := w.call("POST", f.path, "agent", fmt.Sprintf(f.body, quoted(turned))); a.status != 422 {
			t.Errorf("%s with a text that turns around: %d %s", f.path, a.status, a.body)
		}
	}
	if a := w.call("POST", "/rooms/1/messages/1/report", "pilot", `{"reason":`+quoted(turned)+`}`); a.status != 422 {
		t.Errorf("a report with a reason that turns around: %d %s", a.status, a.body)
	}
	w.must("POST", "/rooms/1/messages", "agent", `{"text":`+quoted(turned)+`}`)
	if a := w.must("GET", "/rooms/1", "agent", "", "Accept", "text/html"); !strings.Contains(a.body, `dir="auto"`) {
		t.Error("lines are not isolated from what stands around them")
	}
}
