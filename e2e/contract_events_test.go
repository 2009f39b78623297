package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/internal/event"
)

// contractEventTypes are the types that the contract lists, written out.
func contractEventTypes(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(raw), "\nTypes: ")
	if !ok {
		t.Fatal("the contract has no list of types")
	}
	list, _, _ = strings.Cut(list, ". ")
	var all []string
	for _, m := range regexp.MustCompile("`([a-z_.|]+)`").FindAllStringSubmatch(list, -1) {
		words := strings.Split(m[1], "|")
		stem := words[0][:strings.LastIndexByte(words[0], '.')+1]
		all = append(all, words[0])
		for _, w := range words[1:] {
			all = append(all, stem+w)
		}
	}
	if len(all) < 30 {
		t.Fatalf("found only %d types: %v", len(all), all)
	}
	return all
}

// The names of events and streams in the code are those of the contract, and no others.
func TestEventNamesAreTheContracts(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/event/types.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			name, _ := strconv.Unquote(lit.Value)
			ours = append(ours, name)
		}
		return true
	})
	theirs := contractEventTypes(t)
	slices.Sort(ours)
	slices.Sort(theirs)
	if !slices.Equal(ours, theirs) {
		t.Errorf("the code has\n%v\nthe contract\n%v", ours, theirs)
	}
	for got, want := range map[string]string{event.StreamChat: "veze.chat", event.StreamGame: "veze.game", event.StreamPortal: "veze.portal",
		event.StreamMail: "email:events", event.StreamMailOf("pilot"): "email:events:pilot"} {
		if got != want {
			t.Errorf("stream %s, want %s", got, want)
		}
	}
}

// stir makes one event of each kind that a visitor can cause, n says which round.
func stir(s *system, n int) {
	s.post(200, fmt.Sprintf("chat/rooms?name=room%d", n), "")
	s.post(200, "chat/rooms/1/messages?text=hello", "")
	s.post(200, fmt.Sprintf("chat/tickets?subject=ticket%d", n), "")
	s.post(200, fmt.Sprintf("chat/tickets/%d/assign?assignee_id=7", n), "")
	s.post(200, fmt.Sprintf("chat/tickets/%d/comments?text=hello", n), "")
	s.post(200, fmt.Sprintf("chat/tickets/%d/solve", n), "")
	s.post(200, fmt.Sprintf("chat/tickets/%d/reopen", n), "")
	s.post(200, fmt.Sprintf("game/leaderboards/submit?user_id=ann&score=%d&season=s1&mode=duel", n), "")
	for _, user := range []string{"a", "b"} {
		s.post(200, "game/matchmaking/enqueue?mmr=1500&mode=duel&region=eu&user_id="+user, "")
	}
	s.post(200, "game/matchmaking/match?mode=duel&region=eu", "")
	s.sendMail("eve@example.org", "demo@vezeuniqverse.com", fmt.Sprint("mail", n), "x")
	s.post(200, fmt.Sprintf("email/api/messages/%d/read?access_token=demo", n), "")
	s.post(200, fmt.Sprintf("email/api/messages/%d/star?access_token=demo", n), "")
	s.post(200, fmt.Sprintf("email/api/messages/%d/labels?access_token=demo&labels=a", n), "")
	s.get(200, "portal/auth/whoami?access_token="+s.token(fmt.Sprint("user", n), ""))
}

// Every event has the common fields, also as a server-sent event; ids grow within a stream, over a restart too, and the epoch stays.
func TestEventsCarryTheCommonFields(t *testing.T) {
	s := start(t)
	last := map[string]int64{}
	epoch := ""
	seen := map[string]bool{}
	seq := 0.0
	types := contractEventTypes(t)
	round := func(n int) {
		streams := map[string]*eventStream{"chat": s.listen("chat/events"), "game": s.listen("game/events"), "email": s.listen("email/api/events?user=demo&access_token=demo"), "portal": s.listen("portal/events")}
		stir(s, n)
		for name, until := range map[string]string{"chat": "ticket.reopened", "game": "game.match.found", "email": "mail.labels", "portal": "auth.user.created"} {
			for done := false; !done; {
				ev := streams[name].next()
				done = ev.name == until && (name != "portal" || strings.HasPrefix(fmt.Sprint(ev.data["user"]), "user"))
				id, _ := ev.data["id"].(float64)
				if ev.name != ev.data["type"] || ev.id != fmt.Sprint(int64(id)) || ev.lines != 1 {
					t.Errorf("%s: SSE says id %s and event %s in %d data lines, the event %v", name, ev.id, ev.name, ev.lines, ev.data)
				}
				if err := matches("the event", object{"type": "<text>", "ts": "<time>", "id": "<int>", "epoch": "<text>", "trace": object{"id": "<text>", "hops": "<list>"}, "…": 0}, ev.data); err != nil {
					t.Errorf("%s %s: %v", name, ev.name, err)
				}
				if !slices.Contains(types, ev.name) {
					t.Errorf("%s tells %s, which the contract does not list", name, ev.name)
				}
				seen[ev.name] = true
				if epoch == "" {
					epoch = fmt.Sprint(ev.data["epoch"])
				}
				if ev.data["epoch"] != epoch {
					t.Errorf("epoch %v, and before it was %s", ev.data["epoch"], epoch)
				}
				if name != "portal" { // which joins several streams
					if int64(id) <= last[name] {
						t.Errorf("%s: id %d after %d", name, int64(id), last[name])
					}
					last[name] = int64(id)
				}
				if name == "chat" && ev.name == "chat.message.created" {
					if got, _ := ev.data["seq"].(float64); got != seq+1 {
						t.Errorf("seq %v after %v", ev.data["seq"], seq)
					}
					seq++
				}
			}
		}
	}
	round(1)
	s.restart()
	round(2)
	for _, typ := range []string{"chat.room.created", "chat.message.created", "ticket.created", "ticket.assigned", "ticket.commented", "ticket.solved", "ticket.reopened",
		"game.leaderboard.updated", "game.match.found", "mail.received", "mail.read", "mail.star", "mail.labels", "auth.user.created"} {
		if !seen[typ] {
			t.Errorf("no %s was told", typ)
		}
	}
	if other := start(t); other.epochOf(t) == epoch {
		t.Error("another database has the same epoch")
	}
}

// epochOf is the epoch of the streams.
func (s *system) epochOf(t *testing.T) string {
	t.Helper()
	var room struct {
		ID    int64
		Epoch string
	}
	s.post(200, fmt.Sprintf("chat/rooms?name=epoch%d", time.Now().UnixNano()), "").JSON(t, &room)
	s.get(200, fmt.Sprintf("chat/rooms/%d", room.ID)).JSON(t, &room)
	return room.Epoch
}

// A listener that comes back gets exactly what it missed: over sockets from any place, over a restart and while others
// post; over event streams all or the word that it must reload.
func TestListenersComeBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.post(200, "chat/rooms?name=Bridge", "")
	epoch := s.epochOf(t)
	var posters sync.WaitGroup
	post := func(from, n int) {
		for i := range n {
			s.post(200, fmt.Sprintf("chat/rooms/1/messages?text=line%d", from+i), "")
		}
	}
	for p := range 4 {
		posters.Go(func() { post(100*p, 25) })
	}
	check := func(conn *websocket.Conn, from, to int) {
		t.Helper()
		for want := from; want <= to; want++ {
			if ev := nextFrame(t, conn); ev["seq"] != float64(want) {
				t.Fatalf("seq %v, want %d: %v", ev["seq"], want, ev)
			}
		}
	}
	check(s.dial("chat/ws/rooms/1?after=0"), 1, 100) // joins while they post
	posters.Wait()
	s.restart()
	check(s.dial("chat/ws/rooms/1?after=0&epoch="+epoch), 1, 100)
	check(s.dial("portal/proxy/chat/ws/rooms/1?after=97&epoch="+epoch), 98, 100)
	fresh := s.dial("chat/ws/rooms/1")
	late := s.dial("chat/ws/rooms/1?after=99&epoch=" + epoch)
	check(late, 100, 100)
	post(900, 2)
	check(fresh, 101, 102)
	check(late, 101, 102)
	for _, query := range []string{"after=50&epoch=of-another-database", "after=5000&epoch=" + epoch} {
		conn := s.dial("chat/ws/rooms/1?" + query)
		if ev := nextFrame(t, conn); ev["type"] != "recovered" || ev["recovered"] != false {
			t.Errorf("%s: %v, want the word to reload", query, ev)
		}
	}

	events := s.listen("chat/events")
	post(910, 3)
	first := events.next()
	second, third := events.next(), events.next()
	events.close()
	post(920, 1)
	again := s.listen("chat/events?epoch="+epoch, "Last-Event-ID", first.id)
	if ev := again.next(); ev.name != "recovered" || ev.data["recovered"] != true {
		t.Fatalf("the stream begins with %v, want recovered: true", ev)
	}
	for i, want := range []serverEvent{second, third} {
		if ev := again.next(); ev.id != want.id || ev.data["text"] != want.data["text"] {
			t.Errorf("event %d after the break is %v, want %v", i+1, ev, want)
		}
	}
	if ev := again.next(); ev.data["text"] != "line920" {
		t.Errorf("then comes %v, want what was said during the break", ev.data)
	}
	lost := s.listen("chat/events?epoch=of-another-database", "Last-Event-ID", first.id)
	post(930, 1)
	if ev := lost.next(); ev.name != "recovered" || ev.data["recovered"] != false {
		t.Errorf("the stream begins with %v, want recovered: false", ev)
	}
	if ev := lost.next(); ev.data["text"] != "line930" {
		t.Errorf("a reader that must reload then gets %v, want only what is new", ev.data)
	}
}

// closedWith reads until the socket is closed and returns the code.
func closedWith(t *testing.T, conn *websocket.Conn) int {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	for {
		_, _, err := conn.ReadMessage()
		var ce *websocket.CloseError
		if errors.As(err, &ce) {
			return ce.Code
		}
		if err != nil {
			t.Fatalf("the socket broke without a code: %v", err)
		}
	}
}

// A drain asks sockets to come back; a message on a socket that is for listening asks them to stay away, since
// nothing that is sent there could be kept.
func TestCloseCodes(t *testing.T) {
	s := start(t)
	s.post(200, "chat/rooms?name=Bridge", "")
	for _, target := range []string{"chat/ws/rooms/1", "game/ws/events", "portal/proxy/chat/ws/rooms/1"} {
		conn := s.dial(target)
		if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"send","text":"hello","nonce":"1"}`)); err != nil {
			t.Fatal(err)
		}
		if code := closedWith(t, conn); code < 3500 || code > 3999 {
			t.Errorf("%s: a send is closed with %d, want 3500 to 3999", target, code)
		}
	}
	var open []*websocket.Conn
	for _, target := range []string{"chat/ws/rooms/1", "game/ws/events", "portal/proxy/chat/ws/rooms/1"} {
		open = append(open, s.dial(target))
	}
	ended := make(chan struct{})
	go func() { defer close(ended); s.end() }()
	for _, conn := range open {
		if code := closedWith(t, conn); code < 3000 || code > 3499 {
			t.Errorf("a drain closes with %d, want 3000 to 3499", code)
		}
	}
	<-ended
	s.boot()
}

// A plain client gets events alone: no subprotocol, no greeting, one JSON object in each text frame.
func TestPlainSocket(t *testing.T) {
	s := start(t)
	s.post(200, "chat/rooms?name=Bridge", "")
	s.post(200, "chat/rooms/1/messages?text=before", "")
	plain := s.dial("chat/ws/rooms/1")
	if plain.Subprotocol() != "" {
		t.Errorf("subprotocol %q", plain.Subprotocol())
	}
	for i := range 3 {
		s.post(200, fmt.Sprintf("chat/rooms/1/messages?text=line%d", i), "")
	}
	for i := range 3 {
		kind, data, err := plain.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var ev object
		if kind != websocket.TextMessage || json.Unmarshal(data, &ev) != nil || ev["text"] != fmt.Sprint("line", i) || strings.Contains(string(data), "\n") {
			t.Errorf("frame %d is of type %d: %s", i, kind, data)
		}
	}
}
