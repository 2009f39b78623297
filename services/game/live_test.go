package game_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/internal/event"
	"uniqverse/store/storetest"
)

// dial opens a socket on /ws/events; reads give up after ten seconds.
func (p *place) dial(query string, headers ...string) *websocket.Conn {
	p.t.Helper()
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	c, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(p.URL, "http")+"/ws/events"+query, h)
	if err != nil {
		status := 0
		if res != nil {
			status = res.StatusCode
		}
		p.t.Fatalf("dial: %d %v", status, err)
	}
	p.t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	return c
}

func read(t *testing.T, c *websocket.Conn) map[string]json.RawMessage {
	t.Helper()
	_, b, err := c.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return into[map[string]json.RawMessage](t, string(b))
}

func TestInputsReachEverySocketUnchanged(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	const sockets = 8
	var all []*websocket.Conn
	for range sockets {
		all = append(all, p.dial(""))
	}
	sent := `{"type":"input","seq":12345678901234567890,"keys":["w","<b>"],"at":{"x":1.50,"y":{"z":[null,true,"ü"]}},"user_id":17,"room_id":"r"}`
	p.want(200, `{"ok":true}`, "POST /ws/inputs", sent)
	for i, c := range all {
		got := read(t, c)
		for name, value := range into[map[string]json.RawMessage](t, sent) {
			if !sameRaw(got[name], value) {
				t.Errorf("socket %d: %s is %s, sent %s", i, name, got[name], value)
			}
			delete(got, name)
		}
		for _, name := range []string{"ts", "id", "epoch", "trace"} {
			if len(got[name]) == 0 {
				t.Errorf("socket %d: no %s", i, name)
			}
			delete(got, name)
		}
		if len(got) != 0 {
			t.Errorf("socket %d: more than was sent: %v", i, got)
		}
	}
	p.want(200, `{"ok":true}`, "POST /ws/inputs?type=input.jump&height=3", "")
	if got := read(t, all[0]); string(got["type"]) != `"input.jump"` || string(got["height"]) != `"3"` {
		t.Errorf("from the query: %v", got)
	}
}

// sameRaw compares JSON to the digit: 1.50 is not 1.5, and no number is rounded.
func sameRaw(a, b json.RawMessage) bool {
	norm := func(r json.RawMessage) string {
		d := json.NewDecoder(strings.NewReader(string(r)))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return "not JSON"
		}
		out, _ := json.Marshal(v)
		return string(out)
	}
	return norm(a) == norm(b)
}

// Who has the handshake's answer is connected: nothing after it is missed.
func TestNothingIsMissedAfterTheHandshake(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				p.call("POST /ws/inputs", fmt.Sprintf(`{"type":"input","n":%d}`, i))
			}
		}
	})
	for i := range 10 {
		c := p.dial("")
		p.want(200, "", "POST /ws/inputs", fmt.Sprintf(`{"type":"input.mine","i":%d}`, i))
		last, found := int64(0), false
		for !found {
			got := read(t, c)
			id := into[int64](t, string(got["id"]))
			if last != 0 && id != last+1 {
				t.Fatalf("event %d after %d", id, last)
			}
			last = id
			found = string(got["type"]) == `"input.mine"` && string(got["i"]) == fmt.Sprint(i)
		}
		c.Close()
	}
	close(stop)
	wg.Wait()
}

func TestSocketHearsTheGameAndResumes(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	c := p.dial("")
	p.want(200, "", "POST /leaderboards/submit", submit("a", 1, "s1", "duel"))
	p.want(200, "", "POST /leaderboards/submit", submit("a", 2, "s1", "duel"))
	first := read(t, c)
	if string(first["type"]) != `"game.leaderboard.updated"` || string(first["score"]) != "1" || string(first["user_id"]) != `"a"` {
		t.Fatalf("first %v", first)
	}
	second := read(t, c)
	c.Close()
	epoch := into[string](t, string(first["epoch"]))
	again := p.dial(fmt.Sprintf("?after=%s&epoch=%s", first["id"], epoch))
	if got := read(t, again); string(got["type"]) != `"recovered"` || string(got["recovered"]) != "true" {
		t.Fatalf("resuming says %v", got)
	}
	if got := read(t, again); string(got["id"]) != string(second["id"]) {
		t.Errorf("replayed %v, want %v", got, second)
	}
	p.want(200, "", "POST /ws/inputs", `{"type":"input"}`)
	if got := read(t, again); string(got["type"]) != `"input"` {
		t.Errorf("live after the replay: %v", got)
	}
	lost := p.dial(fmt.Sprintf("?after=%s&epoch=another", first["id"]))
	if got := read(t, lost); string(got["recovered"]) != "false" {
		t.Errorf("another epoch: %v", got)
	}
}

func TestSocketIsForListening(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	c := p.dial("")
	if err := c.WriteMessage(websocket.TextMessage, []byte(`{"type":"input"}`)); err != nil {
		t.Fatal(err)
	}
	_, _, err := c.ReadMessage()
	if !websocket.IsCloseError(err, 3501) {
		t.Errorf("closed with %v", err)
	}
	_, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(p.URL, "http")+"/ws/events", http.Header{"Origin": {"https://elsewhere.example"}})
	if err == nil || res == nil || res.StatusCode != 403 {
		t.Errorf("a foreign page: %v %v", res, err)
	}
}

func TestSocketsAreBoundedForUsers(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	var open []*websocket.Conn
	for range 20 {
		open = append(open, p.dial("", user("pilot")...))
	}
	_, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(p.URL, "http")+"/ws/events", http.Header{"Authorization": {"Bearer pilot"}})
	if err == nil || res == nil || res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %v %v", res, err)
	}
	p.dial("", user("server")...)
	p.dial("", user("demo")...)
	open[0].Close()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); { // until the server has noticed
		c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(p.URL, "http")+"/ws/events", http.Header{"Authorization": {"Bearer pilot"}})
		if err == nil {
			c.Close()
			return
		}
	}
	t.Error("a closed socket still counts")
}

func TestSocketsCloseWithTheService(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	live, resumed := p.dial(""), p.dial("?after=0")
	read(t, resumed)
	done := make(chan struct{})
	go func() { defer close(done); p.stop() }()
	for _, c := range []*websocket.Conn{live, resumed} {
		if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 3001) {
			t.Errorf("closed with %v", err)
		}
	}
	<-done
}

func TestEventStream(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	p.want(200, "", "POST /leaderboards/submit", submit("a", 1, "s1", "duel"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", p.URL+"/events?after=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	seen := map[string]bool{}
	for lines.Scan() && !seen["event: input"] {
		if strings.HasPrefix(lines.Text(), "event: ") {
			seen[lines.Text()] = true
			if lines.Text() == "event: game.leaderboard.updated" {
				p.want(200, "", "POST /ws/inputs", `{"type":"input","text":"two\nlines"}`)
			}
		}
	}
	if !seen["event: recovered"] || !seen["event: game.leaderboard.updated"] || !seen["event: input"] {
		t.Errorf("heard %v, %v", seen, lines.Err())
	}
}

func TestInputIsSentOnceForOneKey(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	for range 3 {
		p.want(200, `{"ok":true}`, "POST /ws/inputs", `{"type":"input","n":1}`, "Idempotency-Key", "k")
	}
	if n := len(p.told("input")); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

func TestPages(t *testing.T) {
	now := newClock()
	p := start(t, storetest.Dir(t), now.now)
	html := []string{"Accept", "text/html"}
	for _, path := range []string{"/", "/leaderboards"} {
		if status, body, _ := p.call("GET "+path, "", html...); status != 200 || !strings.Contains(body, "Nobody has played yet") {
			t.Errorf("%s without anything: %d", path, status)
		}
	}
	for i := range 60 {
		p.want(200, "", "POST /leaderboards/submit", submit(fmt.Sprintf("player%02d", i), 1000+i, "winter", "duel"))
	}
	p.want(200, "", "POST /leaderboards/submit", submit("demo", 1, "winter", "duel"))
	p.want(200, "", "POST /matchmaking/enqueue", enqueue("<script>x", 1, ""))
	for _, u := range []string{"eve", "adam"} {
		p.want(200, "", "POST /matchmaking/enqueue", enqueue(u, 900, ""))
	}
	p.want(200, "", "POST /matchmaking/match", "")
	now.add(42 * time.Second)
	for _, tc := range []struct {
		path       string
		with, lack []string
	}{
		{"/", []string{"winter", "player59", "player55", "duel", "1 waiting", "eve against adam"}, []string{"player45", "<script>x"}},
		{"/leaderboards", []string{"winter", "player59", "player10", "offset=50", "demo"}, []string{"player09"}},
		{"/leaderboards?offset=50", []string{"player09", "player00", "/leaderboards?mode=duel&amp;season=winter"}, []string{"player10"}},
		{"/leaderboards?season=gone&utm_source=x", []string{"player59"}, nil},
	} {
		// What happened lately comes to the page over the hub, a moment after the answer.
		var status int
		var body string
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			if status, body, _ = p.call("GET "+tc.path, "", html...); !lacks(body, tc.with) {
				break
			}
		}
		for _, w := range tc.with {
			if !strings.Contains(body, w) {
				t.Errorf("%s (%d) has no %q", tc.path, status, w)
			}
		}
		for _, l := range tc.lack {
			if strings.Contains(body, l) {
				t.Errorf("%s has %q", tc.path, l)
			}
		}
		if os.Getenv("UNIQ_SHOW_PAGES") != "" {
			t.Log(body)
		}
	}
	if status, body, h := p.call("GET /leaderboards", ""); status != 200 || !strings.HasPrefix(h.Get("Content-Type"), "application/json") || !strings.Contains(body, `"players":61`) {
		t.Errorf("for programs: %d %s", status, body)
	}
	if n := len(p.told(event.GameMatchFound)); n != 1 {
		t.Errorf("%d matches told", n)
	}
}

func lacks(body string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(body, w) {
			return true
		}
	}
	return false
}
