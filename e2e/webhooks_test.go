package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// posted is a delivery as its receiver got it.
type posted struct {
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// receiver is another program's address; answer says what a delivery is answered with.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []posted
	answer func(n int) int
}

func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		p := posted{map[string]string{}, string(body)}
		for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature", "content-type"} {
			p.Headers[name] = req.Header.Get(name)
		}
		r.mu.Lock()
		r.got = append(r.got, p)
		status := r.answer(len(r.got))
		r.mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []posted {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]posted(nil), r.got...)
}

// wait waits for n deliveries.
func (r *receiver) wait(t *testing.T, n int) []posted {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); len(r.all()) < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d deliveries came, want %d: %+v", len(r.all()), n, r.all())
		}
	}
	return r.all()
}

func always(status int) func(int) int { return func(int) int { return status } }

// delivery is a row of the log of deliveries.
type delivery struct {
	ID        int64
	State     string
	Type      string
	MessageID string `json:"message_id"`
	Attempts  []struct {
		N, Status int
		Error     string
	}
}

func (s *system) deliveries(webhook string) (all []delivery) {
	s.t.Helper()
	s.get(200, "chat/webhooks/"+webhook+"/deliveries").JSON(s.t, &all)
	return all
}

// newWebhook makes a webhook and returns its id and secret.
func (s *system) newWebhook(body string, headers ...string) (id, secret string) {
	s.t.Helper()
	var made struct {
		ID     json.Number
		Secret string
	}
	s.post(200, "chat/webhooks", body, headers...).JSON(s.t, &made)
	return made.ID.String(), made.Secret
}

// Every event of a room reaches its webhook, signed, in order, as sockets see it; what fails is sent again.
func TestWebhooks(t *testing.T) {
	s := start(t)
	room, other := s.lounge(), "2"
	s.post(200, "chat/rooms", `{"name":"elsewhere"}`)
	s.post(200, "chat/rooms/"+room+"/messages", `{"text":"before anybody listened"}`)
	to := newReceiver(t, func(n int) int {
		if n == 2 {
			return 500
		}
		return 204
	})
	id, secret := s.newWebhook(`{"room_id":` + room + `,"url":"` + to.URL + `/hook","events":["chat.message.created"]}`)
	if one := s.get(200, "chat/webhooks/"+id); contains(one.body, secret) {
		t.Errorf("the secret is shown again: %s", one.body)
	}
	twin := s.dial("chat/ws/rooms/" + room + "?after=1")
	s.post(200, "chat/rooms/"+room+"/messages", `{"text":"one"}`)
	to.wait(t, 1)
	s.post(200, "chat/rooms/"+other+"/messages", `{"text":"in another room"}`)
	s.call("PUT", "chat/rooms/"+room+"/messages/2/reactions/%F0%9F%91%8D", "") // of no type that it hears
	s.post(200, "chat/rooms/"+room+"/messages", `{"text":"two"}`)
	to.wait(t, 2)
	var failed delivery
	eventually(t, "the failure is written down", func() bool {
		failed = s.deliveries(id)[0]
		return len(failed.Attempts) == 1
	})
	if failed.State != "waiting" || failed.Attempts[0].Status != 500 || failed.Attempts[0].Error != "answered 500" {
		t.Errorf("the failed delivery: %+v", failed)
	}
	s.post(200, fmt.Sprintf("chat/webhooks/%s/deliveries/%d/replay", id, failed.ID), "")
	got := to.wait(t, 3)
	if got[1].Body != got[2].Body || got[1].Headers["webhook-id"] != got[2].Headers["webhook-id"] || got[1].Headers["webhook-id"] != failed.MessageID {
		t.Errorf("sent again it is another: %+v", got)
	}
	for _, i := range []int{0, 2} {
		var p struct {
			Type, Timestamp string
			Data            json.RawMessage
		}
		if err := json.Unmarshal([]byte(got[i].Body), &p); err != nil {
			t.Fatal(err)
		}
		frame := nextFrame(t, twin)
		if frame["type"] == "chat.message.reacted" {
			frame = nextFrame(t, twin)
		}
		want, _ := json.Marshal(frame)
		var data any
		json.Unmarshal(p.Data, &data)
		if have, _ := json.Marshal(data); !bytes.Equal(have, want) || p.Type != frame["type"] || p.Timestamp != frame["ts"] {
			t.Errorf("delivered\n%s\nthe socket saw\n%s", got[i].Body, want)
		}
	}
	eventually(t, "all is delivered", func() bool {
		all := s.deliveries(id)
		return len(all) == 2 && all[0].State == "delivered" && all[1].State == "delivered" && len(all[0].Attempts) == 2
	})

	dir := nodeClients(t)
	var lines bytes.Buffer
	for _, p := range got {
		raw, _ := json.Marshal(p)
		lines.Write(append(raw, '\n'))
	}
	cmd := exec.CommandContext(t.Context(), "node", "standardwebhooks.mjs", secret)
	cmd.Dir, cmd.Stdin = dir, &lines
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "3" {
		t.Errorf("npm's standardwebhooks: %v\n%s", err, out)
	}
}

// What was committed is delivered though the process ends first, and what was under way is sent again.
func TestWebhooksSurviveARestart(t *testing.T) {
	s := start(t)
	room := s.lounge()
	asked, hold := make(chan struct{}), make(chan struct{})
	to := newReceiver(t, func(n int) int {
		if n == 1 {
			close(asked)
			<-hold
		}
		return 200
	})
	id, _ := s.newWebhook(`{"room_id":` + room + `,"url":"` + to.URL + `"}`)
	for _, text := range []string{"one", "two", "three"} {
		s.post(200, "chat/rooms/"+room+"/messages", `{"text":"`+text+`"}`)
	}
	<-asked
	s.end()
	close(hold)
	s.boot()
	got := to.wait(t, 4)
	if got[0].Headers["webhook-id"] != got[1].Headers["webhook-id"] {
		t.Errorf("the delivery that was under way is another one: %+v", got)
	}
	for i, text := range []string{"one", "one", "two", "three"} {
		if !strings.Contains(got[i].Body, `"text":"`+text+`"`) {
			t.Errorf("delivery %d: %s", i, got[i].Body)
		}
	}
	eventually(t, "all is delivered", func() bool {
		all := s.deliveries(id)
		return len(all) == 3 && all[0].State == "delivered"
	})
}

// A receiver that says that it is gone is not asked again, and the room is told.
func TestAWebhookThatIsGone(t *testing.T) {
	s := start(t)
	room := s.lounge()
	to := newReceiver(t, always(410))
	id, _ := s.newWebhook(`{"room_id":` + room + `,"url":"` + to.URL + `"}`)
	s.post(200, "chat/rooms/"+room+"/messages", `{"text":"one"}`)
	eventually(t, "the room is told", func() bool {
		return contains(s.get(200, "chat/rooms/"+room+"/messages").body, "was switched off: the other side says that it is gone (410)")
	})
	if one := s.get(200, "chat/webhooks/"+id); !contains(one.body, `"enabled":false`) || !contains(one.body, "410") {
		t.Errorf("the webhook: %s", one.body)
	}
	s.post(409, "chat/webhooks/"+id+"/deliveries/1/replay", "")
	to.mu.Lock()
	to.answer = always(200)
	to.mu.Unlock()
	if r := s.call("PATCH", "chat/webhooks/"+id, `{"enabled":true}`, "Content-Type", "application/json"); r.StatusCode != 200 || !contains(r.body, `"failures":0`) {
		t.Fatalf("switching on: %d %s", r.StatusCode, r.body)
	}
	s.post(200, "chat/rooms/"+room+"/messages", `{"text":"two"}`)
	for _, p := range to.wait(t, 2)[1:] {
		if strings.Contains(p.Body, "switched off") {
			t.Errorf("what happened while it was off is delivered: %s", p.Body)
		}
	}
}

// A webhook of all rooms hears of each new room once, but for direct ones and those from before it listened, also over a restart.
func TestWebhooksHearOfNewRooms(t *testing.T) {
	s := start(t)
	s.post(200, "chat/rooms", `{"name":"before"}`)
	to := newReceiver(t, always(204))
	id, _ := s.newWebhook(`{"url":"` + to.URL + `","events":["chat.room.created"]}`)
	s.post(422, "chat/webhooks", `{"room_id":1,"url":"`+to.URL+`","events":["chat.room.created"]}`)
	s.post(200, "chat/rooms", `{"name":"<b>wing</b>","kind":"guild"}`)
	s.post(200, "chat/dm", `{"with":"ann"}`)
	s.post(200, "chat/rooms", `{"name":"hall"}`)
	got := to.wait(t, 2)
	for i, want := range []string{`"room_id":2,"name":"\u003cb\u003ewing\u003c/b\u003e","kind":"guild"`, `"room_id":4,"name":"hall","kind":"global"`} {
		if !strings.Contains(got[i].Body, `{"type":"chat.room.created","timestamp":"`) || !strings.Contains(got[i].Body, want) {
			t.Errorf("told %s, want %s", got[i].Body, want)
		}
	}
	set := func(enabled string) {
		t.Helper()
		if r := s.call("PATCH", "chat/webhooks/"+id, `{"enabled":`+enabled+`}`, "Content-Type", "application/json"); r.StatusCode != 200 {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
	}
	set("false")
	s.post(200, "chat/rooms", `{"name":"unheard"}`)
	set("true")
	s.end()
	s.boot()
	s.post(200, "chat/rooms", `{"name":"after"}`)
	if got = to.wait(t, 3); !strings.Contains(got[2].Body, `"name":"after"`) {
		t.Errorf("then %s", got[2].Body)
	}
}

// Whose webhooks are whose, and where they may go.
func TestWebhooksRefused(t *testing.T) {
	s := start(t, "VEZE_JWT_SECRET="+secret, "CHAT_WEBHOOK_TARGETS=public")
	ann, bob := []string{"Authorization", "Bearer " + s.token("ann", "chat.read chat.write")}, []string{"Authorization", "Bearer " + s.token("bob", "chat.read chat.write")}
	mod := []string{"Authorization", "Bearer " + s.token("mod", "chat.read chat.write chat.moderate")}
	s.post(200, "chat/rooms", `{"name":"lounge"}`, ann...)
	s.post(200, "chat/rooms", `{"name":"wing","kind":"guild"}`, ann...)
	for _, url := range []string{"http://example.org/", "https://127.0.0.1:1/", "https://localhost/", "https://10.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "file:///etc/passwd", "https://a:b@example.org/"} {
		s.post(422, "chat/webhooks", `{"room_id":1,"url":"`+url+`"}`, ann...)
	}
	const good = `"url":"https://hooks.example.org/x"`
	s.post(422, "chat/webhooks", `{"room_id":1,`+good+`,"events":["mail.received"]}`, ann...)
	s.post(422, "chat/webhooks", `{"room_id":1,`+good+`,"events":["chat.message.created","chat.message.created"]}`, ann...)
	s.post(403, "chat/webhooks", `{"room_id":1,`+good+`}`, bob...)
	s.post(404, "chat/webhooks", `{"room_id":2,`+good+`}`, bob...)
	s.post(403, "chat/webhooks", `{`+good+`}`, ann...)
	id, _ := s.newWebhook(`{"room_id":1,`+good+`}`, ann...)
	all, _ := s.newWebhook(`{`+good+`}`, mod...)
	for _, path := range []string{"chat/webhooks/" + id, "chat/webhooks/" + id + "/deliveries"} {
		s.get(404, path, bob...)
		s.get(200, path, ann...)
		s.get(200, path, mod...)
	}
	s.get(404, "chat/webhooks/"+all, ann...)
	s.get(403, "chat/webhooks?room_id=1", bob...)
	s.get(403, "chat/webhooks", ann...)
	if r := s.call("PATCH", "chat/webhooks/"+id, `{"url":"https://127.0.0.1/"}`, append([]string{"Content-Type", "application/json"}, ann...)...); r.StatusCode != 422 {
		t.Errorf("an address is changed to %d %s", r.StatusCode, r.body)
	}
	for _, c := range []struct {
		who    []string
		status int
	}{{bob, 404}, {ann, 200}, {ann, 404}} {
		if r := s.call("DELETE", "chat/webhooks/"+id, "", c.who...); r.StatusCode != c.status {
			t.Errorf("removing: %d, want %d", r.StatusCode, c.status)
		}
	}
	for range 10 {
		s.newWebhook(`{"room_id":1,`+good+`}`, ann...)
	}
	s.post(409, "chat/webhooks", `{"room_id":1,`+good+`}`, ann...)
}
