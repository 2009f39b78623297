package ws_test

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/internal/ws"
)

// One of a thousand reads nothing: the 999 get every line in order, what is kept for the one stays within the window, and it is
// told that it was too slow. The next lines are published when the 999 have those before, so that nobody else lags.
func TestOneOfAThousandDoesNotRead(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	const window, fill, step = 64 << 10, 4000, 4
	r := newRoom(t, ws.EdgeOptions{Spread: 1, CloseWait: 100 * time.Millisecond, WriteTimeout: time.Hour}, ws.TopicOptions{Window: window})
	stuck := r.dialWith(t, small)
	place := <-r.joined
	readers := make([]*websocket.Conn, n-1)
	var dialling sync.WaitGroup
	for k := range 16 {
		dialling.Go(func() {
			for i := k; i < len(readers); i += 16 {
				readers[i] = r.dial(t)
			}
		})
	}
	dialling.Wait()
	if t.Failed() {
		return
	}
	for range readers {
		<-r.joined
	}
	most, seq := 0, int64(0)
	for !place.Ending() {
		if seq > 1000 { // far more than the window and the kernel hold
			t.Fatal("the one that does not read is not told so")
		}
		for range step {
			seq++
			r.topic.Publish(seq, line(seq, fill))
		}
		read(t, readers, seq-step+1, seq)
		most = max(most, r.topic.Held())
	}
	if most > window+window/2 || most < window/2 {
		t.Errorf("%d bytes were kept for it, the window is %d", most, window)
	}
	if code := closed(t, stuck); code != ws.SlowConsumer {
		t.Errorf("it was closed with %d", code)
	}
	r.topic.Publish(seq+1, line(seq+1, fill))
	read(t, readers, seq+1, seq+1)
	r.topic.Publish(seq+2, line(seq+2, fill))
	read(t, readers, seq+2, seq+2)
	if held := r.topic.Held(); held > window/2 {
		t.Errorf("%d bytes are kept for nobody", held)
	}
}

// read has each of many readers take the lines from a seq to another.
func read(t *testing.T, readers []*websocket.Conn, from, to int64) {
	t.Helper()
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			for i := k; i < len(readers); i += 8 {
				for want := from; want <= to; want++ {
					if got, err := seqOf(readers[i]); err != nil || got != want {
						t.Errorf("reader %d: seq %d %v, want %d", i, got, err, want)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// seqOf reads a line as far as its seq, which is quicker than all of its JSON.
func seqOf(c *websocket.Conn) (seq int64, err error) {
	_, r, err := c.NextReader()
	if err != nil {
		return 0, err
	}
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	for _, d := range head[len(`{"seq":`):] {
		if d < '0' || d > '9' {
			break
		}
		seq = seq*10 + int64(d-'0')
	}
	_, err = io.Copy(io.Discard, r)
	return seq, err
}
