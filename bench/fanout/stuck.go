package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stuck measures whether one socket that does not read costs the others anything: the delays of the same lines without and with
// it, in rounds that take turns, and the server's memory. Before each round with it the kernel's buffers of the stopped socket are
// filled, and most of what the server keeps for one that lags, so that it is closed (3008) while the others are measured. At the end
// it reads: it must have every line up to where it was closed, and the rest when it comes back.
func (b *bench) stuck() error {
	s, room, err := hall()
	if err != nil {
		return err
	}
	defer s.end()
	const rate, rounds = 100, 3
	var without, with sample
	for range rounds {
		if err := without.take(b, s, room, rate); err != nil {
			return err
		}
		before, _, err := s.rss()
		if err != nil {
			return err
		}
		one, err := stop(s, room)
		if err != nil {
			return err
		}
		if err = one.fill(); err == nil {
			err = with.take(b, s, room, rate)
		}
		after, _, e := s.rss()
		if err == nil {
			err = e
		}
		if err == nil {
			with.grown = max(with.grown, after-before)
			err = one.wake(&with)
		}
		one.conn.Close()
		if err != nil {
			return err
		}
	}
	b.row("stuck", fmt.Sprintf("%d sockets, %d lines a second", b.sockets, rate), without.String(), "everybody reads")
	b.row("stuck", fmt.Sprintf("%d sockets and one that does not read", b.sockets), with.String(),
		fmt.Sprintf("%.1f MB more are resident at most", float64(with.grown)/(1<<20)),
		fmt.Sprintf("it was closed (%s) after %d lines that were all there, and got the other %d when it came back", strings.Join(with.codes, ", "), with.had, with.rest))
	return nil
}

// sample is what was measured in one of the two situations, over all rounds.
type sample struct {
	rounds    [][3]float64 // p50, p99 and the most, in ms
	grown     int64        // bytes
	had, rest int64        // lines
	codes     []string
}

func (m *sample) take(b *bench, s *server, room int64, rate int) error {
	// No longer: after ten seconds without progress the stopped socket is cut, and does not see its close frame.
	_, _, delays, err := b.steady(s, room, b.sockets, rate, min(b.dur, 5*time.Second))
	if err != nil {
		return err
	}
	var r [3]float64
	if _, err := fmt.Sscanf(delays, "p50 %f  p99 %f  max %f ms", &r[0], &r[1], &r[2]); err != nil {
		return fmt.Errorf("delays %q: %w", delays, err)
	}
	m.rounds = append(m.rounds, r)
	return nil
}

// String has the figures of each round, for the spread says how much a difference means.
func (m *sample) String() string {
	var p50, p99 []string
	for _, r := range m.rounds {
		p50, p99 = append(p50, fmt.Sprintf("%.1f", r[0])), append(p99, fmt.Sprintf("%.1f", r[1]))
	}
	return "p50 " + strings.Join(p50, ", ") + "  p99 " + strings.Join(p99, ", ") + " ms"
}

// stopped is a socket whose client does not read.
type stopped struct {
	server *server
	room   int64
	begin  int64 // the seq before its first line
	conn   net.Conn
	in     *bufio.Reader
}

func stop(s *server, room int64) (*stopped, error) {
	head, err := headOf(s, room)
	if err != nil {
		return nil, err
	}
	m, r, err := dial(strings.TrimPrefix(s.url, "http://"), fmt.Sprintf("/ws/rooms/%d?after=%d", room, head), 0)
	if err != nil {
		return nil, err
	}
	return &stopped{s, room, head, m.conn, r}, nil
}

func headOf(s *server, room int64) (int64, error) {
	text, err := get(fmt.Sprintf("%s/rooms/%d", s.url, room))
	if err != nil {
		return 0, err
	}
	return number([]byte(text), `"seq":`), nil
}

// fill posts lines, to nobody but the one, until its kernel takes no more, and then most of the server's window of a megabyte.
func (o *stopped) fill() error {
	const written = "uniqverse_chat_sockets_written_bytes_total"
	for last := -1.0; ; {
		if err := o.post(500); err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond) // a write that is under way
		now := o.server.metric(written)
		if now == last {
			break
		}
		last = now
	}
	return o.post(2000) // of some 340 bytes
}

func (o *stopped) post(lines int) error {
	var wg sync.WaitGroup
	const posters = 20
	failed := make(chan error, posters)
	for i := range posters {
		wg.Go(func() {
			p, err := newRawPoster(o.server.url, o.room, 500+i)
			if err != nil {
				failed <- err
				return
			}
			defer p.close()
			for range lines / posters {
				if _, err := p.post(0); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// wake reads what the socket still gets, which must end with 3008, and comes back for the rest.
func (o *stopped) wake(m *sample) error {
	last := o.begin
	code, err := o.read(&last, 0)
	if err != nil {
		return fmt.Errorf("the one that did not read, after %d lines: %w", last-o.begin, err)
	}
	m.had += last - o.begin
	m.codes = append(m.codes, strconv.Itoa(code))
	head, err := headOf(o.server, o.room)
	if err != nil {
		return err
	}
	back, r, err := dial(strings.TrimPrefix(o.server.url, "http://"), fmt.Sprintf("/ws/rooms/%d?after=%d", o.room, last), 0)
	if err != nil {
		return err
	}
	defer back.conn.Close()
	m.rest += head - last
	o.in = r
	if code, err := o.read(&last, head); err != nil || code != 0 {
		return fmt.Errorf("back at line %d of %d: %d %v", last, head, code, err)
	}
	return nil
}

// read takes lines, each of which must follow the one before, up to a seq or the close frame, and returns its code; 1006 for a
// connection that was cut.
func (o *stopped) read(last *int64, upTo int64) (code int, err error) {
	for upTo == 0 || *last < upTo {
		op, payload, err := frame(o.in)
		switch {
		case err != nil && upTo == 0:
			return 1006, nil
		case err != nil:
			return 0, err
		case op == 8 && len(payload) >= 2:
			return int(binary.BigEndian.Uint16(payload)), nil
		case op != 1:
			continue
		}
		if seq := number(payload, `"seq":`); seq != *last+1 {
			return 0, fmt.Errorf("after line %d came line %d", *last, seq)
		}
		*last++
	}
	return 0, nil
}
