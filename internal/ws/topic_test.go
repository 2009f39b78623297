package ws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/internal/registry"
	"uniqverse/internal/ws"
)

// line is the payload of the tests: its seq, and what fills it up.
func line(seq int64, fill int) []byte {
	return fmt.Appendf(nil, `{"seq":%d,"text":"%s"}`, seq, strings.Repeat("x", fill))
}

// next reads one message and returns its seq, or the close code.
func next(t testing.TB, c *websocket.Conn) (seq int64, code ws.Code) {
	t.Helper()
	_, b, err := c.ReadMessage()
	var ce *websocket.CloseError
	if errors.As(err, &ce) {
		return 0, ws.Code(ce.Code)
	}
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Seq *int64 }
	if err := json.Unmarshal(b, &v); err != nil || v.Seq == nil {
		t.Fatalf("%v in %q", err, b)
	}
	return *v.Seq, 0
}

func expectSeqs(t testing.TB, c *websocket.Conn, from, to int64) {
	t.Helper()
	for want := from; want <= to; want++ {
		if got, code := next(t, c); got != want {
			t.Fatalf("got seq %d (close %d), want %d", got, code, want)
		}
	}
}

// room is a site whose connections all follow one topic.
type room struct {
	*site
	topic  *ws.Topic
	joined chan *ws.Sub
}

func newRoom(t testing.TB, eo ws.EdgeOptions, to ws.TopicOptions) *room {
	r := &room{joined: make(chan *ws.Sub, 2000)}
	r.site = serve(t, eo, ws.Options{}, func(c *ws.Conn) {
		s := r.topic.Attach(c)
		c.Start(nil, nil)
		s.Resume(s.Seq())
		r.joined <- s
	})
	r.topic = r.edge.NewTopic(to)
	return r
}

func TestEverySocketGetsEveryMessageOnce(t *testing.T) {
	// 64 publishers race with seqs that were given out in order, as concurrent senders do
	// after their commits; every socket sees 1, 2, 3 …
	const publishers, messages, sockets = 64, 3000, 20
	r := newRoom(t, quick, ws.TopicOptions{})
	var clients []*websocket.Conn
	for range sockets {
		clients = append(clients, r.dial(t))
		<-r.joined
	}
	var mu sync.Mutex
	var seq int64
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for {
				mu.Lock()
				seq++
				mine := seq
				mu.Unlock()
				if mine > messages {
					return
				}
				if mine%7 == 0 {
					runtime.Gosched()
				}
				r.topic.Publish(mine, line(mine, int(mine%200)))
				if mine%50 == 0 {
					r.topic.Publish(mine, line(mine, 0)) // a repeat is dropped
				}
			}
		})
	}
	for _, c := range clients {
		wg.Go(func() { expectSeqs(t, c, 1, messages) })
	}
	wg.Wait()
	if r.topic.Last() != messages || r.topic.Len() != sockets {
		t.Errorf("last %d, %d subscribers", r.topic.Last(), r.topic.Len())
	}
	st := r.edge.Stats()
	if st.Writes > messages*sockets/2 {
		t.Errorf("%d writes for %d deliveries: frames are not put together", st.Writes, messages*sockets)
	}
	t.Logf("%d deliveries in %d writes", messages*sockets, st.Writes)
}

func TestReplayThenLiveIsExact(t *testing.T) {
	// The property: whenever a socket attaches, and however the store runs ahead of the
	// publishing, what it gets is after+1, after+2, … up to the end.
	const messages = 2000
	var mu sync.Mutex
	var stored int64 // committed, perhaps not yet published
	type ask struct {
		topic *ws.Topic
		after int64
	}
	asks := make(chan ask, 1)
	s := serve(t, quick, ws.Options{}, func(c *ws.Conn) {
		a := <-asks
		sub := a.topic.Attach(c)
		c.Start(nil, nil)
		mu.Lock()
		upTo := stored
		mu.Unlock()
		for seq := a.after + 1; seq <= upTo; seq++ {
			if err := c.Send(context.Background(), line(seq, 10)); err != nil {
				t.Errorf("replay: %v", err)
				return
			}
		}
		if !sub.Resume(max(a.after, upTo)) {
			t.Error("resume failed")
		}
	})
	topic := s.edge.NewTopic(ws.TopicOptions{})
	var wg sync.WaitGroup
	wg.Go(func() {
		rnd := rand.New(rand.NewPCG(5, 6))
		for published := int64(0); published < messages; {
			ahead := min(messages, published+int64(rnd.IntN(20)))
			mu.Lock()
			stored = ahead
			mu.Unlock()
			for ; published < ahead; published++ {
				topic.Publish(published+1, line(published+1, 10))
				if rnd.IntN(8) == 0 {
					time.Sleep(time.Duration(rnd.IntN(2000)) * time.Microsecond) // pace, not synchronisation
				}
			}
		}
	})
	for range 60 {
		mu.Lock()
		after := rand.Int64N(stored + 1)
		mu.Unlock()
		asks <- ask{topic, after}
		c := s.dial(t)
		wg.Go(func() { expectSeqs(t, c, after+1, messages) })
	}
	wg.Wait()
}

func TestReplayThatEndsShort(t *testing.T) {
	conns := make(chan *ws.Conn, 1)
	s := serve(t, quick, ws.Options{}, func(c *ws.Conn) { c.Start(nil, nil); conns <- c })
	topic := s.edge.NewTopic(ws.TopicOptions{Last: 10})
	c := s.dial(t)
	sub := topic.Attach(<-conns)
	if sub.Seq() != 10 {
		t.Errorf("seq %d", sub.Seq())
	}
	if sub.Resume(9) {
		t.Error("a gap was accepted")
	}
	if got := closed(t, c); got != ws.InsufficientState {
		t.Errorf("got %d", got)
	}
}

func TestGapIsTold(t *testing.T) {
	r := newRoom(t, quick, ws.TopicOptions{Last: 5, GapWait: 20 * time.Millisecond})
	c := r.dial(t)
	<-r.joined
	r.topic.Publish(3, line(3, 0)) // the store has it
	r.topic.Publish(6, line(6, 0))
	r.topic.Publish(9, line(9, 0))
	r.topic.Publish(8, line(8, 0))
	expectSeqs(t, c, 6, 6)
	if got := closed(t, c); got != ws.InsufficientState {
		t.Errorf("got %d", got)
	}
	if got := r.topic.Last(); got != 9 {
		t.Errorf("after the gap last is %d: who resumes from the store would miss it again", got)
	}
	c = r.dial(t)
	<-r.joined
	r.topic.Publish(10, line(10, 0))
	expectSeqs(t, c, 10, 10)
}

func TestHeldFramesAreBounded(t *testing.T) {
	r := newRoom(t, quick, ws.TopicOptions{Window: 10_000, GapWait: time.Hour})
	c := r.dial(t)
	<-r.joined
	for seq := int64(2); seq < 20; seq++ {
		r.topic.Publish(seq, line(seq, 1000))
	}
	if got := closed(t, c); got != ws.InsufficientState {
		t.Errorf("got %d", got)
	}
}

func TestFramesWithoutPlace(t *testing.T) {
	conns := make(chan *ws.Conn, 1)
	s := serve(t, quick, ws.Options{}, func(c *ws.Conn) { c.Start(nil, nil); conns <- c })
	topic := s.edge.NewTopic(ws.TopicOptions{})
	c := s.dial(t)
	sub := topic.Attach(<-conns)
	for i := int64(1); i <= 4; i++ {
		topic.Publish(0, line(-i, 0))
		topic.Publish(i, line(i, 0))
	}
	sub.Resume(2) // 1 and 2 were sent by other means; what has no place is not skipped
	topic.Publish(0, line(-5, 0))
	for _, want := range []int64{-1, -2, -3, 3, -4, 4, -5} {
		if got, code := next(t, c); got != want {
			t.Fatalf("got %d (close %d), want %d", got, code, want)
		}
	}
}

func TestDetach(t *testing.T) {
	conns := make(chan *ws.Conn, 1)
	s := serve(t, quick, ws.Options{}, func(c *ws.Conn) { c.Start(nil, nil); conns <- c })
	a, b := s.edge.NewTopic(ws.TopicOptions{}), s.edge.NewTopic(ws.TopicOptions{})
	c := s.dial(t)
	conn := <-conns
	sa, sb := a.Attach(conn), b.Attach(conn)
	sa.Resume(0)
	sb.Resume(0)
	a.Publish(1, line(1, 0))
	expectSeqs(t, c, 1, 1)
	sa.Detach()
	sa.Detach()
	a.Publish(2, line(2, 0))
	b.Publish(1, line(100, 0))
	expectSeqs(t, c, 100, 100)
	if a.Len() != 0 || b.Len() != 1 || sa.Resume(5) {
		t.Errorf("%d and %d subscribers", a.Len(), b.Len())
	}
	b.Close(ws.PermissionDenied, "room archived")
	if got := closed(t, c); got != ws.PermissionDenied {
		t.Errorf("got %d", got)
	}
	<-conn.Done()
	if b.Len() != 0 || b.Attach(conn).Resume(1) {
		t.Error("a connection that is over is subscribed")
	}
}

func TestSlowReaderIsClosedAndTheOthersGoOn(t *testing.T) {
	r := newRoom(t, ws.EdgeOptions{Spread: 1, CloseWait: 100 * time.Millisecond, WriteTimeout: time.Hour}, ws.TopicOptions{Window: 128 << 10})
	slow := r.dialWith(t, small)
	<-r.joined
	var clients []*websocket.Conn
	for range 8 {
		clients = append(clients, r.dial(t))
		<-r.joined
	}
	// Published in steps that the readers have confirmed, so that none of them lags: far
	// more in all than the kernel's buffers and the window hold.
	var seq int64
	const step = 30
	for seq < 1200 {
		for range step {
			seq++
			r.topic.Publish(seq, line(seq, 2000))
		}
		var wg sync.WaitGroup
		for _, c := range clients {
			wg.Go(func() { expectSeqs(t, c, seq-step+1, seq) })
		}
		wg.Wait()
	}
	if got := closed(t, slow); got != ws.SlowConsumer {
		t.Errorf("the slow reader got %d", got)
	}
	r.topic.Publish(seq+1, line(seq+1, 0))
	for _, c := range clients {
		expectSeqs(t, c, seq+1, seq+1)
	}
}

func TestStuckReaderIsCut(t *testing.T) {
	r := newRoom(t, ws.EdgeOptions{WriteTimeout: 50 * time.Millisecond, CloseWait: 50 * time.Millisecond, Spread: 1}, ws.TopicOptions{Window: 64 << 20})
	r.dialRaw(t) // never reads
	<-r.joined
	var seq int64
	for deadline := time.Now().Add(patience); r.topic.Len() == 1; {
		if time.Now().After(deadline) {
			t.Fatal("a reader that is stuck holds its connection")
		}
		seq++
		r.topic.Publish(seq, line(seq, 4000))
		if seq%100 == 0 {
			time.Sleep(time.Millisecond) // let the writers have the processor
		}
	}
	// The topic lets go of it a moment before the connection's end is counted.
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		st := r.edge.Stats()
		if st.Closed[ws.WriteError]+st.Closed[ws.SlowConsumer] == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("closed %v", st.Closed)
		}
	}
}

func TestOverTheRegistry(t *testing.T) {
	// The chat service is in this process and the browser comes through the portal's proxy:
	// the connection that the edge writes to is a pair of pipes.
	reg, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := newRoom(t, quick, ws.TopicOptions{})
	if err := reg.SetNear("chat", r.srv.Config.Handler); err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Transport: reg.Client("chat").Transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: "chat"})
			p.Out.Host = p.In.Host
		},
	})
	defer proxy.Close()
	var clients []*websocket.Conn
	for range 5 {
		h := http.Header{"Origin": {proxy.URL}}
		c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(proxy.URL, "http"), h)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(patience))
		clients = append(clients, c)
		<-r.joined
	}
	const messages = 2000
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { expectSeqs(t, c, 1, messages) })
	}
	for seq := int64(1); seq <= messages; seq++ {
		r.topic.Publish(seq, line(seq, 100))
	}
	wg.Wait()
	r.topic.Close(ws.Shutdown, "shutdown")
	for _, c := range clients {
		if got := closed(t, c); got != ws.Shutdown {
			t.Errorf("got %d", got)
		}
	}
}

func TestThousandConnectionsLeaveNothing(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	r := newRoom(t, quick, ws.TopicOptions{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range n / 8 {
				c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(r.srv.URL, "http"), nil)
				if err != nil {
					t.Error(err)
					return
				}
				s := <-r.joined
				r.topic.Publish(0, line(0, 10))
				switch i % 3 {
				case 0:
					c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
				case 1:
					s.Detach()
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.edge.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if st := r.edge.Stats(); st.Conns != 0 || st.Opened != int64(n/8*8) || r.topic.Len() != 0 {
		t.Errorf("%+v, %d subscribers", st, r.topic.Len())
	}
	// TestMain looks for goroutines.
}

func TestIdleMemory(t *testing.T) {
	const n = 500
	r := newRoom(t, quick, ws.TopicOptions{})
	var before, after runtime.MemStats
	measure := func(m *runtime.MemStats) { runtime.GC(); runtime.GC(); runtime.ReadMemStats(m) }
	// The client's end of a connection costs too: its part is measured with bare sockets.
	measure(&before)
	for range n {
		r.dialRaw(t)
		<-r.joined
	}
	measure(&after)
	t.Logf("an idle connection: %d bytes of heap and %d of stacks, both ends", (int64(after.HeapAlloc)-int64(before.HeapAlloc))/n,
		(int64(after.StackInuse)-int64(before.StackInuse))/n)
}

func BenchmarkFanOut(b *testing.B) {
	for _, sockets := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("sockets=%d", sockets), func(b *testing.B) {
			r := newRoom(b, quick, ws.TopicOptions{Window: 16 << 20})
			var wg sync.WaitGroup
			for range sockets {
				c := r.dialRaw(b)
				<-r.joined
				wg.Go(func() {
					for range b.N {
						op, _, err := c.frame()
						for op == 9 && err == nil { // a ping
							op, _, err = c.frame()
						}
						if err != nil || op != 1 {
							b.Errorf("opcode %d, %v", op, err)
							return
						}
					}
				})
			}
			payload := line(1, 100)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				r.topic.Publish(int64(i+1), payload)
				for i%1000 == 999 && r.edge.Stats().Bytes < int64(i-8000)*int64(sockets*len(payload)) {
					time.Sleep(time.Millisecond) // stay inside the window
				}
			}
			wg.Wait()
			b.StopTimer()
			st := r.edge.Stats()
			b.ReportMetric(float64(sockets)*float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
			b.ReportMetric(float64(sockets)*float64(b.N)/float64(st.Writes), "frames/write")
		})
	}
}
