package chat_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/internal/event"
	"uniqverse/store/chatstore"
	"uniqverse/store/storetest"
)

// step is one call of a table and its answer.
type step struct {
	method, path, token, body string
	status                    int
	says                      string
}

// walk makes the calls in order.
func (w *world) walk(steps []step) {
	w.t.Helper()
	for i, s := range steps {
		a := w.call(s.method, s.path, s.token, s.body)
		if a.status != s.status || !strings.Contains(a.body, s.says) {
			w.t.Errorf("%d: %s %s %s %s: %d %s; want %d with %q", i, s.token, s.method, s.path, s.body, a.status, a.body, s.status, s.says)
		}
	}
}

// Who may find, read, write and enter a room, by its kind.
func TestPermissionsByKind(t *testing.T) {
	w := start(t, "")
	for _, kind := range []string{"global", "guild", "party", "dm", "support"} { // rooms 1 to 5 are pilot's
		w.must("POST", "/rooms", "pilot", fmt.Sprintf(`{"name":"the %s","kind":"%s"}`, kind, kind))
	}
	for _, tc := range []struct {
		token string
		sees  string // rooms that are listed, read and opened as sockets
		write string // the answers to a line in each
		join  string
	}{
		{"pilot", "12345", "200 200 200 200 200", "200 200 200 403 200"},
		{"outsider", "1", "200 404 404 404 404", "200 404 404 404 404"},
		{"reader", "1", "403 403 403 403 403", "403 403 403 403 403"},
		{"agent", "12345", "200 200 200 200 200", "200 200 200 403 200"},
		{"", "12345", "200 200 200 200 200", "200 200 200 403 200"},
	} {
		var list []struct{ ID int64 }
		w.must("GET", "/rooms", tc.token, "").json(t, &list)
		listed, read, live, write, join := "", "", "", []string{}, []string{}
		for _, r := range list {
			listed += fmt.Sprint(r.ID)
		}
		for id := 1; id <= 5; id++ {
			for _, path := range []string{"/rooms/%d", "/rooms/%d/messages", "/rooms/%d/members"} {
				a := w.call("GET", fmt.Sprintf(path, id), tc.token, "")
				if seen := strings.Contains(tc.sees, fmt.Sprint(id)); (a.status == 200) != seen || !seen && a.status != 404 {
					t.Errorf("%q reads "+path+": %d", tc.token, id, a.status)
				}
			}
			if a := w.call("GET", fmt.Sprintf("/rooms/%d", id), tc.token, "", "Accept", "text/html"); a.status == 200 {
				read += fmt.Sprint(id)
			}
			token := tc.token
			if token == "" {
				token = "demo"
			}
			if c, _, err := w.dial(fmt.Sprintf("/ws/rooms/%d", id), "Authorization", "Bearer "+token); err == nil {
				live += fmt.Sprint(id)
				c.Close()
			}
			write = append(write, fmt.Sprint(w.call("POST", fmt.Sprintf("/rooms/%d/messages", id), tc.token, "text=hi").status))
		}
		if listed != tc.sees || read != tc.sees || live != tc.sees || strings.Join(write, " ") != tc.write {
			t.Errorf("%q finds %s, opens %s, hears %s, writes %s; want %s and %s", tc.token, listed, read, live, write, tc.sees, tc.write)
		}
		for id := 1; id <= 5; id++ {
			join = append(join, fmt.Sprint(w.call("POST", fmt.Sprintf("/rooms/%d/join", id), tc.token, "").status))
		}
		if strings.Join(join, " ") != tc.join {
			t.Errorf("%q joins %s, want %s", tc.token, join, tc.join)
		}
	}
	w.walk([]step{
		{"GET", "/rooms?q=GUI", "pilot", "", 200, `[{"id":2,"name":"the guild","kind":"guild"}]`},
		{"GET", "/rooms?q=%25", "pilot", "", 200, `[]`},
		{"GET", "/rooms?member=me", "outsider", "", 200, `[{"id":1,`},
		{"GET", "/rooms?member=me&kind=guild", "outsider", "", 200, `[]`},
		{"GET", "/rooms?member=you", "pilot", "", 422, `"field":"member"`},
		{"GET", "/", "outsider", "", 200, ""},
	})
	if a := w.must("GET", "/rooms", "outsider", "", "Accept", "text/html"); strings.Contains(a.body, "the guild") || !strings.Contains(a.body, "the global") {
		t.Error("the page of rooms shows what is not for the caller")
	}
}

func TestRolesAndSettings(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "pilot", `{"name":"guild","kind":"guild"}`)
	w.walk([]step{
		{"GET", "/rooms/1", "pilot", "", 200, `"topic":"","slow_mode_s":0,"archived":false,"role":"owner"`},
		{"PATCH", "/rooms/1", "pilot", `{"topic":" Raids ","slow_mode_s":5}`, 200, `"seq":1,`},
		{"PATCH", "/rooms/1", "pilot", `{"topic":"Raids"}`, 200, `"seq":1,`}, // no change is no event
		{"PATCH", "/rooms/1", "pilot", `{}`, 422, "nothing to change"},
		{"PATCH", "/rooms/1", "pilot", `{"slow_mode_s":-1}`, 422, "slow_mode_s"},
		{"PATCH", "/rooms/1", "pilot", `{"slow_mode_s":21601}`, 422, "slow_mode_s"},
		{"PATCH", "/rooms/1", "pilot", `{"topic":"a\nb"}`, 422, "one line"},
		{"PATCH", "/rooms/1", "pilot", `{"topic":"` + strings.Repeat("é", 251) + `"}`, 422, "250"},
		{"PATCH", "/rooms/1", "pilot", `{"title":"x"}`, 422, `"field":"title"`},
		{"PATCH", "/rooms/1", "outsider", `{"topic":"x"}`, 404, "Room not found"},
		{"PATCH", "/rooms/1", "reader", `{"topic":"x"}`, 403, "chat.write"},
		{"PATCH", "/rooms/9", "agent", `{"topic":"x"}`, 404, "Room not found"},
		// Invitations and roles.
		{"POST", "/rooms/1/invite", "outsider", `{"handle":"@reader"}`, 404, "Room not found"},
		{"POST", "/rooms/1/invite", "pilot", `{}`, 422, "user_id"},
		{"POST", "/rooms/1/invite", "pilot", `{"handle":"@nobody"}`, 422, "nobody who is known"},
		{"POST", "/rooms/1/invite", "pilot", `{"handle":"@outsider","role":"king"}`, 422, `"field":"role"`},
		{"POST", "/rooms/1/invite", "pilot", `{"handle":"@outsider"}`, 200, `{"user_id":5,"handle":"@outsider","role":"member"`},
		{"POST", "/rooms/1/invite", "pilot", `{"user_id":5}`, 200, `"role":"member"`},
		{"PATCH", "/rooms/1", "outsider", `{"topic":"x"}`, 403, "owner and moderators"},
		{"POST", "/rooms/1/kick", "outsider", `{"user_id":2}`, 403, "owner and moderators"},
		{"POST", "/rooms/1/members", "outsider", `{"user_id":3,"role":"moderator"}`, 403, "you cannot make"},
		{"POST", "/rooms/1/members", "outsider", `{"user_id":2,"role":"guest"}`, 403, "you cannot change"},
		{"POST", "/rooms/1/members", "outsider", `{"user_id":3,"role":"guest"}`, 200, `"role":"guest"`},
		{"POST", "/rooms/1/members", "pilot", `{"user_id":5,"role":"moderator"}`, 200, `"role":"moderator"`},
		{"POST", "/rooms/1/members", "outsider", `{"user_id":3,"role":"moderator"}`, 403, "you cannot make"},
		{"PATCH", "/rooms/1", "outsider", `{"topic":"x"}`, 200, `"topic":"x"`},
		{"POST", "/rooms/1/kick", "outsider", `{"user_id":2}`, 403, "below you"},
		{"POST", "/rooms/1/kick", "outsider", `{"user_id":5}`, 403, "below you"},
		{"GET", "/rooms/1/members?limit=1", "reader", "", 200, `[{"user_id":2,"handle":"@pilot","role":"owner"`},
		{"GET", "/rooms/1/members?after=2&limit=1", "reader", "", 200, `[{"user_id":3,"handle":"@reader","role":"guest"`},
		{"DELETE", "/rooms/1/members/3", "outsider", "", 200, `"action":"kick"`},
		{"DELETE", "/rooms/1/members/3", "outsider", "", 404, "no member"},
		{"GET", "/rooms/1", "reader", "", 404, ""},
		// Nobody acts for another without the right to.
		{"POST", "/rooms/1/leave", "outsider", `{"user_id":2}`, 403, "acts for"},
		{"POST", "/rooms/1/join", "game", `{}`, 422, "user_id"},
		{"POST", "/rooms/1/join", "game", `{"user_id":3}`, 200, `"handle":"@reader"`},
		// An archived room is for reading.
		{"PATCH", "/rooms/1", "pilot", `{"archived":true}`, 200, `"archived":true`},
		{"POST", "/rooms/1/messages", "pilot", `{"text":"hi"}`, 409, "archived"},
		{"POST", "/rooms/1/messages", "agent", `{"text":"hi"}`, 409, "archived"},
		{"GET", "/rooms/1/messages", "pilot", "", 200, "[]"},
		{"PATCH", "/rooms/1", "pilot", `{"archived":false}`, 200, `"archived":false`},
		{"POST", "/rooms/1/messages", "pilot", `{"text":"hi"}`, 200, ""},
		// The last owner's place goes to the next in rank.
		{"POST", "/rooms/1/leave", "pilot", "", 200, `{"ok":true}`},
		{"GET", "/rooms/1", "pilot", "", 404, ""},
		{"GET", "/rooms/1", "outsider", "", 200, `"role":"owner"`},
		{"POST", "/rooms/1/leave", "outsider", "", 200, ""},
		{"POST", "/rooms/1/leave", "reader", "", 403, "chat.write"},
	})
	// Every change is in the log, in order, and so a socket's.
	c := w.socket("/ws/rooms/1?after=0")
	var types []string
	for {
		f, err := read(c)
		if err != nil {
			t.Fatal(err)
		}
		if f.Seq != int64(len(types)+1) {
			t.Fatalf("seq %d follows %d", f.Seq, len(types))
		}
		types = append(types, strings.TrimPrefix(f.Type, "chat."))
		if strings.Contains(f.raw, `"user_id":3,"handle":"@reader","role":"owner"`) {
			break
		}
	}
	want := "room.updated room.updated room.updated room.updated room.updated moderation.actioned room.updated room.updated room.archived room.updated message.created room.updated room.updated room.updated room.updated"
	if got := strings.Join(types, " "); got != want {
		t.Errorf("the log\n%s, want\n%s", got, want)
	}
}

func TestBansAndMutes(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "pilot", `{"name":"hall"}`)
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	w.walk([]step{
		{"POST", "/rooms/1/mute", "outsider", `{"user_id":2}`, 403, "owner and moderators"},
		{"POST", "/rooms/1/mute", "pilot", `{"user_id":5,"until":"2020-01-01T00:00:00Z"}`, 422, "future"},
		{"POST", "/rooms/1/mute", "pilot", `{"user_id":5,"until":"soon"}`, 422, `"field":"until"`},
		{"POST", "/rooms/1/mute", "pilot", `{"user_id":5,"until":"` + soon + `","reason":"caps"}`, 200, `"action":"mute"`},
		{"POST", "/rooms/1/messages", "outsider", "text=hi", 403, "muted in this room until"},
		{"POST", "/rooms/1/messages", "outsider", "text=kill+yourself", 403, "muted"}, // who may not speak is not read
		{"POST", "/rooms/1/messages", "", "text=hi&user_id=5", 403, "muted"},
		{"GET", "/rooms/1/messages", "outsider", "", 200, ""},
		{"POST", "/rooms/1/unmute", "pilot", `{"user_id":5}`, 200, ""},
		{"POST", "/rooms/1/messages", "outsider", "text=hi", 200, ""},
		{"POST", "/rooms/1/join", "outsider", "", 200, ""},
		{"POST", "/rooms/1/ban", "pilot", `{"handle":"@outsider","reason":"spam"}`, 200, `"until":null`},
		{"POST", "/rooms/1/messages", "outsider", "text=hi", 403, "banned"},
		{"POST", "/rooms/1/messages", "agent", "text=hi&user_id=5", 403, "banned"},
		{"GET", "/rooms/1/messages", "outsider", "", 403, "banned from this room for good"},
		{"POST", "/rooms/1/join", "outsider", "", 403, "banned"},
		{"POST", "/rooms/1/invite", "pilot", `{"user_id":5}`, 409, "lift the ban"},
		{"GET", "/rooms/1/actions", "outsider", "", 403, ""},
		{"GET", "/rooms/1/actions", "reader", "", 403, "moderators"},
		{"GET", "/rooms/1/actions?limit=1", "pilot", "", 200, `"action":"ban","user_id":5,"handle":"@outsider","until":null,"reason":"spam","by_id":2,"by_handle":"@pilot"`},
		{"POST", "/rooms/1/unban", "pilot", `{"user_id":5}`, 200, ""},
		{"POST", "/rooms/1/messages", "outsider", "text=hi", 200, ""},
		// Moderators of the whole chat are above a room's.
		{"POST", "/rooms/1/ban", "pilot", `{"user_id":2}`, 403, "below you"},
		{"POST", "/rooms/1/ban", "agent", `{"user_id":2}`, 200, ""},
		{"POST", "/rooms/1/mute", "pilot", `{"user_id":5}`, 403, "banned"},
	})
}

// Whoever is banned from a room still finds that it is there, and nothing of what is said in it.
func TestTheBannedDoNotSeeTheLastLine(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "agent", `{"name":"hall"}`)
	w.must("POST", "/rooms/1/messages", "agent", "text=the+secret")
	w.must("POST", "/rooms/1/ban", "agent", "user_id=2")
	for _, page := range []string{"/", "/rooms", "/rooms?q=hall"} {
		if a := w.must("GET", page, "pilot", "", "Accept", "text/html"); strings.Contains(a.body, "the secret") || strings.Contains(a.body, "@agent") || !strings.Contains(a.body, "hall") {
			t.Errorf("%s shows the last line to the banned, or not the room", page)
		}
		if a := w.must("GET", page, "reader", "", "Accept", "text/html"); !strings.Contains(a.body, "the secret") {
			t.Errorf("%s does not show the last line", page)
		}
	}
	w.must("POST", "/rooms/1/unban", "agent", "user_id=2")
	if a := w.must("GET", "/rooms", "pilot", "", "Accept", "text/html"); !strings.Contains(a.body, "the secret") {
		t.Error("and not when the ban is lifted")
	}
}

func TestDirectRooms(t *testing.T) {
	w := start(t, "")
	w.walk([]step{
		{"POST", "/dm", "pilot", `{"with":"x@evil@` + domain + `"}`, 403, "dm_domain"},
		{"POST", "/dm", "pilot", `{"with":"reader@evil` + domain + `"}`, 403, "dm_domain"},
		{"POST", "/dm", "pilot", `{"with":"reader@` + domain + `.evil.org"}`, 403, "dm_domain"},
		{"POST", "/dm", "pilot", `{"with":"reader@` + domain + `."}`, 403, "dm_domain"},
		{"POST", "/dm", "outsider", `{"with":"reader"}`, 403, "dm_domain"},
		{"POST", "/dm", "pilot", `{"with":"outsider"}`, 403, "dm_domain"},
		{"POST", "/dm", "game", `{"with":"reader"}`, 403, "dm_domain"},
		{"POST", "/dm", "pilot", `{"with":"pilot"}`, 422, "somebody else"},
		{"POST", "/dm", "pilot", `{"with":"nobody"}`, 422, "known"},
		{"POST", "/dm", "pilot", `{}`, 422, `"field":"with"`},
		{"POST", "/dm", "pilot", `{"with":" Reader@` + strings.ToUpper(domain) + `"}`, 200, `{"id":1,"name":"@pilot, @reader","kind":"dm"}`},
		{"POST", "/dm", "pilot", `{"with":"@reader"}`, 200, `"id":1`},
		{"POST", "/dm", "agent", `{"with":"pilot"}`, 200, `{"id":2,"name":"@pilot, @agent","kind":"dm"}`},
		{"POST", "/dm", "", `{"with":"newcomer"}`, 200, `"name":"@demo, @newcomer"`},
		{"GET", "/rooms?kind=dm", "reader", "", 200, `[{"id":1,"name":"@pilot, @reader","kind":"dm"}]`},
		{"GET", "/rooms/2", "reader", "", 404, "Room not found"},
		{"POST", "/rooms/1/invite", "pilot", `{"user_id":4}`, 403, "direct"},
		{"POST", "/rooms/1/leave", "pilot", ``, 403, "direct"},
		{"POST", "/rooms/1/ban", "pilot", `{"user_id":3}`, 403, "owner and moderators"},
		{"POST", "/rooms/1/messages", "pilot", `{"text":"psst"}`, 200, ""},
		{"GET", "/rooms/1/messages", "reader", ``, 200, "psst"},
		{"GET", "/rooms/1/messages", "outsider", ``, 404, ""},
		{"POST", "/rooms", "outsider", `{"name":"@agent, @reader"}`, 200, ""}, // a name that somebody took before
		{"POST", "/dm", "agent", `{"with":"reader"}`, 200, `"name":"@reader, @agent"`},
	})
	// A party needs no name, and shows its members what was said since they came.
	w.walk([]step{
		{"POST", "/rooms", "pilot", `{"kind":"party"}`, 200, `"name":"Party `},
		{"POST", "/rooms", "pilot", `{"kind":"party"}`, 200, ` #2"`},
		{"POST", "/rooms", "pilot", `{"kind":"guild"}`, 422, `"field":"name"`},
		{"POST", "/rooms/6/messages", "pilot", `{"text":"before"}`, 200, ""},
		{"POST", "/rooms/6/invite", "pilot", `{"user_id":5}`, 200, ""},
		{"POST", "/rooms/6/messages", "pilot", `{"text":"after"}`, 200, `"seq":3`},
	})
	if a := w.must("GET", "/rooms/6/messages", "outsider", ""); strings.Contains(a.body, "before") || !strings.Contains(a.body, "after") {
		t.Errorf("a new member of a party reads %s", a.body)
	}
	c := w.socket("/ws/rooms/6?after=0", "Authorization", "Bearer outsider")
	if f, err := read(c); err != nil || f.Seq != 2 {
		t.Errorf("a new member of a party hears %s: %v", f.raw, err)
	}
}

// Whoever is taken out hears nothing more, on no way.
func TestARemovedMemberStopsHearing(t *testing.T) {
	for _, tc := range []struct {
		kind, path, token, body string
		code                    int
	}{
		{"guild", "/rooms/1/kick", "pilot", `{"user_id":5}`, 3503},
		{"guild", "/rooms/1/ban", "agent", `{"user_id":5}`, 3503},
		{"global", "/rooms/1/ban", "agent", `{"user_id":5}`, 3503},
		{"guild", "/rooms/1/leave", "outsider", ``, 3507},
	} {
		t.Run(tc.kind+tc.path, func(t *testing.T) {
			w := start(t, "")
			w.must("POST", "/rooms", "pilot", `{"name":"r","kind":"`+tc.kind+`"}`)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", w.srv.URL+"/events?after=0", nil)
			req.Header.Set("Authorization", "Bearer outsider")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			w.must("POST", "/rooms/1/messages", "pilot", `{"text":"before"}`)
			w.must("POST", "/rooms/1/invite", "pilot", `{"user_id":5}`)
			ws := w.socket("/ws/rooms/1", "Authorization", "Bearer outsider")
			stays := w.socket("/ws/rooms/1", "Authorization", "Bearer pilot")
			stream := bufio.NewScanner(res.Body)
			waitFor := func(word string) (all string) {
				for !strings.Contains(all, word) {
					if !stream.Scan() {
						t.Fatalf("the stream ended before %s: %v\n%s", word, stream.Err(), all)
					}
					all += stream.Text() + "\n"
				}
				return all
			}
			waitFor(`"handle":"@outsider","role":"member"`)
			w.must("POST", tc.path, tc.token, tc.body)
			w.must("POST", "/rooms/1/messages", "pilot", `{"text":"secret"}`)
			var closed *websocket.CloseError
			for {
				f, err := read(ws)
				if errors.As(err, &closed) {
					break
				}
				if err != nil || strings.Contains(f.raw, "secret") {
					t.Fatalf("the removed socket heard %s: %v", f.raw, err)
				}
			}
			if closed.Code != tc.code || closed.Text == "" {
				t.Errorf("closed with %d %q, want %d", closed.Code, closed.Text, tc.code)
			}
			for f, err := read(stays); f.Text != "secret"; f, err = read(stays) {
				if err != nil {
					t.Fatal(err)
				}
			}
			w.must("POST", "/rooms", "pilot", `{"name":"open"}`)
			w.must("POST", "/rooms/2/messages", "pilot", `{"text":"the end"}`)
			if all := waitFor("the end"); strings.Contains(all, "secret") {
				t.Errorf("the stream of events goes on: %s", all)
			}
			if _, status, err := w.dial("/ws/rooms/1", "Authorization", "Bearer outsider"); err == nil || status != 403 && status != 404 {
				t.Errorf("the socket opens again: %d", status)
			}
		})
	}
}

// What is not for everybody says so on the hub, also when it is published again after a kill.
func TestPrivateEventsNameTheirAudience(t *testing.T) {
	dir := storetest.Dir(t)
	w := start(t, dir)
	sub, err := w.hub.Subscribe(context.Background(), event.StreamChat, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	w.must("POST", "/dm", "pilot", `{"with":"reader"}`)
	w.must("POST", "/rooms/1/messages", "pilot", `{"text":"psst"}`)
	for range 2 {
		m, err := sub.Next(t.Context())
		if err != nil || m.User != "room 1" || strings.Contains(string(m.Data), m.User) {
			t.Errorf("%s is for %q: %v", m.Data, m.User, err)
		}
	}
	logged, err := chatstore.New(w.db).Events(context.Background(), 1, 0, 9, 9)
	if err != nil || len(logged) != 1 || logged[0].User != "room 1" {
		t.Errorf("the log has %v: %v", logged, err)
	}
}
