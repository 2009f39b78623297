package jmap_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/services/email/jmap"
	"uniqverse/services/email/jmap/proto"
)

const hello = "From: Ann <ann@example.org>\nTo: pilot@vezeuniqverse.com\nSubject: hi\nMessage-ID: <%s@x>\n\nhello\n"

// accountOf is the id of somebody's account.
func (w *world) accountOf(user string) string {
	w.t.Helper()
	_, body := w.call("GET", "/jmap/session", user, "", nil)
	var s jmap.Session
	if err := json.Unmarshal(body, &s); err != nil {
		w.t.Fatalf("%v in %s", err, body)
	}
	return s.PrimaryAccounts["urn:ietf:params:jmap:mail"]
}

// stream opens the event stream of a user and returns what comes, line by line.
func (w *world) stream(query, last string) (lines *bufio.Scanner, end func()) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", w.srv.URL+"/jmap/eventsource?"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer pilot")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		w.t.Fatalf("the stream is %d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	lines = bufio.NewScanner(res.Body)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), ":") {
		w.t.Fatalf("the stream begins with %q", lines.Text())
	}
	return lines, func() { res.Body.Close() }
}

// next returns the data of the next event of the type, and its id.
func next(t *testing.T, lines *bufio.Scanner, typ string) (data, id string) {
	t.Helper()
	got := ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			got = value
		case "id":
			id = value
		case "data":
			if got == typ {
				return value, id
			}
		}
	}
	t.Fatalf("the stream ended without %s: %v", typ, lines.Err())
	return "", ""
}

func TestEventSource(t *testing.T) {
	w := start(t)
	acct := w.accountOf("pilot")
	lines, end := w.stream("types=Email,Mailbox&closeafter=no&ping=0", "")
	defer end()
	w.receive(strings.ReplaceAll(hello, "%s", "1"), "pilot@"+domain)
	data, id := next(t, lines, "state")
	var change struct {
		Type    string                       `json:"@type"`
		Changed map[string]map[string]string `json:"changed"`
	}
	if err := json.Unmarshal([]byte(data), &change); err != nil {
		t.Fatal(err)
	}
	if change.Type != "StateChange" || change.Changed[acct]["Email"] == "" || change.Changed[acct]["Mailbox"] == "" || change.Changed[acct]["Thread"] != "" || id == "" {
		t.Fatalf("told %s with id %q", data, id)
	}
	// Whoever comes back with what they saw last hears what they missed; closeafter=state ends the stream then.
	w.receive(strings.ReplaceAll(hello, "%s", "2"), "pilot@"+domain)
	again, done := w.stream("types=*&closeafter=state&ping=0", id)
	defer done()
	if data, _ := next(t, again, "state"); !strings.Contains(data, `"Thread"`) || !strings.Contains(data, `"EmailDelivery"`) {
		t.Errorf("missed, and told %s", data)
	}
	for again.Scan() {
		if again.Text() != "" {
			t.Errorf("after the change came %q", again.Text())
		}
	}
}

func TestWebSocket(t *testing.T) {
	w := start(t)
	acct := w.accountOf("pilot")
	dialer := websocket.Dialer{Subprotocols: []string{"jmap"}, HandshakeTimeout: 30 * time.Second}
	conn, _, err := dialer.Dial("ws"+strings.TrimPrefix(w.srv.URL, "http")+"/jmap/ws", http.Header{"Authorization": {"Bearer pilot"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.Subprotocol() != "jmap" {
		t.Errorf("the sub-protocol is %q", conn.Subprotocol())
	}
	ask := func(text string) string {
		t.Helper()
		if text != "" {
			if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		_, b, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, c := range []struct{ text, want string }{
		{`{"@type":"Request","id":"r1","using":["urn:ietf:params:jmap:core"],"methodCalls":[["Core/echo",{"a":1},"0"]]}`, `"methodResponses":[["Core/echo",{"a":1},"0"]],"requestId":"r1"`},
		{`{"@type":"Request","id":"r2","using":["urn:x"],"methodCalls":[]}`, `"@type":"RequestError"`},
		{`{"@type":"Request","id":"r2","using":["urn:x"],"methodCalls":[]}`, `"requestId":"r2"`},
		{`{`, `urn:ietf:params:jmap:error:notJSON`},
		{`{"@type":"What"}`, `urn:ietf:params:jmap:error:notRequest`},
	} {
		if got := ask(c.text); !strings.Contains(got, c.want) {
			t.Errorf("%s is answered %s", c.text, got)
		}
	}
	// An answer to what follows says that the push is on.
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"@type":"WebSocketPushEnable","dataTypes":["Email"],"pushState":"old"}`)); err != nil {
		t.Fatal(err)
	}
	if got := ask(""); !strings.Contains(got, `"StateChange"`) || !strings.Contains(got, `"pushState"`) {
		t.Fatalf("a state that is not known is told %s", got)
	}
	w.receive(strings.ReplaceAll(hello, "%s", "1"), "pilot@"+domain)
	if got := ask(""); !strings.Contains(got, `"`+acct+`":{"Email":"`) {
		t.Errorf("new mail is told %s", got)
	}
}

func TestLimits(t *testing.T) {
	w := start(t)
	for _, c := range []struct {
		name, body, want string
		status           int
	}{
		{"calls", `{"using":["urn:ietf:params:jmap:core"],"methodCalls":[` + strings.Repeat(`["Core/echo",{},"0"],`, 64) + `["Core/echo",{},"0"]]}`, "maxCallsInRequest", 400},
		{"size", `{"using":[],"methodCalls":[],"x":"` + strings.Repeat("x", 10<<20) + `"}`, "maxSizeRequest", 400},
		{"depth", strings.Repeat("[", 200) + strings.Repeat("]", 200), "notJSON", 400},
		{"get", `{"using":["urn:ietf:params:jmap:mail"],"methodCalls":[["Email/get",{"accountId":"` + w.accountOf("pilot") + `","ids":[` + strings.Repeat(`"e1",`, 500) + `"e2"]},"0"]]}`, "requestTooLarge", 200},
	} {
		res, body := w.call("POST", "/jmap/api", "pilot", "application/json", []byte(c.body))
		if res.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s: %d %.300s", c.name, res.StatusCode, body)
		}
	}
	res, body := w.call("POST", "/jmap/upload/"+w.accountOf("pilot"), "pilot", "text/plain", bytes.Repeat([]byte("x"), 25<<20+1))
	if res.StatusCode != 413 || !strings.Contains(string(body), "maxSizeUpload") {
		t.Errorf("a large upload is answered %d %.200s", res.StatusCode, body)
	}
}

// What is uploaded is there for a day, large or small.
func TestBlobsExpire(t *testing.T) {
	w := start(t)
	acct := w.accountOf("pilot")
	for _, size := range []int{10, 600 << 10} {
		want := bytes.Repeat([]byte("y"), size)
		w.now.Store(time.Now().UnixMilli())
		_, body := w.call("POST", "/jmap/upload/"+acct, "pilot", "text/plain", want)
		var up jmap.Uploaded
		if err := json.Unmarshal(body, &up); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		path := "/jmap/download/" + acct + "/" + up.BlobID + "/a.txt?type=text/html"
		res, got := w.call("GET", path, "pilot", "", nil)
		if !bytes.Equal(got, want) || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") || !strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("a blob of %d bytes comes back as %d, %v", size, len(got), res.Header)
		}
		w.now.Add(25 * 3600 * 1000)
		if res, _ := w.call("GET", path, "pilot", "", nil); res.StatusCode != 404 {
			t.Errorf("after a day it is answered %d", res.StatusCode)
		}
	}
}

// Whatever is sent, it is answered: never a panic, never something that is no JSON.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{`{"using":["urn:ietf:params:jmap:core"],"methodCalls":[["Core/echo",{"#a":{"resultOf":"0","name":"x","path":"/*/*"}},"0"]]}`,
		`{"using":["urn:ietf:params:jmap:mail"],"methodCalls":[["Email/set",{"accountId":"a1","create":{"k":{"mailboxIds":{"f1":true},"header:X:asDate:all":["x"],"bodyStructure":{"type":"multipart/x","subParts":[{"partId":"1"}]},"bodyValues":{"1":{"value":"x"}}}}},"0"],["Email/query",{"accountId":"a1","filter":{"operator":"NOT","conditions":[{"text":"\"x y\" '"},{"header":["a","b"]}]},"sort":[{"property":"subject"}]},"1"],["Email/get",{"accountId":"a1","#ids":{"resultOf":"1","name":"Email/query","path":"/ids"},"properties":["header:To:asGroupedAddresses"]},"2"]]}`,
		`{"using":["urn:ietf:params:jmap:mail","urn:ietf:params:jmap:submission"],"methodCalls":[["Mailbox/set",{"accountId":"a1","update":{"f1":{"a/b~1":null}}},"0"],["EmailSubmission/query",{"accountId":"a1","filter":{"before":"2026-01-01T00:00:00Z"}},"1"]]}`} {
		f.Add([]byte(s))
	}
	w := start(f)
	w.accountOf("pilot")
	f.Fuzz(func(t *testing.T, body []byte) {
		w := &world{t: t, srv: w.srv}
		res, got := w.call("POST", "/jmap/api", "pilot", "application/json", body)
		if res.StatusCode != 200 && res.StatusCode != 400 || !json.Valid(got) {
			t.Errorf("%q is answered %d %.300s", body, res.StatusCode, got)
		}
		if strings.Contains(string(got), `"serverFail"`) {
			t.Errorf("%q fails: %.500s", body, got)
		}
	})
}

func FuzzPatch(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1},"c":[1]}`), []byte(`{"a/b":null,"c/0":2,"d~1":3}`))
	f.Fuzz(func(t *testing.T, current, patch []byte) {
		var c, p proto.Object
		if json.Unmarshal(current, &c) != nil || json.Unmarshal(patch, &p) != nil {
			return
		}
		if out, refused := proto.Patch(c, p); refused == nil {
			if _, err := json.Marshal(out); err != nil {
				t.Error(err)
			}
		}
	})
}
