package chat_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/event"
	"uniqverse/services/chat/trends"
	"uniqverse/store/chatstore"
)

func TestTrendRooms(t *testing.T) {
	w, move := aged(t)
	s := trends.New(trends.Options{Store: chatstore.NewTrends(w.db), Rooms: w.svc, Hub: w.hub, Now: w.now})
	tell := func(slug string) {
		t.Helper()
		if err := s.Tell(t.Context(), slug, 7, 5*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	rooms := func() string {
		return w.must("GET", "/rooms?limit=200", "", "").body
	}
	tell("quantum")
	tell("quantum") // within the hour: nothing more
	if all := w.lines(1); len(all) != 1 || all[0].Text != "#quantum is what people talk about: 7 times as often as usual in the last 5 minutes." || all[0].UserID != 0 {
		t.Errorf("said %+v", all)
	}
	move(61 * time.Minute)
	tell("quantum")
	if n := len(w.lines(1)); n != 2 {
		t.Errorf("an hour later there are %d lines, want 2", n)
	}
	for i := range 8 {
		tell(fmt.Sprint("slug", i))
	}
	if n := strings.Count(rooms(), `"#slug`); n != 6 {
		t.Errorf("%d rooms were made in an hour, want 6", n)
	}
	// Quiet rooms are archived, and opened when their slug is a trend again.
	w.say(1, "pilot", "text=hi")
	move(23 * time.Hour)
	w.say(1, "pilot", "text=still+here")
	move(2 * time.Hour)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	archived := func(room int) bool {
		return strings.Contains(w.must("GET", fmt.Sprintf("/rooms/%d", room), "", "").body, `"archived":true`)
	}
	if archived(1) || !archived(2) {
		t.Errorf("archived: %v, %v", archived(1), archived(2))
	}
	tell("slug0")
	if archived(2) || len(w.lines(2)) != 2 {
		t.Errorf("again a trend: archived %v, %d lines", archived(2), len(w.lines(2)))
	}
	// What a moderator took away stays away.
	w.must("DELETE", "/rooms/2", "agent", "")
	move(2 * time.Hour)
	tell("slug0")
	if strings.Contains(rooms(), "#slug0") {
		t.Error("a room that was taken away is there again")
	}
	// Somebody's own room of the name is left alone.
	w.must("POST", "/rooms", "agent", `{"name":"#guild","kind":"guild"}`)
	tell("guild")
	if a := w.must("GET", "/rooms?q=%23guild", "agent", ""); strings.Count(a.body, `"id"`) != 1 {
		t.Errorf("rooms %s", a.body)
	}
}

// Events are what rooms are made of, so what is no slug in one makes none.
func TestTrendsThatAreNoSlugs(t *testing.T) {
	w := start(t, "")
	s := trends.New(trends.Options{Store: chatstore.NewTrends(w.db), Rooms: w.svc, Hub: w.hub})
	sub, err := w.hub.Subscribe(t.Context(), event.StreamChat, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	send := func(slug string) {
		ev, err := event.New(event.TrendDetected, time.Now(), nil, map[string]any{"slug": slug, "score": 5, "window_s": 300})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.hub.Publish(t.Context(), event.StreamChat, ev); err != nil {
			t.Fatal(err)
		}
	}
	for made := false; !made; { // until it listens
		for _, slug := range []string{"", "-", "a b", "<b>", "../x", strings.Repeat("x", 41), "a\u202eb", "fine"} {
			send(slug)
		}
		for range 9 {
			m, err := sub.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if m.Type == event.ChatMessageCreated {
				made = true
				break
			}
			if m.Type == event.TrendDetected && strings.Contains(string(m.Payload), "fine") {
				break
			}
		}
	}
	if all := w.must("GET", "/rooms", "", "").body; strings.Count(all, `"id"`) != 1 || !strings.Contains(all, `"#fine"`) {
		t.Errorf("rooms %s", all)
	}
}

func TestAwayAndBack(t *testing.T) {
	w := start(t, "")
	w.room("hall")
	w.socket("/ws/rooms/1", "Authorization", "Bearer pilot")
	sub, err := w.hub.Subscribe(t.Context(), event.StreamChat, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	for _, state := range []string{"away", "online"} {
		w.must("POST", "/presence", "pilot", "state="+state)
		w.must("POST", "/presence", "pilot", "state="+state) // told once
		for {
			m, err := sub.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if m.Type == event.ChatPresence && strings.Contains(string(m.Payload), `"state":"`+state) {
				break
			}
			if strings.Contains(string(m.Payload), `"state":"away"`) {
				t.Errorf("told twice: %s", m.Payload)
			}
		}
		if a := w.must("GET", "/rooms/1/presence", "reader", ""); !strings.Contains(a.body, `{"user_id":2,"handle":"@pilot","state":"`+state+`"}`) {
			t.Errorf("%s: %s", state, a.body)
		}
	}
	w.walk([]step{
		{"POST", "/presence", "pilot", "state=asleep", 422, `"field":"state"`},
		{"POST", "/presence", "pilot", "", 422, ""},
		{"POST", "/presence", "game", "state=away", 403, ""},
		{"POST", "/presence", "reader", "state=away", 403, ""},
	})
}
