package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/internal/auth"
	"uniqverse/internal/config"
)

// Helpers of the tests of the contract, in every contract_*_test.go.

// secret is a VEZE_JWT_SECRET for tests.
const secret = "a secret of thirty-two bytes, ok"

// patience bounds every wait for something that is to come over a socket or stream.
const patience = 10 * time.Second

// restart ends the process and starts it again on its folder.
func (s *system) restart() {
	s.t.Helper()
	s.end()
	s.boot()
}

// keepPorts makes the next boots take the same HTTP ports.
func (s *system) keepPorts() {
	for name, service := range map[string]string{"UNI_PORT": "portal", "GAME_PORT": "game", "EMAIL_PORT": "email", "CHAT_PORT": "chat"} {
		if u := s.URL(service); u != "" {
			s.env[name] = u[strings.LastIndexByte(u, ':')+1:]
		}
	}
}

// lines is a writer that can be read while it is written to.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// startLogged is start with everything that is logged, at every level, in the answer's second value.
func startLogged(t testing.TB, env ...string) (*system, *lines) {
	t.Helper()
	log := &lines{}
	s := prepare(t, env...)
	s.log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.boot()
	t.Cleanup(s.end)
	return s, log
}

// settings are the settings that the system runs with.
func (s *system) settings() config.Config {
	s.t.Helper()
	var environ []string
	for k, v := range s.env {
		environ = append(environ, k+"="+v)
	}
	cfg, _, err := config.Load(nil, func(k string) string { return s.env[k] }, environ)
	if err != nil {
		s.t.Fatal(err)
	}
	return cfg
}

// token mints a token of the installation; scopes are separated by spaces, and no audience
// is every service's.
func (s *system) token(user, scopes string, audience ...string) string {
	s.t.Helper()
	return s.tokenFrom(time.Now(), time.Hour, user, scopes, audience...)
}

// tokenFrom is token for tokens that were made at another time, and for another while.
func (s *system) tokenFrom(at time.Time, ttl time.Duration, user, scopes string, audience ...string) string {
	s.t.Helper()
	text, err := auth.Mint(context.Background(), auth.MintOptions{Config: s.settings(), User: user, Scopes: append([]string{}, strings.Fields(scopes)...),
		Audience: audience, TTL: ttl, Now: func() time.Time { return at }})
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// dial opens a WebSocket at "service/path?query"; headers come in pairs.
func (s *system) dial(target string, headers ...string) *websocket.Conn {
	s.t.Helper()
	conn, res, err := s.tryDial(target, headers...)
	if err != nil {
		body := []byte(nil)
		if res != nil {
			body, _ = io.ReadAll(res.Body)
		}
		s.t.Fatalf("WebSocket %s: %v\n%.500s", target, err, body)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// tryDial is dial that may be refused.
func (s *system) tryDial(target string, headers ...string) (*websocket.Conn, *http.Response, error) {
	service, path, _ := strings.Cut(target, "/")
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	return websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(s.URL(service), "http")+"/"+path, h)
}

// object is a decoded JSON object.
type object = map[string]any

// nextFrame reads one text frame that holds a JSON object.
func nextFrame(t testing.TB, conn *websocket.Conn) object {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	kind, data, err := conn.ReadMessage()
	if err != nil {
		t.Fatalf("no frame: %v", err)
	}
	if kind != websocket.TextMessage {
		t.Fatalf("frame of type %d, want text", kind)
	}
	return decodeObject(t, data)
}

func decodeObject(t testing.TB, data []byte) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatalf("not a JSON object: %v\n%.500s", err, data)
	}
	return o
}

// eventStream is an open text/event-stream.
type eventStream struct {
	t       testing.TB
	res     *http.Response
	scanner *bufio.Scanner
	stop    context.CancelFunc
}

// serverEvent is one event of a stream.
type serverEvent struct {
	id, name string
	data     object
	lines    int // data lines
}

// listen opens the event stream at "service/path?query" and returns when its headers are here.
func (s *system) listen(target string, headers ...string) *eventStream {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	service, path, _ := strings.Cut(target, "/")
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL(service)+"/"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	watchdog := time.AfterFunc(patience, cancel)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	watchdog.Stop()
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		body, _ := io.ReadAll(res.Body)
		s.t.Fatalf("GET %s: %d %s\n%.500s", target, res.StatusCode, res.Header.Get("Content-Type"), body)
	}
	es := &eventStream{t: s.t, res: res, scanner: bufio.NewScanner(res.Body), stop: cancel}
	s.t.Cleanup(es.close)
	return es
}

func (e *eventStream) close() {
	e.stop()
	e.res.Body.Close()
}

// next reads one event; comments and retry lines are passed over.
func (e *eventStream) next() serverEvent {
	e.t.Helper()
	watchdog := time.AfterFunc(patience, e.stop)
	defer watchdog.Stop()
	var ev serverEvent
	for e.scanner.Scan() {
		field, value, _ := strings.Cut(e.scanner.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case field == "id":
			ev.id = value
		case field == "event":
			ev.name = value
		case field == "data":
			ev.lines++
			ev.data = decodeObject(e.t, []byte(value))
		case e.scanner.Text() == "" && ev.name != "":
			return ev
		}
	}
	e.t.Fatalf("the stream ended: %v", e.scanner.Err())
	return ev
}

// until reads events until one of the type comes.
func (e *eventStream) until(typ string) serverEvent {
	e.t.Helper()
	for {
		if ev := e.next(); ev.name == typ {
			return ev
		}
	}
}

// sendMail hands a short mail to the MX listener.
func (s *system) sendMail(from, to, subject, text string) {
	s.t.Helper()
	body := fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%d.%s>\r\n\r\n%s\r\n",
		from, to, subject, time.Now().UnixNano(), from, text)
	err := func() error {
		c, err := smtp.Dial(s.mx())
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Mail(from); err != nil {
			return err
		}
		if err := c.Rcpt(to); err != nil {
			return err
		}
		w, err := c.Data()
		if err != nil {
			return err
		}
		io.WriteString(w, body)
		if err := w.Close(); err != nil {
			return err
		}
		return c.Quit()
	}()
	if err != nil {
		s.t.Fatalf("mail to %s: %v", to, err)
	}
}

// matches compares a decoded answer with a template: "<int>", "<number>", "<text>", "<bool>",
// "<list>", "<object>", "<time>", "<any>" and "<int?>" (or null) stand for any value of the kind;
// an object has exactly the template's names unless it has the name "…"; a list
// template of one entry holds for each entry of the answer.
func matches(where string, want, got any) error {
	switch w := want.(type) {
	case string:
		return matchesWord(where, w, got)
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %T, want an object", where, got)
		}
		for name, v := range w {
			if name == "…" {
				continue
			}
			if _, has := g[name]; !has {
				return fmt.Errorf("%s has no %q: %v", where, name, g)
			}
			if err := matches(where+"."+name, v, g[name]); err != nil {
				return err
			}
		}
		if _, more := w["…"]; !more && len(g) != len(w) {
			return fmt.Errorf("%s has other names than the %d asked for: %v", where, len(w), g)
		}
		return nil
	case []any:
		g, ok := got.([]any)
		if !ok {
			return fmt.Errorf("%s is %T, want a list", where, got)
		}
		if len(w) != 1 && len(w) != len(g) {
			return fmt.Errorf("%s has %d entries, want %d", where, len(g), len(w))
		}
		for i := range g {
			if err := matches(fmt.Sprintf("%s[%d]", where, i), w[i%len(w)], g[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if want != got {
		return fmt.Errorf("%s is %v, want %v", where, got, want)
	}
	return nil
}

func matchesWord(where, want string, got any) error {
	ok := want == got
	switch want {
	case "<any>":
		ok = true
	case "<int>", "<number>", "<int?>":
		n, number := got.(float64)
		ok = number && (want == "<number>" || n == float64(int64(n))) || want == "<int?>" && got == nil
	case "<text>":
		_, ok = got.(string)
	case "<bool>":
		_, ok = got.(bool)
	case "<list>":
		_, ok = got.([]any)
	case "<texts>":
		list, isList := got.([]any)
		ok = isList
		for _, e := range list {
			_, text := e.(string)
			ok = ok && text
		}
	case "<object>":
		_, ok = got.(map[string]any)
	case "<time>":
		text, _ := got.(string)
		at, err := time.Parse("2006-01-02T15:04:05.000Z", text)
		ok = err == nil && !at.IsZero()
	}
	if !ok {
		return fmt.Errorf("%s is %v (%T), want %s", where, got, got, want)
	}
	return nil
}

// like fails the test unless the JSON answer matches the template, which is JSON itself.
func like(t testing.TB, what, template string, answer []byte) {
	t.Helper()
	var want, got any
	if err := json.Unmarshal([]byte(template), &want); err != nil {
		t.Fatalf("the template of %s: %v", what, err)
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Errorf("%s: not JSON: %v\n%.300s", what, err, answer)
		return
	}
	if err := matches("the answer", want, got); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}
