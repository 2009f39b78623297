package chat_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// A dialogue is a file of what is said over sockets and around them, a line each:
//
//	open NAME TOKEN [PATH]   opens a socket as the token's user ("-" for no token); NAME is who speaks from here on
//	with NAME                who speaks from here on
//	-> FRAME                 sends; $EPOCH and what keep found stand for themselves
//	<- JSON                  receives: what is there must be in the frame too, "*" is anything. Answers, events and
//	                         presence are three queues, for they come in whichever order; of presence, what is not
//	                         wanted is passed over
//	<= JSON                  the same, as the frame's only fields
//	keep NAME FIELD          remembers a field of the last frame (or answer) as $NAME
//	call TOKEN METHOD PATH [BODY]   a request that is answered 200
//	refused STATUS TOKEN METHOD PATH [BODY]
//	closed CODE              the socket closes with the code
//
// Two rooms are there: 1 is for everybody, 2 is pilot's guild. # begins a remark.
type dialogue struct {
	*world
	file    string
	line    int
	path    string
	proto   string
	sockets map[string]*websocket.Conn
	who     string
	vars    map[string]string
	last    map[string]any
	frames  map[string]map[string][]string // not looked at yet, by socket and class
}

// dialogues plays every file of a folder in a world of its own.
func dialogues(t *testing.T, folder, path, proto string) {
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d := &dialogue{world: start(t, ""), file: file, path: path, proto: proto, sockets: map[string]*websocket.Conn{}, vars: map[string]string{}, frames: map[string]map[string][]string{}}
			d.room("deck")
			d.must("POST", "/rooms", "pilot", "name=wing&kind=guild")
			d.vars["EPOCH"] = d.hub.Epoch()
			for i, line := range strings.Split(string(raw), "\n") {
				d.line = i + 1
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					d.play(line)
				}
			}
		})
	}
}

func (d *dialogue) failf(format string, args ...any) {
	d.t.Helper()
	d.t.Fatalf("%s:%d: %s", d.file, d.line, fmt.Sprintf(format, args...))
}

func (d *dialogue) play(line string) {
	for name, value := range d.vars {
		line = strings.ReplaceAll(line, "$"+name, value)
	}
	verb, rest, _ := strings.Cut(line, " ")
	words := strings.Fields(rest)
	switch verb {
	case "open":
		d.open(words)
	case "with":
		d.who = rest
	case "->":
		if err := d.sockets[d.who].WriteMessage(websocket.TextMessage, []byte(strings.ReplaceAll(rest, `\n`, "\n"))); err != nil {
			d.failf("%v", err)
		}
	case "<-", "<=":
		d.receive(rest, verb == "<=")
	case "keep":
		v := any(d.last)
		for field := range strings.SplitSeq(words[1], ".") {
			m, _ := v.(map[string]any)
			v = m[field]
		}
		if v == nil {
			d.failf("no %s in %v", words[1], d.last)
		}
		d.vars[words[0]] = fmt.Sprint(v)
	case "call":
		d.request(200, words[0], strings.SplitN(rest, " ", 4))
	case "refused":
		status, _ := strconv.Atoi(words[0])
		d.request(status, words[1], strings.SplitN(rest, " ", 5)[1:])
	case "closed":
		f, err := read(d.sockets[d.who])
		for err == nil {
			f, err = read(d.sockets[d.who])
		}
		if fmt.Sprint(closeCode(err)) != rest {
			d.failf("frame %s, end %v", f.raw, err)
		}
	default:
		d.failf("what is %q?", verb)
	}
}

func (d *dialogue) open(words []string) {
	h := http.Header{}
	if words[1] != "-" {
		h.Set("Authorization", "Bearer "+words[1])
	} else {
		h.Set("Authorization", "Bearer nobody") // no token would be the demo identity
	}
	path := d.path
	if len(words) > 2 {
		path = words[2]
	}
	dialer := *websocket.DefaultDialer
	if d.proto != "" {
		dialer.Subprotocols = []string{d.proto}
	}
	c, _, err := dialer.Dial("ws"+strings.TrimPrefix(d.srv.URL, "http")+path, h)
	if err != nil {
		d.failf("%v", err)
	}
	d.t.Cleanup(func() { c.Close() })
	d.sockets[words[0]], d.who, d.frames[words[0]] = c, words[0], map[string][]string{}
}

// class says in which queue a frame stands.
func class(frame map[string]any) string {
	push, _ := frame["push"].(map[string]any)
	pub, _ := push["pub"].(map[string]any)
	_, n := frame["n"]
	_, id := frame["id"]
	_, typ := frame["type"]
	switch {
	case n || id && !typ || frame["ok"] != nil || frame["err"] != nil:
		return "answer"
	case frame["type"] == "chat.presence" || push["join"] != nil || push["leave"] != nil || pub != nil && pub["offset"] == nil && push["channel"] != "me":
		return "presence"
	}
	return "event"
}

func (d *dialogue) receive(want string, exactly bool) {
	var w map[string]any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		d.failf("%v in %s", err, want)
	}
	queue := d.frames[d.who]
	for kind := class(w); len(queue[kind]) == 0; {
		d.sockets[d.who].SetReadDeadline(time.Now().Add(20 * time.Second))
		_, raw, err := d.sockets[d.who].ReadMessage()
		if err != nil {
			d.failf("%v, want %s; there are %v", err, want, queue)
		}
		for frame := range strings.SplitSeq(strings.TrimSuffix(string(raw), "\n"), "\n") {
			f := map[string]any{}
			if err := json.Unmarshal([]byte(frame), &f); err != nil {
				d.failf("%v in the frame %s", err, frame)
			}
			queue[class(f)] = append(queue[class(f)], frame)
		}
	}
	raw := queue[class(w)][0]
	queue[class(w)] = queue[class(w)][1:]
	d.last = nil
	if err := json.Unmarshal([]byte(raw), &d.last); err != nil {
		d.failf("%v in the frame %s", err, raw)
	}
	if class(w) == "presence" && !within(w, d.last) { // of whom else it is told depends on who was quicker
		d.receive(want, exactly)
		return
	}
	if !within(w, d.last) || exactly && len(w) != len(d.last) {
		d.failf("frame\n  %s\nwant\n  %s", raw, want)
	}
}

// within reports whether everything that is wanted is there.
func within(want, got any) bool {
	switch w := want.(type) {
	case string:
		return w == "*" && got != nil || reflect.DeepEqual(want, got)
	case map[string]any:
		g, ok := got.(map[string]any)
		for k, v := range w {
			if !ok || !within(v, g[k]) {
				return false
			}
		}
		return ok
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !within(w[i], g[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(want, got)
}

func (d *dialogue) request(status int, token string, words []string) {
	body := ""
	if len(words) > 3 {
		body = words[3]
	}
	a := d.call(words[1], words[2], token, body)
	if a.status != status {
		d.failf("%d %s", a.status, a.body)
	}
	d.last = nil
	if strings.HasPrefix(a.body, "{") {
		a.json(d.t, &d.last)
	}
}
