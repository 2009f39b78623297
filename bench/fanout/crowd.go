package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// epoch is where this program's clock begins; lines carry their time on it.
var epoch = time.Now()

func now() int64 { return int64(time.Since(epoch)) }

// crowd is many sockets in one room. Every frame is counted, and its seq must be the one after the last.
type crowd struct {
	members []*member
	got     atomic.Int64 // lines, over all members
	bad     atomic.Value // error
	mu      sync.Mutex
	delays  []int64         // of a sample of members, in ns
	heard   func(seq int64) // is told of each line at each member; may be nil
}

type member struct {
	conn net.Conn
	last int64 // seq
	took bool  // notes delays
	seen atomic.Int64
	over chan struct{} // closed when nothing more is read
}

func (m *member) wait() { <-m.over }

// join opens n sockets; query is added to the address, "after=0" say.
func join(base string, room int64, n int, query string, heard func(int64)) (*crowd, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	c := &crowd{heard: heard, members: make([]*member, n)}
	path := fmt.Sprintf("/ws/rooms/%d", room)
	last := int64(-1)
	if query != "" {
		path += "?" + query
		q, _ := url.ParseQuery(query)
		last, _ = strconv.ParseInt(q.Get("after"), 10, 64)
	}
	var wg sync.WaitGroup
	next := make(chan int)
	errs := make(chan error, 64)
	for range 64 {
		wg.Go(func() {
			for i := range next {
				m, r, err := dial(u.Host, path, i)
				if err != nil {
					errs <- err
					return
				}
				m.last, m.took = last, i%50 == 0
				c.members[i] = m
				go c.read(m, r)
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
		case err = <-errs:
		}
		if err != nil {
			break
		}
	}
	close(next)
	wg.Wait()
	select {
	case err = <-errs:
	default:
	}
	if err != nil {
		c.leave()
	}
	return c, err
}

// dial opens one socket; the addresses of origin are spread, so that there are ports enough.
func dial(host, path string, i int) (*member, *bufio.Reader, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i/4000))}, Timeout: 20 * time.Second}
	conn, err := d.Dial("tcp4", strings.Replace(host, "localhost", "127.0.0.1", 1))
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, host)
	r := bufio.NewReaderSize(conn, 4096)
	status, err := r.ReadString('\n')
	if err == nil && !strings.Contains(status, " 101 ") {
		err = fmt.Errorf("the socket is refused: %s", strings.TrimSpace(status))
	}
	for line := status; err == nil && line != "\r\n"; {
		line, err = r.ReadString('\n')
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return &member{conn: conn, over: make(chan struct{})}, r, nil
}

func (c *crowd) fail(err error) { c.bad.CompareAndSwap(nil, err) }

// err is the first thing that went wrong.
func (c *crowd) err() error {
	if err, ok := c.bad.Load().(error); ok {
		return err
	}
	return nil
}

// read takes frames until the socket ends.
func (c *crowd) read(m *member, r *bufio.Reader) {
	defer close(m.over)
	for {
		op, payload, err := frame(r)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
				c.fail(err)
			}
			return
		}
		switch op {
		case 9: // ping
			m.conn.Write([]byte{0x8a, 0x80, 0, 0, 0, 0})
		case 8:
			if len(payload) >= 2 {
				c.fail(fmt.Errorf("a socket was closed: %d %s", binary.BigEndian.Uint16(payload), payload[2:]))
			}
			return
		case 1:
			c.line(m, payload)
		}
	}
}

func frame(r *bufio.Reader) (op byte, payload []byte, err error) {
	head, err := r.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	op, n, skip := head[0]&15, int(head[1]&127), 2
	switch n {
	case 126:
		if head, err = r.Peek(4); err != nil {
			return 0, nil, err
		}
		n, skip = int(binary.BigEndian.Uint16(head[2:])), 4
	case 127:
		return 0, nil, errors.New("a frame longer than any line")
	}
	r.Discard(skip)
	if n <= r.Size() {
		payload, err = r.Peek(n)
		r.Discard(len(payload))
		return op, payload, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return op, payload, err
}

// number reads the digits after a mark.
func number(b []byte, mark string) int64 {
	i := bytes.Index(b, []byte(mark))
	if i < 0 {
		return -1
	}
	n := int64(0)
	for _, d := range b[i+len(mark):] {
		if d < '0' || d > '9' {
			break
		}
		n = n*10 + int64(d-'0')
	}
	return n
}

func (c *crowd) line(m *member, payload []byte) {
	seq := number(payload, `"seq":`)
	if seq < 0 {
		return // who types, or that the place was lost
	}
	if m.last >= 0 && seq != m.last+1 {
		c.fail(fmt.Errorf("after line %d came line %d", m.last, seq))
	}
	m.last = seq
	m.seen.Store(seq)
	if m.took {
		if at := number(payload, `"text":"t`); at > 0 {
			delay := now() - at
			c.mu.Lock()
			c.delays = append(c.delays, delay)
			c.mu.Unlock()
		}
	}
	c.got.Add(1)
	if c.heard != nil {
		c.heard(seq)
	}
}

// await waits until so many lines came, over all members.
func (c *crowd) await(n int64, d time.Duration) error {
	for end := time.Now().Add(d); c.got.Load() < n; time.Sleep(2 * time.Millisecond) {
		if err := c.err(); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d of %d lines came", c.got.Load(), n)
		}
	}
	if got := c.got.Load(); got > n {
		return fmt.Errorf("%d lines came, %d were sent", got, n)
	}
	return c.err()
}

// delay returns percentiles of the sample in ms, and forgets it.
func (c *crowd) delay() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.delays) == 0 {
		return "–"
	}
	slices.Sort(c.delays)
	at := func(q float64) float64 { return float64(c.delays[int(q*float64(len(c.delays)-1))]) / 1e6 }
	out := fmt.Sprintf("p50 %.1f  p99 %.1f  max %.1f ms", at(0.5), at(0.99), at(1))
	c.delays = nil
	return out
}

func (c *crowd) leave() {
	for _, m := range c.members {
		if m != nil {
			m.conn.Close()
		}
	}
}
