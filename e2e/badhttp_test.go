package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wrongRequest is one case of testdata/http; README.md there tells how it is written.
type wrongRequest struct {
	file, name    string
	service, wire string
	half          bool // the client's side ends after the request
	answer        string
}

// readWrongRequests reads every case; requests are left with their {words}.
func readWrongRequests(t *testing.T) []wrongRequest {
	t.Helper()
	files, err := filepath.Glob("../testdata/http/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no wrong requests: %v", err)
	}
	var all []wrongRequest
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, part := range strings.Split("\n"+string(raw), "\n=== ") {
			if i == 0 {
				continue // what stands before the first case
			}
			name, rest, _ := strings.Cut(part, "\n")
			request, answer, ok := strings.Cut(rest, "\n--- ")
			if !ok {
				t.Fatalf("%s: %s has no answer", file, name)
			}
			first, text, _ := strings.Cut(request, "\n")
			words := strings.Fields(first)
			c := wrongRequest{file: filepath.Base(file), name: name, service: words[0], answer: strings.TrimSpace(answer)}
			if words[1] == "raw" {
				c.half = slices.Contains(words, "half")
			} else {
				text = words[1] + " " + words[2] + " HTTP/1.1\nHost: {host}\nContent-Length: {length}\n" + text
			}
			c.wire = text
			all = append(all, c)
		}
	}
	return all
}

var repeated = regexp.MustCompile(`\{([^{}*]+)\*(\d+)\}`)

// bytes are what the case sends, in words' places what the system says they are.
func (c wrongRequest) bytes(t *testing.T, words map[string]string) []byte {
	t.Helper()
	head, body, _ := strings.Cut(c.wire, "\n\n")
	fill := func(text string) string {
		text = repeated.ReplaceAllStringFunc(text, func(r string) string {
			m := repeated.FindStringSubmatch(r)
			n, _ := strconv.Atoi(m[2])
			return strings.Repeat(m[1], n)
		})
		for word, value := range words {
			text = strings.ReplaceAll(text, "{"+word+"}", value)
		}
		text = strings.ReplaceAll(text, "\n", "\r\n")
		return escape.ReplaceAllStringFunc(text, func(e string) string {
			n, _ := strconv.ParseUint(e[2:], 16, 8)
			return string([]byte{byte(n)})
		})
	}
	body = fill(body)
	return []byte(strings.ReplaceAll(fill(strings.TrimSuffix(head, "\n")), "{length}", strconv.Itoa(len(body))) + "\r\n\r\n" + body)
}

var escape = regexp.MustCompile(`\\x[0-9a-f]{2}`)

// answered is what the system says to a case, in the form in which cases have it.
func answered(t *testing.T, addr string, request []byte, half bool) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	sent := make(chan struct{})
	go func() { // an answer may come before everything was taken
		defer close(sent)
		conn.Write(request)
		if half {
			conn.(*net.TCPConn).CloseWrite()
		}
	}()
	method, _, _ := strings.Cut(string(request[:min(len(request), 20)]), " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return "no answer: " + err.Error()
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "no whole answer: " + err.Error()
	}
	conn.Close()
	<-sent
	text := fmt.Sprintf("%d %s", res.StatusCode, res.Header.Get("Content-Type"))
	for _, name := range []string{"Allow", "WWW-Authenticate", "Retry-After", "Location", "Link"} {
		for _, v := range res.Header.Values(name) {
			text += "\nheader: " + name + ": " + v
		}
	}
	text = strings.TrimSpace(text)
	if res.Header.Get("Content-Type") != "application/problem+json" {
		if len(body) > 0 && len(body) < 500 {
			text += "\ndetail: " + strings.TrimSpace(string(body))
		}
		return text
	}
	var p struct {
		Type, Title, Detail string
		Limit               string
		Status              int
		RequestID           string `json:"request_id"`
		Errors              []struct{ Field, Detail string }
	}
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil || p.Status != res.StatusCode || p.Title != http.StatusText(p.Status) || p.RequestID == "" || p.Type != "about:blank" && !strings.HasPrefix(p.Type, "urn:ietf:params:jmap:error:") {
		text += fmt.Sprintf("\nnot a problem document: %s %v", body, err)
	}
	if p.Type != "about:blank" {
		text += strings.TrimRight("\ntype: "+p.Type+" "+p.Limit, " ")
	}
	text += "\ndetail: " + p.Detail
	for _, f := range p.Errors {
		text += "\nfield: " + f.Field + " " + f.Detail
	}
	return text
}

// What the store shows of itself: nothing in it may change by a wrong request.
func visible(s *system) string {
	all := ""
	admin := s.token("root", strings.Join(everyScope(), " "))
	for _, target := range []string{
		"chat/rooms", "chat/rooms/1", "chat/rooms/1/messages", "chat/tickets", "chat/tickets/1/comments", "portal/admin/users", "email/api/mailboxes", "email/api/aliases",
		"email/api/messages?user=ann", "game/leaderboards/seasons", "game/leaderboards/s1/duel", "game/inventory/ann", "game/telemetry/events",
	} {
		all += target + " " + string(s.get(200, target, "Authorization", "Bearer "+admin).body)
	}
	return all
}

// Every wrong request of testdata/http gets exactly the answer that stands there, and changes nothing.
func TestWrongRequests(t *testing.T) {
	cases := readWrongRequests(t)
	if len(cases) < 60 {
		t.Errorf("%d wrong requests, want at least 60", len(cases))
	}
	s := start(t)
	s.post(200, "chat/rooms?name=Bridge&kind=global", "")
	s.post(200, "chat/rooms/1/messages?text=hello&user_id=1&handle=%40ann", "")
	s.post(200, "chat/tickets?subject=help&created_by=1", "")
	s.sendMail("eve@example.org", "ann@vezeuniqverse.com", "hello", "hello")
	s.post(200, "game/leaderboards/submit?user_id=ann&score=1&season=s1&mode=duel", "")
	s.post(200, "chat/rooms/1/messages", `{"text":"once"}`, "Idempotency-Key", "used")
	for _, user := range []string{"ann", "root"} {
		s.get(200, "portal/auth/whoami", "Authorization", "Bearer "+s.token(user, ""))
	}
	words := map[string]string{
		"all": s.token("ann", strings.Join(everyScope()[:10], " ")), "reader": s.token("ann", "chat.read"), "ann": s.token("ann", "game.read_mail game.play email.read chat.read chat.write portal.provision"),
		"expired": s.tokenFrom(time.Now().Add(-2*time.Hour), time.Hour, "ann", "chat.read"), "audience": s.token("ann", "chat.read", "veze-other"),
	}
	before := visible(s)
	for _, c := range cases {
		u := s.URL(c.service)
		words["host"] = strings.TrimPrefix(u, "http://")
		got := answered(t, words["host"], c.bytes(t, words), c.half)
		got = strings.ReplaceAll(got, words["host"], "{host}")
		if got != c.answer {
			t.Errorf("%s: %s is answered\n=== %s\n--- %s\nwant\n--- %s", c.file, c.name, c.name, got, c.answer)
		}
	}
	if after := visible(s); after != before {
		t.Errorf("wrong requests changed what is stored:\n%s\nbefore:\n%s", after, before)
	}
}
