package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// What an operator's signal does to those who are connected.

// drainTime is what the program may take from the signal to its end.
const drainTime = 5 * time.Second

// room opens a room and returns its id.
func (p *program) room(name string) string {
	p.t.Helper()
	var room struct {
		ID json.Number `json:"id"`
	}
	if err := json.Unmarshal(p.must(200, "POST", "chat/rooms?kind=global&name="+name, ""), &room); err != nil {
		p.t.Fatal(err)
	}
	return room.ID.String()
}

// socket opens a WebSocket at "service/path"; the channel tells with which error reading from
// it ended.
func (p *program) socket(target string) <-chan error {
	p.t.Helper()
	service, path, _ := strings.Cut(target, "/")
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(p.urls[service], "http")+"/"+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { ws.Close() })
	over := make(chan error, 1)
	go func() {
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				over <- err
				return
			}
		}
	}()
	return over
}

// stream opens an event stream; the channel tells how reading from it ended, nil is a clean end.
func (p *program) stream(target string) <-chan error {
	p.t.Helper()
	service, path, _ := strings.Cut(target, "/")
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", p.urls[service]+"/"+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		cancel()
		res.Body.Close()
	})
	if res.StatusCode != 200 {
		p.t.Fatalf("GET %s: %s", target, res.Status)
	}
	over := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, res.Body)
		over <- err
	}()
	return over
}

// ending waits for the end that a channel tells of.
func ending(t testing.TB, what string, over <-chan error) error {
	t.Helper()
	select {
	case err := <-over:
		return err
	case <-time.After(longWait):
		t.Errorf("%s did not end", what)
		return nil
	}
}

// crowd is everybody who may be connected when the signal comes.
type crowd struct {
	p       *program
	sockets map[string]<-chan error
	streams map[string]<-chan error
	idle    map[string]*wire // SMTP, waiting for a command
	data    *wire            // SMTP, in the middle of a message
	asked   net.Conn         // HTTP, kept alive
}

func gather(p *program) *crowd {
	p.t.Helper()
	room := p.room("lounge")
	c := &crowd{p: p, sockets: map[string]<-chan error{}, streams: map[string]<-chan error{}, idle: map[string]*wire{}}
	for _, s := range []string{"chat/ws/rooms/" + room, "game/ws/events", "portal/proxy/chat/ws/rooms/" + room} {
		c.sockets[s] = p.socket(s)
	}
	for _, s := range []string{"chat/rooms/" + room + "/events", "chat/events", "game/events", "portal/events", "portal/proxy/game/events",
		"email/api/events?user=pilot@vezeuniqverse.com&access_token=demo"} {
		c.streams[s] = p.stream(s)
	}
	for _, mode := range []string{"mx", "submission"} {
		c.idle[mode] = dialWire(p.t, p.smtp[mode])
	}
	c.idle["after a transaction"] = dialWire(p.t, p.smtp["mx"])
	c.idle["after a transaction"].say("EHLO peer.test", "250")
	c.idle["after a transaction"].data("a@peer.test", "pilot@vezeuniqverse.com")
	c.idle["after a transaction"].say(letter("a@peer.test", "pilot@vezeuniqverse.com", "before the signal", "x")+".", "250")
	c.data = dialWire(p.t, p.smtp["mx"])
	c.data.say("EHLO peer.test", "250")
	c.data.data("a@peer.test", "pilot@vezeuniqverse.com")
	c.data.send("Subject: in hand\r\nFrom: <a@peer.test>\r\n")
	var err error
	if c.asked, err = net.Dial("tcp", strings.TrimPrefix(p.urls["portal"], "http://")); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.asked.Close() })
	io.WriteString(c.asked, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(c.asked), nil); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// told checks what everybody but the message in hand was told.
func (c *crowd) told() {
	t := c.p.t
	t.Helper()
	for name, over := range c.sockets {
		var closed *websocket.CloseError
		if err := ending(t, name, over); !errors.As(err, &closed) || closed.Code != 3001 {
			t.Errorf("the WebSocket %s ended with %v, want close code 3001", name, err)
		}
	}
	for name, over := range c.streams {
		if err := ending(t, name, over); err != nil {
			t.Errorf("the stream %s broke off: %v; want a clean end", name, err)
		}
	}
	for name, w := range c.idle {
		if got := w.reply(); !strings.HasPrefix(got, "421 4.3.2 ") {
			t.Errorf("SMTP %s was told %q, want 421 4.3.2", name, got)
		}
		if more := w.reply(); more != "" {
			t.Errorf("SMTP %s was told more: %q", name, more)
		}
	}
}

// A message that is under way when the signal comes is finished, acknowledged and stored.
func TestProcessDrainsOnSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals")
	}
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			p := launched(t)
			c := gather(p)
			at := time.Now()
			p.signal(sig)
			c.told() // from here on, the drain is under way
			c.data.send("To: <pilot@vezeuniqverse.com>\r\n\r\nthe rest\r\n.\r\n")
			if got := c.data.reply(); !strings.HasPrefix(got, "250 ") {
				t.Errorf("the message in hand was answered %q, want 250", got)
			}
			if status := p.gone(drainTime - time.Since(at)); status != 0 {
				t.Errorf("exit status %d, want 0", status)
			}
			if p.err.String() != "" {
				t.Errorf("a drain without trouble says on stderr:\n%s", p.err)
			}
			p.launch()
			got := subjects(p.mails("pilot"))
			if len(got) != 2 || got["before the signal"] != 1 || got["in hand"] != 1 {
				t.Errorf("after the restart the mailbox holds %v", got)
			}
			p.drained()
		})
	}
}

// Peers that never finish do not hold the program up, and are not acknowledged.
func TestProcessDrainsInSpiteOfStalledPeers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals")
	}
	p := launched(t)
	c := gather(p)
	stalled, err := net.Dial("tcp", strings.TrimPrefix(p.urls["chat"], "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	io.WriteString(stalled, "POST /rooms HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	at := time.Now()
	p.signal(syscall.SIGTERM)
	c.told()
	status := p.gone(drainTime - time.Since(at))
	t.Logf("it took %s", time.Since(at).Round(time.Millisecond))
	if status != 0 {
		t.Errorf("exit status %d, want 0\n%s", status, p.err)
	}
	if got := c.data.reply(); got != "" && !strings.HasPrefix(got, "421 ") && !strings.HasPrefix(got, "451 ") {
		t.Errorf("the message in hand was answered %q", got)
	}
	p.launch()
	if got := subjects(p.mails("pilot")); len(got) != 1 || got["before the signal"] != 1 {
		t.Errorf("after the restart the mailbox holds %v", got)
	}
	p.drained()
}

// A second signal ends at once, for the operator who will not wait.
func TestProcessEndsAtSecondSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals")
	}
	p := launched(t)
	// The stalled peers keep a drain going for some seconds; on a busy machine it can be over before
	// the second signal is sent, and then there is nothing to be seen: another try is made.
	for try := 0; ; try++ {
		c := gather(p)
		p.signal(syscall.SIGINT)
		c.told()
		p.signal(syscall.SIGINT)
		status := p.gone(longWait)
		if status == -1 {
			return
		}
		if status != 0 || try == 4 {
			t.Fatalf("exit status %d, want the end by the signal itself", status)
		}
		p.launch()
	}
}
