package e2e_test

import (
	"net/url"
	"os/exec"
	"strings"
	"testing"
)

// newHook makes an incoming hook of a room and returns its path and token.
func (s *system) newHook(room, name string, headers ...string) (path, token string) {
	s.t.Helper()
	var made struct{ URL, Token string }
	s.post(200, "chat/rooms/"+room+"/hooks", `{"name":"`+name+`"}`, headers...).JSON(s.t, &made)
	return strings.TrimPrefix(made.URL, "/"), made.Token
}

func TestIncomingHooks(t *testing.T) {
	s, log := startLogged(t, "VEZE_JWT_SECRET="+secret)
	ann, bob := []string{"Authorization", "Bearer " + s.token("ann", "chat.read chat.write")}, []string{"Authorization", "Bearer " + s.token("bob", "chat.read chat.write")}
	s.get(200, "chat/rooms", bob...)
	s.post(200, "chat/rooms", `{"name":"lounge"}`, ann...)
	s.post(403, "chat/rooms/1/hooks", `{"name":"grafana"}`, bob...)
	s.post(409, "chat/rooms/1/hooks", `{"name":"bob"}`, ann...) // nobody speaks under a person's name
	s.post(422, "chat/rooms/1/hooks", `{"name":"a\nb"}`, ann...)
	path, token := s.newHook("1", "grafana", ann...)
	s.post(409, "chat/rooms/1/hooks", `{"name":"grafana"}`, ann...)
	s.get(403, "chat/rooms/1/hooks", bob...)
	if list := s.get(200, "chat/rooms/1/hooks", ann...); !contains(list.body, `"name":"grafana"`) || contains(list.body, token) {
		t.Errorf("the list of hooks: %s", list.body)
	}

	r := s.post(200, "chat/"+path, `{"text":"disk is full, @bob","username":"Grafana","icon_emoji":":fire:","channel":"#x","icon_url":"https://x.example/i.png"}`)
	if string(r.body) != "ok" || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("a hook is answered %q %s", r.body, r.Header.Get("Content-Type"))
	}
	form := url.Values{"payload": {`{"attachments":[{"title":"Build 7","text":"failed"}]}`}}
	if r := s.call("POST", "chat/"+path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded"); r.StatusCode != 200 {
		t.Errorf("a form: %d %s", r.StatusCode, r.body)
	}
	for range 2 { // a repeat
		s.post(200, "chat/"+path, `{"text":"once"}`, "Idempotency-Key", "k1")
	}
	s.post(422, "chat/"+path, `{"text":"other"}`, "Idempotency-Key", "k1")
	s.post(422, "chat/"+path, `{"text":"kill yourself"}`)
	s.post(422, "chat/"+path, `{"text":""}`)
	s.post(422, "chat/"+path, `{}`)
	s.post(400, "chat/"+path, `{"text":7}`)
	s.post(422, "chat/"+path, `{"text":"`+strings.Repeat("x", 4001)+`"}`)
	s.post(404, "chat/"+path[:len(path)-1], `{"text":"x"}`)
	s.get(405, "chat/"+path)

	var lines []struct {
		ID     int64
		UserID int64 `json:"user_id"`
		Handle string
		Text   string
		Flags  struct {
			Bot            bool
			Username, Icon string
		}
		Mentions []int64
	}
	s.get(200, "chat/rooms/1/messages", ann...).JSON(t, &lines)
	if len(lines) != 3 || lines[0].Text != "once" || lines[1].Text != "Build 7\nfailed" {
		t.Fatalf("the lines: %+v", lines)
	}
	first := lines[2]
	if first.UserID != 0 || first.Handle != "@grafana" || first.Text != "disk is full, @bob" || !first.Flags.Bot || first.Flags.Username != "Grafana" || first.Flags.Icon != ":fire:" || len(first.Mentions) != 1 {
		t.Errorf("the first line: %+v", first)
	}

	limited := 0
	for range 30 {
		if r := s.call("POST", "chat/"+path, `{"text":"flood"}`, "Content-Type", "application/json"); r.StatusCode == 429 {
			limited++
			if r.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		}
	}
	if limited == 0 {
		t.Error("a hook may write as fast as it likes")
	}
	if r := s.call("PATCH", "chat/rooms/1", `{"archived":true}`, append(ann, "Content-Type", "application/json")...); r.StatusCode != 200 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	other, _ := s.newHook("1", "drone", ann...)
	s.post(409, "chat/"+other, `{"text":"into an archive"}`)
	if r := s.call("DELETE", "chat/rooms/1/hooks/1", "", bob...); r.StatusCode != 403 {
		t.Errorf("bob removes ann's hook: %d", r.StatusCode)
	}
	for _, status := range []int{200, 404} {
		if r := s.call("DELETE", "chat/rooms/1/hooks/1", "", ann...); r.StatusCode != status {
			t.Errorf("removing the hook: %d, want %d", r.StatusCode, status)
		}
	}
	s.post(404, "chat/"+path, `{"text":"after"}`)
	s.post(404, "portal/proxy/chat/"+path, `{"text":"after"}`)
	if strings.Contains(log.String(), token) {
		t.Error("the log holds a hook's token")
	}
}

// Debian's apprise posts through its Mattermost and Slack-compatible services.
func TestApprise(t *testing.T) {
	program := tool(t, "apprise")
	s := start(t)
	room := s.lounge()
	_, token := s.newHook(room, "backup")
	host := strings.TrimPrefix(s.URL("chat"), "http://")
	cmd := exec.CommandContext(t.Context(), program, "-vv", "-t", "Backup", "-b", "done: 5 < 7 & all is well", "mmost://"+host+"/"+token)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var lines []struct{ Handle, Text string }
	s.get(200, "chat/rooms/"+room+"/messages").JSON(t, &lines)
	if len(lines) != 1 || lines[0].Handle != "@backup" || lines[0].Text != "Backup\ndone: 5 < 7 & all is well" {
		t.Errorf("the lines: %+v", lines)
	}
}
