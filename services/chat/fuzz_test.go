package chat_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"uniqverse/hub"
	"uniqverse/services/chat"
)

// FuzzSocketMessages sends arbitrary messages, a line each, over a socket of each protocol, before and after it is said who speaks.
// Whatever they are, every frame that comes is JSON in UTF-8, no answer is a fault of the server's, and the socket either
// answers the next request or closes with a code that says whose fault it was.
func FuzzSocketMessages(f *testing.F) {
	for i, folder := range []string{"veze", "centrifugo"} {
		files, _ := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			for line := range strings.Lines(string(raw)) {
				if said, ok := strings.CutPrefix(line, "-> "); ok {
					f.Add(uint8(1+2*i), []byte(strings.TrimSpace(said)))
					f.Add(uint8(2+2*i), []byte(strings.TrimSpace(said)))
				}
			}
		}
	}
	for _, said := range []string{"", "ping", "{}", `{"text":"hi"}`, "\xff", "[[[[[[", `{"op":"send","room_id":1,"text":"` + strings.Repeat("@pilot ", 300) + `"}`,
		`{"op":"sub","room_id":1,"after":0}` + "\n" + `{"op":"unsub","room_id":1}`, `{"op":"hello","resume":{"1":{"seq":0}}}`, strings.Repeat("[", 20_000), `{"op":"send","room_id":1,"text":` + strings.Repeat(`{"a":`, 5000),
		`{"id":7,"rpc":{"method":"send","data":{"room_id":1,"text":"<script>"}}}`, `{"id":4294967296,"ping":{}}`, `{"op":"send","room_id":"../../moderation/rules","text":"x"}`} {
		for kind := range uint8(5) {
			f.Add(kind, []byte(said))
		}
	}
	w := start(f, "", func(o *chat.Options, _ *hub.LocalOptions) { o.Edge.CloseWait = time.Minute }) // else a slow machine is cut before it has read why
	w.room("r")
	w.must("POST", "/rooms", "agent", `{"name":"wing","kind":"guild"}`)
	w.must("POST", "/rooms/1/messages", "", "text=hello")
	talks := []struct{ path, protocol, first, last, mark string }{
		{"/ws/rooms/1?after=0", "", "", "", ""},
		{"/ws", "veze.v1", `{"op":"hello"}`, `{"n":987654321,"op":"ping"}`, `"n":987654321`},
		{"/ws", "veze.v1", "", `{"n":987654321,"op":"ping"}`, `"n":987654321`},
		{"/connection/websocket", "", `{"id":1,"connect":{}}`, `{"id":987654321,"ping":{}}`, `"id":987654321`},
		{"/connection/websocket", "", "", `{"id":987654321,"ping":{}}`, `"id":987654321`},
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		if len(data) > 60<<10 {
			return
		}
		talk := talks[int(kind)%len(talks)]
		dialer := websocket.Dialer{}
		if talk.protocol != "" {
			dialer.Subprotocols = []string{talk.protocol}
		}
		c, _, err := dialer.Dial("ws"+strings.TrimPrefix(w.srv.URL, "http")+talk.path, http.Header{"Authorization": {"Bearer agent"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		messages := [][]byte{data}
		if talk.protocol != "" {
			messages = nil
			for line := range strings.SplitSeq(string(data), "\n") {
				messages = append(messages, []byte(line))
			}
			messages = messages[:min(len(messages), 20)]
		}
		if talk.first != "" {
			messages = append([][]byte{[]byte(talk.first)}, messages...)
		}
		if talk.last != "" {
			messages = append(messages, []byte(talk.last))
		}
		for _, m := range messages { // a socket that was closed meanwhile takes no more, and reading says why
			if c.WriteMessage(websocket.TextMessage, m) != nil {
				break
			}
		}
		if talk.last == "" {
			c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
		}
		for {
			answer, err := read(c)
			if code := closeCode(err); code != 0 {
				if code < 1000 || code == 1006 || code == 1011 || code == 3004 {
					t.Errorf("closed with %d", code)
				}
				return
			}
			if err != nil {
				t.Fatalf("neither an answer nor a close frame: %v", err)
			}
			if !utf8.ValidString(answer.raw) || !json.Valid([]byte(answer.raw)) {
				t.Fatalf("a frame that is no JSON: %q", answer.raw)
			}
			if strings.Contains(answer.raw, `"err":{"status":5`) || strings.Contains(answer.raw, `"error":{"code":100,`) {
				t.Fatalf("a fault of the server: %s", answer.raw)
			}
			if talk.mark != "" && strings.Contains(answer.raw, talk.mark) {
				return
			}
		}
	})
}
