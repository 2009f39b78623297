package hub

import (
	"context"
	"slices"
	"sync"
	"time"

	"uniqverse/internal/event"
)

const (
	entryCost    = 256      // what an event weighs in a ring beside its bytes
	crampedBytes = 64 << 10 // what a stream may keep while the hub is over TotalBytes
)

// stream is one ring of events. Places count from 0 and never wrap: place p lies in
// ring[p%len(ring)] while first <= p < end.
type stream struct {
	name  string
	mu    sync.Mutex // guards everything below
	used  time.Time  // of the last publish, or of the begin or end of a subscription
	ring  []Message  // grows by doubling up to LocalOptions.Ring
	first int64      // place of the oldest event kept
	end   int64      // place of the next event
	bytes int        // weight of the events kept
	floor int64      // highest id that may be missing: positions below it cannot be served
	head  int64      // id of the newest event, or floor while there is none
	had   bool       // an event was published here
	subs  int        // open subscriptions
	gone  bool       // forgotten: callers look the name up again
	wait  chan struct{}
}

func newStream(name string, floor int64) *stream {
	return &stream{name: name, floor: floor, head: floor}
}

// append adds the events in order and wakes the subscribers. An error leaves those before
// it published, as the ids say.
func (s *stream) append(h *Local, events []event.Event) (last int64, gone bool, err error) {
	now := h.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return 0, true, nil
	}
	if h.closed() {
		return 0, false, ErrClosed
	}
	s.used = now
	last = s.head
	for _, ev := range events {
		id, err := h.ids.take()
		if err != nil {
			return last, false, err
		}
		if ev.At.IsZero() {
			ev.At = now
		}
		if words := event.Silences(ev); words != nil {
			s.silence(h, words)
		}
		s.push(h, Message{Stream: s.name, ID: id, Data: event.Encode(ev, id, h.opts.Epoch), Event: ev})
		last = id
	}
	if s.wait != nil {
		close(s.wait)
		s.wait = nil
	}
	return last, false, nil
}

func (s *stream) push(h *Local, m Message) {
	s.weigh(h, weight(&m))
	bound := h.opts.RingBytes
	if h.bytes.Load() > int64(h.opts.TotalBytes) {
		bound = min(bound, crampedBytes)
	}
	for n := s.end - s.first; n > 0 && (n >= int64(h.opts.Ring) || s.bytes > bound); n-- {
		s.drop(h)
	}
	if s.end-s.first == int64(len(s.ring)) {
		s.grow(h.opts.Ring)
	}
	s.ring[s.end%int64(len(s.ring))] = m
	s.end++
	s.head, s.had = m.ID, true
}

// silence takes the words out of events that are kept and told of a line that is gone: whoever comes for them now, or lags
// behind, gets what the room's log has. Data that was handed out already does not change.
func (s *stream) silence(h *Local, words func(event.Event) (event.Event, bool)) {
	for p := s.first; p < s.end; p++ {
		m := &s.ring[p%int64(len(s.ring))]
		ev, ok := words(m.Event)
		if !ok {
			continue
		}
		next := Message{Stream: m.Stream, ID: m.ID, Data: event.Encode(ev, m.ID, h.opts.Epoch), Event: ev}
		s.weigh(h, weight(&next)-weight(m))
		*m = next
	}
}

// drop forgets the oldest event.
func (s *stream) drop(h *Local) {
	m := &s.ring[s.first%int64(len(s.ring))]
	s.weigh(h, -weight(m))
	if !m.Ephemeral {
		s.floor = m.ID
	}
	*m = Message{} // frees the bytes
	s.first++
}

func (s *stream) grow(limit int) {
	next := make([]Message, min(max(16, 2*len(s.ring)), limit))
	for p := s.first; p < s.end; p++ {
		next[p%int64(len(next))] = s.ring[p%int64(len(s.ring))]
	}
	s.ring = next
}

func (s *stream) weigh(h *Local, n int) {
	s.bytes += n
	h.bytes.Add(int64(n))
}

func weight(m *Message) int { return len(m.Data) + len(m.Payload) + entryCost }

// subscribe returns nil when the stream was forgotten meanwhile.
func (s *stream) subscribe(h *Local, ctx context.Context, from *Position) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil
	}
	s.used = h.opts.Now()
	sub := &subscription{s: s, h: h, ctx: ctx, done: make(chan struct{}), place: s.end, head: s.head, recovered: true}
	if from != nil {
		sub.place, sub.recovered = s.locate(h, *from)
	}
	s.subs++
	sub.unhook = context.AfterFunc(ctx, sub.end)
	return sub
}

// locate finds the place after a position; ok is false when events after it may be missing.
func (s *stream) locate(h *Local, from Position) (place int64, ok bool) {
	if from.Epoch != "" && from.Epoch != h.opts.Epoch {
		return s.end, false
	}
	if from.After == 0 { // the oldest that is kept: always to be had
		return s.first, true
	}
	if from.After < s.floor || from.After > s.head {
		return s.end, false
	}
	lo, hi := s.first, s.end
	for lo < hi { // the first event with a higher id
		mid := (lo + hi) / 2
		if s.ring[mid%int64(len(s.ring))].ID > from.After {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo, true
}

// subscription is an offset in a stream's ring.
type subscription struct {
	s         *stream
	h         *Local
	ctx       context.Context
	done      chan struct{} // closed when the subscription ended
	once      sync.Once
	unhook    func() bool
	place     int64 // of the next event; only Next touches it
	head      int64 // the stream's head when it began: ephemeral events up to it are not replayed
	slow      bool
	recovered bool
}

// Recovered implements Subscription.
func (u *subscription) Recovered() bool { return u.recovered }

// Close implements Subscription.
func (u *subscription) Close() {
	u.unhook()
	u.end()
}

func (u *subscription) end() {
	u.once.Do(func() {
		close(u.done)
		u.s.mu.Lock()
		u.s.subs--
		u.s.used = u.h.opts.Now()
		u.s.mu.Unlock()
	})
}

// Next implements Subscription.
func (u *subscription) Next(ctx context.Context) (Message, error) {
	for {
		if u.slow {
			return Message{}, ErrSlow
		}
		if err := ctx.Err(); err != nil {
			return Message{}, err
		}
		select {
		case <-u.done:
			return Message{}, u.ended()
		default:
		}
		m, wait := u.poll()
		if u.slow {
			u.Close()
			return Message{}, ErrSlow
		}
		if wait == nil {
			return m, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		case <-u.done:
			return Message{}, u.ended()
		case <-u.h.done:
			// What was published before the close is still delivered.
			if m, wait := u.poll(); wait == nil && !u.slow {
				return m, nil
			}
			u.Close()
			return Message{}, ErrClosed
		}
	}
}

func (u *subscription) ended() error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	return ErrClosed
}

// poll returns the next event, or the channel that is closed when there is one.
func (u *subscription) poll() (Message, <-chan struct{}) {
	s := u.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if u.place < s.first {
			u.slow = true
			return Message{}, nil
		}
		if u.place == s.end {
			break
		}
		m := s.ring[u.place%int64(len(s.ring))]
		u.place++
		if m.Ephemeral && m.ID <= u.head {
			continue
		}
		return m, nil
	}
	if s.wait == nil {
		s.wait = make(chan struct{})
	}
	return Message{}, s.wait
}

// sweep forgets streams that nobody listens to: those unused for IdleAfter and, while there
// are more than IdleStreams or TotalBytes, the longest unused. h.mu is held.
func (h *Local) sweep() {
	type candidate struct {
		s    *stream
		used time.Time
	}
	now := h.opts.Now()
	var idle []candidate
	for _, s := range h.table {
		s.mu.Lock()
		if s.subs == 0 {
			idle = append(idle, candidate{s, s.used})
		}
		s.mu.Unlock()
	}
	slices.SortFunc(idle, func(a, b candidate) int { return a.used.Compare(b.used) })
	busy := len(h.table) - len(idle)
	// A quarter more than needed, so that one sweep serves many new streams.
	excess := 0
	if len(idle) > h.opts.IdleStreams {
		excess = len(idle) - h.opts.IdleStreams*3/4
	}
	cramped := h.bytes.Load() > int64(h.opts.TotalBytes)
	for i, c := range idle {
		tooMuch := cramped && h.bytes.Load() > int64(h.opts.TotalBytes)*3/4
		if i >= excess && !tooMuch && now.Sub(c.used) < h.opts.IdleAfter {
			break
		}
		h.forget(c.s)
	}
	h.sweepSize = busy + h.opts.IdleStreams + h.opts.IdleStreams/4 + 1
	h.sweepTime = now.Add(h.opts.IdleAfter / 2)
	h.crampTime = now.Add(time.Second)
}

func (h *Local) forget(s *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs > 0 { // somebody came meanwhile
		return
	}
	s.gone = true
	delete(h.table, s.name)
	h.bytes.Add(-int64(s.bytes))
	if s.had {
		h.lost = max(h.lost, s.head)
	}
}
