package e2e_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// speak opens a socket of a protocol at chat and sends its first message.
func (s *system) speak(path, protocol, first string, headers ...string) *websocket.Conn {
	s.t.Helper()
	if protocol != "" {
		headers = append(headers, "Sec-WebSocket-Protocol", protocol)
	}
	conn := s.dial("chat"+path, headers...)
	if first != "" {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(first)); err != nil {
			s.t.Fatal(err)
		}
	}
	return conn
}

// A socket lives as long as the token or the session that opened it.
func TestSocketsEndWithTheirIdentity(t *testing.T) {
	s := start(t, "VEZE_JWT_SECRET="+secret)
	room := "1"
	s.post(200, "chat/rooms", `{"name":"lounge"}`, "Authorization", "Bearer "+s.token("ann", "chat.read chat.write"))
	token := s.tokenFrom(time.Now().Add(-time.Minute), 63*time.Second, "ann", "chat.read")
	for name, conn := range map[string]*websocket.Conn{
		"plain":      s.speak("/ws/rooms/"+room+"?access_token="+token, "", ""),
		"veze.v1":    s.speak("/ws", "veze.v1", `{"op":"hello","token":"`+token+`","resume":{"1":{}}}`),
		"centrifugo": s.speak("/connection/websocket", "", `{"id":1,"connect":{"token":"`+token+`"}}`),
	} {
		if code := closedWith(t, conn); code != 3005 {
			t.Errorf("%s: the token ran out, and the socket closed with %d", name, code)
		}
	}

	p := start(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(p.URL("portal")+"/signup", url.Values{"user": {"ann"}, "password": {"a long enough passphrase"}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if len(res.Cookies()) != 1 {
		t.Fatalf("signing up: %s", res.Status)
	}
	cookie := res.Cookies()[0].Name + "=" + res.Cookies()[0].Value
	p.post(200, "chat/rooms", `{"name":"lounge"}`)
	sockets := map[string]*websocket.Conn{
		"plain":      p.speak("/ws/rooms/1", "", "", "Cookie", cookie),
		"veze.v1":    p.speak("/ws", "veze.v1", `{"op":"hello"}`, "Cookie", cookie),
		"centrifugo": p.speak("/connection/websocket", "", `{"id":1,"connect":{}}`, "Cookie", cookie),
	}
	req, err := http.NewRequest("POST", p.URL("portal")+"/logout", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", cookie)
	req.Header.Set("Origin", p.URL("portal"))
	if res, err = client.Do(req); err != nil || res.StatusCode >= 400 {
		t.Fatalf("signing out: %v %v", res, err)
	}
	res.Body.Close()
	for name, conn := range sockets {
		if code := closedWith(t, conn); code != 3500 {
			t.Errorf("%s: the session ended, and the socket closed with %d", name, code)
		}
	}
}

// A ticket is heard of by its requester and by agents, and so is what is theirs on the channel me.
func TestTicketsOverSockets(t *testing.T) {
	s := start(t, "VEZE_JWT_SECRET="+secret)
	ann, bob := s.token("ann", "chat.read chat.write"), s.token("bob", "chat.read chat.write")
	agent := s.token("agent", "chat.read chat.write ticket.manage")
	next := func(conn *websocket.Conn, ok func(object) bool) {
		t.Helper()
		for !ok(nextFrame(t, conn)) {
		}
	}
	speaks := func(token string) *websocket.Conn {
		conn := s.speak("/ws", "veze.v1", `{"n":1,"op":"hello","token":"`+token+`"}`)
		next(conn, func(o object) bool { return o["ok"] == true })
		return conn
	}
	sub := func(conn *websocket.Conn, channel string, ok bool) {
		t.Helper()
		if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"n":2,"op":"sub","channel":"`+channel+`"}`)); err != nil {
			t.Fatal(err)
		}
		if o := nextFrame(t, conn); (o["ok"] == true) != ok {
			t.Fatalf("%s: %v", channel, o)
		}
	}
	mine := speaks(ann)
	sub(mine, "me", true)
	s.post(200, "chat/tickets?subject=help", "", "Authorization", "Bearer "+ann)
	is := func(channel, typ string) func(object) bool {
		return func(o object) bool {
			ev, _ := o["event"].(object)
			return o["channel"] == channel && ev["type"] == typ && ev["ticket_id"] == 1.0
		}
	}
	next(mine, is("me", "ticket.created"))
	one, other, theirs := speaks(ann), speaks(bob), speaks(agent)
	sub(one, "ticket:1", true)
	sub(theirs, "ticket:1", true)
	sub(other, "ticket:1", false)
	s.post(200, "chat/tickets/1/solve", "", "Authorization", "Bearer "+agent)
	next(one, is("ticket:1", "ticket.solved"))
	next(theirs, is("ticket:1", "ticket.solved"))
	next(mine, is("me", "ticket.solved"))
}
