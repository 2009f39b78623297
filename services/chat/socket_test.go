package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/hub"
	"uniqverse/internal/event"
	"uniqverse/services/chat"
	"uniqverse/services/chat/live"
	"uniqverse/store/storetest"
)

// dial opens a socket; headers are pairs of name and value. Without one the status tells why.
func (w *world) dial(path string, headers ...string) (*websocket.Conn, int, error) {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	c, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(w.srv.URL, "http")+path, h)
	status := 0
	if res != nil {
		status = res.StatusCode
	}
	return c, status, err
}

// socket is dial for a socket that must open; the test's end closes it.
func (w *world) socket(path string, headers ...string) *websocket.Conn {
	w.t.Helper()
	c, status, err := w.dial(path, headers...)
	if err != nil {
		w.t.Fatalf("%s: %d %v", path, status, err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// frame is what a room event holds, as far as the tests look.
type frame struct {
	Type    string
	Seq, ID int64
	Text    string
	RoomID  int64 `json:"room_id"`
	Epoch   string
	raw     string
}

// read reads one frame; it gives up after half a minute, which no passing test needs.
func read(c *websocket.Conn) (frame, error) {
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return frame{}, err
	}
	kind, b, err := c.ReadMessage()
	if err != nil {
		return frame{}, err
	}
	f := frame{raw: string(b)}
	if kind != websocket.TextMessage {
		return f, fmt.Errorf("a frame of kind %d", kind)
	}
	return f, json.Unmarshal(b, &f)
}

// readTo reads frames up to the one with the seq and checks that each follows the one before.
func readTo(c *websocket.Conn, after, upTo int64) ([]frame, error) {
	var all []frame
	for after < upTo {
		f, err := read(c)
		if err != nil {
			return all, fmt.Errorf("after seq %d: %w", after, err)
		}
		if f.Seq != after+1 {
			return all, fmt.Errorf("seq %d follows %d: %s", f.Seq, after, f.raw)
		}
		after = f.Seq
		all = append(all, f)
	}
	return all, nil
}

func same(a, b []frame) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d frames, want %d", len(a), len(b))
	}
	for i := range a {
		if a[i].raw != b[i].raw {
			return fmt.Errorf("frame\n%s, want\n%s", a[i].raw, b[i].raw)
		}
	}
	return nil
}

// post says n lines in the room from many users at once and waits until all are acknowledged.
func (w *world) post(room int64, posters, each int) {
	w.t.Helper()
	var wg sync.WaitGroup
	for p := range posters {
		wg.Go(func() {
			for i := range each {
				if a := w.call("POST", fmt.Sprintf("/rooms/%d/messages", room), "", fmt.Sprintf("text=p%d-%d&user_id=%d&handle=@p%d", p, i, p+1, p)); a.status != 200 {
					w.t.Errorf("post: %d %s", a.status, a.body)
				}
			}
		})
	}
	wg.Wait()
}

func TestEverySocketGetsEveryLineOnceInOrder(t *testing.T) {
	w := start(t, "")
	room, other := w.room("a"), w.room("b")
	const sockets, posters, each = 6, 64, 4
	var listening sync.WaitGroup
	got := make([][]frame, sockets)
	for i := range sockets {
		path := fmt.Sprintf("/ws/rooms/%d", room)
		if i%2 == 1 {
			path += "?after=0"
		}
		c := w.socket(path)
		listening.Go(func() {
			var err error
			if got[i], err = readTo(c, 0, posters*each); err != nil {
				t.Errorf("socket %d: %v", i, err)
			}
		})
	}
	w.post(other, 1, 3) // nobody of the room hears that
	w.post(room, posters, each)
	listening.Wait()
	lines := w.lines(room)
	for i := range sockets {
		if err := same(got[i], got[0]); err != nil {
			t.Errorf("socket %d differs from the first: %v", i, err)
		}
	}
	last := int64(0)
	for i, f := range got[0] {
		if f.Type != event.ChatMessageCreated || f.RoomID != room || f.Text != lines[i].Text || f.Epoch != w.hub.Epoch() || f.ID <= last {
			t.Fatalf("frame %s for line %+v", f.raw, lines[i])
		}
		last = f.ID
	}
}

func TestReplayIsExactFromEveryPlace(t *testing.T) {
	dir := storetest.Dir(t)
	w := start(t, dir)
	room := w.room("r")
	twin := w.socket("/ws/rooms/1") // never disconnected: what it sees is the truth
	w.post(room, 5, 5)
	truth, err := readTo(twin, 0, 25)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		for after := range int64(26) {
			c := w.socket(fmt.Sprintf("/ws/rooms/1?after=%d&epoch=%s", after, w.hub.Epoch()))
			got, err := readTo(c, after, 25)
			if err == nil {
				err = same(got, truth[after:])
			}
			if err != nil {
				t.Errorf("round %d, after=%d: %v", round, after, err)
			}
			c.Close()
		}
		if round == 0 { // from the log alone, in another process as far as the log can tell
			epoch := w.hub.Epoch()
			w.stop()
			w = start(t, dir)
			if w.hub.Epoch() != epoch {
				t.Errorf("a restart changed the epoch from %s to %s", epoch, w.hub.Epoch())
			}
		}
	}
	c := w.socket("/ws/rooms/1?after=25")
	w.post(room, 1, 1)
	f, err := read(c)
	if err != nil || f.Seq != 26 || f.ID <= truth[24].ID {
		t.Errorf("the first line after the restart: %s %v", f.raw, err)
	}
}

func TestReplayIsExactWhileLinesArePosted(t *testing.T) {
	w := start(t, "")
	room := w.room("r")
	const posters, each = 8, 40
	const all = posters * each
	twin := w.socket("/ws/rooms/1")
	var truth []frame
	var watch sync.WaitGroup
	progress := make(chan int64, all)
	watch.Go(func() {
		defer close(progress)
		for n := int64(0); n < all; n++ {
			got, err := readTo(twin, n, n+1)
			if err != nil {
				t.Errorf("twin: %v", err)
				return
			}
			truth = append(truth, got...)
			progress <- n + 1
		}
	})
	type cut struct {
		after  int64
		frames []frame
	}
	var cuts []*cut
	watch.Go(func() {
		for seen := range progress {
			if seen%16 != 0 {
				continue
			}
			// Somebody who has seen up to here, or less, joins now and listens to the end.
			k := &cut{after: seen * int64(len(cuts)%3) / 2}
			k.after = min(k.after, seen)
			cuts = append(cuts, k)
			c := w.socket(fmt.Sprintf("/ws/rooms/1?after=%d&epoch=%s", k.after, w.hub.Epoch()))
			watch.Go(func() {
				var err error
				if k.frames, err = readTo(c, k.after, all); err != nil {
					t.Errorf("after=%d: %v", k.after, err)
				}
			})
		}
	})
	w.post(room, posters, each)
	watch.Wait()
	if t.Failed() {
		return
	}
	if len(cuts) != all/16 {
		t.Errorf("%d sockets joined", len(cuts))
	}
	for _, k := range cuts {
		if err := same(k.frames, truth[k.after:]); err != nil {
			t.Errorf("after=%d: %v", k.after, err)
		}
	}
}

func TestALongHistoryIsReplayed(t *testing.T) {
	w := start(t, "")
	room := w.room("r")
	w.post(room, 50, 9)
	c := w.socket("/ws/rooms/1?after=0")
	w.post(room, 1, 1)
	if _, err := readTo(c, 0, 50*9+1); err != nil {
		t.Error(err)
	}
}

func TestWithoutAfterOnlyNewLinesCome(t *testing.T) {
	w := start(t, "")
	room := w.room("r")
	for n := int64(1); n < 30; n += 2 {
		w.post(room, 1, 1)
		c := w.socket("/ws/rooms/1")
		w.post(room, 1, 1)
		if f, err := read(c); err != nil || f.Seq != n+1 {
			t.Fatalf("first frame %s %v, want seq %d", f.raw, err, n+1)
		}
		c.Close()
	}
}

func TestAPlaceThatIsLost(t *testing.T) {
	w := start(t, "")
	room := w.room("r")
	w.post(room, 1, 3)
	head := int64(3)
	for _, query := range []string{"after=2&epoch=another", "after=0&epoch=another", "after=%d", "after=%d&epoch=" + w.hub.Epoch(), "after=9999"} {
		if strings.Contains(query, "%d") {
			query = fmt.Sprintf(query, head+1)
		}
		c := w.socket("/ws/rooms/1?" + query)
		f, err := read(c)
		if want := fmt.Sprintf(`{"type":"recovered","recovered":false,"room_id":1,"epoch":"%s","head":%d}`, w.hub.Epoch(), head); err != nil || f.raw != want {
			t.Fatalf("%s: %s %v, want %s", query, f.raw, err, want)
		}
		w.post(room, 1, 1)
		head++
		if f, err = read(c); err != nil || f.Seq != head {
			t.Errorf("%s: after head %d came %s %v", query, head-1, f.raw, err)
		}
		c.Close()
	}
}

func TestSocketsRefused(t *testing.T) {
	w := start(t, "", func(o *chat.Options, _ *hub.LocalOptions) { o.SocketsPerUser = 2 })
	w.room("r")
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	for _, tc := range []struct {
		path    string
		headers []string
		status  int
	}{
		{"/ws/rooms/2", nil, 404},
		{"/ws/rooms/0", nil, 404},
		{"/ws/rooms/x", nil, 422},
		{"/ws/rooms/1?after=x", nil, 422},
		{"/ws/rooms/1?after=-1", nil, 422},
		{"/ws/rooms/1?epoch=" + w.hub.Epoch(), nil, 422},
		{"/ws/rooms/1?since=3", nil, 422},
		{"/ws/rooms/1", bearer("bad"), 401},
		{"/ws/rooms/1?access_token=bad", nil, 401},
		{"/ws/rooms/1", []string{"Origin", "https://evil.example"}, 403},
		{"/ws/rooms/1", []string{"Cookie", "session=pilot", "Origin", "https://evil.example"}, 403},
		// Who brings a token of their own may come from anywhere, and our own pages may come with a cookie.
		{"/ws/rooms/1", append(bearer("reader"), "Origin", "https://elsewhere.example"), 101},
		{"/ws/rooms/1?access_token=reader", nil, 101},
		{"/ws/rooms/1", []string{"Cookie", "session=agent", "Origin", w.srv.URL}, 101},
		{"/ws/rooms/1", []string{"Origin", w.srv.URL}, 101},
	} {
		c, status, err := w.dial(tc.path, tc.headers...)
		if status != tc.status {
			t.Errorf("%s %v: %d %v, want %d", tc.path, tc.headers, status, err, tc.status)
		}
		if c != nil {
			c.Close()
		}
	}
	if a := w.call("GET", "/ws/rooms/1", "", ""); a.status != 400 && a.status != 426 {
		t.Errorf("without an upgrade: %d", a.status)
	}
	// Two sockets of a user, not three; one that is closed gives its place back.
	first, _ := w.socket("/ws/rooms/1", bearer("pilot")...), w.socket("/ws/rooms/1", bearer("pilot")...)
	if _, status, _ := w.dial("/ws/rooms/1", bearer("pilot")...); status != 429 {
		t.Errorf("a third socket: %d", status)
	}
	first.Close()
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, status, err := w.dial("/ws/rooms/1", bearer("pilot")...)
		if err == nil {
			c.Close()
			break
		}
		if status != 429 || time.Now().After(deadline) {
			t.Fatalf("after one was closed: %d %v", status, err)
		}
	}
	for range 4 {
		w.socket("/ws/rooms/1", bearer("game")...)
		w.socket("/ws/rooms/1")
	}
}

func closeCode(err error) int {
	var c *websocket.CloseError
	if errors.As(err, &c) {
		return c.Code
	}
	return 0
}

func TestSocketsAreForListening(t *testing.T) {
	w := start(t, "")
	room := w.room("r")
	c := w.socket("/ws/rooms/1")
	for _, alive := range []string{"", "ping", " {} \n"} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(alive)); err != nil {
			t.Fatal(err)
		}
	}
	w.post(room, 1, 1)
	if f, err := read(c); err != nil || f.Seq != 1 {
		t.Fatalf("after signs of life: %s %v", f.raw, err)
	}
	if err := c.WriteMessage(websocket.TextMessage, []byte(`{"text":"hello"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := read(c); closeCode(err) != 3501 {
		t.Errorf("a line sent over the socket: %v", err)
	}
	if n := len(w.lines(room)); n != 1 {
		t.Errorf("%d lines", n)
	}
}

func TestSocketsAreToldToComeBack(t *testing.T) {
	w := start(t, "")
	w.room("r")
	c := w.socket("/ws/rooms/1")
	w.post(1, 1, 1)
	if _, err := read(c); err != nil {
		t.Fatal(err)
	}
	many, clients := w.hello("agent"), w.socket("/connection/websocket", "Authorization", "Bearer agent")
	say(t, clients, `{"id":1,"connect":{}}`)
	for _, answered := range []*websocket.Conn{many, clients} {
		if _, err := read(answered); err != nil {
			t.Fatal(err)
		}
	}
	w.stop()
	for name, c := range map[string]*websocket.Conn{"plain": c, "veze.v1": many, "centrifugo": clients} {
		if code := ended(c); code != 3001 {
			t.Errorf("%s, at the end: %d", name, code)
		}
	}
}

// amnesia is a store that cannot write down ids, as if the process were killed just then.
type amnesia struct{ chat.Store }

func (amnesia) SavePublished(context.Context, []live.Published) error {
	return errors.New("killed")
}

func TestEventsWithoutAnIdArePublishedAgain(t *testing.T) {
	dir := storetest.Dir(t)
	w := start(t, dir, func(o *chat.Options, _ *hub.LocalOptions) { o.Store = amnesia{o.Store} })
	w.room("a")
	w.room("b")
	live := w.socket("/ws/rooms/1")
	w.post(1, 50, 9) // more than a page of the log
	w.post(2, 1, 5)
	before, err := readTo(live, 0, 450)
	if err != nil {
		t.Fatal(err)
	}
	// Replays need not wait for what is written: the ids are in memory.
	c := w.socket("/ws/rooms/1?after=10")
	got, err := readTo(c, 10, 450)
	if err == nil {
		err = same(got, before[10:])
	}
	if err != nil {
		t.Errorf("before the ids were written: %v", err)
	}
	w.stop()

	w = start(t, dir, func(o *chat.Options, h *hub.LocalOptions) { h.Ring = 256 })
	for room, upTo := range map[int]int64{1: 450, 2: 5} {
		first := w.socket(fmt.Sprintf("/ws/rooms/%d?after=0", room))
		frames, err := readTo(first, 0, upTo)
		if err != nil {
			t.Fatalf("room %d: %v", room, err)
		}
		for i, f := range frames {
			if f.ID <= before[449].ID || i > 0 && f.ID <= frames[i-1].ID {
				t.Fatalf("room %d: event %d got the id %d", room, f.Seq, f.ID)
			}
		}
	}
	rows, err := w.waitForIDs()
	if err != nil || rows != 0 {
		t.Errorf("%d events are without an id: %v", rows, err)
	}
}

// waitForIDs waits until all events have their ids in the log.
func (w *world) waitForIDs() (missing int, err error) {
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := w.db.QueryRow(context.Background(), `SELECT COUNT(*) FROM chat_events WHERE event_id IS NULL`).Scan(&missing)
		if err != nil || missing == 0 || time.Now().After(deadline) {
			return missing, err
		}
	}
}

// A relay that cannot keep up with the hub loses nothing: a client that comes back when it is
// told to has every line.
func TestNothingIsLostWhenTheHubIsTooFast(t *testing.T) {
	w := start(t, "", func(_ *chat.Options, h *hub.LocalOptions) { h.Ring = 2 })
	room := w.room("r")
	const posters, each = 64, 3
	var listening sync.WaitGroup
	for range 3 {
		c := w.socket("/ws/rooms/1")
		listening.Go(func() {
			for after := int64(0); after < posters*each; {
				got, err := readTo(c, after, posters*each)
				if n := len(got); n > 0 {
					after = got[n-1].Seq
				}
				if err == nil {
					return
				}
				if code := closeCode(err); code < 3000 || code >= 3500 {
					t.Errorf("after %d: %v", after, err)
					return
				}
				c, _, err = w.dial(fmt.Sprintf("/ws/rooms/1?after=%d&epoch=%s", after, w.hub.Epoch()))
				if err != nil {
					t.Errorf("coming back after %d: %v", after, err)
					return
				}
				defer c.Close()
			}
		})
	}
	w.post(room, posters, each)
	listening.Wait()
	if missing, err := w.waitForIDs(); err != nil || missing != 0 {
		t.Errorf("%d events are without an id: %v", missing, err)
	}
}
