package chat_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"uniqverse/hub"
	"uniqverse/services/chat"
)

// aged is a world whose clock the returned function moves on.
func aged(t *testing.T) (*world, func(time.Duration)) {
	t.Helper()
	var now atomic.Int64
	now.Store(time.Now().UnixMilli())
	clock := func(o *chat.Options, _ *hub.LocalOptions) {
		o.Now = func() time.Time { return time.UnixMilli(now.Load()) }
	}
	return start(t, "", clock), func(d time.Duration) { now.Add(d.Milliseconds()) }
}

func TestPins(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "agent", `{"name":"hall"}`)
	w.walk([]step{
		{"POST", "/rooms/1/messages", "agent", "text=one", 200, ""},
		{"POST", "/rooms/1/messages", "agent", "text=two", 200, ""},
		{"GET", "/rooms/1/pins", "reader", "", 200, "[]"},
		{"PUT", "/rooms/1/pins/1", "pilot", "", 403, "moderators pin"},
		{"PUT", "/rooms/1/pins/1", "reader", "", 403, ""},
		{"PUT", "/rooms/1/pins/9", "agent", "", 404, ""},
		{"PUT", "/rooms/1/pins/1", "agent", "", 200, `{"ok":true}`},
		{"PUT", "/rooms/1/pins/1", "agent", "", 200, `{"ok":true}`},
		{"POST", "/rooms/1/messages/2/pin", "agent", "", 200, ""},
		{"GET", "/rooms/1/pins", "reader", "", 200, `[{"message":{"id":2,`},
		{"GET", "/rooms/1/pins", "reader", "", 200, `"by_id":4,"by_handle":"@agent","pinned_at":`},
		{"POST", "/rooms/1/messages/2/unpin", "pilot", "", 403, ""},
		{"DELETE", "/rooms/1/messages/2", "agent", "", 200, ""},
		{"GET", "/rooms/1/pins", "reader", "", 200, `[{"message":{"id":1,`},
		{"PUT", "/rooms/1/pins/2", "agent", "", 409, "taken away"},
		{"PATCH", "/rooms/1", "agent", `{"perm":{"pin":"members"}}`, 200, `"pin":"members"`},
		{"DELETE", "/rooms/1/pins/1", "pilot", "", 403, "members pin"},
		{"POST", "/rooms/1/join", "pilot", "", 200, ""},
		{"DELETE", "/rooms/1/pins/1", "pilot", "", 200, ""},
		{"GET", "/rooms/1/pins", "reader", "", 200, "[]"},
	})
	evs, err := w.log(1)
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, ev := range evs {
		if p := string(ev.Payload); strings.Contains(p, "pinned") {
			told += p
		}
	}
	if told != `{"kind":"global","pinned":1,"by":4}{"kind":"global","pinned":2,"by":4}{"kind":"global","unpinned":1,"by":2}` {
		t.Errorf("told %s", told)
	}
	for i := range 51 {
		w.say(1, "agent", fmt.Sprintf("text=line+%d", i))
	}
	for i := range 51 {
		want := 200
		if i == 50 {
			want = 409
		}
		if a := w.call("PUT", fmt.Sprintf("/rooms/1/pins/%d", 3+i), "agent", ""); a.status != want {
			t.Errorf("pin %d: %d %s", i+1, a.status, a.body)
		}
	}
}

func TestRequestsToComeIn(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "pilot", `{"name":"Guild","kind":"guild"}`)
	w.must("POST", "/rooms", "pilot", `{"name":"Party","kind":"party"}`)
	w.walk([]step{
		{"POST", "/rooms/1/requests", "outsider", `{"text":"let me in"}`, 200, `"handle":"@outsider","text":"let me in"`},
		{"POST", "/rooms/1/requests", "outsider", `{"text":"please"}`, 200, `"text":"please"`},
		{"POST", "/rooms/1/requests", "outsider", `{"text":"a\u202eb"}`, 422, `"field":"text"`},
		{"POST", "/rooms/2/requests", "outsider", "", 404, ""},
		{"POST", "/rooms/9/requests", "outsider", "", 404, ""},
		{"POST", "/rooms/1/requests", "pilot", "", 409, "member"},
		{"POST", "/rooms/1/requests", "reader", "", 403, ""},
		{"POST", "/rooms/1/requests", "game", "", 403, "services do not"},
		{"GET", "/rooms/1/requests", "outsider", "", 404, ""},
		{"GET", "/rooms/1/requests", "pilot", "", 200, `[{"user_id":5,"handle":"@outsider","text":"please"`},
		{"GET", "/rooms/1", "outsider", "", 404, ""},
		{"POST", "/rooms/1/requests/5/decline", "outsider", "", 404, ""},
		{"POST", "/rooms/1/requests/5/decline", "pilot", "", 200, ""},
		{"POST", "/rooms/1/requests/5/decline", "pilot", "", 404, ""},
		{"POST", "/rooms/1/requests", "outsider", "", 200, ""},
		{"DELETE", "/rooms/1/requests", "outsider", "", 200, ""},
		{"DELETE", "/rooms/1/requests", "outsider", "", 404, ""},
		{"POST", "/rooms/1/requests", "outsider", "", 200, ""},
		{"POST", "/rooms/1/ban", "pilot", "user_id=5", 200, ""},
		{"POST", "/rooms/1/requests/5/approve", "pilot", "", 409, "ban"},
		{"POST", "/rooms/1/unban", "pilot", "user_id=5", 200, ""},
		{"POST", "/rooms/1/requests/5/approve", "pilot", "", 200, `"role":"member"`},
		{"GET", "/rooms/1/requests", "pilot", "", 200, "[]"},
		{"POST", "/rooms/1/requests", "outsider", "", 409, "member"},
		{"GET", "/rooms/1/requests", "outsider", "", 403, ""},
		{"POST", "/rooms/1/leave", "outsider", "", 200, ""},
		{"PATCH", "/rooms/1", "pilot", `{"perm":{"join":"invite"}}`, 200, ""},
		{"POST", "/rooms/1/requests", "outsider", "", 404, ""},
		{"POST", "/rooms/1/join", "outsider", "", 404, ""},
		{"PATCH", "/rooms/1", "pilot", `{"perm":{"join":"open"}}`, 200, ""},
		{"POST", "/rooms/1/requests", "outsider", "", 409, "join"},
		{"POST", "/rooms/1/join", "outsider", "", 200, `"role":"member"`},
	})
}

func TestSettingsAreChecked(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "pilot", `{"name":"Guild","kind":"guild"}`)
	w.must("POST", "/rooms", "agent", `{"name":"Hall"}`)
	w.must("POST", "/dm", "pilot", `{"with":"@reader"}`)
	w.walk([]step{
		{"PATCH", "/rooms/1", "pilot", `{"name":"Guild of pilots"}`, 200, `"name":"Guild of pilots"`},
		{"PATCH", "/rooms/1", "pilot", `{"name":"Hall"}`, 409, "room 2"},
		{"PATCH", "/rooms/1", "pilot", `{"name":"a\u200bb"}`, 422, `"field":"name"`},
		{"PATCH", "/rooms/1", "pilot", `{"topic":"a\u202eb"}`, 422, `"field":"topic"`},
		{"PATCH", "/rooms/1", "pilot", `{"retention_days":7}`, 200, `"retention_days":7`},
		{"PATCH", "/rooms/1", "pilot", `{"retention_days":-1}`, 200, `"retention_days":0`},
		{"PATCH", "/rooms/2", "agent", `{"retention_days":0}`, 200, `"retention_days":0`},
		{"PATCH", "/rooms/2", "agent", `{"retention_days":-1}`, 200, `"retention_days":90`},
		{"PATCH", "/rooms/1", "pilot", `{"retention_days":-2}`, 422, `"field":"retention_days"`},
		{"PATCH", "/rooms/1", "pilot", `{"retention_days":4000}`, 422, `"field":"retention_days"`},
		{"PATCH", "/rooms/1", "pilot", `{"perm":{"write":"nobody"}}`, 422, `"field":"perm"`},
		{"PATCH", "/rooms/1", "pilot", `{"perm":"all"}`, 422, `"field":"perm"`},
		{"PATCH", "/rooms/1", "pilot", `{"engine":true}`, 422, `"field":"engine"`},
		{"PATCH", "/rooms/1", "pilot", `{"fail_closed":true}`, 200, `"moderation":{"fail_closed":true}`},
		{"PATCH", "/rooms/3", "pilot", `{"name":"Ours"}`, 403, ""},
		{"PATCH", "/rooms/3", "pilot", `{"engine":true}`, 200, `"moderation":{"engine":true}`},
		{"PATCH", "/rooms/3", "outsider", `{"engine":false}`, 404, ""},
		{"PATCH", "/rooms/3", "agent", `{"perm":{"join":"open"}}`, 422, `"field":"perm"`},
		{"PATCH", "/rooms/2", "agent", `{"perm":{"write":"moderators"}}`, 200, `"write":"moderators"`},
		{"POST", "/rooms/2/messages", "pilot", "text=hi", 403, "only moderators write"},
		{"GET", "/rooms/2/messages", "pilot", "", 200, ""},
		{"PATCH", "/rooms/2", "agent", `{"perm":{"write":"members"}}`, 200, ""},
		{"POST", "/rooms/2/messages", "pilot", "text=hi", 403, "only members write"},
		{"POST", "/rooms/2/join", "pilot", "", 200, ""},
		{"POST", "/rooms/2/messages", "pilot", "text=hi", 200, ""},
		{"PATCH", "/rooms/1", "pilot", `{"perm":{"history":"joined","invite":"moderators"}}`, 200, `"history":"joined"`},
		{"POST", "/rooms/1/messages", "pilot", "text=early", 200, ""},
		{"POST", "/rooms/1/invite", "pilot", "user_id=5", 200, ""},
		{"POST", "/rooms/1/messages", "pilot", "text=late", 200, ""},
		{"GET", "/rooms/1/messages", "outsider", "", 200, `"text":"late"`},
		{"POST", "/rooms/1/invite", "outsider", "user_id=3", 403, "moderators"},
		{"POST", "/rooms/1/notify", "pilot", "level=some", 422, `"field":"level"`},
		{"POST", "/rooms/1/notify", "pilot", "level=mentions", 200, ""},
		{"GET", "/unread", "pilot", "", 200, `"notify":"mentions"`},
		{"POST", "/rooms/1/messages", "outsider", "text=hey+%40pilot", 200, ""},
		{"GET", "/mentions", "pilot", "", 200, `"text":"hey @pilot"`},
		{"GET", "/mentions", "outsider", "", 200, `[]`},
		{"GET", "/rooms/1/messages?since_seq=8", "pilot", "", 200, `"text":"hey @pilot"`},
		{"GET", "/rooms/1/messages?since_seq=1&around=1", "pilot", "", 422, `"field":"around"`},
		{"GET", "/rooms/1/messages?since_seq=1&before=1", "pilot", "", 422, `"field":"since_seq"`},
	})
	if a := w.must("GET", "/rooms/1/messages", "outsider", ""); strings.Contains(a.body, "early") {
		t.Errorf("who came later sees %s", a.body)
	}
}

func TestPagingBySeq(t *testing.T) {
	w := start(t, "")
	w.room("r")
	for i := range 5 {
		w.say(1, "agent", fmt.Sprintf("text=%d", i))
		w.must("POST", "/rooms/1/join", []string{"pilot", "agent"}[i%2], "")
	}
	var got []string
	for path := "/rooms/1/messages?since_seq=1&limit=2"; path != ""; {
		a := w.must("GET", path, "pilot", "")
		got = append(got, fmt.Sprint(strings.Count(a.body, `"id"`)))
		path = ""
		if m := nextLink.FindStringSubmatch(a.header.Get("Link")); m != nil {
			path = m[1]
		}
	}
	if fmt.Sprint(got) != "[2 2]" {
		t.Errorf("pages of %v", got)
	}
}

func TestRoomsThatAreTakenAway(t *testing.T) {
	w, move := aged(t)
	w.must("POST", "/rooms", "pilot", `{"name":"Guild","kind":"guild"}`)
	w.say(1, "pilot", "text=secret+words")
	f := w.file(1, "pilot", "a.txt", []byte("x"))
	w.say(1, "pilot", fmt.Sprintf(`{"text":"file","attachments":[%d]}`, f.ID))
	w.walk([]step{
		{"DELETE", "/rooms/1", "outsider", "", 404, ""},
		{"POST", "/rooms/1/invite", "pilot", "user_id=5", 200, ""},
		{"DELETE", "/rooms/1", "outsider", "", 403, "owner"},
		{"DELETE", "/rooms/1", "pilot", "", 200, ""},
		{"GET", "/rooms/1", "pilot", "", 404, ""},
		{"GET", "/rooms/1", "agent", "", 404, ""},
		{"GET", "/rooms/1/messages", "agent", "", 404, ""},
		{"POST", "/rooms/1/messages", "agent", "text=hi", 404, ""},
		{"GET", "/rooms", "agent", "", 200, "[]"},
		{"GET", "/search?q=secret", "agent", "", 200, "[]"},
		{"GET", "/unread", "pilot", "", 200, "[]"},
		{"GET", "/rooms/1/attachments/1", "pilot", "", 404, ""},
		{"POST", "/rooms", "pilot", `{"name":"Guild","kind":"guild"}`, 200, `"id":2`},
	})
	move(time.Second)
	if err := w.old.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.files.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := w.mentioning("secret"); left != "" {
		t.Errorf("it is still in %s", left)
	}
	if files, _ := os.ReadDir(w.folder()); len(files) != 0 {
		t.Errorf("files are left: %v", files)
	}
}

// mentioning names the tables that hold a word.
func (w *world) mentioning(word string) string {
	w.t.Helper()
	var found []string
	for _, q := range []string{"chat_events WHERE payload LIKE $1", "chat_messages WHERE text LIKE $1", "chat_versions WHERE text LIKE $1"} {
		var n int
		if err := w.db.QueryRow(context.Background(), "SELECT COUNT(*) FROM "+q, "%"+word+"%").Scan(&n); err != nil {
			w.t.Fatal(err)
		}
		if n > 0 {
			found = append(found, fmt.Sprint(n, " of ", q))
		}
	}
	var n int
	if err := w.db.QueryRow(context.Background(), "SELECT COUNT(*) FROM chat_fts WHERE chat_fts MATCH $1", word).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	if n > 0 {
		found = append(found, "the index")
	}
	return strings.Join(found, ", ")
}

func TestRetention(t *testing.T) {
	w, move := aged(t)
	w.room("hall")
	w.must("POST", "/rooms", "agent", `{"name":"guild","kind":"guild"}`)
	for i := range 3 {
		w.say(1, "agent", fmt.Sprintf("text=ancient+%d+%%40pilot", i))
		w.say(2, "agent", fmt.Sprintf("text=kept+%d", i))
	}
	w.must("PUT", "/rooms/1/pins/1", "agent", "")
	w.must("PUT", "/rooms/1/messages/1/reactions/%F0%9F%9A%80", "agent", "")
	w.must("POST", "/rooms/1/messages/1/report", "pilot", "")
	w.finds("agent", "ancient") // into the index
	move(89 * 24 * time.Hour)
	w.must("PATCH", "/rooms/1/messages/3", "agent", `{"text":"ancient but new"}`)
	w.say(1, "agent", "text=young")
	sweep := func() {
		t.Helper()
		for range 2 {
			if err := w.old.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	sweep()
	if n := len(w.lines(1)); n != 4 {
		t.Fatalf("%d lines after 89 days, want all 4", n)
	}
	move(2 * 24 * time.Hour)
	sweep()
	if all := w.lines(1); len(all) != 1 || all[0].Text != "young" || all[0].Seq != 7 {
		t.Errorf("left is %+v", all)
	}
	if n := len(w.lines(2)); n != 3 {
		t.Errorf("a guild keeps everything, and has %d", n)
	}
	if left := w.mentioning("ancient"); left != "" {
		t.Errorf("old words are still in %s", left)
	}
	w.walk([]step{
		{"GET", "/rooms/1/pins", "pilot", "", 200, "[]"},
		{"GET", "/rooms/1/reports", "agent", "", 200, "[]"},
		{"GET", "/mentions", "pilot", "", 200, "[]"},
		{"GET", "/rooms/1/messages/1", "pilot", "", 404, ""},
		{"GET", "/rooms/1", "pilot", "", 200, `"seq":7,`},
		{"GET", "/rooms/1", "pilot", "", 200, `"horizon":5,`},
	})
	// Who comes back from below the horizon loads the room again, who was above it gets what they missed.
	if f, err := read(w.socket("/ws/rooms/1?after=2")); err != nil || !strings.Contains(f.raw, `"recovered":false`) {
		t.Errorf("from below the horizon: %s, %v", f.raw, err)
	}
	if got, err := readTo(w.socket("/ws/rooms/1?after=5"), 5, 7); err != nil || strings.Contains(got[0].raw, "ancient") {
		t.Errorf("from the horizon: %v, %v", got, err)
	}
	// What is newest in a room keeps its place, and no word of it; ids and seqs go on.
	move(100 * 24 * time.Hour)
	sweep()
	if all := w.lines(1); len(all) != 0 || w.mentioning("young") != "" {
		t.Errorf("left is %+v, in %s", all, w.mentioning("young"))
	}
	if sent := w.say(1, "agent", "text=next"); sent.ID != 8 || sent.Seq != 8 {
		t.Errorf("the next line is %+v", sent)
	}
	if got, err := readTo(w.socket("/ws/rooms/1?after=7"), 7, 8); err != nil || len(got) != 1 {
		t.Errorf("from the last: %v, %v", got, err)
	}
	if got := w.finds("agent", "next"); got != "next" {
		t.Errorf("the new line is found as %q", got)
	}
}

// A party goes a day after the last of its people.
func TestPartiesGo(t *testing.T) {
	w, move := aged(t)
	w.must("POST", "/rooms", "agent", `{"kind":"party","name":"Match"}`)
	w.say(1, "agent", "text=gg")
	move(48 * time.Hour)
	for _, want := range []int{200, 404} {
		for range 2 {
			if err := w.old.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			move(time.Second)
		}
		if a := w.call("GET", "/rooms/1", "demo", ""); a.status != want {
			t.Errorf("%d, want %d", a.status, want)
		}
		if want == 200 {
			w.must("POST", "/rooms/1/leave", "agent", "")
			move(25 * time.Hour)
		}
	}
	if left := w.mentioning("gg"); left != "" {
		t.Errorf("its words are still in %s", left)
	}
}
