package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"uniqverse/internal/api"
)

// found returns the room with the name as the demo user finds it, and the texts of its lines, oldest first.
func (s *system) found(name string) (api.ChatRoom, []string) {
	s.t.Helper()
	var rooms []api.ChatRoom
	s.get(200, "chat/rooms?limit=200&access_token=demo").JSON(s.t, &rooms)
	for _, r := range rooms {
		if r.Name != name {
			continue
		}
		var lines []api.ChatMessage
		s.get(200, fmt.Sprintf("chat/rooms/%d/messages?access_token=demo", r.ID)).JSON(s.t, &lines)
		var texts []string
		for i := len(lines) - 1; i >= 0; i-- {
			texts = append(texts, lines[i].Text)
		}
		return r, texts
	}
	return api.ChatRoom{}, nil
}

// A match has a party room with its players in it and a line for each kill, also over a restart; a notice is said in the room that it names.
func TestMatchesAndNoticesInChat(t *testing.T) {
	s := start(t, "VEZE_JWT_SECRET=a secret that is long enough for this", "VEZE_JWT_DEMO=1")
	server := s.token("arena", "game.play game.server")
	ann := s.token("ann", "chat.read chat.write game.play")
	s.get(200, "chat/rooms?access_token="+ann) // ann is somebody now; bob never was here
	for _, user := range []string{"ann", "bob"} {
		s.post(200, "game/matchmaking/enqueue?access_token="+server, fmt.Sprintf(`{"user_id":%q,"mmr":1500,"mode":"duel","region":"eu"}`, user))
	}
	s.post(200, "game/matchmaking/match?access_token="+server, `{}`)
	s.post(200, "game/matches/1/kills?access_token="+server, `{"killer":"ann","victim":"bob","weapon":"railgun"}`)
	s.post(200, "game/notices?access_token="+server, `{"room":"Announcements","text":"Maintenance at 9"}`)
	for path, body := range map[string]string{"matches/1/kills": `{"victim":"carol"}`, "matches/1/kills?x=1": `{"victim":"bob"}`, "notices": `{"room":"Hall"}`, "matches/1/end": `{"result":"a\nb"}`} {
		if !strings.Contains(path, "?") {
			path += "?"
		}
		s.post(422, "game/"+path+"&access_token="+server, body)
	}
	s.post(404, "game/matches/9/kills?access_token="+server, `{"victim":"bob"}`)
	s.post(403, "game/matches/1/kills?access_token="+ann, `{"victim":"bob"}`)
	want := "Match 1 (duel, eu): ann against bob|ann took out bob (railgun)"
	told := func(name, want string) func() bool {
		return func() bool {
			_, lines := s.found(name)
			return strings.Join(lines, "|") == want
		}
	}
	eventually(t, "the match is told", told("Match 1", want))
	eventually(t, "the notice is told", told("Announcements", "Maintenance at 9"))
	room, _ := s.found("Match 1")
	if got := s.get(200, fmt.Sprintf("chat/rooms/%d?access_token=%s", room.ID, ann)); !strings.Contains(string(got.body), `"role":"member"`) || room.Kind != "party" {
		t.Errorf("ann in her party: %s", got.body)
	}
	s.end()
	s.boot()
	s.post(200, "game/matches/1/end?access_token="+server, `{"result":"ann wins"}`)
	s.post(409, "game/matches/1/kills?access_token="+server, `{"victim":"bob"}`)
	eventually(t, "the end is told", told("Match 1", want+"|Match 1 is over: ann wins"))
	eventually(t, "the room is archived", func() bool {
		return strings.Contains(string(s.get(200, fmt.Sprintf("chat/rooms/%d?access_token=demo", room.ID)).body), `"archived":true`)
	})
}

// What people begin to talk about gets a room.
func TestATrendGetsItsRoom(t *testing.T) {
	s := start(t)
	s.post(200, "chat/rooms?access_token=demo", `{"name":"Hall"}`)
	for user := range 6 {
		s.post(200, "chat/rooms/1/messages?access_token=demo", fmt.Sprintf(`{"user_id":%d,"handle":"@p%d","text":"did you see the #quantum-alerts"}`, 500+user, user))
	}
	eventually(t, "the room is there, and says why", func() bool {
		room, lines := s.found("#quantum-alerts")
		return room.Kind == "global" && len(lines) == 1 && strings.HasPrefix(lines[0], "#quantum-alerts is what people talk about")
	})
}
