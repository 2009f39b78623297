package chat_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"uniqverse/hub"
	"uniqverse/services/chat"
)

func TestCentrifugoDialogues(t *testing.T) { dialogues(t, "centrifugo", "/connection/websocket", "") }

func TestVezeDialogues(t *testing.T) { dialogues(t, "veze", "/ws", "veze.v1") }

// hello opens a veze.v1 socket and says hello.
func (w *world) hello(token string) *websocket.Conn {
	w.t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"veze.v1"}}
	c, _, err := dialer.Dial("ws"+strings.TrimPrefix(w.srv.URL, "http")+"/ws", http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	say(w.t, c, `{"op":"hello"}`)
	return c
}

func say(t testing.TB, c *websocket.Conn, frame string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		t.Fatal(err)
	}
}

// ended reads until the socket closes and returns the code.
func ended(c *websocket.Conn) int {
	for {
		if _, err := read(c); err != nil {
			return closeCode(err)
		}
	}
}

func TestVezeLimits(t *testing.T) {
	w := start(t, "", func(o *chat.Options, _ *hub.LocalOptions) { o.SocketsPerUser = 1 })
	w.room("r")
	if _, status, err := w.dial("/ws"); status != 400 {
		t.Errorf("without the sub-protocol: %d %v", status, err)
	}
	c := w.hello("pilot")
	if _, err := read(c); err != nil {
		t.Fatal(err)
	}
	if code := ended(w.hello("pilot")); code != 3504 {
		t.Errorf("one socket more than a user may have: %d", code)
	}
	clients := w.socket("/connection/websocket", "Authorization", "Bearer pilot")
	say(t, clients, `{"id":1,"connect":{}}`)
	if code := ended(clients); code != 3504 {
		t.Errorf("one more, in Centrifugo's protocol: %d", code)
	}
	say(t, c, `{"op":"send","room_id":1,"text":"`+strings.Repeat("x", 64<<10)+`"}`)
	if code := ended(c); code != 1009 {
		t.Errorf("a frame of more than 64 kB: %d", code)
	}
	c = w.hello("agent")
	for range 300 { // chat.moderate has no limits
		say(t, c, `{"op":"ping"}`)
	}
	say(t, c, `{"n":1,"op":"ping"}`)
	for {
		f, err := read(c)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(f.raw, `"n":1`) {
			break
		}
	}
	c = w.hello("reader")
	for range 400 {
		if c.WriteMessage(websocket.TextMessage, []byte(`{"op":"ping"}`)) != nil {
			break
		}
	}
	if code := ended(c); code != 3013 {
		t.Errorf("over the frame rate: %d", code)
	}
}

func TestVezeJoinsAreLimited(t *testing.T) {
	w := start(t, "")
	w.room("r")
	c := w.hello("pilot")
	for range 31 {
		say(t, c, `{"op":"sub","room_id":1}`)
		say(t, c, `{"op":"unsub","room_id":1}`)
	}
	for {
		f, err := read(c)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(f.raw, `"too_many_joins"`) {
			break
		}
	}
}

func TestVezeRoomsOfAConnection(t *testing.T) {
	w := start(t, "")
	for i := range 129 {
		w.room(fmt.Sprintf("r%d", i))
	}
	c := w.hello("agent")
	for i := range 129 {
		say(t, c, fmt.Sprintf(`{"op":"sub","room_id":%d}`, i+1))
	}
	for oks := 0; ; {
		f, err := read(c)
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.Contains(f.raw, `"ok":true,"room_id"`):
			oks++
		case strings.Contains(f.raw, `"too_many_rooms"`):
			if oks != 128 {
				t.Errorf("%d rooms were let in", oks)
			}
			return
		}
	}
}

// A token that ends while the socket is open ends the socket, unless a new one came.
func TestATokenThatExpiresInALiveSocket(t *testing.T) {
	w := start(t, "")
	w.room("r")
	if code := ended(w.socket("/ws/rooms/1", "Authorization", "Bearer brief")); code != 3005 {
		t.Errorf("the plain socket: %d", code)
	}
	if code := ended(w.hello("brief")); code != 3005 {
		t.Errorf("veze.v1: %d", code)
	}
	clients := w.socket("/connection/websocket", "Authorization", "Bearer brief")
	say(t, clients, `{"id":1,"connect":{}}`)
	if code := ended(clients); code != 3005 {
		t.Errorf("Centrifugo's protocol: %d", code)
	}
}
