package chat_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/hub"
	"uniqverse/services/chat"
)

// stuck opens a socket whose client does not read, and holds little unread.
func (w *world) stuck(path, protocol, first string) *websocket.Conn {
	w.t.Helper()
	dialer := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		c, err := net.Dial(network, addr)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return c, err
	}}
	if protocol != "" {
		dialer.Subprotocols = []string{protocol}
	}
	c, _, err := dialer.Dial("ws"+strings.TrimPrefix(w.srv.URL, "http")+path, http.Header{"Authorization": {"Bearer agent"}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	if first != "" {
		say(w.t, c, first)
	}
	return c
}

// Who does not read costs a bounded piece of memory and nobody else's time; they are told so (3008), and have every line
// when they come back.
func TestOneThatDoesNotRead(t *testing.T) {
	if testing.Short() {
		t.Skip("posts ten megabytes")
	}
	w := start(t, "", func(o *chat.Options, _ *hub.LocalOptions) { o.Edge.WriteTimeout = time.Hour }) // else a slow machine cuts them (3009) before the lines are posted
	room := w.room("r")
	stuck := map[string]*websocket.Conn{
		"plain":      w.stuck("/ws/rooms/1?after=0", "", ""),
		"veze.v1":    w.stuck("/ws", "veze.v1", `{"op":"hello","resume":{"1":{"seq":0}}}`),
		"centrifugo": w.stuck("/connection/websocket", "", `{"id":1,"connect":{}}`+"\n"+`{"id":2,"subscribe":{"channel":"room:1"}}`),
	}
	const readers, posters, each = 20, 50, 16
	const all = posters * each
	text := strings.Repeat("€", 4000)
	var reading, posting sync.WaitGroup
	for range readers {
		c := w.socket("/ws/rooms/1?after=0")
		reading.Go(func() {
			for n := int64(1); n <= all; n++ {
				if f, err := read(c); err != nil || f.Seq != n {
					t.Errorf("one of the others, at %d: seq %d %v", n, f.Seq, err)
					return
				}
			}
		})
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range posters {
		posting.Go(func() {
			for range each {
				if a := w.call("POST", fmt.Sprintf("/rooms/%d/messages", room), "", "text="+url.QueryEscape(text)); a.status != 200 {
					t.Errorf("post: %d %s", a.status, a.body)
				}
			}
		})
	}
	posting.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	reading.Wait()
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 24<<20 { // two windows of a megabyte, what readers hold, and room to spare
		t.Errorf("%d MB more are in use after %d MB were posted", grown>>20, all*len(text)>>20)
	}
	for protocol, c := range stuck {
		last, err := int64(0), error(nil)
		for err == nil {
			var f frame
			if f, err = read(c); err != nil {
				break
			}
			seq := f.Seq
			if i := strings.Index(f.raw, `},"offset":`); protocol == "centrifugo" && i >= 0 {
				fmt.Sscanf(f.raw[i:], `},"offset":%d`, &seq)
			}
			if f.Type == "sync" || seq == 0 {
				continue
			}
			if seq != last+1 {
				t.Fatalf("%s: seq %d follows %d", protocol, seq, last)
			}
			last = seq
		}
		if closeCode(err) != 3008 {
			t.Errorf("%s: after %d of %d lines: %v", protocol, last, all, err)
		}
		if last >= all {
			t.Errorf("%s: nothing was held back", protocol)
		}
		again := w.socket(fmt.Sprintf("/ws/rooms/1?after=%d&epoch=%s", last, w.hub.Epoch()))
		if _, err := readTo(again, last, all); err != nil {
			t.Errorf("%s: back after %d: %v", protocol, last, err)
		}
	}
}
