package chat_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/hub"
	"uniqverse/services/chat"
)

func TestLinesAreEditedDeletedAndReactedTo(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "agent", `{"name":"hall"}`)
	thumb := url.PathEscape("👍")
	w.walk([]step{
		{"POST", "/rooms/1/messages", "pilot", `{"text":"one"}`, 200, `{"id":1,"seq":1}`},
		{"POST", "/rooms/1/messages", "outsider", `{"text":"two","reply_to":1}`, 200, `{"id":2,"seq":2}`},
		{"POST", "/rooms/1/messages", "outsider", `{"text":"three","reply_to":9}`, 422, `"field":"reply_to"`},
		{"GET", "/rooms/1/messages/2", "reader", "", 200, `"reply_to":1`},
		{"GET", "/rooms/1/messages/9", "reader", "", 404, "no such line"},
		// Edits.
		{"PATCH", "/rooms/1/messages/1", "outsider", `{"text":"mine"}`, 403, "only who said it"},
		{"PATCH", "/rooms/1/messages/9", "pilot", `{"text":"x"}`, 404, ""},
		{"PATCH", "/rooms/1/messages/1", "pilot", `{"text":" "}`, 422, `"field":"text"`},
		{"PATCH", "/rooms/1/messages/1", "pilot", `{"text":"kill yourself"}`, 422, "Toxic content"},
		{"PATCH", "/rooms/1/messages/1", "pilot", `{"text":"uno"}`, 200, `"text":"uno"`},
		{"PATCH", "/rooms/1/messages/1", "pilot", `{"text":"uno"}`, 200, `"edited_at":"`},
		{"POST", "/rooms/1/messages/1/edit", "pilot", `text=eins`, 200, `"text":"eins"`},
		{"GET", "/rooms/1/messages/1/history", "reader", "", 200, `[{"text":"one","at":"`},
		{"GET", "/rooms/1/messages/2/history", "reader", "", 200, `[{"text":"two","at":"`},
		// Reactions.
		{"PUT", "/rooms/1/messages/1/reactions/" + thumb, "outsider", "", 200, `{"emoji":"👍","count":1,"mine":true}`},
		{"PUT", "/rooms/1/messages/1/reactions/" + thumb, "outsider", "", 200, `"count":1`},
		{"PUT", "/rooms/1/messages/1/reactions/" + thumb, "pilot", "", 200, `"count":2`},
		{"PUT", "/rooms/1/messages/1/reactions/" + thumb, "pilot", `{"user_id":5}`, 403, "acts for"},
		{"GET", "/rooms/1/messages/1", "pilot", "", 200, `"reactions":[{"emoji":"👍","count":2,"mine":true}]`},
		{"GET", "/rooms/1/messages", "reader", "", 200, `"reactions":[{"emoji":"👍","count":2,"mine":false}]`},
		{"DELETE", "/rooms/1/messages/1/reactions/" + thumb, "pilot", "", 200, `"count":1`},
		{"DELETE", "/rooms/1/messages/1/reactions/" + thumb, "pilot", "", 200, `"count":1`},
		{"POST", "/rooms/1/messages/1/react", "agent", "emoji=" + thumb + "&remove=true", 200, `"count":1`},
		{"PUT", "/rooms/1/messages/1/reactions/abc", "pilot", "", 422, "one emoji"},
		{"PUT", "/rooms/1/messages/1/reactions/%3Cb%3E", "pilot", "", 422, "one emoji"},
		{"PUT", "/rooms/1/messages/1/reactions/" + url.PathEscape("👩‍👩‍👧‍👦"), "agent", "", 200, ""},
		{"PUT", "/rooms/1/messages/1/reactions/" + url.PathEscape(strings.Repeat("👍", 17)), "agent", "", 422, "one emoji"},
		// Reports.
		{"POST", "/rooms/1/messages/2/report", "pilot", `{"reason":"rude"}`, 200, `"message_id":2`},
		{"POST", "/rooms/1/messages/2/report", "pilot", `{"reason":"rude"}`, 409, "already"},
		{"POST", "/rooms/1/messages/2/report", "game", `{}`, 403, "people"},
		{"GET", "/rooms/1/reports", "pilot", ``, 403, "moderators"},
		{"GET", "/rooms/1/reports", "agent", ``, 200, `"handle":"@pilot","reason":"rude"`},
		// Taking away.
		{"DELETE", "/rooms/1/messages/1", "outsider", "", 403, "moderators"},
		{"DELETE", "/rooms/1/messages/1", "pilot", "", 200, `{"ok":true}`},
		{"DELETE", "/rooms/1/messages/1", "pilot", "", 200, `{"ok":true}`},
		{"GET", "/rooms/1/messages/1", "pilot", "", 200, `"text":"",`},
		{"GET", "/rooms/1/messages/1", "pilot", "", 200, `"deleted":true}`},
		{"GET", "/rooms/1/messages/1/history", "pilot", "", 403, "moderators"},
		{"GET", "/rooms/1/messages/1/history", "agent", "", 200, "eins"},
		{"PATCH", "/rooms/1/messages/1", "pilot", `{"text":"x"}`, 409, "taken away"},
		{"PUT", "/rooms/1/messages/1/reactions/" + thumb, "agent", "", 409, "taken away"},
		{"POST", "/rooms/1/messages", "agent", `{"text":"x","reply_to":1}`, 422, "reply_to"},
		{"POST", "/rooms/1/messages/2/delete", "agent", "", 200, ""},
		{"GET", "/rooms/1/actions", "agent", "", 200, `"action":"delete","user_id":5`},
	})
	if a := w.must("GET", "/rooms/1", "agent", "", "Accept", "text/html"); strings.Contains(a.body, "eins") || !strings.Contains(a.body, "This line was removed") || !strings.Contains(a.body, `data-after="11"`) {
		t.Error("the page shows what was taken away, or does not begin to listen at the newest event")
	}
	var log []string
	rows, err := w.log(1)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range rows {
		if l.Seq != int64(i+1) {
			t.Errorf("seq %d at %d", l.Seq, i+1)
		}
		log = append(log, strings.TrimPrefix(l.Type, "chat.message."))
	}
	want := "created created edited edited reacted reacted reacted reacted deleted deleted moderation.actioned"
	if got := strings.Join(log, " "); got != want {
		t.Errorf("the log is\n%s, want\n%s", got, want)
	}
	if p := string(rows[6].Payload); !strings.Contains(p, `"added":false,"count":1`) {
		t.Errorf("a reaction taken back is told as %s", p)
	}
}

// A line takes twenty different reactions.
func TestTooManyReactions(t *testing.T) {
	w := start(t, "")
	w.room("r")
	w.must("POST", "/rooms/1/messages?text=hi", "", "")
	for i := range 21 {
		want := 200
		if i == 20 {
			want = 409
		}
		if a := w.call("PUT", "/rooms/1/messages/1/reactions/"+url.PathEscape(string(rune(0x1f600+i))), "", ""); a.status != want {
			t.Errorf("reaction %d: %d %s", i+1, a.status, a.body)
		}
	}
	if a := w.must("GET", "/rooms/1/messages/1", "", ""); strings.Count(a.body, `"emoji"`) != 20 {
		t.Errorf("kept %s", a.body)
	}
}

// What a socket hears live and what another gets as replay is the same, to the byte, whatever happens to lines; only
// the texts of those that were taken away are in no replay.
func TestReplayOfEveryKindOfEvent(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "agent", `{"name":"hall","kind":"guild"}`)
	live := w.socket("/ws/rooms/1")
	w.must("POST", "/rooms/1/messages", "agent", `{"text":"@pilot look, @demo too","nonce":"n1"}`)
	heard, err := readTo(live, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.must("POST", "/rooms/1/invite", "agent", `{"user_id":2}`)
	w.must("POST", "/rooms/1/messages", "pilot", `{"text":"yes","reply_to":1}`)
	w.must("PATCH", "/rooms/1/messages/2", "pilot", `{"text":"yes, @agent <b>"}`)
	w.must("PUT", "/rooms/1/messages/2/reactions/"+url.PathEscape("🚀"), "agent", "")
	w.must("POST", "/rooms/1/typing", "pilot", "")
	w.must("PATCH", "/rooms/1", "agent", `{"topic":"x","slow_mode_s":1}`)
	typing, taken := 0, false
	for len(heard) < 8 {
		if len(heard) == 6 && !taken { // what was not heard by then would be heard without its words
			taken = true
			w.must("DELETE", "/rooms/1/messages/2", "pilot", "")
			w.must("POST", "/rooms/1/mute", "agent", `{"user_id":2}`)
		}
		f, err := read(live)
		if err != nil {
			t.Fatal(err)
		}
		if f.Seq == 0 {
			if typing++; f.Type != "chat.presence" || !strings.Contains(f.raw, `"user_id":2,"handle":"@pilot","state":"typing"`) {
				t.Errorf("a frame without a place: %s", f.raw)
			}
			continue
		}
		heard = append(heard, f)
	}
	if typing != 1 {
		t.Errorf("typing was told %d times", typing)
	}
	if !strings.Contains(heard[0].raw, `"nonce":"n1"`) || strings.Contains(heard[0].raw, `"mentions"`) {
		t.Errorf("%s: wants its nonce, and mentions nobody who may not read it", heard[0].raw)
	}
	if !strings.Contains(heard[3].raw, `"text":"yes, @agent \u003cb\u003e"`) || !strings.Contains(heard[3].raw, `"mentions":[4]`) {
		t.Errorf("edited: %s", heard[3].raw)
	}
	heard[2].raw = strings.Replace(strings.Replace(heard[2].raw, `"text":"yes"`, `"text":""`, 1), `,"seq":3`, `,"deleted":true,"seq":3`, 1)
	heard[3].raw = strings.Replace(strings.Replace(heard[3].raw, `"yes, @agent \u003cb\u003e"`, `""`, 1), `,"mentions":[4],"seq":4`, `,"deleted":true,"seq":4`, 1)
	dir := w.dir
	for round := range 2 {
		again, err := readTo(w.socket("/ws/rooms/1?after=0"), 0, 8)
		if err == nil {
			err = same(again, heard)
		}
		if err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		w.stop()
		w = start(t, dir)
	}
}

func TestANonceIsAKey(t *testing.T) {
	w := start(t, "")
	w.room("r")
	first := w.must("POST", "/rooms/1/messages", "pilot", `{"text":"once","nonce":"a"}`)
	for _, header := range [][]string{nil, {"Idempotency-Key", "a"}} {
		if again := w.must("POST", "/rooms/1/messages", "pilot", `{"text":"once","nonce":"a"}`, header...); again.body != first.body {
			t.Errorf("%s, then %s", first.body, again.body)
		}
	}
	if again := w.must("POST", "/rooms/1/messages", "pilot", `{"text":"once"}`, "Idempotency-Key", "a"); again.body != first.body {
		t.Errorf("as a header: %s", again.body)
	}
	for _, tc := range []struct {
		body string
		key  string
	}{{`{"text":"twice","nonce":"a"}`, ""}, {`{"text":"once","nonce":"a"}`, "b"}, {`{"text":"x","nonce":"` + strings.Repeat("n", 129) + `"}`, ""}} {
		var header []string
		if tc.key != "" {
			header = []string{"Idempotency-Key", tc.key}
		}
		if a := w.call("POST", "/rooms/1/messages", "pilot", tc.body, header...); a.status != 422 {
			t.Errorf("%v: %d %s", tc, a.status, a.body)
		}
	}
	if n := len(w.lines(1)); n != 1 {
		t.Errorf("%d lines", n)
	}
}

func TestMentions(t *testing.T) {
	w := start(t, "")
	w.room("r")
	for text, want := range map[string]string{
		"@pilot": "[2]", "hi @Pilot, and @agent.": "[2 4]", "(@pilot)@agent": "[2 4]", "@pilot @PILOT": "[2]", "mail a@pilot.org": "[]", "x@pilot": "[]", "@nobody": "[]", "@ pilot": "[]", "@@pilot": "[]",
		"é@pilot": "[]", "@pilotx": "[]", "@pilot-": "[2]", "\n@pilot\n": "[2]",
	} {
		body, _ := json.Marshal(map[string]string{"text": text})
		w.must("POST", "/rooms/1/messages", "", string(body))
		all := w.lines(1)
		got := fmt.Sprint(all[len(all)-1].Mentions)
		if got != want {
			t.Errorf("%q mentions %s, want %s", text, got, want)
		}
	}
	many := ""
	for i := range 1000 {
		many += fmt.Sprintf(" @u%d", i%10)
	}
	w.must("POST", "/rooms/1/messages", "", "text="+url.QueryEscape(many[:3900])) // ten people, however often
	many = ""
	for i := range 21 {
		many += fmt.Sprintf(" @u%d", i)
	}
	if a := w.call("POST", "/rooms/1/messages", "", "text="+url.QueryEscape(many)); a.status != 422 || !strings.Contains(a.body, "20 people") {
		t.Errorf("21 people: %d %s", a.status, a.body)
	}
}

func TestUnreadAndReadMarks(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "pilot", `{"name":"guild","kind":"guild"}`)
	w.must("POST", "/rooms/1/invite", "pilot", `{"user_id":5}`) // seq 1
	w.room("hall")
	for _, text := range []string{"a", "b @outsider", "c"} { // seqs 2 to 4
		w.must("POST", "/rooms/1/messages", "pilot", `{"text":"`+text+`"}`)
	}
	w.walk([]step{
		{"GET", "/unread", "outsider", "", 200, `"seq":4,"read_seq":0,"unread":3,"mentions":1,"notify":"all"}]`},
		{"POST", "/rooms/1/read", "outsider", `{}`, 422, `"field":"seq"`},
		{"POST", "/rooms/1/read", "outsider", `{"seq":5}`, 422, "at most 4"},
		{"POST", "/rooms/1/read", "outsider", `{"seq":3,"user_id":2}`, 403, "acts for"},
		{"POST", "/rooms/1/read", "reader", `{"seq":3}`, 404, ""},
		{"POST", "/rooms/1/read", "outsider", `{"seq":3}`, 200, `{"room_id":1,"seq":3}`},
		{"POST", "/rooms/1/read", "outsider", `{"seq":2}`, 200, `{"room_id":1,"seq":3}`},
		{"GET", "/unread", "outsider", "", 200, `"read_seq":3,"unread":1,"mentions":0,"notify":"all"}]`},
		{"GET", "/unread", "pilot", "", 200, `"read_seq":4,"unread":0,"mentions":0,"notify":"all"}]`},
		{"POST", "/rooms/2/messages", "", `{"text":"one"}`, 200, ""},
		{"POST", "/rooms/2/read", "reader", `{"seq":1}`, 200, ""},
		{"POST", "/rooms/2/messages", "", `{"text":"hey @reader"}`, 200, ""},
		{"GET", "/unread", "reader", "", 200, `[{"room_id":2,"name":"hall","kind":"global","seq":2,"read_seq":1,"unread":1,"mentions":1,"notify":"all"}]`},
		{"DELETE", "/rooms/2/messages/5", "", "", 200, ""},
		{"GET", "/unread", "reader", "", 200, `"unread":0,"mentions":0,"notify":"all"}]`},
		{"POST", "/rooms/1/kick", "pilot", `{"user_id":5}`, 200, ""},
		{"GET", "/unread", "outsider", "", 200, `[]`},
	})
}

func TestLinesAround(t *testing.T) {
	w := start(t, "")
	w.room("r")
	for i := range 9 {
		w.must("POST", fmt.Sprintf("/rooms/1/messages?text=l%d", i), "", "")
	}
	for path, want := range map[string]string{
		"around=5&limit=5": "[[7 6 5 4 3]]", "around=5&limit=1": "[[5]]", "around=5&limit=2": "[[5 4]]", "around=1&limit=5": "[[3 2 1]]", "around=9&limit=4": "[[9 8 7]]",
	} {
		if got := fmt.Sprint(pages(w, "/rooms/1/messages?"+path)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if a := w.call("GET", "/rooms/1/messages?around=5&before=3", "", ""); a.status != 422 {
		t.Errorf("two places: %d", a.status)
	}
}

// Who writes too fast waits, and is told how long.
func TestPace(t *testing.T) {
	now := time.Now()
	w := start(t, "", func(o *chat.Options, _ *hub.LocalOptions) { o.Now = func() time.Time { return now } })
	w.must("POST", "/rooms", "agent", `{"name":"hall"}`)
	w.must("POST", "/rooms", "agent", `{"name":"guild","kind":"guild"}`)
	w.must("POST", "/rooms/2/invite", "agent", `{"user_id":2}`)
	say := func(room int, token, text string, times int) (passed int, last answer) {
		for range times {
			if last = w.call("POST", fmt.Sprintf("/rooms/%d/messages", room), token, "text="+text); last.status == 200 {
				passed++
			}
		}
		return passed, last
	}
	if n, a := say(1, "pilot", "hi", 12); n < 5 || n > 11 || a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("%d lines at once in a global room, then %d %s", n, a.status, a.body)
	}
	if a := w.call("POST", "/rooms/1/messages", "pilot", "text=kill+yourself"); a.status != 429 {
		t.Errorf("the pace comes before what is said: %d", a.status)
	}
	for _, free := range []string{"agent", "game", ""} {
		if n, a := say(1, free, "hi", 12); n != 12 {
			t.Errorf("%q is held back after %d: %s", free, n, a.body)
		}
	}
	w.must("PATCH", "/rooms/2", "agent", `{"slow_mode_s":3600}`)
	if n, a := say(2, "outsider", "hi", 1); n != 0 || a.status != 404 {
		t.Errorf("no member: %d", a.status)
	}
	w.must("POST", "/rooms/2/invite", "agent", `{"user_id":5}`)
	if n, a := say(2, "outsider", "hi", 2); n != 1 || a.status != 429 || !strings.Contains(a.body, "slow_mode") {
		t.Errorf("slow mode lets %d pass, then %d %s", n, a.status, a.body)
	}
	if wait := say2(w); wait < 3500 || wait > 3600 {
		t.Errorf("slow mode says to wait %d s", wait)
	}
	if n, a := say(2, "agent", "hi", 2); n != 2 {
		t.Errorf("slow mode holds back a moderator: %s", a.body)
	}
}

// say2 is one more line under slow mode; how long it is told to wait, in seconds.
func say2(w *world) (seconds int) {
	fmt.Sscan(w.call("POST", "/rooms/2/messages", "outsider", "text=hi").header.Get("Retry-After"), &seconds)
	return seconds
}

func TestPresence(t *testing.T) {
	w := start(t, "")
	w.room("r")
	w.walk([]step{{"GET", "/rooms/1/presence", "reader", "", 200, `{"online":0,"users":[]}`}, {"GET", "/rooms/9/presence", "", "", 404, ""}})
	w.must("POST", "/rooms/1/messages?text=hi", "", "")
	var c *websocket.Conn
	for _, token := range []string{"agent", "pilot", "pilot"} {
		c = w.socket("/ws/rooms/1?after=0", "Authorization", "Bearer "+token)
		if _, err := readTo(c, 0, 1); err != nil { // it listens, and so it has its seat
			t.Fatal(err)
		}
	}
	w.must("POST", "/rooms/1/typing", "agent", "")
	w.must("POST", "/rooms/1/typing", "agent", "") // too soon to be told
	w.must("POST", "/rooms/1/messages?text=done", "", "")
	if f, err := read(c); err != nil || !strings.Contains(f.raw, `"state":"typing"`) {
		t.Fatalf("%s: %v", f.raw, err)
	}
	if f, err := read(c); err != nil || f.Seq != 2 {
		t.Fatalf("%s: %v", f.raw, err)
	}
	w.walk([]step{
		{"GET", "/rooms/1/presence", "reader", "", 200, `{"online":2,"users":[{"user_id":2,"handle":"@pilot","state":"online"},{"user_id":4,"handle":"@agent","state":"online"}]}`},
		{"POST", "/rooms/1/typing", "reader", "", 403, "chat.write"},
		{"POST", "/rooms/9/typing", "pilot", "", 404, ""},
	})
	c.Close()
	w.walk([]step{{"GET", "/rooms/1/presence", "reader", "", 200, `"online":2`}}) // another socket, and the grace
}

// What the page offers works with nothing but forms, shows what happened, and escapes all of it.
func TestLinesOnPagesForPeople(t *testing.T) {
	w := start(t, "")
	const html = "Accept"
	w.must("POST", "/rooms", "pilot", `{"name":"crew","kind":"guild"}`)
	w.must("POST", "/rooms/1/invite", "pilot", `{"user_id":5}`)
	for i, form := range []struct{ path, token, body string }{
		{"/rooms/1/messages", "pilot", "text=%3Cb%3Ehello&reply_to="}, // an empty choice is none
		{"/rooms/1/messages", "outsider", "text=answer&reply_to=1"},
		{"/rooms/1/messages/1/edit", "pilot", "text=%3Ci%3Ehello"},
		{"/rooms/1/messages/1/react", "outsider", "emoji=" + url.QueryEscape("🚀")},
		{"/rooms/1/messages/1/report", "outsider", ""},
		{"/rooms/1/messages", "outsider", "text=oops"},
		{"/rooms/1/messages/3/delete", "pilot", ""},
		{"/rooms/1/messages", "pilot", "text=for+@outsider"},
	} {
		if a := w.call("POST", form.path, form.token, form.body, html, "text/html"); a.status != 303 || a.header.Get("Location") != "/rooms/1" {
			t.Errorf("form %d: %d %s %s", i, a.status, a.header.Get("Location"), a.body)
		}
	}
	page := func(path, token string) string { return w.must("GET", path, token, "", html, "text/html").body }
	body := page("/rooms/1?reply=2", "outsider")
	for _, want := range []string{
		"&lt;i&gt;hello", ">edited<", `data-emoji="🚀">🚀 1<`, `href="/rooms/1?around=1#line-1" data-to="1">@pilot: &lt;i&gt;hello<`, "This line was removed.", `name="reply_to" value="2"`, `action="/rooms/1/messages/2/edit"`,
		">owner<", "@outsider",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the room lacks %s", want)
		}
	}
	for _, not := range []string{"<i>hello", "&lt;b&gt;hello", "oops", `action="/rooms/1/messages/1/edit"`, `action="/rooms/1/messages/1/delete"`, `action="/rooms/1/messages/3/`} {
		if strings.Contains(body, not) {
			t.Errorf("the room shows %s", not)
		}
	}
	if own := page("/rooms/1", "pilot"); !strings.Contains(own, `action="/rooms/1/messages/2/delete"`) {
		t.Error("an owner is not offered to take lines away")
	}
	w.must("POST", "/rooms/1/read", "outsider", `{"seq":2}`)
	if list := page("/rooms", "outsider"); !strings.Contains(list, "1 new · @1") {
		t.Error("the list of rooms does not say what is new")
	}
	if a := w.call("GET", "/rooms/1?reply=99", "pilot", "", html, "text/html"); a.status != 200 {
		t.Errorf("an answer to nothing: %d", a.status)
	}
}

// What a moderator does works with nothing but forms, and is offered to nobody else.
func TestModeratingOnPagesForPeople(t *testing.T) {
	w := start(t, "")
	const html = "Accept"
	w.must("POST", "/rooms", "pilot", `{"name":"crew","kind":"guild"}`)
	w.must("POST", "/rooms/1/invite", "pilot", `{"user_id":5}`)
	page := func(path, token string) string { return w.must("GET", path, token, "", html, "text/html").body }
	post := func(path, token, body string) {
		t.Helper()
		if a := w.call("POST", path, token, body, html, "text/html"); a.status != 303 || a.header.Get("Location") != "/rooms/1" {
			t.Errorf("%s: %d %s %s", path, a.status, a.header.Get("Location"), a.body)
		}
	}
	shows := func(who, body string, wanted bool, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if strings.Contains(body, text) != wanted {
				t.Errorf("the room of %s: %q is shown: %v", who, text, !wanted)
			}
		}
	}
	offers := []string{`action="/rooms/1/mute"`, `formaction="/rooms/1/ban"`, `action="/rooms/1/kick"`, `action="/rooms/1/settings"`, "What moderators did"}
	shows("an owner", page("/rooms/1", "pilot"), true, append(offers, `action="/rooms/1/invite"`)...)
	shows("a member", page("/rooms/1", "outsider"), false, offers...)
	post("/rooms/1/settings", "pilot", "topic=the+%3Cb%3Erings&slow_mode_s=7&archived=false")
	post("/rooms/1/mute", "pilot", "user_id=5&for_s=600&reason=shouting")
	body := page("/rooms/1", "pilot")
	shows("an owner", body, true, "the &lt;b&gt;rings", "one line in 7 s", ">muted<", "shouting", "@pilot muted @outsider until", `action="/rooms/1/unmute"`)
	shows("the muted", page("/rooms/1", "outsider"), true, "You are muted in this room until")
	shows("the muted", page("/rooms/1", "outsider"), false, "data-composer")
	post("/rooms/1/unmute", "pilot", "user_id=5")
	shows("the unmuted", page("/rooms/1", "outsider"), true, "data-composer")
	post("/rooms/1/invite", "pilot", "user_id=5&role=moderator")
	shows("the new moderator", page("/rooms/1", "outsider"), true, `action="/rooms/1/settings"`)
	shows("the new moderator", page("/rooms/1", "outsider"), false, `name="user_id" value="2"`) // an owner is above them
	post("/rooms/1/settings", "pilot", "archived=true")
	shows("an archived one", page("/rooms/1", "pilot"), true, "archived", "until it is opened again")
	post("/rooms/1/settings", "pilot", "archived=false")
	post("/rooms/1/ban", "pilot", "user_id=5&for_s=0&reason=")
	if a := w.call("GET", "/rooms/1", "outsider", "", html, "text/html"); a.status != 403 && a.status != 404 {
		t.Errorf("who is banned reads on: %d", a.status)
	}
	post("/rooms/1/unban", "pilot", "user_id=5")
	if a := w.call("POST", "/rooms/1/mute", "pilot", "user_id=5&for_s=60&until=2099-01-01T00:00:00Z"); a.status != 422 {
		t.Errorf("two ends at once: %d %s", a.status, a.body)
	}
}

// A page shows the lines around one, and leads to what was before and after.
func TestWindowsOfARoomForPeople(t *testing.T) {
	w := start(t, "")
	const html = "Accept"
	w.must("POST", "/rooms", "pilot", `{"name":"crew","kind":"guild"}`)
	for i := range 120 {
		w.must("POST", "/rooms/1/messages", "agent", fmt.Sprintf(`{"text":"line %d."}`, i+1))
	}
	page := func(path string) string { return w.must("GET", path, "pilot", "", html, "text/html").body }
	for _, c := range []struct{ path, first, last, newest, older, later string }{
		{"/rooms/1", "line 71.", "line 120.", "true", "/rooms/1?before=71", ""},
		{"/rooms/1?before=71", "line 21.", "line 70.", "false", "/rooms/1?before=21", "/rooms/1?after=70"},
		{"/rooms/1?before=21", "line 1.", "line 20.", "false", "", "/rooms/1?after=20"},
		{"/rooms/1?after=20", "line 21.", "line 70.", "false", "/rooms/1?before=21", "/rooms/1?after=70"},
		{"/rooms/1?after=70", "line 71.", "line 120.", "true", "/rooms/1?before=71", ""},
		{"/rooms/1?around=60", "line 35.", "line 84.", "false", "/rooms/1?before=35", "/rooms/1?after=84"},
		{"/rooms/1?around=3", "line 1.", "line 27.", "false", "", "/rooms/1?after=27"},
		{"/rooms/1?around=119", "line 94.", "line 120.", "true", "/rooms/1?before=94", ""},
	} {
		body := page(c.path)
		lines := regexp.MustCompile(`dir="auto">(line \d+\.)<`).FindAllStringSubmatch(body, -1)
		if len(lines) == 0 || lines[0][1] != c.first || lines[len(lines)-1][1] != c.last {
			t.Errorf("%s shows %v, want %s to %s", c.path, lines, c.first, c.last)
		}
		for _, want := range []string{`data-newest="` + c.newest + `"`, `href="` + c.older + `"`, `href="` + c.later + `"`} {
			if want != `href=""` && !strings.Contains(body, want) {
				t.Errorf("%s lacks %s", c.path, want)
			}
		}
	}
	w.must("POST", "/rooms/1/read", "pilot", `{"seq":118}`)
	if body := page("/rooms/1"); strings.Count(body, "data-fresh") != 1 || !strings.Contains(body[strings.Index(body, "data-fresh"):], "line 119.") || strings.Contains(body[strings.Index(body, "data-fresh"):], "line 118.") {
		t.Error("the separator of what is new does not stand before line 119")
	}
}
