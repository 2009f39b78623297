package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/event"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/live"
)

// book is the log of one room in memory.
type book struct {
	mu    sync.Mutex
	rows  []live.Logged
	saved map[int64]bool // by seq: its id is in the log
	reads int
}

func (b *book) Events(_ context.Context, room, after, upTo int64, limit int) ([]live.Logged, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	time.Sleep(20 * time.Millisecond) // the bubble's clock: others come meanwhile
	var out []live.Logged
	for _, r := range b.rows {
		if r.Room == room && r.Seq > after && r.Seq <= upTo && len(out) < limit {
			out = append(out, r)
		}
	}
	return out, nil
}

func (b *book) LastPublished(context.Context, int64) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.rows)), nil
}

// Unpublished are the rows that no id was saved for.
func (b *book) Unpublished(_ context.Context, after int64, limit int) ([]live.Logged, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []live.Logged
	for _, r := range b.rows {
		if !b.saved[r.Seq] && r.Place > after && len(out) < limit {
			r.ID = 0
			out = append(out, r)
		}
	}
	return out, nil
}

func (b *book) Newest(context.Context) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.rows)), nil
}

func (b *book) SavePublished(_ context.Context, ids []live.Published) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range ids {
		if b.saved == nil {
			b.saved = map[int64]bool{}
		}
		b.saved[p.Seq] = true
	}
	return nil
}

// say writes an event into the book and gives it to the hub, as a commit does.
func (b *book) say(t *testing.T, h hub.Hub, typ, text string) {
	t.Helper()
	b.mu.Lock()
	ev := event.Event{Type: typ, Room: 7, Seq: int64(len(b.rows)) + 1, At: time.Now(), Payload: json.RawMessage(`{"text":"` + text + `"}`)}
	b.rows = append(b.rows, live.Logged{Event: ev, Place: ev.Seq})
	b.mu.Unlock()
	id, err := h.Publish(t.Context(), event.StreamChat, ev)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.rows[ev.Seq-1].ID = id
	b.mu.Unlock()
}

// What a room takes between the making of the relay and its Run is told once; what an earlier process did not tell is told now.
func TestWhatComesBeforeRunIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := hub.NewLocal(t.Context(), hub.LocalOptions{})
		if err != nil {
			t.Fatal(err)
		}
		b := &book{rows: []live.Logged{{Event: event.Event{Type: event.ChatMessageCreated, Room: 7, Seq: 1}, Place: 1}}} // the process ended before it was told
		var after []int64
		relay := live.NewRelay(b, h, ws.NewEdge(ws.EdgeOptions{}), slog.New(slog.DiscardHandler), func(ev event.Event) { after = append(after, ev.Seq) })
		sub, err := h.Subscribe(t.Context(), event.StreamChat, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			b.say(t, h, event.ChatMessageCreated, fmt.Sprint("line ", i+2))
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- relay.Run(ctx) }()
		time.Sleep(time.Second) // the bubble's clock
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		h.Close()
		var told []int64
		for {
			m, err := sub.Next(t.Context())
			if err != nil {
				break
			}
			told = append(told, m.Seq)
		}
		slices.Sort(told)
		if !slices.Equal(told, []int64{1, 2, 3, 4}) {
			t.Errorf("the hub told of %d", told)
		}
		slices.Sort(after)
		if !slices.Equal(after, []int64{1, 2, 3, 4}) {
			t.Errorf("the relay heard of %d", after)
		}
	})
}

// A crowd that comes back reads the log of its room once, however many they are; what is told meanwhile comes from memory,
// and what was taken away is not told again.
func TestACrowdReadsTheLogOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := hub.NewLocal(t.Context(), hub.LocalOptions{})
		if err != nil {
			t.Fatal(err)
		}
		edge := ws.NewEdge(ws.EdgeOptions{})
		b := &book{}
		for i := range 300 {
			b.say(t, h, event.ChatMessageCreated, fmt.Sprint("line ", i+1))
		}
		relay := live.NewRelay(b, h, edge, slog.New(slog.DiscardHandler), func(event.Event) {})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- relay.Run(ctx) }()
		synctest.Wait()
		crowd := func(n int, after, upTo int64) {
			t.Helper()
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					if _, err := relay.Join(ctx, 7, live.Plain()); err != nil {
						t.Error(err)
						return
					}
					rows, err := relay.Events(ctx, 7, after, upTo)
					if err != nil || int64(len(rows)) != min(upTo-after, live.LogPage) {
						t.Errorf("%d events, %v", len(rows), err)
					}
					for i, r := range rows {
						if want := after + int64(i) + 1; r.Seq != want || string(r.Data) != string(event.Encode(b.rows[want-1].Event, b.rows[want-1].ID, h.Epoch())) {
							t.Errorf("event %d is %d: %s", want, r.Seq, r.Data)
						}
					}
				})
			}
			wg.Wait()
		}
		crowd(500, 280, 300)
		if b.reads != 1 {
			t.Errorf("500 readers took %d reads", b.reads)
		}
		b.say(t, h, event.ChatMessageCreated, "one more")
		synctest.Wait()
		crowd(50, 101, 301)
		if b.reads != 1 {
			t.Errorf("what was just told took a read: %d", b.reads)
		}
		crowd(1, 3, 301) // too far back for memory
		if b.reads != 2 {
			t.Errorf("%d reads, want 2", b.reads)
		}
		b.mu.Lock()
		b.rows[299].Payload = json.RawMessage(`{"text":""}`) // a line is taken away: its words leave the log
		b.mu.Unlock()
		b.say(t, h, event.ChatMessageDeleted, "")
		synctest.Wait()
		crowd(20, 290, 302)
		if b.reads != 3 {
			t.Errorf("%d reads, want 3", b.reads)
		}
		time.Sleep(2 * time.Minute)
		crowd(20, 290, 302) // what left the log in silence is not kept for long
		if b.reads != 4 || relay.LogReads() != 4 {
			t.Errorf("%d reads, want 4, and %d were counted", b.reads, relay.LogReads())
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		h.Close()
	})
}
