package registry

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeSize is how much a pipe holds before its writer waits: about what a socket would.
const pipeSize = 64 << 10

// pipe carries bytes one way between two goroutines, buffered and bounded, with the deadlines
// of a net.Conn. An empty pipe holds no buffer worth speaking of.
type pipe struct {
	mu       sync.Mutex // guards everything below
	moved    sync.Cond  // something changed
	buf      []byte     // buf[off:] is unread
	off      int
	readErr  error // for readers, at once
	writeErr error // for writers, at once
	end      error // for readers, when the buffer is empty
	readBy   deadline
	writeBy  deadline
}

func newPipe() *pipe {
	p := &pipe{}
	p.moved.L = &p.mu
	return p
}

// Read implements io.Reader.
func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.readErr != nil:
			return 0, p.readErr
		case p.readBy.past:
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case p.off < len(p.buf):
			n := copy(b, p.buf[p.off:])
			p.off += n
			if p.off == len(p.buf) {
				p.off = 0
				if p.buf = p.buf[:0]; cap(p.buf) > 1024 {
					p.buf = nil
				}
			}
			p.moved.Broadcast()
			return n, nil
		case p.end != nil:
			return 0, p.end
		}
		p.moved.Wait()
	}
}

// Write implements io.Writer; it waits while the pipe is full, and on an error tells how much went in.
func (p *pipe) Write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.writeErr != nil:
			return n, p.writeErr
		case p.end != nil:
			return n, io.ErrClosedPipe
		case p.writeBy.past:
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		}
		if room := pipeSize - (len(p.buf) - p.off); room > 0 {
			if p.off > 0 && len(p.buf)+min(room, len(b)) > cap(p.buf) {
				p.buf = p.buf[:copy(p.buf, p.buf[p.off:])]
				p.off = 0
			}
			k := min(room, len(b))
			p.buf = append(p.buf, b[:k]...)
			b, n = b[k:], n+k
			p.moved.Broadcast()
			continue
		}
		p.moved.Wait()
	}
}

// finish ends the writing side: readers get err after what is buffered. The first call counts.
func (p *pipe) finish(err error) {
	p.mu.Lock()
	if p.end == nil {
		p.end = err
	}
	p.moved.Broadcast()
	p.mu.Unlock()
}

// abort ends both sides at once and drops what is buffered. The first call counts.
func (p *pipe) abort(readErr, writeErr error) {
	p.mu.Lock()
	if p.readErr == nil {
		p.readErr, p.writeErr = readErr, writeErr
		p.buf, p.off = nil, 0
	}
	p.readBy.stop()
	p.writeBy.stop()
	p.moved.Broadcast()
	p.mu.Unlock()
}

// deadline is one side's time limit; the pipe's lock guards it.
type deadline struct {
	timer *time.Timer
	past  bool
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (p *pipe) setDeadline(d *deadline, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.stop()
	d.past = false
	if t.IsZero() || p.readErr != nil {
		return
	}
	if wait := time.Until(t); wait > 0 {
		var own *time.Timer
		own = time.AfterFunc(wait, func() {
			p.mu.Lock()
			if d.timer == own { // else a later deadline took its place
				d.past = true
				p.moved.Broadcast()
			}
			p.mu.Unlock()
		})
		d.timer = own
		return
	}
	d.past = true
	p.moved.Broadcast()
}

// memConn is one end of a connection within the process.
type memConn struct{ in, out *pipe }

var (
	_ net.Conn                        = (*memConn)(nil)
	_ interface{ CloseWrite() error } = (*memConn)(nil)
)

func newConnPair() (a, b *memConn) {
	x, y := newPipe(), newPipe()
	return &memConn{x, y}, &memConn{y, x}
}

func (c *memConn) Read(b []byte) (int, error)  { return c.in.Read(b) }
func (c *memConn) Write(b []byte) (int, error) { return c.out.Write(b) }

// CloseWrite tells the peer that nothing more comes; reading goes on.
func (c *memConn) CloseWrite() error {
	c.out.finish(io.EOF)
	return nil
}

// Close ends both directions; what was written can still be read by the peer.
func (c *memConn) Close() error {
	c.in.abort(net.ErrClosed, errPeerClosed)
	c.out.finish(io.EOF)
	return nil
}

var errPeerClosed = errors.New("registry: peer closed the in-process connection")

func (c *memConn) LocalAddr() net.Addr               { return memAddr{} }
func (c *memConn) RemoteAddr() net.Addr              { return memAddr{} }
func (c *memConn) SetReadDeadline(t time.Time) error { c.in.setDeadline(&c.in.readBy, t); return nil }
func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}
func (c *memConn) SetDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

type memAddr struct{}

func (memAddr) Network() string { return "in-process" }
func (memAddr) String() string  { return InProcess }
