package live

import (
	"context"
	"time"

	"uniqverse/internal/event"
)

const (
	tailEvents = 256       // newest events of a room that are kept in memory, so that a crowd that comes back costs one read
	tailBytes  = 256 << 10 // of their payloads at most
	tailFor    = time.Minute
)

// tail is the newest events of a room, without a gap, as the log had them at most a minute ago. What leaves the log
// before its time, a line that was taken away, leaves the tail with it. Relay.mu guards it.
type tail struct {
	rows    []Logged
	bytes   int
	born    time.Time     // when rows were read
	filling chan struct{} // closed when whoever reads the log for the tail is done; nil while nobody does
	stale   bool          // what is being read now is out of date already
}

func (t *tail) drop() {
	t.rows, t.bytes, t.stale = nil, 0, true
}

// add appends an event that was just told, where it follows.
func (t *tail) add(l Logged) {
	n := len(t.rows)
	switch {
	case l.Type == event.ChatMessageDeleted: // its words leave the log
		t.drop()
	case n == 0:
	case l.Seq != t.rows[n-1].Seq+1:
		t.drop()
	default:
		t.rows = append(t.rows, l)
		t.bytes += len(l.Data)
		t.trim()
	}
}

func (t *tail) trim() {
	cut := 0
	for len(t.rows)-cut > tailEvents || t.bytes > tailBytes {
		t.bytes -= len(t.rows[cut].Data)
		cut++
	}
	if cut > 0 {
		t.rows = append(t.rows[:0:0], t.rows[cut:]...)
	}
}

// between returns what lies after a seq, up to another, at most a page; false when the tail does not reach that far.
func (t *tail) between(after, upTo int64, now time.Time) ([]Logged, bool) {
	n := len(t.rows)
	if n == 0 || now.Sub(t.born) > tailFor || t.rows[0].Seq > after+1 || t.rows[n-1].Seq < upTo {
		return nil, false
	}
	first := int(after + 1 - t.rows[0].Seq)
	last := min(int(upTo-t.rows[0].Seq)+1, first+LogPage)
	return t.rows[first:last:last], true
}

// Events returns a page of a joined room's log, each event with the id under which it was published. What is among
// the newest comes from memory: of many who ask at once one reads the log.
func (r *Relay) Events(ctx context.Context, room, after, upTo int64) ([]Logged, error) {
	for range 4 {
		r.mu.Lock()
		f := r.feeds[room]
		if f == nil || f.last-after > tailEvents || upTo > f.last || after >= upTo {
			r.mu.Unlock()
			break
		}
		if rows, ok := f.tail.between(after, upTo, time.Now()); ok {
			r.mu.Unlock()
			return rows, nil
		}
		if busy := f.tail.filling; busy != nil {
			r.mu.Unlock()
			select {
			case <-busy:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		done, last := make(chan struct{}), f.last
		f.tail.drop()
		f.tail.filling, f.tail.stale = done, false
		r.mu.Unlock()
		rows, err := r.read(ctx, room, max(0, last-tailEvents), last, tailEvents)
		r.mu.Lock()
		f.tail.filling = nil
		if err == nil && !f.tail.stale {
			f.tail.rows, f.tail.born = rows, time.Now()
			for i := range rows {
				f.tail.bytes += len(rows[i].Data)
			}
			f.tail.trim()
		}
		close(done)
		r.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
	return r.read(ctx, room, after, upTo, LogPage)
}

// LogReads returns how often the log of a room was read from the store.
func (r *Relay) LogReads() int64 { return r.reads.Load() }
