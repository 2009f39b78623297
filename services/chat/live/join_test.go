package live

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"uniqverse/hub"
	"uniqverse/internal/event"
	"uniqverse/internal/ws"
)

// counted is a log that holds nothing and counts how often it is asked for a room's newest event.
type counted struct {
	Log
	asked atomic.Int64
	wait  chan struct{}
}

func (c *counted) Newest(context.Context) (int64, error) { return 0, nil }

func (c *counted) LastPublished(context.Context, int64) (int64, error) {
	c.asked.Add(1)
	<-c.wait
	return 7, nil
}

// Many who come to a room at once learn its newest event from one look into the store, and who gives up does not hold up the others.
func TestJoinAsksOnceForACrowd(t *testing.T) {
	h, err := hub.NewLocal(context.Background(), hub.LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	store := &counted{wait: make(chan struct{})}
	r := NewRelay(store, h, ws.NewEdge(ws.EdgeOptions{}), slog.New(slog.DiscardHandler), func(event.Event) {})
	r.setReady(true)
	var wg, begun sync.WaitGroup
	for range 50 {
		begun.Add(1)
		wg.Go(func() {
			begun.Done()
			topic, err := r.Join(context.Background(), 3, Plain())
			if err != nil || topic.Last() != 7 {
				t.Errorf("%v", err)
			}
		})
	}
	begun.Wait()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	wg.Go(func() { r.Join(gone, 3, Plain()) })
	close(store.wait)
	wg.Wait()
	if n := store.asked.Load(); n != 1 {
		t.Errorf("%d looks into the store", n)
	}
}
