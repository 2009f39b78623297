package ws_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"uniqverse/internal/errs"
	"uniqverse/internal/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// site is an edge behind a test server; connect tells what happens with a new connection.
type site struct {
	edge *ws.Edge
	srv  *httptest.Server
	errs chan error // of refused handshakes
}

func serve(t testing.TB, eo ws.EdgeOptions, o ws.Options, connect func(c *ws.Conn)) *site {
	t.Helper()
	s := &site{edge: ws.NewEdge(eo), errs: make(chan error, 1000)}
	s.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := s.edge.Upgrade(w, r, o)
		if err != nil {
			if !errors.Is(err, ws.ErrGone) {
				http.Error(w, err.Error(), http.StatusTeapot)
			}
			s.errs <- err
			return
		}
		connect(c)
	}))
	// Small buffers in the kernel, so that a reader that does not read is soon noticed.
	s.srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(64 << 10)
		return ctx
	}
	s.srv.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.edge.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		s.srv.Close()
	})
	return s
}

// quick makes an edge whose shutdown does not wait for clients that tests left behind.
var quick = ws.EdgeOptions{Spread: time.Millisecond, CloseWait: 100 * time.Millisecond}

func echo(c *ws.Conn) {
	c.Start(func(b []byte) { c.Send(context.Background(), b) }, nil)
}

// client is a raw peer.
type client struct {
	t testing.TB
	net.Conn
	br *bufio.Reader
}

func (s *site) dialRaw(t testing.TB) *client {
	t.Helper()
	c, err := net.Dial("tcp", s.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	c.SetReadDeadline(time.Now().Add(patience))
	br := bufio.NewReaderSize(c, 64)
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			t.Fatalf("handshake: %v", err)
		}
		if line == "\r\n" {
			return &client{t, c, br}
		}
	}
}

// frame reads one frame of the server.
func (c *client) frame() (op byte, payload []byte, err error) {
	var h [2]byte
	if _, err := io.ReadFull(c.br, h[:]); err != nil {
		return 0, nil, err
	}
	if h[0]&0x80 == 0 || h[0]&0x70 != 0 || h[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("frame begins % x", h)
	}
	n := uint64(h[1])
	if n >= 126 {
		size := 2
		if n == 127 {
			size = 8
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(c.br, b); err != nil {
			return 0, nil, err
		}
		n = 0
		for _, x := range b {
			n = n<<8 | uint64(x)
		}
	}
	if n > 16<<20 {
		return 0, nil, fmt.Errorf("frame of %d bytes", n)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.br, payload)
	return h[0] & 15, payload, err
}

// small is a dialer whose sockets take little before they are read.
var small = &websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
	c, err := net.Dial(network, addr)
	if err == nil {
		c.(*net.TCPConn).SetReadBuffer(16 << 10)
	}
	return c, err
}}

func (s *site) dial(t testing.TB) *websocket.Conn {
	t.Helper()
	return s.dialWith(t, websocket.DefaultDialer)
}

func (s *site) dialWith(t testing.TB, d *websocket.Dialer) *websocket.Conn {
	t.Helper()
	c, _, err := d.Dial("ws"+strings.TrimPrefix(s.srv.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(patience))
	return c
}

// closed reads to the end and returns the close code.
func closed(t testing.TB, c *websocket.Conn) ws.Code {
	t.Helper()
	for {
		if _, _, err := c.ReadMessage(); err != nil {
			var ce *websocket.CloseError
			if !errors.As(err, &ce) {
				t.Fatalf("no close frame: %v", err)
			}
			return ws.Code(ce.Code)
		}
	}
}

func TestFrames(t *testing.T) {
	s := serve(t, quick, ws.Options{}, echo)
	b, err := os.ReadFile("testdata/frames.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for line := range strings.Lines(string(b)) {
		p := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		if strings.HasPrefix(line, "#") || len(p) != 3 {
			if len(strings.TrimSpace(line)) > 0 && line[0] != '#' {
				t.Fatalf("unreadable line %q", line)
			}
			continue
		}
		cases++
		t.Run(strings.TrimSpace(p[0]), func(t *testing.T) {
			raw, err := hex.DecodeString(strings.ReplaceAll(strings.ReplaceAll(p[1], " ", ""), "\t", ""))
			if err != nil {
				t.Fatal(err)
			}
			c := s.dialRaw(t)
			if _, err := c.Write(raw); err != nil {
				t.Fatal(err)
			}
			for want := range strings.SplitSeq(strings.TrimSpace(p[2]), ", ") {
				op, payload, err := c.frame()
				if err != nil {
					t.Fatalf("waiting for %q: %v", want, err)
				}
				if got := describe(op, payload); got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
				if op == 8 { // the server ends the connection, also if we never answer
					if n, err := c.br.Read(make([]byte, 1)); err != io.EOF {
						t.Errorf("after the close frame: %d bytes, %v", n, err)
					}
				}
			}
		})
	}
	if cases < 30 {
		t.Errorf("only %d cases", cases)
	}
}

func describe(op byte, p []byte) string {
	switch {
	case op == 1:
		return strings.TrimSpace("text " + string(p))
	case op == 10:
		return strings.TrimSpace("pong " + string(p))
	case op == 8 && len(p) >= 2:
		return fmt.Sprint("close ", int(p[0])<<8|int(p[1]))
	case op == 8:
		return "close -"
	}
	return fmt.Sprint("opcode ", op)
}

func TestRefusedHandshakes(t *testing.T) {
	full := http.Header{
		"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"WebSocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	tests := []struct {
		name, method, header, value string
		want                        errs.Kind
	}{
		{"plain GET", "GET", "Connection", "", errs.Malformed},
		{"POST", "POST", "", "", errs.NotAllowed},
		{"no key", "GET", "Sec-Websocket-Key", "", errs.Malformed},
		{"bad key", "GET", "Sec-Websocket-Key", "short", errs.Malformed},
		{"old version", "GET", "Sec-Websocket-Version", "8", errs.Malformed},
		{"another protocol", "GET", "Upgrade", "h2c", errs.Malformed},
		{"foreign origin", "GET", "Origin", "https://evil.example", errs.Denied},
		{"opaque origin", "GET", "Origin", "null", errs.Denied},
		{"look-alike origin", "GET", "Origin", "http://h.evil.example", errs.Denied},
	}
	s := serve(t, quick, ws.Options{}, echo)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, _ := http.NewRequest(tt.method, s.srv.URL, nil)
			req.Header = full.Clone()
			req.Host = "h"
			if tt.header != "" {
				req.Header.Set(tt.header, tt.value)
			}
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusTeapot {
				t.Errorf("status %d: the caller's answer was not the only one", res.StatusCode)
			}
			if err := <-s.errs; errs.KindOf(err) != tt.want {
				t.Errorf("got %v of kind %s, want %s", err, errs.KindOf(err), tt.want)
			}
		})
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if n := s.edge.Stats().Conns; n != 0 {
		t.Errorf("%d connections are counted", n)
	}
}

func TestOriginAndProtocol(t *testing.T) {
	s := serve(t, quick, ws.Options{
		Origin:    func(r *http.Request) bool { return r.Header.Get("Origin") == "https://good.example" },
		Protocols: []string{"veze.v1"}, Header: http.Header{"X-Hello": {"yes"}},
	}, func(c *ws.Conn) {
		c.Push([]byte(c.Subprotocol() + " " + c.RemoteAddr()))
		echo(c)
	})
	for _, tt := range []struct {
		origin, offer, want string
		ok                  bool
	}{
		{"https://good.example", "x, veze.v1", "veze.v1", true},
		{"", "x", "", true},
		{"https://bad.example", "", "", false},
	} {
		h := http.Header{}
		if tt.origin != "" {
			h.Set("Origin", tt.origin)
		}
		d := websocket.Dialer{Subprotocols: strings.Split(tt.offer, ", ")}
		c, res, err := d.Dial("ws"+strings.TrimPrefix(s.srv.URL, "http"), h)
		if (err == nil) != tt.ok {
			t.Fatalf("%+v: %v", tt, err)
		}
		if err != nil {
			continue
		}
		_, b, err := c.ReadMessage()
		if err != nil || string(b) != tt.want+" "+c.LocalAddr().String() || c.Subprotocol() != tt.want || res.Header.Get("X-Hello") != "yes" {
			t.Errorf("%+v: %q, %v, sub-protocol %q", tt, b, err, c.Subprotocol())
		}
		c.Close()
	}
}

func TestMaxConns(t *testing.T) {
	o := quick
	o.MaxConns = 2
	ended := make(chan bool, 10)
	s := serve(t, o, ws.Options{}, func(c *ws.Conn) { c.Start(nil, func(ws.Code, string) { ended <- true }) })
	a := s.dial(t)
	s.dial(t)
	url := "ws" + strings.TrimPrefix(s.srv.URL, "http")
	if _, res, err := websocket.DefaultDialer.Dial(url, nil); err == nil || res.StatusCode != http.StatusTeapot {
		t.Fatalf("third connection: %v", err)
	}
	if err := <-s.errs; !errs.Is(err, errs.Unavailable) {
		t.Errorf("got %v", err)
	}
	if st := s.edge.Stats(); st.Refused != 1 {
		t.Errorf("%d handshakes were refused", st.Refused)
	}
	a.Close()
	<-ended
	for deadline := time.Now().Add(patience); ; { // the place is free soon after onClose
		c, _, err := websocket.DefaultDialer.Dial(url, nil)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the place of a closed connection stays taken")
		}
	}
}

// end is what onClose was told.
type end struct {
	code   ws.Code
	reason string
}

func TestCloseReasons(t *testing.T) {
	tests := []struct {
		name string
		edge ws.EdgeOptions
		opts ws.Options
		act  func(c *websocket.Conn) // what the client does
		want ws.Code
	}{
		{"rate", quick, ws.Options{Rate: 0.001, Burst: 3}, func(c *websocket.Conn) {
			for range 4 {
				c.WriteMessage(websocket.TextMessage, []byte("x"))
			}
		}, ws.TooManyRequests},
		{"rate of pings", quick, ws.Options{Rate: 0.001, Burst: 3}, func(c *websocket.Conn) {
			for range 4 {
				c.WriteMessage(websocket.PingMessage, nil)
			}
		}, ws.TooManyRequests},
		{"rate of pongs", quick, ws.Options{Rate: 0.001, Burst: 3}, func(c *websocket.Conn) {
			for range 4 {
				c.WriteMessage(websocket.PongMessage, nil)
			}
		}, ws.TooManyRequests},
		{"read limit", quick, ws.Options{ReadLimit: 10}, func(c *websocket.Conn) {
			c.WriteMessage(websocket.TextMessage, make([]byte, 11))
		}, ws.TooBig},
		{"token expired", quick, ws.Options{Expires: time.Now().Add(-time.Second)}, nil, ws.Expired},
		{"no hello", quick, ws.Options{Hello: time.Millisecond}, nil, ws.Stale},
		{"no pong", ws.EdgeOptions{PingEvery: 25 * time.Millisecond, PongWait: 25 * time.Millisecond, CloseWait: 50 * time.Millisecond, Spread: 1}, ws.Options{}, func(c *websocket.Conn) {
			c.SetPingHandler(func(string) error { return nil })
		}, ws.NoPong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ends := make(chan end, 1)
			s := serve(t, tt.edge, tt.opts, func(c *ws.Conn) {
				c.Start(nil, func(code ws.Code, reason string) { ends <- end{code, reason} })
			})
			c := s.dial(t)
			if tt.act != nil {
				tt.act(c)
			}
			if got := closed(t, c); got != tt.want {
				t.Errorf("the client got %d, want %d", got, tt.want)
			}
			if got := <-ends; got.code != tt.want || got.reason == "" {
				t.Errorf("onClose got %v, want %d and a reason", got, tt.want)
			}
		})
	}
}

func TestPingsKeepAlive(t *testing.T) {
	o := ws.EdgeOptions{PingEvery: 25 * time.Millisecond, PongWait: 5 * time.Second, Spread: 1, CloseWait: 100 * time.Millisecond}
	s := serve(t, o, ws.Options{Rate: -1, Hello: time.Hour}, echo)
	c := s.dialRaw(t)
	for range 5 {
		op, p, err := c.frame()
		if err != nil || op != 9 {
			t.Fatalf("got opcode %d, %v, want a ping", op, err)
		}
		c.Write(append([]byte{0x8a, 0x80 | byte(len(p)), 0, 0, 0, 0}, p...))
	}
}

func TestCloseWritesTheQueueFirst(t *testing.T) {
	s := serve(t, quick, ws.Options{}, func(c *ws.Conn) {
		for i := range 100 {
			if err := c.Send(context.Background(), fmt.Append(nil, i)); err != nil {
				t.Error(err)
			}
		}
		c.Close(ws.ForceNoReconnect, strings.Repeat("ü", 100))
		c.Close(ws.ServerError, "the second one does not count")
		if c.Push([]byte("late")) || !errors.Is(c.Send(context.Background(), nil), ws.ErrGone) {
			t.Error("a message was taken after Close")
		}
	})
	c := s.dial(t)
	for i := range 100 {
		if _, b, err := c.ReadMessage(); err != nil || string(b) != fmt.Sprint(i) {
			t.Fatalf("message %d: %q, %v", i, b, err)
		}
	}
	_, _, err := c.ReadMessage()
	var ce *websocket.CloseError
	if !errors.As(err, &ce) || ce.Code != int(ws.ForceNoReconnect) || ce.Text != strings.Repeat("ü", 61) {
		t.Errorf("got %v", err)
	}
}

func TestCloseAndStartInAnyOrder(t *testing.T) {
	ends := make(chan end, 200)
	s := serve(t, quick, ws.Options{}, func(c *ws.Conn) {
		var wg sync.WaitGroup
		wg.Go(func() { c.Close(ws.PermissionDenied, "no") })
		wg.Go(func() { c.Start(nil, func(code ws.Code, reason string) { ends <- end{code, reason} }) })
		wg.Wait()
		<-c.Done()
	})
	for range 50 {
		if got := closed(t, s.dial(t)); got != ws.PermissionDenied {
			t.Fatalf("got %d", got)
		}
		if got := <-ends; got.code != ws.PermissionDenied {
			t.Fatalf("onClose got %v", got)
		}
	}
	select {
	case e := <-ends:
		t.Errorf("onClose was called again: %v", e)
	default:
	}
}

func TestPeerCloses(t *testing.T) {
	ends := make(chan end, 1)
	s := serve(t, quick, ws.Options{}, func(c *ws.Conn) {
		c.Start(nil, func(code ws.Code, reason string) { ends <- end{code, reason} })
	})
	c := s.dial(t)
	c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4123, "bye"), time.Now().Add(patience))
	if got := closed(t, c); got != 4123 {
		t.Errorf("answer %d", got)
	}
	if got := <-ends; got != (end{4123, "bye"}) {
		t.Errorf("onClose got %v", got)
	}
	s.dialRaw(t).Close()
	if got := <-ends; got.code != ws.Abnormal {
		t.Errorf("onClose got %v", got)
	}
}

func TestSendWaitsAndPushDoesNot(t *testing.T) {
	big := make([]byte, 64<<10)
	for i := range big {
		big[i] = 'x'
	}
	pushed, ends := make(chan bool, 1), make(chan end, 1)
	s := serve(t, quick, ws.Options{Queue: 256 << 10}, func(c *ws.Conn) {
		c.Start(nil, func(code ws.Code, reason string) { ends <- end{code, reason} })
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		n := 0
		for ; n < 10_000; n++ { // until the socket and the queue are full
			if err := c.Send(ctx, big); err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("send: %v", err)
				}
				break
			}
		}
		for c.Push(big) {
			if n++; n > 20_000 {
				t.Error("the queue is not bounded")
				break
			}
		}
		pushed <- true
	})
	c := s.dialWith(t, small)
	<-pushed // nothing was read so far
	if got := closed(t, c); got != ws.SlowConsumer {
		t.Errorf("got %d", got)
	}
	if got := <-ends; got.code != ws.SlowConsumer {
		t.Errorf("onClose got %v", got)
	}
}

func TestShutdown(t *testing.T) {
	s := serve(t, ws.EdgeOptions{Spread: 20 * time.Millisecond, CloseWait: 100 * time.Millisecond}, ws.Options{}, echo)
	var polite []*websocket.Conn
	for range 30 {
		polite = append(polite, s.dial(t))
	}
	for range 5 {
		s.dialRaw(t) // never answers
	}
	var wg sync.WaitGroup
	for _, c := range polite {
		wg.Go(func() {
			if got := closed(t, c); got != ws.Shutdown {
				t.Errorf("got %d", got)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.edge.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	wg.Wait()
	st := s.edge.Stats()
	if st.Conns != 0 || st.Opened != 35 || st.Closed[ws.Shutdown] != 35 {
		t.Errorf("after shutdown %+v", st)
	}
	url := "ws" + strings.TrimPrefix(s.srv.URL, "http")
	if _, _, err := websocket.DefaultDialer.Dial(url, nil); err == nil {
		t.Error("a connection after shutdown")
	}
	if err := <-s.errs; !errs.Is(err, errs.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestShutdownCutsWhenToldTo(t *testing.T) {
	s := serve(t, ws.EdgeOptions{CloseWait: time.Hour}, ws.Options{}, echo)
	for range 5 {
		s.dialRaw(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.edge.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := s.edge.Stats().Conns; n != 0 {
		t.Errorf("%d connections are left", n)
	}
}
