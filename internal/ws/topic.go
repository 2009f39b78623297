package ws

import (
	"slices"
	"sync"
	"time"
)

const (
	minSegment = 1 << 10
	maxSegment = maxWrite
	// flushQuick is how long a frame of a busy topic with few subscribers waits for others at most,
	// flushSlow that of one with a thousand and more.
	flushQuick = 20 * time.Millisecond
	flushSlow  = 50 * time.Millisecond
	maxHeld    = 4096 // frames that may wait for a missing one
)

// TopicOptions configure a Topic.
type TopicOptions struct {
	// Last is the highest seq that exists already: the next published is expected to be Last+1,
	// and anything up to Last is dropped because the store replays it.
	Last int64
	// Window is how many bytes of frames are kept for subscribers that lag; 0 means 1 MiB.
	// What all have is dropped at once, so a quiet topic holds about a kilobyte.
	Window int
	// GapWait is how long frames wait for a missing seq before it; 0 means 2 s.
	GapWait time.Duration
}

// Topic is the log of one room, fanned out to its subscribers.
type Topic struct {
	edge *Edge
	opts TopicOptions

	mu      sync.Mutex // guards what follows; taken after a connection's lock
	subs    []*Sub
	segs    []*segment // the window, oldest first
	end     int64      // offset of the next frame
	due     int64      // frames before it are to be written now
	last    int64      // highest seq in order
	held    map[int64][]byte
	weight  int // bytes held
	gap     *time.Timer
	planned bool      // a flush is queued, or the timer runs
	flushed time.Time // the last flush
	timer   *time.Timer
}

// segment is a piece of the window. Bytes once written never change, so writers use them
// without the lock; the memory goes when the last of them is done with it.
type segment struct {
	off    int64 // of buf[0]
	buf    []byte
	frames []frameRef
}

type frameRef struct {
	off int64
	seq int64 // 0 without a place in the order
}

func (g *segment) end() int64 { return g.off + int64(len(g.buf)) }

// NewTopic returns a topic for connections of this edge, and of no other: its workers write
// it. A topic has no goroutine and needs no closing: one that nobody holds is simply gone.
func (e *Edge) NewTopic(opts TopicOptions) *Topic {
	opts.Window = orDefault(opts.Window, 1<<20)
	opts.GapWait = orDefault(opts.GapWait, 2*time.Second)
	return &Topic{edge: e, opts: opts, last: opts.Last}
}

// Publish hands a text message to every subscriber. seq is its place in the room's order,
// from 1 without gaps; 0 is for what has no place (presence, typing), which is sent where it
// comes. The payload is copied.
func (t *Topic) Publish(seq int64, payload []byte) {
	t.edge.frames.Add(1)
	if last, tooMany := t.publish(seq, payload); tooMany {
		t.giveUp(last)
	}
}

// publish returns tooMany when too much waits for the frame after last.
func (t *Topic) publish(seq int64, payload []byte) (last int64, tooMany bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case seq == 0:
		t.append(0, payload)
	case seq <= t.last: // came already, or the store replays it
		return t.last, false
	case seq > t.last+1:
		return t.last, t.hold(seq, payload)
	default:
		t.append(seq, payload)
		t.last = seq
		t.release()
	}
	t.plan()
	return t.last, false
}

// hold keeps a frame that came before its predecessor. t.mu is held.
func (t *Topic) hold(seq int64, payload []byte) (tooMany bool) {
	if _, twice := t.held[seq]; twice {
		return false
	}
	if t.held == nil {
		t.held = map[int64][]byte{}
	}
	t.held[seq] = slices.Clone(payload)
	t.weight += len(payload)
	if t.gap == nil {
		last := t.last
		t.gap = time.AfterFunc(t.opts.GapWait, func() { t.giveUp(last) })
	}
	return len(t.held) > maxHeld || t.weight > t.opts.Window
}

// release appends the frames that waited for the newest one. t.mu is held.
func (t *Topic) release() {
	if len(t.held) == 0 {
		return
	}
	for {
		p, ok := t.held[t.last+1]
		if !ok {
			break
		}
		delete(t.held, t.last+1)
		t.weight -= len(p)
		t.last++
		t.append(t.last, p)
	}
	if t.gap != nil {
		t.gap.Stop()
		t.gap = nil
	}
	if len(t.held) > 0 {
		last := t.last
		t.gap = time.AfterFunc(t.opts.GapWait, func() { t.giveUp(last) })
	}
}

// giveUp ends the wait for the frame after last: its subscribers must resume from the store.
func (t *Topic) giveUp(last int64) {
	t.mu.Lock()
	if t.last != last || len(t.held) == 0 {
		t.mu.Unlock()
		return
	}
	for seq := range t.held {
		t.last = max(t.last, seq)
	}
	t.gap.Stop()
	t.held, t.weight, t.gap = nil, 0, nil
	subs := slices.Clone(t.subs)
	t.mu.Unlock()
	for _, s := range subs {
		s.c.Close(InsufficientState, "a message is missing")
	}
}

// append puts a frame into the window. t.mu is held.
func (t *Topic) append(seq int64, payload []byte) {
	if len(t.subs) == 0 {
		return
	}
	need := headerSize(len(payload)) + len(payload)
	var g *segment
	if n := len(t.segs); n > 0 {
		g = t.segs[n-1]
	}
	if g == nil || len(g.buf)+need > cap(g.buf) {
		size := minSegment
		if g != nil && len(t.segs) > 1 { // busy: the one before is still needed
			size = 2 * cap(g.buf)
		}
		size = max(need, min(size, maxSegment, t.opts.Window/4))
		g = &segment{off: t.end, buf: make([]byte, 0, size)}
		t.segs = append(t.segs, g)
	}
	g.frames = append(g.frames, frameRef{t.end, seq})
	g.buf = appendFrame(g.buf, opText, payload)
	t.end += int64(need)
	for len(t.segs) > 1 && t.end-t.segs[0].off > int64(t.opts.Window) {
		t.drop()
	}
}

func (t *Topic) drop() {
	t.segs[0] = nil
	t.segs = t.segs[1:]
}

// start returns the offset of the oldest frame kept. t.mu is held.
func (t *Topic) start() int64 {
	if len(t.segs) == 0 {
		return t.end
	}
	return t.segs[0].off
}

// plan sees to it that what was published is written: at once when the last time is long
// ago, else after a pause, with all that comes meanwhile. No frame waits longer than the pause, which begins with the
// first of them: were it counted from the last flush, a write would carry one frame less. t.mu is held.
func (t *Topic) plan() {
	if t.planned || len(t.subs) == 0 || t.due == t.end {
		return
	}
	t.planned = true
	pause := min(flushSlow, flushQuick+time.Duration(len(t.subs))*(flushSlow-flushQuick)/1000)
	if time.Since(t.flushed) < pause {
		if t.timer == nil {
			t.timer = time.AfterFunc(pause, func() { t.edge.queue.add(job{t: t}) })
		} else {
			t.timer.Reset(pause)
		}
		return
	}
	t.edge.queue.add(job{t: t})
}

// flush wakes the connections of all subscribers. A worker runs it.
func (t *Topic) flush() {
	t.mu.Lock()
	t.planned, t.flushed = false, time.Now()
	t.due = t.end
	low := t.end // whoever subscribes after this begins no lower
	start, subs := t.start(), slices.Clone(t.subs)
	t.mu.Unlock()
	woken := make([]*Conn, 0, len(subs))
	for _, s := range subs {
		c := s.c
		c.mu.Lock()
		behind := s.off < start && !s.gone
		if !s.gone {
			low = min(low, s.off)
		}
		if !behind && !s.paused && c.closing == nil && c.wake() {
			woken = append(woken, c)
		}
		c.mu.Unlock()
		if behind {
			c.Close(SlowConsumer, "too slow")
		}
	}
	t.edge.queue.push(woken)
	t.mu.Lock()
	// Offsets only grow: below low nobody needs anything.
	for len(t.segs) > 1 && t.segs[0].end() <= low {
		t.drop()
	}
	t.mu.Unlock()
}

// Attach subscribes the connection, paused: frames from now on are kept for it, within the
// window, and none is sent before Resume. A connection that ends is detached by itself.
func (t *Topic) Attach(c *Conn) *Sub {
	s := &Sub{t: t, c: c, paused: true}
	c.mu.Lock()
	defer c.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	s.off, s.seq = t.end, t.last
	if c.closing != nil || c.ended {
		s.gone = true
		return s
	}
	s.place = len(t.subs)
	t.subs = append(t.subs, s)
	c.subs = append(c.subs, s)
	return s
}

// Last returns the highest seq published in order.
func (t *Topic) Last() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// Len returns the number of subscribers.
func (t *Topic) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.subs)
}

// Close closes the connections of all subscribers, which detaches them.
func (t *Topic) Close(code Code, reason string) {
	t.mu.Lock()
	subs := slices.Clone(t.subs)
	t.mu.Unlock()
	for _, s := range subs {
		s.c.Close(code, reason)
	}
}

// remove takes a subscriber out of the topic; its connection's lock is held.
func (t *Topic) remove(s *Sub) {
	if s.gone {
		return
	}
	s.gone = true
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.subs) - 1
	t.subs[s.place] = t.subs[n]
	t.subs[s.place].place = s.place
	t.subs[n] = nil
	if t.subs = t.subs[:n]; n == 0 { // nobody is left who could need the window
		t.subs, t.segs, t.due = nil, nil, t.end
	}
}

// Sub is one connection's place in a topic.
type Sub struct {
	t     *Topic
	c     *Conn
	seq   int64 // highest published before Attach
	place int   // in t.subs; t.mu guards it

	// c.mu guards these.
	off    int64 // of the next frame for this subscriber
	skip   int64 // frames with a seq up to it were sent already; 0 when that is over
	paused bool
	gone   bool
}

// Seq returns the highest seq that was published before Attach: a replay from the store must
// reach at least this far.
func (s *Sub) Seq() int64 { return s.seq }

// Resume starts the live frames: all since Attach, except those with a seq up to after, which
// the caller has sent itself; that holds also for those that are published only later. For
// only what is new, pass Seq. A replay that ended short of Seq would leave a gap: then the
// connection is closed with InsufficientState and false returned, as it is for a connection
// that closes. Resume is called once.
func (s *Sub) Resume(after int64) bool {
	if after < s.seq {
		s.c.Close(InsufficientState, "the replay is incomplete")
		return false
	}
	c := s.c
	c.mu.Lock()
	if s.gone || c.closing != nil {
		c.mu.Unlock()
		return false
	}
	s.paused, s.skip = false, after
	wake := s.due() && c.wake()
	c.mu.Unlock()
	c.edge.queue.pushIf(wake, c)
	return true
}

// Detach ends the subscription; frames not yet written are dropped.
func (s *Sub) Detach() {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.subs, s); i >= 0 {
		c.subs = slices.Delete(c.subs, i, i+1)
	}
	s.t.remove(s)
}

// due reports whether frames wait that are to be written now. c.mu is held.
func (s *Sub) due() bool {
	if s.paused || s.gone {
		return false
	}
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	return s.off < s.t.due
}

// take returns the next frames for the subscriber, whole and together at most limit bytes
// (more only for the first of a write), and moves past them; nil when there are none or they
// do not fit. ok is false when the window moved past the subscriber. c.mu is held.
func (s *Sub) take(limit int, first bool) (data []byte, ok bool) {
	t := s.t
	if s.paused || s.gone {
		return nil, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.off < t.start() {
		return nil, false
	}
	for s.off < t.end {
		i, _ := slices.BinarySearchFunc(t.segs, s.off, func(g *segment, off int64) int {
			if g.end() <= off {
				return -1
			}
			return 1
		})
		g := t.segs[i]
		till := g.end()
		if s.skip > 0 {
			k, _ := slices.BinarySearchFunc(g.frames, s.off, func(f frameRef, off int64) int { return int(f.off - off) })
			if k+1 < len(g.frames) {
				till = g.frames[k+1].off
			}
			if seq := g.frames[k].seq; seq > s.skip {
				s.skip, till = 0, g.end()
			} else if seq > 0 {
				s.off = till
				continue
			}
		}
		if int(till-s.off) > limit && !first {
			return nil, true
		}
		data = g.buf[s.off-g.off : till-g.off : till-g.off]
		s.off = till
		return data, true
	}
	return nil, true
}
