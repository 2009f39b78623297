package chat_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/services/chat"
	"uniqverse/services/chat/moderation"
	"uniqverse/store"
	"uniqverse/store/storetest"
)

// lines returns all lines of a room, oldest first.
func (w *world) lines(room int64) []api.ChatMessage {
	w.t.Helper()
	var all []api.ChatMessage
	for path := fmt.Sprintf("/rooms/%d/messages?limit=200", room); path != ""; {
		a := w.must("GET", path, "", "")
		var page []api.ChatMessage
		a.json(w.t, &page)
		all = append(all, page...)
		path = ""
		if m := nextLink.FindStringSubmatch(a.header.Get("Link")); m != nil {
			path = m[1]
		}
	}
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all
}

func TestMessagesAsTheContractSays(t *testing.T) {
	w := start(t, "")
	sub, err := w.hub.Subscribe(context.Background(), event.StreamChat, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	id := w.room("Hangar")
	a := w.must("POST", "/rooms/1/messages?user_id=981&handle=@pilot&text=Warp+gate+online", "", "")
	if strings.TrimSpace(a.body) != `{"id":1,"seq":1}` {
		t.Errorf("answer %s", a.body)
	}
	var got []map[string]any
	w.must("GET", "/rooms/1/messages", "", "").json(t, &got)
	if len(got) != 1 {
		t.Fatalf("%d lines", len(got))
	}
	at, err := time.Parse(event.TimeLayout, got[0]["created_at"].(string))
	if err != nil || time.Since(at) > time.Minute {
		t.Errorf("created_at %v", got[0]["created_at"])
	}
	delete(got[0], "created_at")
	if have, want := fmt.Sprint(got[0]), "map[flags:map[] handle:@pilot id:1 room_id:1 seq:1 text:Warp gate online user_id:981]"; have != want {
		t.Errorf("line %s, want %s", have, want)
	}
	var types []string
	for range 2 {
		m, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, m.Type)
		var ev map[string]any
		if err := json.Unmarshal(m.Data, &ev); err != nil || ev["room_id"] != float64(id) || ev["trace"] == nil {
			t.Errorf("event %s: %v", m.Data, err)
		}
		if m.Type == event.ChatMessageCreated && !strings.HasPrefix(string(m.Data), `{"type":"chat.message.created","room_id":1,"message_id":1,"user_id":981,"handle":"@pilot","text":"Warp gate online"`) {
			t.Errorf("event %s", m.Data)
		}
	}
	if fmt.Sprint(types) != "[chat.room.created chat.message.created]" {
		t.Errorf("events %v", types)
	}
}

func TestWhoSaidIt(t *testing.T) {
	w := start(t, "")
	w.room("r")
	for _, tc := range []struct {
		token, params string
		want          string // status, or user_id and handle
	}{
		// Left out, it is the caller.
		{"pilot", "", "2 @pilot"}, {"demo", "", "1 @demo"}, {"", "", "1 @demo"}, {"game", "", "0 @game"}, {"agent", "", "4 @agent"},
		// Users name themselves, in any of their forms, or nobody.
		{"pilot", "user_id=2&handle=@pilot", "2 @pilot"}, {"pilot", "handle=Pilot", "2 @pilot"}, {"pilot", "handle=pilot@" + domain, "2 @pilot"},
		{"pilot", "user_id=3", "403"}, {"pilot", "handle=@reader", "403"}, {"pilot", "user_id=2&handle=@reader", "403"}, {"pilot", "handle=pilot@evil.org", "403"},
		{"reader", "", "403"},
		// A moderator's and a server's token name users who exist.
		{"agent", "user_id=2", "2 @pilot"}, {"agent", "handle=PILOT", "2 @pilot"}, {"agent", "user_id=2&handle=pilot", "2 @pilot"}, {"game", "user_id=3", "3 @reader"},
		{"game", "handle=@game", "0 @game"}, {"agent", "user_id=77", "422 user_id"}, {"agent", "handle=nobody", "422 handle"}, {"agent", "user_id=2&handle=reader", "422 handle"},
		// The demo identity names whomever it likes.
		{"demo", "user_id=981&handle=@pilot", "981 @pilot"}, {"demo", "user_id=981&handle=Maverick", "981 @Maverick"}, {"demo", "user_id=981", "981 @user981"},
		{"demo", "user_id=2", "2 @pilot"}, {"demo", "handle=@nobody", "1 @nobody"}, {"demo", "handle=@pilot", "2 @pilot"},
		// What is no name.
		{"demo", "handle=@", "422 handle"}, {"demo", "handle=a@b", "422 handle"}, {"demo", "handle=" + url.QueryEscape("a\nb"), "422 handle"}, {"demo", "handle=%E2%80%8B", "422 handle"},
		{"demo", "handle=" + strings.Repeat("x", 80), "422 handle"}, {"demo", "handle=" + strings.Repeat("x", 79), "1 @" + strings.Repeat("x", 79)},
		{"demo", "user_id=0", "422 user_id"}, {"demo", "user_id=-1", "422 user_id"}, {"demo", "user_id=x", "422 user_id"},
	} {
		a := w.call("POST", "/rooms/1/messages", tc.token, "text=hi&"+tc.params)
		got := fmt.Sprint(a.status)
		switch a.status {
		case 200:
			all := w.lines(1)
			got = fmt.Sprint(all[len(all)-1].UserID, " ", all[len(all)-1].Handle)
		case 422:
			var p struct{ Errors []struct{ Field string } }
			a.json(t, &p)
			got += " " + p.Errors[0].Field
		}
		if got != tc.want {
			t.Errorf("%s %s: %s, want %s (%s)", tc.token, tc.params, got, tc.want, a.body)
		}
	}
}

func TestWhatCannotBeSaid(t *testing.T) {
	w := start(t, "")
	w.room("r")
	text := func(s string) string {
		b, _ := json.Marshal(map[string]string{"text": s})
		return string(b)
	}
	for _, tc := range []struct {
		path, body string
		status     int
		says       string
	}{
		{"/rooms/1/messages", "", 422, `"field":"text"`},
		{"/rooms/1/messages", text(""), 422, `"field":"text"`},
		{"/rooms/1/messages", text(" \n\t "), 422, `"field":"text"`},
		{"/rooms/1/messages", text("\u200b\u2060"), 422, `"field":"text"`},
		{"/rooms/1/messages", `{"text":5}`, 422, "must be a string"},
		{"/rooms/1/messages", `{"text":null}`, 422, "is required"},
		{"/rooms/1/messages", `{"text":"a\u0000b"}`, 422, "NUL"},
		{"/rooms/1/messages", text("a\x1b[2Jb"), 422, "control"},
		{"/rooms/1/messages", text("a\rb"), 422, "control"},
		{"/rooms/1/messages", text("a\u0085b"), 422, "control"},
		{"/rooms/1/messages", text(strings.Repeat("é", 4001)), 422, "4000"},
		{"/rooms/1/messages", `{"text":"hi","room_id":2}`, 422, `"field":"room_id"`},
		{"/rooms/1/messages?text=a", `{"text":"b"}`, 422, "once"},
		{"/rooms/1/messages", "text=%00", 400, "UTF-8"},
		{"/rooms/1/messages", "text=%ff", 400, "UTF-8"},
		{"/rooms/1/messages", "{\"text\":\"\xff\"}", 400, "UTF-8"},
		{"/rooms/1/messages", `{"text":"a"`, 400, ""},
		{"/rooms/1/messages", `{"text":"` + strings.Repeat("a", 1<<20) + `"}`, 413, ""},
		{"/rooms/1/messages", text("kill yourself"), 422, `"detail":"Toxic content"`},
		{"/rooms/1/messages", text("k i l l\u200b yourself"), 422, `"detail":"Toxic content"`},
		{"/rooms/2/messages", text("hi"), 404, "Room not found"},
		{"/rooms/2/messages", text("kill yourself"), 404, "Room not found"},
		{"/rooms/0/messages", text("hi"), 404, "Room not found"},
		{"/rooms/-1/messages", text("hi"), 404, "Room not found"},
		{"/rooms/9223372036854775808/messages", text("hi"), 422, "integer"},
	} {
		a := w.call("POST", tc.path, "", tc.body)
		if a.status != tc.status || !strings.Contains(a.body, tc.says) {
			t.Errorf("%s %.60q: %d %s; want %d with %q", tc.path, tc.body, a.status, a.body, tc.status, tc.says)
		}
	}
	if all := w.lines(1); len(all) != 0 {
		t.Errorf("refused lines were stored: %v", all)
	}
	if a := w.call("GET", "/rooms/2/messages", "", ""); a.status != 404 {
		t.Errorf("lines of no room: %d", a.status)
	}
	// Data stays data, to the letter; only a form's line ends become those of the store.
	hostile := []string{
		"<script>alert(1)</script>", "'; DROP TABLE chat_rooms; --", "{{.}}", "a\tb\nc", "slur10", strings.Repeat("😀", 4000),
		"\u2067RTL\u2069", "é e\u0301 \uFFFD", `"\/` + "`", "%s%n$1", " spaces around ",
	}
	for _, s := range hostile {
		w.must("POST", "/rooms/1/messages", "", text(s))
	}
	w.must("POST", "/rooms/1/messages", "", "text="+url.QueryEscape("one\r\ntwo"))
	for i, m := range w.lines(1) {
		want := "one\ntwo"
		if i < len(hostile) {
			want = hostile[i]
		}
		if m.Text != want || m.Seq != int64(i+1) {
			t.Errorf("line %d is %q, want %q", m.Seq, m.Text, want)
		}
	}
}

// noRules is a store without rules and lines.
type noRules struct{}

func (noRules) Rules(context.Context, int64) ([]moderation.Rule, error) { return nil, nil }

func (noRules) Last(context.Context, int64, int64, int) ([]chat.Line, error) { return nil, nil }

// deaf is a scorer that does not answer.
type deaf struct{}

func (deaf) Moderate(context.Context, string) ([]string, error) {
	return nil, errors.New("nobody there")
}

func TestABrokenModeratorSilencesNobody(t *testing.T) {
	w := start(t, "", func(o *chat.Options, _ *hub.LocalOptions) {
		o.Moderator = moderation.NewPipeline(moderation.PipelineOptions{Store: noRules{}, Scorer: deaf{}})
	})
	w.room("r")
	w.must("POST", "/rooms/1/messages", "", "text=hello")
}

func TestMessagePages(t *testing.T) {
	w := start(t, "")
	w.room("a")
	w.room("b")
	for i := range 8 { // lines 1, 3, 5, 7 in room 1, the others in room 2
		w.must("POST", fmt.Sprintf("/rooms/%d/messages?text=l%d", i%2+1, i), "", "")
	}
	for path, want := range map[string]string{
		"/rooms/1/messages":                   "[[7 5 3 1]]",
		"/rooms/2/messages?limit=3":           "[[8 6 4] [2]]",
		"/rooms/2/messages?limit=4":           "[[8 6 4 2]]",
		"/rooms/1/messages?limit=1&before=5":  "[[3] [1]]",
		"/rooms/1/messages?limit=2&after=1":   "[[5 3] [7]]",
		"/rooms/1/messages?after=1&before=7":  "[[5 3]]",
		"/rooms/1/messages?limit=2&offset=1":  "[[5 3] [1]]",
		"/rooms/1/messages?offset=9":          "[[]]",
		"/rooms/1/messages?before=1":          "[[]]",
		"/rooms/1/messages?after=7":           "[[]]",
		"/rooms/1/messages?limit=2&after=4":   "[[7 5]]",
		"/rooms/1/messages?limit=200&after=0": "[[7 5 3 1]]",
	} {
		if got := fmt.Sprint(pages(w, path)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for _, bad := range []string{"limit=0", "limit=-1", "limit=x", "before=0", "after=-1", "offset=-1", "page=2"} {
		if a := w.call("GET", "/rooms/1/messages?"+bad, "", ""); a.status != 422 {
			t.Errorf("%s: %d", bad, a.status)
		}
	}
}

// forgetAnswers takes away what the store remembers of repeated requests, as time does.
func (w *world) forgetAnswers() {
	w.t.Helper()
	err := w.db.Write(context.Background(), nil, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM web_once`)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestASendIsStoredOnceForGood(t *testing.T) {
	dir := storetest.Dir(t)
	w := start(t, dir)
	w.room("a")
	w.room("b")
	first := w.must("POST", "/rooms/1/messages", "pilot", `{"text":"once"}`, "Idempotency-Key", "k1")
	for round := range 3 {
		switch round {
		case 1:
			w.forgetAnswers()
		case 2:
			w.stop()
			w = start(t, dir)
			w.forgetAnswers()
		}
		again := w.must("POST", "/rooms/1/messages", "pilot", "text=once", "Idempotency-Key", "k1")
		if again.body != first.body {
			t.Errorf("round %d: %s, then %s", round, first.body, again.body)
		}
		for _, other := range []struct{ path, body string }{{"/rooms/1/messages", "text=twice"}, {"/rooms/2/messages", "text=once"}, {"/rooms/1/messages", "text=once&handle=pilot"}} {
			if a := w.call("POST", other.path, "pilot", other.body, "Idempotency-Key", "k1"); a.status != 422 || !strings.Contains(a.body, "Idempotency-Key") {
				t.Errorf("round %d: %v with the same key: %d %s", round, other, a.status, a.body)
			}
		}
	}
	if n := len(w.lines(1)); n != 1 {
		t.Errorf("%d lines", n)
	}
	// Another caller's key is another key, and a key of 129 bytes is none.
	if a := w.must("POST", "/rooms/1/messages", "agent", "text=twice", "Idempotency-Key", "k1"); a.body == first.body {
		t.Error("two callers share a key")
	}
	if a := w.call("POST", "/rooms/1/messages", "", "text=x", "Idempotency-Key", strings.Repeat("k", 129)); a.status != 400 {
		t.Errorf("a long key: %d", a.status)
	}
	// A refused line does not use its key up.
	if a := w.call("POST", "/rooms/1/messages", "", "text=kys", "Idempotency-Key", "k2"); a.status != 422 {
		t.Errorf("toxic: %d", a.status)
	}
	w.must("POST", "/rooms/1/messages", "", "text=peace", "Idempotency-Key", "k2")
}

func TestConcurrentPostersGetEverySeqOnce(t *testing.T) {
	w := start(t, "")
	w.room("r")
	sub, err := w.hub.Subscribe(context.Background(), event.StreamChat, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	const posters, each = 64, 5
	seqs := make(chan int64, posters*each)
	var wg sync.WaitGroup
	for p := range posters {
		wg.Go(func() {
			for i := range each {
				var sent api.ChatSent
				a := w.call("POST", "/rooms/1/messages", "", fmt.Sprintf("text=p%d-%d", p, i), "Idempotency-Key", fmt.Sprintf("%d-%d", p, i))
				if a.status != http.StatusOK {
					t.Errorf("post: %d %s", a.status, a.body)
					return
				}
				a.json(t, &sent)
				seqs <- sent.Seq
			}
		})
	}
	wg.Wait()
	close(seqs)
	seen := map[int64]bool{}
	for s := range seqs {
		if seen[s] || s < 1 || s > posters*each {
			t.Errorf("seq %d was given twice, or is out of range", s)
		}
		seen[s] = true
	}
	if len(seen) != posters*each {
		t.Fatalf("%d lines were acknowledged", len(seen))
	}
	for i, m := range w.lines(1) {
		if m.Seq != int64(i+1) {
			t.Fatalf("line %d has seq %d", i+1, m.Seq)
		}
	}
	for want := int64(1); want <= posters*each; want++ {
		m, err := sub.Next(t.Context())
		if err != nil || m.Seq != want {
			t.Fatalf("the hub has seq %d, want %d: %v", m.Seq, want, err)
		}
	}
}

func TestEventStreams(t *testing.T) {
	w := start(t, "")
	w.room("a")
	w.room("b")
	w.must("POST", "/rooms/2/messages?text=other", "", "")
	w.must("POST", "/rooms/1/messages?text=first", "", "")
	sub, err := w.hub.Subscribe(context.Background(), event.StreamChat, &hub.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	var last hub.Message
	for last.Seq != 1 || last.Room != 1 {
		if last, err = sub.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", w.srv.URL+fmt.Sprintf("/rooms/1/events?epoch=%s", w.hub.Epoch()), nil)
	req.Header.Set("Last-Event-ID", "1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := make([]byte, 0, 4096)
	for !strings.Contains(string(got), "first") {
		b := make([]byte, 1024)
		n, err := res.Body.Read(b)
		got = append(got, b[:n]...)
		if err != nil {
			t.Fatalf("stream ended: %v\n%s", err, got)
		}
	}
	if s := string(got); !strings.Contains(s, `{"recovered":true}`) || strings.Contains(s, "other") || !strings.Contains(s, fmt.Sprintf("id: %d\nevent: chat.message.created\ndata: %s\n\n", last.ID, last.Data)) {
		t.Errorf("stream: %s", s)
	}
	if a := w.call("GET", "/rooms/9/events", "", ""); a.status != 404 {
		t.Errorf("events of no room: %d", a.status)
	}
}

// streamed reads an event stream from its beginning until the words come.
func (w *world) streamed(path, until string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", w.srv.URL+path, nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var got strings.Builder
	for b := make([]byte, 1024); !strings.Contains(got.String(), until); {
		n, err := res.Body.Read(b)
		got.Write(b[:n])
		if err != nil {
			w.t.Fatalf("stream ended: %v\n%s", err, got.String())
		}
	}
	return got.String()
}

// A stream that begins in the past has nothing of what lines said that were taken away or hidden since, not even a moment ago.
func TestEventStreamsForgetWhatIsTakenAway(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "agent", `{"name":"a"}`)
	w.must("POST", "/rooms/1/messages", "pilot", "text=first+secret")
	w.must("PATCH", "/rooms/1/messages/1", "pilot", `{"text":"second secret"}`)
	w.must("POST", "/rooms/1/messages", "pilot", "text=stays")
	w.must("DELETE", "/rooms/1/messages/1", "pilot", "")
	w.must("POST", "/rooms/1/messages", "pilot", "text=the+end")
	for _, path := range []string{"/rooms/1/events?after=0", "/events?after=0"} {
		got := w.streamed(path, "the end")
		if strings.Contains(got, "secret") || !strings.Contains(got, "stays") || strings.Count(got, `"text":"",`) != 2 || strings.Count(got, `"deleted":true`) != 2 {
			t.Errorf("%s: %s", path, got)
		}
		// What is left is what the log has.
		for n, row := range []int{0, 1} {
			all, err := readTo(w.socket("/ws/rooms/1?after=0"), 0, 5)
			if err != nil || !strings.Contains(got, "data: "+all[row].raw+"\n") {
				t.Errorf("event %d of the log is not in the stream: %v", n, err)
			}
		}
	}
}

// A ticket's events are for its requester and for agents; what happens in rooms is for all.
func TestWhoHearsOfTickets(t *testing.T) {
	w := start(t, "")
	w.room("r")
	for _, ev := range []event.Event{
		{Type: event.TicketCreated, User: "pilot", Payload: json.RawMessage(`{"ticket_id":1}`)},
		{Type: event.TicketCreated, User: "user 981", Payload: json.RawMessage(`{"ticket_id":2}`)},
	} {
		if _, err := w.hub.Publish(context.Background(), event.StreamChat, ev); err != nil {
			t.Fatal(err)
		}
	}
	w.must("POST", "/rooms/1/messages", "", "text=the+end")
	for token, want := range map[string]string{"reader": "", "pilot": "1", "agent": "12", "demo": "12"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		req, _ := http.NewRequestWithContext(ctx, "GET", w.srv.URL+"/events?after=0", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		heard := ""
		for s := bufio.NewScanner(res.Body); s.Scan() && !strings.Contains(s.Text(), "the end"); {
			for _, id := range []string{"1", "2"} {
				if strings.Contains(s.Text(), `"ticket_id":`+id) {
					heard += id
				}
			}
		}
		if heard != want || ctx.Err() != nil {
			t.Errorf("%s heard of %q, want %q", token, heard, want)
		}
		res.Body.Close()
		cancel()
	}
}
