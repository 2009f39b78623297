package game_test

import (
	"strings"
	"testing"

	"uniqverse/store/storetest"
)

func TestOwners(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	for _, tc := range []struct{ what, body string }{
		{"POST /matchmaking/enqueue", `{"user_id":"NAME","mmr":1,"mode":"duel","region":"eu"}`},
		{"POST /matchmaking/dequeue", `{"user_id":"NAME"}`},
		{"POST /leaderboards/submit", `{"user_id":"NAME","score":1,"season":"s","mode":"m"}`},
		{"GET /inventory/NAME", ""},
		{"POST /inventory/NAME", `{"sku":"gem","qty":1}`},
		{"POST /telemetry/bulk", `[{"event":"x","ts":1,"user_id":"NAME"}]`},
		{"GET /telemetry/events?user_id=NAME", ""},
		{"POST /ws/inputs", `{"type":"input","user_id":"NAME"}`},
	} {
		for _, who := range []struct {
			token, name string
			status      int
		}{
			{"pilot", "pilot", 200}, {"pilot", "pilot@" + domain, 200}, {"pilot", "Pilot", 200},
			{"pilot", "other", 403}, {"pilot", "pilot@example.org", 403},
			{"server", "other", 200}, {"demo", "other", 200}, {"", "other", 200},
			{"reader", "reader", 403}, {"bad", "pilot", 401},
		} {
			p.want(who.status, "", strings.ReplaceAll(tc.what, "NAME", who.name), strings.ReplaceAll(tc.body, "NAME", who.name), user(who.token)...)
		}
	}
	// However they wrote their own name, it is one player.
	p.want(200, `[{"user_id":"pilot","score":1,"rank":1},{"user_id":"other","score":1,"rank":2}]`, "GET /leaderboards/s/m", "", user("pilot")...)
	// A user may leave their own name out; nobody else has one.
	p.want(200, "", "POST /leaderboards/submit", `{"score":2,"season":"s","mode":"m"}`, user("pilot")...)
	p.want(422, "", "POST /leaderboards/submit", `{"score":2,"season":"s","mode":"m"}`, user("server")...)
	p.want(422, "", "POST /leaderboards/submit", `{"score":2,"season":"s","mode":"m"}`)
	p.want(403, "", "GET /leaderboards/s/m", "", user("reader")...)
	p.want(403, "", "GET /events", "", user("reader")...)
	p.want(403, "", "GET /ws/events", "", user("reader")...)
}

func TestWrongRequests(t *testing.T) {
	p := start(t, storetest.Dir(t), newClock().now)
	long := strings.Repeat("x", 65)
	for _, tc := range []struct {
		what, body string
		status     int
	}{
		{"POST /matchmaking/enqueue", `{}`, 422},
		{"POST /matchmaking/enqueue", `{"user_id":"a","mode":"duel","region":"eu"}`, 422},
		{"POST /matchmaking/enqueue", `{"user_id":"a","mmr":"high","mode":"duel","region":"eu"}`, 422},
		{"POST /matchmaking/enqueue", `{"user_id":"a","mmr":1e7,"mode":"duel","region":"eu"}`, 422},
		{"POST /matchmaking/enqueue?mmr=NaN&user_id=a&mode=duel&region=eu", ``, 422},
		{"POST /matchmaking/enqueue?mmr=Inf&user_id=a&mode=duel&region=eu", ``, 422},
		{"POST /matchmaking/enqueue", `{"user_id":1.5,"mmr":1,"mode":"duel","region":"eu"}`, 422},
		{"POST /matchmaking/enqueue", `{"user_id":["a"],"mmr":1,"mode":"duel","region":"eu"}`, 422},
		{"POST /matchmaking/enqueue", `{"user_id":"a\nb","mmr":1,"mode":"duel","region":"eu"}`, 422},
		{"POST /matchmaking/enqueue", `{"user_id":"` + strings.Repeat("é", 129) + `","mmr":1,"mode":"duel","region":"eu"}`, 422},
		{"POST /matchmaking/enqueue", `{"user_id":" ","mmr":1,"mode":"duel","region":"eu"}`, 422},
		{"POST /matchmaking/enqueue", `{"user_id":"a","mmr":1,"mode":" ","region":"eu"}`, 422},
		{"POST /matchmaking/enqueue", `{"user_id":"a","mmr":1,"mode":"duel","region":"` + long + `"}`, 422},
		{"POST /matchmaking/enqueue", `{"user_id":"a","mmr":1,"mode":"duel","region":"eu","skill":1}`, 422},
		{"POST /matchmaking/enqueue", `{"user_id":"a","mmr":1`, 400},
		{"POST /matchmaking/enqueue", `[]`, 400},
		{"GET /matchmaking/enqueue", ``, 405},
		{"POST /matchmaking/dequeue", ``, 422},
		{"POST /matchmaking/match", `{"user_id":"a"}`, 422},
		{"POST /leaderboards/submit", `{"user_id":"a","season":"s","mode":"m"}`, 422},
		{"POST /leaderboards/submit", `{"user_id":"a","score":null,"season":"s","mode":"m"}`, 422},
		{"POST /leaderboards/submit", `{"user_id":"a","score":"9","season":"s","mode":"m"}`, 422},
		{"POST /leaderboards/submit", `{"user_id":"a","score":1e400,"season":"s","mode":"m"}`, 422},
		{"POST /leaderboards/submit", `{"user_id":"a","score":1,"season":"s/1","mode":"m"}`, 422},
		{"POST /leaderboards/submit", `{"user_id":"a","score":1,"season":"..","mode":"m"}`, 422},
		{"POST /leaderboards/submit", `{"user_id":"a","score":1,"season":"s","mode":""}`, 422},
		{"GET /leaderboards/s/m?limit=0", ``, 422},
		{"GET /leaderboards/s/m?limit=201", ``, 422},
		{"GET /leaderboards/s/m?offset=-1", ``, 422},
		{"GET /leaderboards/s/m?before=3", ``, 422},
		{"GET /leaderboards/s", ``, 404},
		{"POST /inventory/a", `{"sku":"gem"}`, 422},
		{"POST /inventory/a", `{"sku":"gem","qty":0}`, 422},
		{"POST /inventory/a", `{"sku":"gem","qty":-1}`, 422},
		{"POST /inventory/a", `{"sku":"gem","qty":1.5}`, 422},
		{"POST /inventory/a", `{"sku":"gem","qty":1000000001}`, 422},
		{"POST /inventory/a", `{"sku":"gem","qty":99999999999999999999}`, 422},
		{"POST /inventory/a", `{"sku":"","qty":1}`, 422},
		{"POST /inventory/" + strings.Repeat("x", 129), `{"sku":"gem","qty":1}`, 422},
		{"GET /inventory/", ``, 404},
		{"POST /ws/inputs", `{}`, 422},
		{"POST /ws/inputs", `{"type":7}`, 422},
		{"POST /ws/inputs", `{"type":"game.match.found"}`, 422},
		{"POST /ws/inputs", `{"type":"input\",\"x\":\"y"}`, 422},
		{"POST /ws/inputs", `{"type":"input","ts":1}`, 422},
		{"POST /ws/inputs", `{"type":"input","id":1,"epoch":"x"}`, 422},
		{"POST /ws/inputs", `{"type":"input","trace":{}}`, 422},
		{"POST /ws/inputs", `{"type":"input","user_id":[]}`, 422},
		{"POST /ws/inputs", `{"type":"input","x":"` + strings.Repeat("x", 17<<10) + `"}`, 413},
		{"POST /ws/inputs", `{"type":"input","x":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`, 400},
	} {
		p.want(tc.status, "", tc.what, tc.body)
	}
	if n := len(p.told("game.leaderboard.updated")); n != 0 {
		t.Errorf("wrong requests caused %d events", n)
	}
}
