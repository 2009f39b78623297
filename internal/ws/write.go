package ws

import (
	"sync"
	"time"
)

// maxWrite is how much one write carries: what a socket takes for the price of one frame.
const maxWrite = 32 << 10

// queue is what the workers of an edge have to do. Every connection is in it at most once,
// and every topic too, so it needs no bound of its own.
type queue struct {
	mu      sync.Mutex // guards what follows
	ready   sync.Cond
	jobs    []job // jobs[head:] wait
	head    int
	stopped bool
}

// job is a connection with something to write, or a topic with something to hand on.
type job struct {
	c *Conn
	t *Topic
}

func (q *queue) push(conns []*Conn) {
	if len(conns) == 0 {
		return
	}
	q.mu.Lock()
	for _, c := range conns {
		q.jobs = append(q.jobs, job{c: c})
	}
	q.mu.Unlock()
	q.ready.Broadcast()
}

func (q *queue) pushIf(wake bool, c *Conn) {
	if wake {
		q.add(job{c: c})
	}
}

func (q *queue) add(j job) {
	q.mu.Lock()
	q.jobs = append(q.jobs, j)
	q.mu.Unlock()
	q.ready.Signal()
}

func (q *queue) pop() (j job, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.head == len(q.jobs) {
		if q.stopped {
			return job{}, false
		}
		q.ready.Wait()
	}
	j = q.jobs[q.head]
	q.jobs[q.head] = job{}
	if q.head++; q.head == len(q.jobs) {
		q.jobs, q.head = q.jobs[:0], 0
		if cap(q.jobs) > 4096 {
			q.jobs = nil
		}
	} else if q.head > 4096 && q.head > len(q.jobs)/2 {
		q.jobs = q.jobs[:copy(q.jobs, q.jobs[q.head:])]
		q.head = 0
	}
	return j, true
}

func (q *queue) stop() {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	q.ready.Broadcast()
}

// work is one of the edge's workers.
func (e *Edge) work() {
	try := newAttempt()
	for {
		j, ok := e.queue.pop()
		switch {
		case !ok:
			return
		case j.t != nil:
			j.t.flush()
		default:
			e.write(j.c, try)
		}
	}
}

// wake says that there is something to write; true means that the caller must queue the
// connection. c.mu is held.
func (c *Conn) wake() bool {
	if c.state != idle {
		return false // whoever writes looks again before it stops
	}
	c.state = waiting
	return true
}

// wakeAll applies mark to the connections and returns those that must be queued.
func (e *Edge) wakeAll(conns []*Conn, mark func(*Conn)) []*Conn {
	woken := conns[:0]
	for _, c := range conns {
		c.mu.Lock()
		if c.closing == nil {
			mark(c)
			if c.wake() {
				woken = append(woken, c)
			}
		}
		c.mu.Unlock()
	}
	return woken
}

// scratch is where several sources are put together for one write.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, maxWrite); return &b }}

// parcel is one write: whole frames only.
type parcel struct {
	data  []byte
	buf   *[]byte // to be given back, when data lies in it
	final bool    // the close frame is the last of it
}

func (p *parcel) free() {
	if p.buf != nil {
		scratch.Put(p.buf)
		p.buf = nil
	}
}

// write is a worker's turn with a connection: one write, which must not take long.
func (e *Edge) write(c *Conn, try *attempt) {
	c.mu.Lock()
	if c.state != waiting {
		c.mu.Unlock()
		return
	}
	c.state = writing
	p := c.gather()
	if p.data == nil {
		c.state = idle
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	n, full := 0, true
	var err error
	if c.direct != nil {
		n, full, err = try.tryWrite(c.direct, p.data)
		e.writes.Add(1)
		e.bytes.Add(int64(n))
	}
	switch {
	case full:
		e.slow.Go(func() { c.writeSlowly(p, n) })
	case err == nil:
		if c.wrote(&p) {
			e.queue.add(job{c: c}) // at the end of the queue: the others come first
		}
	default:
		p.free()
		c.cut(Abnormal)
	}
}

// writeSlowly goes on with a write that could not be finished at once, and then with
// whatever there is to write until there is nothing more.
func (c *Conn) writeSlowly(p parcel, n int) {
	for {
		for n < len(p.data) {
			c.raw.SetWriteDeadline(time.Now().Add(c.edge.opts.WriteTimeout))
			k, err := c.raw.Write(p.data[n:])
			n += k
			c.edge.writes.Add(1)
			c.edge.bytes.Add(int64(k))
			if err == nil || (k > 0 && isTimeout(err) && resumable(c.raw) && !c.isClosing()) {
				continue
			}
			p.free()
			if isTimeout(err) {
				c.cut(WriteError)
			} else {
				c.cut(Abnormal)
			}
			return
		}
		c.raw.SetWriteDeadline(time.Time{}) // one that passed would stop a write that does not wait
		if !c.wrote(&p) {
			return
		}
		c.mu.Lock()
		if c.state != waiting {
			c.mu.Unlock()
			return
		}
		c.state = writing
		if p = c.gather(); p.data == nil {
			c.state = idle
			c.mu.Unlock()
			return
		}
		n = 0
		c.mu.Unlock()
	}
}

func (c *Conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing != nil
}

// wrote ends one write; true means that there is more, and the connection is waiting again.
func (c *Conn) wrote(p *parcel) bool {
	p.free()
	c.mu.Lock()
	if c.state != writing {
		c.mu.Unlock()
		return false
	}
	if p.final {
		c.silence()
		c.raw.SetReadDeadline(time.Now().Add(c.answerWait())) // for the peer's close frame
		orphan := !c.started
		c.mu.Unlock()
		if orphan {
			c.finish()
		}
		return false
	}
	if c.pending() {
		c.state = waiting
		c.mu.Unlock()
		return true
	}
	c.state = idle
	c.mu.Unlock()
	return false
}

// answerWait is how long the peer has to answer the close frame. One that reads slowly has much to read before it: a
// connection that is closed while it does is reset by its next pong, and it would not see why. c.mu is held.
func (c *Conn) answerWait() time.Duration {
	if c.closing.code == SlowConsumer {
		return max(c.edge.opts.CloseWait, c.edge.opts.WriteTimeout)
	}
	return c.edge.opts.CloseWait
}

// pending reports whether anything is due. c.mu is held.
func (c *Conn) pending() bool {
	if c.closing != nil || c.ping || c.pong != nil || len(c.queued) > 0 {
		return true
	}
	for _, s := range c.subs {
		if s.due() {
			return true
		}
	}
	return false
}

var pingFrame = appendFrame(nil, opPing, nil)

// gather takes what the next write shall carry: control frames, then what was queued, then
// the topics in turn; at the end of a closing connection the close frame. c.mu is held.
func (c *Conn) gather() parcel {
	var g gathering
	if c.pong != nil {
		g.add(c.pong)
		c.pong = nil
	}
	if c.ping {
		g.add(pingFrame)
		c.ping = false
	}
	taken := 0
	for taken < len(c.queued) && g.fits(len(c.queued[taken])) {
		g.add(c.queued[taken])
		c.bytes -= len(c.queued[taken])
		c.queued[taken] = nil
		taken++
	}
	if taken > 0 {
		if c.queued = c.queued[taken:]; len(c.queued) == 0 {
			c.queued = nil
		}
		c.wakeSenders()
	}
	if c.closing != nil {
		if len(c.queued) == 0 && g.fits(len(c.closing.frame)) {
			g.add(c.closing.frame)
			g.final = true
		}
		return g.parcel
	}
	if len(c.queued) == 0 {
		c.gatherTopics(&g)
	}
	return g.parcel
}

func (c *Conn) gatherTopics(g *gathering) {
	for i := 0; i < len(c.subs); i++ {
		s := c.subs[(c.turn+i)%len(c.subs)]
		for {
			data, ok := s.take(maxWrite-len(g.data), len(g.data) == 0)
			if !ok {
				// Out of the window. Nothing else of this connection matters now.
				c.queued, c.bytes = nil, 0
				c.closing = &closing{code: SlowConsumer, reason: "too slow", frame: closeFrame(SlowConsumer, "too slow")}
				c.wakeSenders()
				if g.fits(len(c.closing.frame)) {
					g.add(c.closing.frame)
					g.final = true
				}
				return
			}
			if data == nil {
				break
			}
			g.add(data)
		}
	}
	if c.turn++; c.turn >= len(c.subs) {
		c.turn = 0
	}
}

// gathering puts a parcel together; a single piece is not copied.
type gathering struct {
	parcel
}

func (g *gathering) fits(n int) bool { return len(g.data) == 0 || len(g.data)+n <= maxWrite }

func (g *gathering) add(b []byte) {
	if len(g.data) == 0 {
		g.data = b
		return
	}
	if g.buf == nil {
		g.buf = scratch.Get().(*[]byte)
		g.data = append((*g.buf)[:0], g.data...)
	}
	g.data = append(g.data, b...)
	*g.buf = g.data[:0]
}
