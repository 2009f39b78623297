package game_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/game"
	"uniqverse/store"
	"uniqverse/store/storetest"
)

func TestMailProxy(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	for _, tc := range []struct {
		what    string
		headers []string
		status  int
	}{
		{"GET /email/mail", nil, 422},
		{"GET /email/mail?user=", nil, 422},
		{"GET /email/mail?user=demo@" + domain, nil, 401},
		{"GET /email/mail?user=demo@" + domain, user("bad"), 401},
		{"GET /email/mail?user=demo@" + domain + "&access_token=demo", nil, 200},
		{"GET /email/mail?user=demo", user("demo"), 200},
		{"GET /email/mail?user=reader@" + domain, user("reader"), 403},
		{"GET /email/mail?user=x@example.org&access_token=demo", nil, 403},
		{"GET /email/mail?user=pilot@" + domain, user("pilot"), 200},
		{"GET /email/mail?user=PILOT@VezeUniqverse.com", user("pilot"), 200},
		{"GET /email/mail?user=other@" + domain, user("pilot"), 403},
		{"GET /email/mail?user=other@" + domain, user("server"), 200},
		{"GET /email/mail?user=demo&limit=900&access_token=demo", nil, 422},
		{"GET /email/mail?user=demo&folder=x&access_token=demo", nil, 422},
		{"GET /email/mail?user=@" + domain + "&access_token=demo", nil, 422},
		{"POST /email/mail?user=demo", nil, 405},
	} {
		p.want(tc.status, "", tc.what, "", tc.headers...)
	}
	got := into[api.GameMail](t, p.want(200, "", "GET /email/mail?user=demo@"+domain+"&access_token=demo", ""))
	if got.User != "demo@"+domain || len(got.Messages) != 1 || got.Messages[0].Subject != "Warp" {
		t.Errorf("answer %+v", got)
	}
	for kind, status := range map[errs.Kind]int{errs.Unavailable: 503, errs.Upstream: 502, errs.Timeout: 504, errs.NotFound: 404} {
		p.mail.mu.Lock()
		p.mail.err = errs.New(kind, "no")
		p.mail.mu.Unlock()
		p.want(status, "", "GET /email/mail?user=demo&access_token=demo", "")
	}
}

func enqueue(user string, mmr float64, more string) string {
	return fmt.Sprintf(`{"user_id":%q,"mmr":%g,"mode":"duel","region":"eu"%s}`, user, mmr, more)
}

const noMatch = `{"found":false,"players":[],"teams":[],"match_id":null}`

func TestMatchmaking(t *testing.T) {
	now := newClock()
	p := start(t, storetest.Dir(t), now.now)
	p.want(200, noMatch, "POST /matchmaking/match", "")
	ticket := into[api.GameTicket](t, p.want(200, "", "POST /matchmaking/enqueue", enqueue("a", 1000, "")))
	if !ticket.Queued || ticket.AlreadyQueued || ticket.UserID != "a" || ticket.MMR != 1000 || !ticket.QueuedAt.Time().Equal(now.now()) {
		t.Errorf("ticket %+v", ticket)
	}
	p.want(200, noMatch, "POST /matchmaking/match", "")
	p.want(200, "", "POST /matchmaking/enqueue?user_id=b&mmr=1060.5&mode=duel&region=eu", "")
	p.want(200, noMatch, "POST /matchmaking/match", "{}")
	now.add(4999 * time.Millisecond)
	p.want(200, noMatch, "POST /matchmaking/match", "")
	now.add(time.Millisecond)
	p.want(200, noMatch, "POST /matchmaking/match?mode=race", "")
	found := into[api.GameMatch](t, p.want(200, "", "POST /matchmaking/match", ""))
	if !found.Found || fmt.Sprint(found.Players) != "[a b]" || fmt.Sprint(found.Teams) != "[[a] [b]]" || found.MatchID == nil || *found.MatchID < 1 || found.Mode != "duel" {
		t.Errorf("match %+v", found)
	}
	p.want(200, noMatch, "POST /matchmaking/match", "")
	p.want(200, `{"removed":false}`, "POST /matchmaking/dequeue", `{"user_id":"a"}`)
	told := p.told(event.GameMatchFound)
	if len(told) != 1 || !strings.Contains(told[0], fmt.Sprintf(`"match_id":%d,`, *found.MatchID)) || !strings.Contains(told[0], `"teams":[["a"],["b"]]`) {
		t.Errorf("told %v", told)
	}
}

func TestQueueingAgain(t *testing.T) {
	now := newClock()
	p := start(t, storetest.Dir(t), now.now)
	first := into[api.GameTicket](t, p.want(200, "", "POST /matchmaking/enqueue", enqueue("a", 1000, "")))
	now.add(time.Minute)
	p.want(200, "", "POST /matchmaking/enqueue", enqueue("b", 5000, ""))
	again := into[api.GameTicket](t, p.want(200, "", "POST /matchmaking/enqueue", enqueue("a", 1200, "")))
	if !again.Queued || !again.AlreadyQueued || again.QueuedAt != first.QueuedAt || again.MMR != 1200 {
		t.Errorf("the same queue: %+v", again)
	}
	moved := into[api.GameTicket](t, p.want(200, "", "POST /matchmaking/enqueue", `{"user_id":"a","mmr":1200,"mode":"duel","region":"us"}`))
	if !moved.AlreadyQueued || moved.QueuedAt == first.QueuedAt || moved.Region != "us" {
		t.Errorf("another queue: %+v", moved)
	}
	p.want(200, `{"removed":true}`, "POST /matchmaking/dequeue", `{"user_id":"a"}`)
	p.want(200, `{"removed":false}`, "POST /matchmaking/dequeue?user_id=a", "")
	p.want(200, `{"removed":false}`, "POST /matchmaking/dequeue", "user_id=nobody", "Content-Type", "application/x-www-form-urlencoded")
	p.want(200, "", "POST /matchmaking/enqueue", `{"user_id":17,"mmr":1,"mode":"duel","region":"eu"}`)
	p.want(200, `{"removed":true}`, "POST /matchmaking/dequeue", `{"user_id":"17"}`)
	p.want(200, "", "POST /matchmaking/enqueue", enqueue("pilot@"+domain, 1, ""))
	p.want(200, `{"removed":true}`, "POST /matchmaking/dequeue", `{"user_id":"pilot"}`)
}

func TestPartyStaysTogether(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	for _, u := range []string{"a", "b"} {
		p.want(200, "", "POST /matchmaking/enqueue", enqueue(u, 1000, `,"party_id":"red"`))
	}
	p.want(200, "", "POST /matchmaking/enqueue", enqueue("alone", 1000, ""))
	p.want(200, noMatch, "POST /matchmaking/match", "")
	for _, u := range []string{"c", "d"} {
		p.want(200, "", "POST /matchmaking/enqueue", enqueue(u, 1010, `,"party_id":"blue"`))
	}
	found := into[api.GameMatch](t, p.want(200, "", "POST /matchmaking/match", ""))
	if fmt.Sprint(found.Teams) != "[[a b] [c d]]" {
		t.Errorf("teams %v", found.Teams)
	}
}

func TestNobodyIsInTwoMatches(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	const players = 40
	for i := range players {
		p.want(200, "", "POST /matchmaking/enqueue", enqueue(fmt.Sprint("u", i), 1000, ""))
	}
	var mu sync.Mutex
	seen, ids := map[string]int{}, map[int64]int{}
	none := 0
	var wg sync.WaitGroup
	for range players/2 + 8 {
		wg.Go(func() {
			status, body, _ := p.call("POST /matchmaking/match", "")
			m := into[api.GameMatch](t, body)
			mu.Lock()
			defer mu.Unlock()
			if status != 200 {
				t.Errorf("%d %s", status, body)
			}
			if !m.Found {
				none++
				return
			}
			ids[*m.MatchID]++
			for _, u := range m.Players {
				seen[u]++
			}
		})
	}
	wg.Wait()
	if len(seen) != players || len(ids) != players/2 || none != 8 {
		t.Errorf("%d players in %d matches, %d times none", len(seen), len(ids), none)
	}
	for u, n := range seen {
		if n != 1 {
			t.Errorf("%s is in %d matches", u, n)
		}
	}
}

func submit(user string, score any, season, mode string) string {
	return fmt.Sprintf(`{"user_id":%q,"score":%v,"season":%q,"mode":%q}`, user, score, season, mode)
}

func TestLeaderboards(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	p.want(200, `{"seasons":[]}`, "GET /leaderboards/seasons", "")
	p.want(200, `[]`, "GET /leaderboards/s1/duel", "")
	p.want(200, `{"ok":true,"user_id":"a","season":"s1","mode":"duel","best":100,"improved":true}`, "POST /leaderboards/submit", submit("a", 100, "s1", "duel"))
	p.want(200, "", "POST /leaderboards/submit", submit("b", 200, "s1", "duel"))
	p.want(200, "", "POST /leaderboards/submit?user_id=c&score=200&season=s1&mode=duel", "")
	p.want(200, "", "POST /leaderboards/submit", submit("d", "9007199254740991", "s1", "duel"))
	p.want(200, `{"ok":true,"user_id":"a","season":"s1","mode":"duel","best":100,"improved":false}`, "POST /leaderboards/submit", submit("a", 99.5, "s1", "duel"))
	p.want(200, `[{"user_id":"d","score":9007199254740991,"rank":1},{"user_id":"b","score":200,"rank":2},{"user_id":"c","score":200,"rank":3},{"user_id":"a","score":100,"rank":4}]`, "GET /leaderboards/s1/duel", "")
	p.want(200, "", "POST /leaderboards/submit", submit("a", 200, "s1", "duel")) // reaches it after b and c
	p.want(200, "", "POST /leaderboards/submit", submit("b", 200, "s1", "duel")) // no better: keeps its place
	p.want(200, `[{"user_id":"b","score":200,"rank":2},{"user_id":"c","score":200,"rank":3},{"user_id":"a","score":200,"rank":4}]`, "GET /leaderboards/s1/duel?offset=1", "")
	p.want(200, "", "POST /leaderboards/submit", submit("a", -2.5, "season 2", "race & run"))
	p.want(200, `[{"user_id":"a","score":-2.5,"rank":1}]`, "GET /leaderboards/season%202/race%20&%20run", "")
	p.want(200, "", "POST /leaderboards/submit", submit("a", 1, "s1", "arena"))
	p.want(200, `{"seasons":[{"id":"s1","modes":["arena","duel"]},{"id":"season 2","modes":["race & run"]}]}`, "GET /leaderboards/seasons", "")
	p.want(200, `{"seasons":[{"id":"s1","modes":["arena","duel"]},{"id":"season 2","modes":["race & run"]}],"season":"s1","mode":"duel","players":4,"rows":[{"user_id":"d","score":9007199254740991,"rank":1}]}`,
		"GET /leaderboards?season=s1&mode=duel&limit=1", "")
	if n := len(p.told(event.GameLeaderboardUpdated)); n != 7 {
		t.Errorf("%d events for 7 better scores", n)
	}
}

func TestBoardPages(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	for i := range 5 {
		p.want(200, "", "POST /leaderboards/submit", submit(fmt.Sprint("u", i), i, "s1", "duel"))
	}
	_, body, h := p.call("GET /leaderboards/s1/duel?limit=2", "")
	var got []string
	for range 5 {
		for _, r := range into[[]api.GameRank](t, body) {
			got = append(got, fmt.Sprint(r.Rank, r.UserID))
		}
		link := h.Get("Link")
		if link == "" {
			break
		}
		path := strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
		if _, err := url.Parse(path); err != nil {
			t.Fatal(err)
		}
		_, body, h = p.call("GET "+path, "")
	}
	if fmt.Sprint(got) != "[1u4 2u3 3u2 4u1 5u0]" {
		t.Errorf("pages gave %v", got)
	}
	p.want(200, `[]`, "GET /leaderboards/s1/duel?offset=5", "")
}

func TestManySubmitAtOnce(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() { p.want(200, "", "POST /leaderboards/submit", submit(fmt.Sprint("u", i%16), i, "s1", "duel")) })
	}
	wg.Wait()
	rows := into[[]api.GameRank](t, p.want(200, "", "GET /leaderboards/s1/duel?limit=200", ""))
	if len(rows) != 16 {
		t.Fatalf("%d rows for 16 players", len(rows))
	}
	for i, r := range rows {
		if r.Score != float64(63-i) || r.Rank != int64(i+1) {
			t.Errorf("row %d: %+v", i, r)
		}
	}
}

func TestInventory(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	starter := `{"user_id":"a","items":[{"sku":"starter_pack","qty":1}]}`
	p.want(200, starter, "GET /inventory/a", "")
	p.want(200, starter, "GET /inventory/a", "")
	p.want(200, `{"user_id":"a","items":[{"sku":"medkit","qty":2},{"sku":"starter_pack","qty":1}]}`, "POST /inventory/a", `{"sku":"medkit","qty":2}`)
	p.want(200, `{"user_id":"a","items":[{"sku":"medkit","qty":5},{"sku":"starter_pack","qty":1}]}`, "POST /inventory/a?sku=medkit&qty=3", "")
	p.want(200, `{"user_id":"b","items":[{"sku":"starter_pack","qty":2}]}`, "POST /inventory/b", `{"sku":"starter_pack","qty":1}`)
	key := []string{"Idempotency-Key", "k1"}
	for range 2 {
		p.want(200, `{"user_id":"b","items":[{"sku":"gem","qty":7},{"sku":"starter_pack","qty":2}]}`, "POST /inventory/b", `{"sku":"gem","qty":7}`, key...)
	}
	p.want(422, "", "POST /inventory/b", `{"sku":"gem","qty":8}`, key...)
	p.want(200, "", "POST /inventory/c", `{"sku":"gem","qty":1000000000}`)
	err := store.NewGame(p.db).Update(t.Context(), nil, func(tx game.Tx) error { return tx.SetItem("c", "gem", 1<<53-5) })
	if err != nil {
		t.Fatal(err)
	}
	p.want(422, "", "POST /inventory/c", `{"sku":"gem","qty":6}`)
	p.want(200, `{"user_id":"c","items":[{"sku":"gem","qty":9007199254740992},{"sku":"starter_pack","qty":1}]}`, "POST /inventory/c", `{"sku":"gem","qty":5}`)
}

func TestTelemetry(t *testing.T) {
	now := newClock()
	p := start(t, storetest.Dir(t), now.now)
	p.want(200, `{"accepted":3}`, "POST /telemetry/bulk", `[{"event":"jump","ts":1700000000.25,"user_id":"a","payload":{"x":[1,{"y":null}]}},{"event":"jump","ts":1,"user_id":17},{"event":"land","ts":2}]`)
	p.want(200, `{"accepted":0}`, "POST /telemetry/bulk", `[]`)
	at := now.now().Format(event.TimeLayout)
	p.want(200, `{"events":[{"id":2,"event":"jump","ts":1,"user_id":"17","payload":null,"received_at":"`+at+`"},{"id":1,"event":"jump","ts":1700000000.25,"user_id":"a","payload":{"x":[1,{"y":null}]},"received_at":"`+at+`"}]}`,
		"GET /telemetry/events?event=jump", "")
	ids := func(query string) string {
		var out []int64
		for _, e := range into[api.GameTelemetryList](t, p.want(200, "", "GET /telemetry/events"+query, "")).Events {
			out = append(out, e.ID)
		}
		return fmt.Sprint(out)
	}
	for query, want := range map[string]string{"": "[3 2 1]", "?user_id=a": "[1]", "?user_id=a&event=land": "[]", "?limit=1": "[3]", "?limit=1&before=3": "[2]", "?after=1&limit=1": "[2]", "?offset=2": "[1]", "?event=none": "[]"} {
		if got := ids(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	status, body, _ := p.call("POST /telemetry/bulk", `[{"event":"ok","ts":1},{"event":"","ts":1},{"ts":1},{"event":"x","ts":"soon"},{"event":"x","ts":-1},7]`)
	for _, field := range []string{"[1].event", "[2].event", "[3].ts", "[4].ts", "[5]"} {
		if status != 422 || !strings.Contains(body, `"`+field+`"`) {
			t.Errorf("%d, no word of %s: %s", status, field, body)
		}
	}
	if got := ids(""); got != "[3 2 1]" {
		t.Errorf("a refused batch left something: %s", got)
	}
	p.want(422, "", "POST /telemetry/bulk", "["+strings.Repeat(`{"event":"x","ts":1},`, 1000)+`{"event":"x","ts":1}]`)
	p.want(422, "", "POST /telemetry/bulk", `[{"event":"x","ts":1,"payload":"`+strings.Repeat("x", 17<<10)+`"}]`)
	p.want(413, "", "POST /telemetry/bulk", "["+strings.Repeat(" ", 5<<20)+"]")
	p.want(400, "", "POST /telemetry/bulk", `{"event":"x","ts":1}`)
	p.want(200, "", "POST /telemetry/bulk", `[{"event":"own","ts":1}]`, user("pilot")...)
	p.want(403, "", "POST /telemetry/bulk", `[{"event":"own","ts":1,"user_id":"a"}]`, user("pilot")...)
	p.want(403, "", "GET /telemetry/events?user_id=a", "", user("pilot")...)
	own := into[api.GameTelemetryList](t, p.want(200, "", "GET /telemetry/events", "", user("pilot")...)).Events
	if len(own) != 1 || own[0].UserID != "pilot" {
		t.Errorf("own events %+v", own)
	}
}

func TestModels(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	low := into[api.GameSkill](t, p.want(200, "", "POST /ml/predict_skill", `{"features":[0.1,0.2]}`))
	high := into[api.GameSkill](t, p.want(200, "", "POST /ml/predict_skill?features=3&features=4.5", ""))
	if low.Skill >= high.Skill || low.Model == "" {
		t.Errorf("skills %+v %+v", low, high)
	}
	man := into[api.GameBot](t, p.want(200, "", "POST /ml/detect_bot", `{"signals":[0.1,0.9,0.2]}`))
	bot := into[api.GameBot](t, p.want(200, "", "POST /ml/detect_bot", `{"signals":[50,50,50]}`))
	if man.IsBot || !bot.IsBot || man.Score >= bot.Score || bot.Score > 1 || bot.Model == "" {
		t.Errorf("bots %+v %+v", man, bot)
	}
	for what, status := range map[string]int{`{"features":[]}`: 400, `{}`: 422, `{"features":["x"]}`: 422, `{"features":[1e999]}`: 422, `{"features":3}`: 422, `{"features":[[1]]}`: 422, `{"features":[1],"more":1}`: 422} {
		p.want(status, "", "POST /ml/predict_skill", what)
		p.want(status, "", "POST /ml/detect_bot", strings.ReplaceAll(what, "features", "signals"))
	}
}

func TestEverythingSurvivesARestart(t *testing.T) {
	now := newClock()
	dir := storetest.Dir(t)
	p := start(t, dir, now.now)
	p.want(200, "", "POST /matchmaking/enqueue", enqueue("a", 1000, ""))
	p.want(200, "", "POST /leaderboards/submit", submit("a", 5, "s1", "duel"))
	p.want(200, "", "POST /inventory/a", `{"sku":"gem","qty":2}`, "Idempotency-Key", "k")
	p.want(200, "", "POST /telemetry/bulk", `[{"event":"jump","ts":1}]`)
	p.stop()
	now.add(10 * time.Second)
	p = start(t, dir, now.now)
	p.want(200, "", "POST /matchmaking/enqueue", enqueue("b", 1100, "")) // within reach of one who waited 10 s
	if m := into[api.GameMatch](t, p.want(200, "", "POST /matchmaking/match", "")); fmt.Sprint(m.Teams) != "[[a] [b]]" {
		t.Errorf("match %+v", m)
	}
	p.want(200, `[{"user_id":"a","score":5,"rank":1}]`, "GET /leaderboards/s1/duel", "")
	p.want(200, `{"user_id":"a","items":[{"sku":"gem","qty":2},{"sku":"starter_pack","qty":1}]}`, "POST /inventory/a", `{"sku":"gem","qty":2}`, "Idempotency-Key", "k")
	if n := len(into[api.GameTelemetryList](t, p.want(200, "", "GET /telemetry/events", "")).Events); n != 1 {
		t.Errorf("%d telemetry events", n)
	}
}
