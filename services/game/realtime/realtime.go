package realtime

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"

	"uniqverse/hub"
	"uniqverse/internal/ws"
)

// kept is how many of the newest events are remembered, for sockets in the middle of their
// handshake and for Recent.
const kept = 1024

// Fan brings the events of one stream to many sockets.
type Fan struct {
	hub    hub.Hub
	stream string
	edge   *ws.Edge
	log    *slog.Logger

	mu    sync.Mutex // guards all below
	topic *ws.Topic
	seq   int64         // of the newest event; counted anew for each topic
	ring  []hub.Message // the newest, the last is seq
	ready chan struct{} // closed while the hub is followed
}

// New returns a fan that is silent until Run.
func New(h hub.Hub, stream string, edge *ws.Edge, log *slog.Logger) *Fan {
	return &Fan{hub: h, stream: stream, edge: edge, log: log, topic: edge.NewTopic(ws.TopicOptions{}), ready: make(chan struct{})}
}

// Run follows the stream until ctx ends or the hub is closed.
func (f *Fan) Run(ctx context.Context) error {
	var from *hub.Position
	for {
		sub, err := f.hub.Subscribe(ctx, f.stream, from)
		if err != nil {
			return ended(ctx, err)
		}
		if from != nil && !sub.Recovered() {
			f.restart()
		}
		f.setReady()
		from, err = f.follow(ctx, sub, from)
		sub.Close()
		if !errors.Is(err, hub.ErrSlow) {
			return ended(ctx, err)
		}
		f.log.Warn("game: fell behind the hub and catches up")
		if from == nil {
			f.restart()
		}
	}
}

// ended makes the regular end no error.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, hub.ErrClosed) {
		return nil
	}
	return err
}

func (f *Fan) follow(ctx context.Context, sub hub.Subscription, from *hub.Position) (*hub.Position, error) {
	for {
		m, err := sub.Next(ctx)
		if err != nil {
			return from, err
		}
		from = &hub.Position{After: m.ID, Epoch: f.hub.Epoch()}
		f.mu.Lock()
		f.seq++
		f.ring = append(f.ring, m)
		if len(f.ring) > 2*kept { // cut now and then, not each time
			f.ring = append([]hub.Message(nil), f.ring[len(f.ring)-kept:]...)
		}
		f.topic.Publish(f.seq, m.Data)
		f.mu.Unlock()
	}
}

func (f *Fan) setReady() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.ready:
	default:
		close(f.ready)
	}
}

// restart sends all sockets away, because events are missing; they come back and go on.
func (f *Fan) restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.topic.Close(ws.InsufficientState, "events were missed; connect again")
	f.topic, f.seq, f.ring = f.edge.NewTopic(ws.TopicOptions{}), 0, nil
}

// Place is where in the stream a socket begins, taken before its handshake is answered.
type Place struct {
	topic *ws.Topic
	seq   int64
}

// Here waits until the stream is followed and returns the newest place.
func (f *Fan) Here(ctx context.Context) (Place, error) {
	select {
	case <-f.ready:
	case <-ctx.Done():
		return Place{}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return Place{topic: f.topic, seq: f.seq}, nil
}

// Join makes the connection live from the place on; call it after Start. A connection whose
// place is gone is closed and asked to come back.
func (f *Fan) Join(conn *ws.Conn, p Place) {
	sub := p.topic.Attach(conn)
	for _, m := range f.between(p, sub.Seq()) {
		conn.Push(m.Data)
	}
	if p.seq < sub.Seq() && !f.holds(p) {
		conn.Close(ws.InsufficientState, "events were missed; connect again")
		return
	}
	sub.Resume(sub.Seq())
}

// between returns the events after the place, up to seq.
func (f *Fan) between(p Place, seq int64) []hub.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.seq - int64(len(f.ring)) // seq before the oldest in the ring
	if f.topic != p.topic || p.seq < first || p.seq >= seq {
		return nil
	}
	return append([]hub.Message(nil), f.ring[p.seq-first:seq-first]...)
}

func (f *Fan) holds(p Place) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.topic == p.topic && p.seq >= f.seq-int64(len(f.ring))
}

// Follow sends a connection everything after a position, for as long as it lives: for sockets
// that resume. It returns at the connection's end; the caller closes sub.
func (f *Fan) Follow(conn *ws.Conn, sub hub.Subscription) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-conn.Done():
		case <-ctx.Done():
		}
		cancel()
	})
	defer wg.Wait()
	defer cancel()
	if conn.Send(ctx, []byte(`{"type":"recovered","recovered":`+strconv.FormatBool(sub.Recovered())+`,"epoch":"`+f.hub.Epoch()+`"}`)) != nil {
		return
	}
	for {
		m, err := sub.Next(ctx)
		switch {
		case err == nil:
			if conn.Send(ctx, m.Data) != nil {
				return
			}
		case errors.Is(err, hub.ErrSlow):
			conn.Close(ws.SlowConsumer, "events came faster than they were read; resume from the last one")
			return
		default:
			conn.Close(ws.Shutdown, "the server stops; connect again")
			return
		}
	}
}

// Recent returns the newest events that are no inputs, newest first, n at most: those since
// the start of the process.
func (f *Fan) Recent(n int) []hub.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []hub.Message
	for i := len(f.ring) - 1; i >= 0 && len(out) < n; i-- {
		if !f.ring[i].Ephemeral {
			out = append(out, f.ring[i])
		}
	}
	return out
}
