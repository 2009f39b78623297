package ws_test

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/internal/ws"
)

// pipes is a listener whose connections are pairs in memory, so that time can be made to pass.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// With nothing set a ping comes every 25 s, and a peer that does not answer it is closed 10 s later.
func TestRhythmOfPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := ws.NewEdge(ws.EdgeOptions{})
		ln := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		closed := make(chan ws.Code, 1)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if conn, err := edge.Upgrade(w, r, ws.Options{}); err == nil {
				conn.Start(func([]byte) {}, func(code ws.Code, _ string) { closed <- code })
			}
		})}
		go srv.Serve(ln)
		dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			ln.conns <- theirs
			return ours, nil
		}}
		client, _, err := dialer.Dial("ws://edge/", nil)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var pings []time.Duration
		client.SetPingHandler(func(data string) error {
			pings = append(pings, time.Since(begin))
			if len(pings) > 3 {
				return nil // no pong
			}
			go client.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
			return nil
		})
		_, _, err = client.ReadMessage()
		if !websocket.IsCloseError(err, int(ws.NoPong)) {
			t.Errorf("the silent peer got %v, want %d", err, ws.NoPong)
		}
		end := time.Since(begin)
		for i := 1; i < len(pings); i++ {
			if every := pings[i] - pings[i-1]; every != 25*time.Second {
				t.Errorf("ping %d came %s after the one before, want 25 s", i+1, every)
			}
		}
		if len(pings) < 4 || pings[0] > 25*time.Second {
			t.Fatalf("pings at %v", pings)
		}
		if waited := end - pings[3]; waited < 10*time.Second || waited > 11*time.Second {
			t.Errorf("the pong was waited for %s, want 10 s", waited)
		}
		client.Close()
		<-closed
		srv.Close()
		if err := edge.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A busy topic waits for as many frames as it may and no longer: with a frame every 10 ms and a pause of 20 a write carries three,
// and none waits longer than the pause. A quiet one is written at once.
func TestRhythmOfABusyTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := ws.NewEdge(ws.EdgeOptions{})
		ln := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		topic := edge.NewTopic(ws.TopicOptions{})
		subs := make(chan *ws.Sub, 1)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if conn, err := edge.Upgrade(w, r, ws.Options{}); err == nil {
				conn.Start(nil, nil)
				subs <- topic.Attach(conn)
			}
		})}
		go srv.Serve(ln)
		dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			ln.conns <- theirs
			return ours, nil
		}}
		client, _, err := dialer.Dial("ws://edge/", nil)
		if err != nil {
			t.Fatal(err)
		}
		sub := <-subs
		sub.Resume(sub.Seq())
		delays := make(chan time.Duration, 200)
		go func() {
			for {
				_, b, err := client.ReadMessage()
				if err != nil {
					return
				}
				at, _ := time.Parse(time.RFC3339Nano, string(b))
				delays <- time.Since(at)
			}
		}()
		seq := int64(0)
		say := func() {
			seq++
			topic.Publish(seq, []byte(time.Now().Format(time.RFC3339Nano)))
		}
		for range 20 {
			say()
			if d := <-delays; d != 0 {
				t.Errorf("in a quiet topic a frame waited %s", d)
			}
			time.Sleep(25 * time.Millisecond)
		}
		before := edge.Stats().Writes
		for range 90 {
			say()
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		for range 90 {
			if d := <-delays; d > 21*time.Millisecond {
				t.Errorf("a frame waited %s", d)
			}
		}
		if n := edge.Stats().Writes - before; n > 32 {
			t.Errorf("90 frames took %d writes", n)
		}
		client.Close()
		srv.Close()
		if err := edge.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
