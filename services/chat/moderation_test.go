package chat_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/services/chat"
	"uniqverse/services/chat/moderation"
	"uniqverse/store/chatstore"
)

func TestRulesOfARoom(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "agent", `{"name":"hall"}`)
	w.must("POST", "/rooms", "pilot", `{"name":"guild","kind":"guild"}`)
	w.must("POST", "/rooms/2/invite", "pilot", "user_id=5")
	rule := func(extra string) string {
		return `{"room":2,"name":"no gold","kind":"keyword","words":["gold*"],` + extra + `}`
	}
	w.walk([]step{
		{"POST", "/moderation/rules", "outsider", rule(`"action":"block"`), 403, ""},
		{"POST", "/moderation/rules", "reader", rule(`"action":"block"`), 403, ""},
		{"POST", "/moderation/rules", "pilot", `{"name":"all","kind":"keyword","words":["x"],"action":"block"}`, 403, "chat.moderate"},
		{"POST", "/moderation/rules", "pilot", rule(`"action":"explode"`), 422, `"field":"action"`},
		{"POST", "/moderation/rules", "pilot", rule(`"action":"block","pattern":"x"`), 422, `"field":"pattern"`},
		{"POST", "/moderation/rules", "pilot", rule(`"action":"block","color":"red"`), 422, `"field":"color"`},
		{"POST", "/moderation/rules", "pilot", rule(`"action":"block","exempt":["owner"]`), 200, `"id":1,"room":2,"name":"no gold"`},
		{"POST", "/rooms/2/messages", "outsider", "text=g+o+l+d+here", 422, "no gold"},
		{"POST", "/rooms/2/messages", "outsider", "text=Golden+times", 422, `"field":"text"`},
		{"POST", "/rooms/2/messages", "outsider", "text=marigold", 200, ""},
		{"POST", "/rooms/2/messages", "pilot", "text=gold", 200, ""},
		{"POST", "/rooms/1/messages", "outsider", "text=gold", 200, ""},
		{"PATCH", "/rooms/2/messages/1", "outsider", `{"text":"marigold and gold"}`, 422, "no gold"},
		{"GET", "/moderation/rules?room=2", "pilot", "", 200, `"words":["gold*"],"exempt":["owner"],"by_id":2`},
		{"GET", "/moderation/rules?room=2", "outsider", "", 403, ""},
		{"GET", "/moderation/rules", "pilot", "", 403, ""},
		{"PUT", "/moderation/rules/1", "outsider", `{"name":"x","kind":"keyword","words":["x"],"action":"flag"}`, 404, ""},
		{"PUT", "/moderation/rules/1", "pilot", `{"name":"no gold","kind":"keyword","words":["gold*"],"action":"block","off":true}`, 200, `"off":true`},
		{"POST", "/rooms/2/messages", "outsider", "text=gold", 200, ""},
		{"DELETE", "/moderation/rules/1", "outsider", "", 404, ""},
		{"DELETE", "/moderation/rules/1", "pilot", "", 200, ""},
		{"DELETE", "/moderation/rules/1", "pilot", "", 404, ""},
		{"POST", "/moderation/rules", "agent", `{"name":"links","kind":"links","action":"block"}`, 200, `"room":0`},
		{"POST", "/rooms/2/messages", "outsider", "text=see+http://x.org", 422, "links"},
		{"POST", "/rooms/1/messages", "outsider", "text=see+http://x.org", 422, "links"},
		{"GET", "/moderation/rules/log?room=2", "pilot", "", 200, `"action":"delete"`},
		{"GET", "/moderation/rules/log?room=2", "outsider", "", 403, ""},
		{"GET", "/moderation/rules/log", "agent", "", 200, `"action":"create"`},
	})
	// Toxic is toxic wherever, and says so in the seed's words.
	if a := w.call("POST", "/rooms/1/messages", "pilot", "text=kill+yourself"); a.status != 422 || !strings.Contains(a.body, `"detail":"Toxic content"`) {
		t.Errorf("toxic: %d %s", a.status, a.body)
	}
}

func TestDuplicatesAndTimeOuts(t *testing.T) {
	w, move := aged(t)
	w.must("POST", "/rooms", "agent", `{"name":"hall"}`)
	w.must("POST", "/moderation/rules", "agent", `{"room":1,"name":"again","kind":"duplicates","limit":2,"action":"timeout","for_s":60}`)
	for i, want := range []int{200, 200, 422, 403} {
		if a := w.call("POST", "/rooms/1/messages", "pilot", "text=buy+now", "Idempotency-Key", fmt.Sprint(i)); a.status != want {
			t.Errorf("time %d: %d %s, want %d", i+1, a.status, a.body, want)
		}
	}
	// A repeat with its key is no line of its own.
	if a := w.call("POST", "/rooms/1/messages", "pilot", "text=buy+now", "Idempotency-Key", "0"); a.status != 200 {
		t.Errorf("a repeat: %d %s", a.status, a.body)
	}
	if a := w.must("GET", "/rooms/1/actions", "agent", ""); !strings.Contains(a.body, `"action":"mute","user_id":2`) || !strings.Contains(a.body, `"by_handle":"@rules"`) || !strings.Contains(a.body, "said 3 times") {
		t.Errorf("written down: %s", a.body)
	}
	if a := w.must("GET", "/moderation/queue", "agent", ""); !strings.Contains(a.body, `"message_id":0`) || !strings.Contains(a.body, `"text":"buy now"`) {
		t.Errorf("in the queue: %s", a.body)
	}
	move(61 * time.Second)
	w.say(1, "pilot", "text=sorry")
}

// A line that a rule hides is for its author and moderators, in whatever way others look, until one has decided.
func TestHiddenLines(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "agent", `{"name":"hall"}`)
	w.must("POST", "/moderation/rules", "agent", `{"room":1,"name":"watch","kind":"keyword","words":["spoiler"],"action":"hide"}`)
	socket := w.socket("/ws/rooms/1")
	f := w.file(1, "pilot", "a.txt", []byte("secret"))
	w.say(1, "pilot", fmt.Sprintf(`{"text":"the spoiler: he dies @reader","attachments":[%d]}`, f.ID))
	heard, err := read(socket)
	if err != nil || strings.Contains(heard.raw, "spoiler") || strings.Contains(heard.raw, "a.txt") || !strings.Contains(heard.raw, `"text":"","flags":{"hidden":true}`) {
		t.Errorf("heard %s, %v", heard.raw, err)
	}
	for _, path := range []string{"/rooms/1/messages", "/rooms/1/messages/1", "/search?q=spoiler", "/mentions", "/rooms/1/pins", "/unread"} {
		if a := w.must("GET", path, "reader", ""); strings.Contains(a.body, "he dies") || strings.Contains(a.body, "a.txt") {
			t.Errorf("%s tells another: %s", path, a.body)
		}
	}
	file := fmt.Sprintf("/rooms/1/attachments/%d", f.ID)
	w.walk([]step{
		{"GET", "/rooms/1/messages/1", "pilot", "", 200, "he dies"},
		{"GET", "/rooms/1/messages/1", "agent", "", 200, "he dies"},
		{"GET", "/rooms/1/messages/1/history", "reader", "", 403, ""},
		{"GET", file, "reader", "", 404, ""},
		{"GET", file, "pilot", "", 200, "secret"},
		{"GET", file, "agent", "", 200, "secret"},
		{"PATCH", "/rooms/1/messages/1", "pilot", `{"text":"he dies @reader"}`, 200, ""},
		{"GET", "/rooms/1/messages/1", "reader", "", 200, `"text":""`},
		{"GET", "/moderation/queue", "agent", "", 200, `"source":"rule","reason":"watch: spoiler","reports":0,"state":"open"`},
		{"GET", "/moderation/queue", "reader", "", 200, "[]"},
		{"POST", "/moderation/queue/1/approve", "reader", "", 403, ""},
		{"POST", "/moderation/queue/1/approve", "pilot", "", 404, ""},
		{"POST", "/moderation/queue/1/approve", "agent", `{"reason":"fine"}`, 200, `"state":"approve","note":"fine","by_id":4`},
		{"GET", "/rooms/1/messages/1", "reader", "", 200, "he dies"},
		{"GET", file, "reader", "", 200, "secret"},
		{"GET", "/mentions", "reader", "", 200, "he dies"},
		{"POST", "/moderation/queue/1/approve", "agent", "", 409, "undo"},
		{"POST", "/moderation/queue/1/undo", "agent", "", 200, `"state":"open"`},
		{"GET", "/rooms/1/messages/1", "reader", "", 200, `"text":""`},
		{"GET", "/mentions", "reader", "", 200, "[]"},
		{"POST", "/moderation/queue/1/undo", "agent", "", 409, ""},
	})
	if again, err := readTo(w.socket("/ws/rooms/1?after=0"), 0, 4); err != nil || strings.Contains(fmt.Sprint(again), "he dies") {
		t.Errorf("a replay tells %v, %v", again, err)
	}
	if got := w.finds("pilot", "dies"); got != "" {
		t.Errorf("the search finds %q", got)
	}
	// The page's form leads back to the page that it stands on.
	if a := w.call("POST", "/moderation/queue/1/approve", "agent", "reason=fine", "Accept", "text/html"); a.status != 303 || a.header.Get("Location") != "/moderation/queue" {
		t.Errorf("the form is answered %d and leads to %q", a.status, a.header.Get("Location"))
	}
}

func TestTheQueue(t *testing.T) {
	w := start(t, "")
	w.must("POST", "/rooms", "pilot", `{"name":"guild","kind":"guild"}`)
	w.must("POST", "/rooms", "agent", `{"name":"hall"}`)
	for _, id := range []int{3, 5} {
		w.must("POST", "/rooms/1/invite", "pilot", fmt.Sprintf("user_id=%d", id))
	}
	for i := range 5 {
		w.say(1, "outsider", fmt.Sprintf("text=line+%d", i))
	}
	w.say(2, "outsider", "text=elsewhere")
	w.must("POST", "/rooms/2/messages/6/report", "pilot", "reason=rude")
	w.must("POST", "/rooms/1/messages/3/report", "pilot", "reason=rude")
	w.must("POST", "/rooms/1/messages/3/report", "agent", "reason=very+rude")
	var queue []api.ChatCase
	w.must("GET", "/moderation/queue", "pilot", "").json(t, &queue) // a moderator sees the cases of their rooms
	if len(queue) != 1 || queue[0].Reports != 2 || queue[0].Reason != "rude · very rude" || queue[0].Text != "line 2" || queue[0].RoomName != "guild" {
		t.Fatalf("the queue is %+v", queue)
	}
	around := ""
	for _, l := range queue[0].Context {
		around += l.Text + "|"
	}
	if around != "line 0|line 1|line 2|line 3|line 4|" {
		t.Errorf("around it is %s", around)
	}
	id := fmt.Sprint(queue[0].ID)
	at := func(action string) string { return "/moderation/queue/" + id + "/" + action }
	w.walk([]step{
		{"GET", "/moderation/queue?limit=1", "agent", "", 200, `"room_id":1`},
		{"GET", "/moderation/queue?room=2", "pilot", "", 403, ""},
		{"GET", "/moderation/queue?state=lost", "agent", "", 422, ""},
		{"POST", "/moderation/queue/1/remove", "pilot", "", 404, ""},
		{"POST", "/moderation/queue/99/remove", "agent", "", 404, ""},
		{"POST", at("explode"), "pilot", "", 422, ""},
		{"POST", at("remove"), "pilot", "for_s=5", 422, "for_s"},
		{"POST", at("remove"), "outsider", "", 404, ""},
		{"POST", at("remove"), "pilot", `{"reason":"out of order"}`, 200, `"state":"remove"`},
		{"GET", "/rooms/1/messages/3", "outsider", "", 200, `"text":""`},
		{"GET", "/rooms/1/actions", "pilot", "", 200, `"action":"delete","user_id":5,"handle":"@outsider","until":null,"reason":"out of order"`},
		{"POST", at("undo"), "pilot", "", 200, `"state":"open"`},
		{"GET", "/rooms/1/messages/3", "outsider", "", 200, `"text":"line 2"`},
		{"POST", at("warn"), "pilot", `{"reason":"be kind"}`, 200, ""},
		{"POST", at("undo"), "pilot", "", 200, ""},
		{"POST", at("timeout"), "pilot", `{"for_s":60}`, 200, ""},
		{"POST", "/rooms/1/messages", "outsider", "text=hi", 403, "muted"},
		{"POST", at("undo"), "pilot", "", 200, ""},
		{"POST", "/rooms/1/messages", "outsider", "text=hi", 200, ""},
		{"POST", at("ban"), "pilot", "", 200, ""},
		{"GET", "/rooms/1/messages", "outsider", "", 403, "banned"},
		{"POST", at("undo"), "pilot", "", 200, ""},
		{"GET", "/rooms/1/messages", "outsider", "", 200, `"text":"line 2"`}, // neither banned nor outside any more
		{"GET", "/rooms/1/members", "pilot", "", 200, `"user_id":5,"handle":"@outsider","role":"member"`},
		{"POST", at("approve"), "pilot", "", 200, ""},
		{"GET", "/moderation/queue", "pilot", "", 200, "[]"},
		{"GET", "/moderation/queue?state=done", "pilot", "", 200, `"state":"approve"`},
		{"POST", "/rooms/1/messages", "pilot", "text=mine", 200, ""},
		{"POST", "/rooms/1/messages/8/report", "agent", "", 200, ""},
		{"POST", "/moderation/queue/3/ban", "pilot", "", 403, "below you"},
		{"POST", "/moderation/queue/3/ban", "agent", "", 200, ""},
	})
	actions := w.must("GET", "/rooms/1/actions", "agent", "").body
	for _, want := range []string{`"warn"`, `"mute"`, `"unmute"`, `"ban"`, `"unban"`} {
		if !strings.Contains(actions, `"action":`+want) {
			t.Errorf("%s is not written down in %s", want, actions)
		}
	}
}

// A line that was removed and comes back has its files again, for a week.
func TestUndoGivesFilesBack(t *testing.T) {
	begin, later := time.Now(), atomic.Int64{}
	w := start(t, "", func(o *chat.Options, _ *hub.LocalOptions) {
		o.Now = func() time.Time { return begin.Add(time.Duration(later.Load())) }
	})
	hall := w.room("hall")
	for i := range 3 {
		f := w.file(hall, "pilot", "plan.txt", []byte(fmt.Sprintf("plan %d", i)))
		w.say(hall, "pilot", fmt.Sprintf(`{"text":"line %d","attachments":[%d]}`, i, f.ID))
		w.must("POST", fmt.Sprintf("/rooms/1/messages/%d/report", i+1), "outsider", "reason=rude")
		later.Add(int64(time.Minute))
	}
	files := func(line int) []api.ChatAttachment {
		var m api.ChatMessage
		w.must("GET", fmt.Sprintf("/rooms/1/messages/%d", line), "agent", "").json(t, &m)
		return m.Attachments
	}
	stored := func() int {
		entries, err := os.ReadDir(w.folder())
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	for i := range 3 {
		w.must("POST", fmt.Sprintf("/moderation/queue/%d/remove", i+1), "agent", "")
		if a := w.call("GET", fmt.Sprintf("/rooms/1/attachments/%d", i+1), "pilot", ""); a.status != 404 {
			t.Errorf("a file that was removed: %d", a.status)
		}
	}
	if err := w.files.Sweep(t.Context()); err != nil || stored() != 3 {
		t.Errorf("%d files are stored, %v", stored(), err)
	}
	w.must("POST", "/moderation/queue/1/undo", "agent", "")
	back := files(1)
	if len(back) != 1 || back[0].Name != "plan.txt" {
		t.Fatalf("it has %v", back)
	}
	if a := w.must("GET", fmt.Sprintf("/rooms/1/attachments/%d", back[0].ID), "reader", ""); a.body != "plan 0" {
		t.Errorf("the file is %q", a.body)
	}
	later.Add(int64(8 * 24 * time.Hour))
	if err := w.files.Sweep(t.Context()); err != nil || stored() != 1 {
		t.Errorf("after a week %d files are stored, %v", stored(), err)
	}
	w.must("POST", "/moderation/queue/2/undo", "agent", "")
	if got := files(2); len(got) != 0 {
		t.Errorf("after a week it has %v", got)
	}
}

// oracle is an external engine that answers as it is told.
type oracle struct {
	mu     sync.Mutex
	asked  []api.XEngineQuestion
	answer func(api.XEngineQuestion) (api.XEngineVerdict, error)
}

func (o *oracle) Moderate(ctx context.Context, q api.XEngineQuestion) (api.XEngineVerdict, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, q)
	return o.answer(q)
}

func (o *oracle) says(verdict string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = func(api.XEngineQuestion) (api.XEngineVerdict, error) {
		return api.XEngineVerdict{Verdict: verdict, Labels: map[string]float64{"spam": 0.9, "rude": 0.1}, Reason: "looks like spam"}, err
	}
}

func (o *oracle) last() (api.XEngineQuestion, int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.asked) == 0 {
		return api.XEngineQuestion{}, 0
	}
	return o.asked[len(o.asked)-1], len(o.asked)
}

// withEngine is a world whose lines go through the oracle.
func withEngine(t *testing.T, dir string) (*world, *oracle, func(time.Duration)) {
	o := &oracle{}
	var clock struct {
		sync.Mutex
		now time.Time
	}
	clock.now = time.Now()
	now := func() time.Time {
		clock.Lock()
		defer clock.Unlock()
		return clock.now
	}
	var pipe *moderation.Pipeline
	w := start(t, dir, func(opts *chat.Options, _ *hub.LocalOptions) {
		opts.Now = now
		opts.Moderator = lazy{&pipe}
	})
	pipe = moderation.NewPipeline(moderation.PipelineOptions{Store: chatstore.NewModeration(w.db), Engine: moderation.NewEngine(o, 0, now), Now: now})
	w.order = moderation.New(moderation.Options{Store: chatstore.NewModeration(w.db), Pipeline: pipe, Rooms: w.svc, Now: now})
	return w, o, func(d time.Duration) {
		clock.Lock()
		defer clock.Unlock()
		clock.now = clock.now.Add(d)
	}
}

// lazy is a pipeline that is made after the chat that asks it.
type lazy struct{ p **moderation.Pipeline }

func (l lazy) Moderate(ctx context.Context, c chat.Candidate) chat.Verdict {
	return (*l.p).Moderate(ctx, c)
}
func (l lazy) Said(c chat.Candidate) { (*l.p).Said(c) }

func TestTheExternalEngine(t *testing.T) {
	w, o, _ := withEngine(t, "")
	w.must("POST", "/rooms", "agent", `{"name":"hall"}`)
	o.says("allow", nil)
	for i := range 7 {
		w.say(1, "agent", fmt.Sprintf("text=line+%d", i))
	}
	o.says("block", nil)
	if a := w.call("POST", "/rooms/1/messages", "pilot", `{"text":"buy now","reply_to":2}`); a.status != 422 || !strings.Contains(a.body, "Toxic content") || !strings.Contains(a.body, "spam") {
		t.Errorf("blocked: %d %s", a.status, a.body)
	}
	q, _ := o.last()
	if q.Room != 1 || q.Kind != "global" || q.ReplyTo != 2 || q.Candidate != (api.XEngineLine{UserID: 2, Handle: "@pilot", Text: "buy now"}) || len(q.Last) != 5 || q.Last[0].Text != "line 2" || q.Last[4].Text != "line 6" {
		t.Errorf("asked %+v", q)
	}
	o.says("flag", nil)
	w.say(1, "pilot", "text=flagged")
	o.says("hide", nil)
	w.say(1, "pilot", "text=hidden")
	w.walk([]step{
		{"GET", "/rooms/1/messages/8", "reader", "", 200, `"text":"flagged"`},
		{"GET", "/rooms/1/messages/8", "reader", "", 200, `"flags":{"labels":["spam"]}`},
		{"GET", "/rooms/1/messages/9", "reader", "", 200, `"text":""`},
		{"GET", "/moderation/queue", "agent", "", 200, `"source":"engine","reason":"looks like spam"`},
	})
	// Who may not write is not sent anywhere, and neither is what two people say to each other, unless they want it.
	_, before := o.last()
	w.must("POST", "/rooms/1/ban", "agent", "user_id=5")
	w.call("POST", "/rooms/1/messages", "outsider", "text=hi")
	w.must("POST", "/dm", "pilot", `{"with":"@agent"}`)
	w.say(2, "pilot", "text=between+us")
	if _, n := o.last(); n != before {
		t.Errorf("asked %d times more than it should be", n-before)
	}
	o.says("allow", nil)
	w.must("PATCH", "/rooms/2", "pilot", `{"engine":true}`)
	w.say(2, "pilot", "text=look+at+this")
	if q, n := o.last(); n != before+1 || q.Kind != "dm" {
		t.Errorf("a direct room that wants it: %d, %+v", n-before, q)
	}
	o.says("block", nil)
	if a := w.call("PATCH", "/rooms/1/messages/8", "pilot", `{"text":"now worse"}`); a.status != 422 {
		t.Errorf("an edit: %d %s", a.status, a.body)
	}
}

// When the engine does not answer, lines stand and are asked about later; also after a restart, and only as often as it helps.
func TestTheEngineIsDown(t *testing.T) {
	w, o, _ := withEngine(t, "")
	w.must("POST", "/rooms", "agent", `{"name":"hall"}`)
	w.must("POST", "/rooms", "agent", `{"name":"strict"}`)
	w.must("PATCH", "/rooms/2", "agent", `{"fail_closed":true}`)
	o.says("", errs.New(errs.Unavailable, "down"))
	for i := range 8 {
		w.say(1, "agent", fmt.Sprintf("text=line+%d", i))
	}
	if _, n := o.last(); n != 5 {
		t.Errorf("asked %d times; after five failures it is left alone", n)
	}
	if a := w.call("POST", "/rooms/2/messages", "pilot", "text=hi"); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("a room that fails closed: %d %s", a.status, a.body)
	}
	dir := w.dir
	w.stop()
	w, o, move := withEngine(t, dir)
	o.says("what", nil) // no verdict is no answer
	move(time.Minute)
	if err := w.order.Recheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, n := o.last(); n != 5 {
		t.Errorf("then asked %d times", n)
	}
	o.mu.Lock()
	o.answer = func(q api.XEngineQuestion) (api.XEngineVerdict, error) {
		v := api.XEngineVerdict{Verdict: "allow"}
		switch q.Candidate.Text {
		case "line 3":
			v = api.XEngineVerdict{Verdict: "block", Reason: "spam"}
		case "line 4":
			v.Verdict, v.Reason = "flag", "odd"
		}
		return v, nil
	}
	o.mu.Unlock()
	for range 4 {
		move(3 * time.Minute)
		if err := w.order.Recheck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, n := o.last()
	w.walk([]step{
		{"GET", "/rooms/1/messages/4", "reader", "", 200, `"text":"","created_at"`},
		{"GET", "/rooms/1/messages/4", "reader", "", 200, `"flags":{"hidden":true}`},
		{"GET", "/rooms/1/messages/5", "reader", "", 200, `"text":"line 4"`},
		{"GET", "/moderation/queue", "agent", "", 200, `"reason":"odd"`},
		{"GET", "/moderation/queue", "agent", "", 200, `"reason":"spam"`},
	})
	move(24 * time.Hour)
	if err := w.order.Recheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, again := o.last(); again != n {
		t.Errorf("what was answered is asked again, %d times", again-n)
	}
	if again, err := readTo(w.socket("/ws/rooms/1?after=0"), 0, 9); err != nil || strings.Contains(again[3].raw, "line 3") || again[8].Type != "chat.message.edited" {
		t.Errorf("the log tells %v, %v", again, err)
	}
}
