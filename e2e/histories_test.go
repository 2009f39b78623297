package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// cutter is a proxy in front of chat that cuts connections.
type cutter struct {
	ln     net.Listener
	mu     sync.Mutex // guards what follows
	target string     // "" while there is none
	conns  map[net.Conn]net.Conn
	wg     sync.WaitGroup
}

func newCutter(t *testing.T) *cutter {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{ln: ln, conns: map[net.Conn]net.Conn{}}
	c.wg.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			c.wg.Go(func() { c.carry(near) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		for c.cut() {
		}
		c.wg.Wait()
	})
	return c
}

func (c *cutter) carry(near net.Conn) {
	defer near.Close()
	c.mu.Lock()
	target := c.target
	c.mu.Unlock()
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	c.mu.Lock()
	c.conns[near] = far
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.conns, near)
		c.mu.Unlock()
	}()
	var both sync.WaitGroup
	both.Go(func() { pour(far, near) })
	pour(near, far)
	both.Wait()
}

// pour copies in small pieces, so that a cut falls anywhere.
func pour(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 400)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// cut breaks one connection, sometimes with a reset; false when there is none.
func (c *cutter) cut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for near, far := range c.conns { // in random order
		if rand.N(2) == 0 {
			near.(*net.TCPConn).SetLinger(0)
			far.(*net.TCPConn).SetLinger(0)
		}
		near.Close()
		far.Close()
		delete(c.conns, near)
		return true
	}
	return false
}

func (c *cutter) lead(to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target = to
}

// tongue is how a protocol is spoken.
type tongue struct {
	path, subprotocol string
	open              func(room string, after int64, epoch string) string // the first message; "" for none
	send              func(n int, room, text string) string               // nil where lines go by HTTP
	// read takes a frame apart: events in their order, and the answer to the send n with the line's seq (0 for a refusal that
	// may be repeated).
	read func(frame []byte) (events []object, n int, seq int64, err error)
}

func tongues() map[string]tongue {
	quote := func(s string) string {
		raw, _ := json.Marshal(s)
		return string(raw)
	}
	return map[string]tongue{
		"plain": {path: "/ws/rooms/%s?after=%d&epoch=%s", read: func(frame []byte) ([]object, int, int64, error) {
			var o object
			err := json.Unmarshal(frame, &o)
			if err == nil && o["type"] == "recovered" {
				err = fmt.Errorf("told to reload: %s", frame)
			}
			return []object{o}, 0, 0, err
		}},
		"veze.v1": {path: "/ws", subprotocol: "veze.v1",
			open: func(room string, after int64, epoch string) string {
				return fmt.Sprintf(`{"n":0,"op":"hello","resume":{%q:{"seq":%d,"epoch":%q}}}`, room, after, epoch)
			},
			send: func(n int, room, text string) string {
				return fmt.Sprintf(`{"n":%d,"op":"send","room_id":%s,"text":%s,"nonce":%s}`, n, room, quote(text), quote(text))
			},
			read: func(frame []byte) ([]object, int, int64, error) {
				var o object
				err := json.Unmarshal(frame, &o)
				switch {
				case err != nil:
				case o["type"] == "sync" && o["recovered"] != true || o["type"] == "left":
					err = fmt.Errorf("told to reload or leave: %s", frame)
				case o["err"] != nil && o["err"].(object)["temporary"] != true:
					err = fmt.Errorf("refused: %s", frame)
				case o["type"] == "sync": // its seq is where the room stands
					return nil, 0, 0, nil
				case o["n"] != nil && o["n"] != 0.0:
					seq, _ := o["seq"].(float64)
					return nil, int(o["n"].(float64)), int64(seq), nil
				}
				return []object{o}, 0, 0, err
			}},
		"centrifugo": {path: "/connection/websocket",
			open: func(room string, after int64, epoch string) string {
				return fmt.Sprintf("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"room:%s\",\"recover\":true,\"offset\":%d,\"epoch\":%q}}", room, after, epoch)
			},
			send: func(n int, room, text string) string {
				return fmt.Sprintf(`{"id":%d,"rpc":{"method":"send","data":{"room_id":%s,"text":%s,"nonce":%s}}}`, n+2, room, quote(text), quote(text))
			},
			read: readCentrifugo},
	}
}

func readCentrifugo(frame []byte) (events []object, n int, seq int64, err error) {
	type pub struct {
		Data   object
		Offset int64
	}
	var f struct {
		ID    int
		Push  struct{ Pub *pub }
		Error *struct {
			Temporary bool
			Message   string
		}
		Subscribe *struct {
			Recovered    bool
			Publications []pub
		}
		RPC *struct{ Data struct{ Seq int64 } }
	}
	if err := json.Unmarshal(frame, &f); err != nil {
		return nil, 0, 0, err
	}
	add := func(p pub) {
		if p.Offset != 0 && p.Data["seq"] != float64(p.Offset) {
			err = fmt.Errorf("the offset is not the seq: %s", frame)
		}
		events = append(events, p.Data)
	}
	switch {
	case f.Error != nil && !f.Error.Temporary:
		return nil, 0, 0, fmt.Errorf("refused: %s", frame)
	case f.Error != nil:
		return nil, f.ID - 2, 0, nil
	case f.Subscribe != nil && !f.Subscribe.Recovered:
		return nil, 0, 0, fmt.Errorf("told to reload: %s", frame)
	case f.Subscribe != nil:
		for _, p := range f.Subscribe.Publications {
			add(p)
		}
	case f.RPC != nil:
		return nil, f.ID - 2, f.RPC.Data.Seq, nil
	case f.Push.Pub != nil:
		add(*f.Push.Pub)
	}
	return events, 0, 0, err
}

// historian takes part in a room and writes down what it saw and what was acknowledged to it.
type historian struct {
	t          *testing.T
	name, room string
	wire       tongue
	base       string        // host:port of the cutter
	quiet      chan struct{} // closed when nothing new is to be said
	mu         sync.Mutex    // guards what follows
	seen       []string      // the texts, by seq-1
	epoch      string
	acked      map[string]int64
	waiting    bool // a line was said and not acknowledged
	links      int
	stopped    bool
}

func (h *historian) last() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return int64(len(h.seen))
}

func (h *historian) over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stopped
}

// note takes one event, which must follow the one before.
func (h *historian) note(o object) error {
	seq, _ := o["seq"].(float64)
	if seq == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if int(seq) != len(h.seen)+1 {
		return fmt.Errorf("seq %v follows %d", seq, len(h.seen))
	}
	text, _ := o["text"].(string)
	h.seen = append(h.seen, text)
	h.epoch, _ = o["epoch"].(string)
	return nil
}

func (h *historian) ack(text string, seq int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acked[text], h.waiting = seq, false
}

// live connects again and again, until it is stopped.
func (h *historian) live() {
	text, n := "", 0
	for !h.over() {
		h.mu.Lock()
		after, epoch := int64(len(h.seen)), h.epoch
		h.mu.Unlock()
		path := h.wire.path
		if strings.Contains(path, "%s") {
			path = fmt.Sprintf(path, h.room, after, epoch)
			if epoch == "" {
				path = strings.TrimSuffix(path, "&epoch=")
			}
		}
		dialer := websocket.Dialer{HandshakeTimeout: 5 * time.Second}
		if h.wire.subprotocol != "" {
			dialer.Subprotocols = []string{h.wire.subprotocol}
		}
		conn, _, err := dialer.Dial("ws://"+h.base+path, nil)
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		h.mu.Lock()
		h.links++
		h.mu.Unlock()
		if h.wire.open != nil {
			err = conn.WriteMessage(websocket.TextMessage, []byte(h.wire.open(h.room, after, epoch)))
		}
		sent := false // on this connection
		for err == nil {
			if h.wire.send != nil && !sent {
				if text == "" {
					text, n = h.next(n)
				}
				if text != "" {
					err, sent = conn.WriteMessage(websocket.TextMessage, []byte(h.wire.send(n, h.room, text))), true
				}
			}
			var frame []byte
			if err == nil {
				conn.SetReadDeadline(time.Now().Add(3 * time.Second))
				_, frame, err = conn.ReadMessage()
			}
			if err != nil {
				break
			}
			events, answered, seq, wrong := h.wire.read(frame)
			for _, o := range events {
				if wrong == nil {
					wrong = h.note(o)
				}
			}
			if wrong != nil {
				h.t.Errorf("%s: %v", h.name, wrong)
				conn.Close()
				return
			}
			if answered == n && answered != 0 {
				if sent = false; seq != 0 {
					h.ack(text, seq)
					text = ""
				}
			}
			if h.over() {
				break
			}
		}
		conn.Close()
	}
}

// next is what is said next: "" when nothing is.
func (h *historian) next(n int) (string, int) {
	select {
	case <-h.quiet:
		return "", n
	default:
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = true
	return fmt.Sprintf("%s line %d", h.name, n+1), n + 1
}

// post says lines by HTTP, each until it is acknowledged.
func (h *historian) post() {
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for n := 0; ; {
		text := ""
		if text, n = h.next(n); text == "" {
			return
		}
		body, _ := json.Marshal(map[string]string{"text": text})
		for !h.over() {
			req, _ := http.NewRequestWithContext(context.Background(), "POST", "http://"+h.base+"/rooms/"+h.room+"/messages", strings.NewReader(string(body)))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", text)
			var sent struct{ Seq int64 }
			res, err := client.Do(req)
			if err == nil {
				err = json.NewDecoder(res.Body).Decode(&sent)
				res.Body.Close()
			}
			if err == nil && sent.Seq != 0 {
				h.ack(text, sent.Seq)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// People of every protocol talk in rooms while the process is killed again and again and connections are cut at random.
// Everybody saw every line of their room once, in one order, their own among them where it was acknowledged.
func TestHistoriesUnderKillsAndCuts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no kill -9")
	}
	const (
		rooms   = 3
		lives   = 5
		eachFor = 3 * time.Second
		cuts    = 200
	)
	p := launched(t)
	proxy := newCutter(t)
	proxy.lead(strings.TrimPrefix(p.urls["chat"], "http://"))
	quiet := make(chan struct{})
	var all []*historian
	var people, posters sync.WaitGroup
	for room := range rooms {
		id := p.room(fmt.Sprintf("room-%d", room))
		for protocol, w := range tongues() {
			for i := range 2 {
				h := &historian{t: t, name: fmt.Sprintf("%s %d of room %s", protocol, i, id), room: id, wire: w, base: proxy.ln.Addr().String(), quiet: quiet, acked: map[string]int64{}}
				all = append(all, h)
				people.Go(h.live)
				if w.send == nil {
					posters.Go(h.post)
				}
			}
		}
	}
	broken, kills, tries := 0, 0, 0
	for life := range lives {
		for done := 0; done < cuts/lives && tries < 20*cuts; tries++ {
			if proxy.cut() {
				done++
				broken++
			}
			time.Sleep(eachFor / (cuts / lives)) // any moment is right
		}
		if life < lives-1 {
			p.killed()
			kills++
			p.launch()
			proxy.lead(strings.TrimPrefix(p.urls["chat"], "http://"))
		}
	}
	close(quiet)
	posters.Wait()
	settled := func(h *historian) bool {
		h.mu.Lock()
		waiting := h.waiting
		h.mu.Unlock()
		return !waiting
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		left := 0
		for _, h := range all {
			if !settled(h) || h.last() < p.head(h.room) {
				left++
			}
		}
		if left == 0 || t.Failed() {
			break
		}
		if time.Now().After(end) {
			t.Errorf("%d of %d have not seen everything after a minute", left, len(all))
			break
		}
	}
	links := 0
	for _, h := range all {
		h.mu.Lock()
		h.stopped = true
		links += h.links
		h.mu.Unlock()
	}
	people.Wait()
	if t.Failed() {
		return
	}
	lines := 0
	for _, h := range all {
		lines += p.compare(t, h)
	}
	t.Logf("%d lines were acknowledged to %d people on %d connections; %d were cut, the process was killed %d times", lines, len(all), links, broken, kills)
	if broken < cuts || kills < lives-1 || links < len(all)+cuts/2 || lines < 100 {
		t.Error("too little happened for the test to say anything")
	}
	p.drained()
}

// head is the seq of a room's newest event.
func (p *program) head(room string) int64 {
	var r struct{ Seq int64 }
	if err := json.Unmarshal(p.must(200, "GET", "chat/rooms/"+room, ""), &r); err != nil {
		p.t.Fatal(err)
	}
	return r.Seq
}

// compare checks a history against the room as it is stored, and returns how many lines were acknowledged.
func (p *program) compare(t *testing.T, h *historian) int {
	t.Helper()
	stored := map[int64]string{}
	for before := ""; ; {
		var page []struct {
			ID, Seq int64
			Text    string
		}
		if err := json.Unmarshal(p.must(200, "GET", "chat/rooms/"+h.room+"/messages?limit=200"+before, ""), &page); err != nil {
			t.Fatal(err)
		}
		for _, l := range page {
			stored[l.Seq] = l.Text
		}
		if len(page) < 200 {
			break
		}
		before = "&before=" + strconv.FormatInt(page[len(page)-1].ID, 10)
	}
	if len(h.seen) != len(stored) {
		t.Errorf("%s saw %d lines, and %d are stored", h.name, len(h.seen), len(stored))
	}
	texts := map[string]bool{}
	for i, text := range h.seen {
		if stored[int64(i+1)] != text {
			t.Errorf("%s saw %q at seq %d, and %q is stored", h.name, text, i+1, stored[int64(i+1)])
		}
		if texts[text] {
			t.Errorf("%s saw %q twice", h.name, text)
		}
		texts[text] = true
	}
	for text, seq := range h.acked {
		if stored[seq] != text {
			t.Errorf("%q was acknowledged to %s as %d, where %q stands", text, h.name, seq, stored[seq])
		}
	}
	return len(h.acked)
}
