package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// soak keeps a community busy for -d (an hour is `make soak`) and reports the slopes of memory and goroutines: people come and
// go, some are cut off without a word, all write now and then, and nobody may miss a line, see one twice, or out of order.
// What is left at the end, when everybody has gone, is compared with the beginning.
func (b *bench) soak() error {
	s, err := product()
	if err != nil {
		return err
	}
	defer s.end()
	const rooms, each, churn = 20, 25, 10 // 500 sockets; ten of them a second end and come back
	halls := make([]*hallOf, rooms)
	for i := range halls {
		id, err := newRoom(s.url, "hall "+strconv.Itoa(i))
		if err != nil {
			return err
		}
		halls[i] = &hallOf{server: s, room: id}
		for range each {
			if err := halls[i].enter(); err != nil {
				return err
			}
		}
	}
	time.Sleep(2 * time.Second)
	var points []point
	measure := func() error {
		bytes, routines, err := s.rss()
		points = append(points, point{time.Duration(now()).Hours(), float64(bytes) / 1024, float64(routines)})
		return err
	}
	begin, end := time.Now(), time.Now().Add(b.dur)
	var wg sync.WaitGroup
	var failed atomic.Value
	for _, h := range halls {
		wg.Go(func() {
			p := newPoster(s.url, h.room, 77)
			for time.Now().Before(end) && failed.Load() == nil {
				if _, err := p.post(now()); err != nil {
					failed.CompareAndSwap(nil, err)
				}
				time.Sleep(time.Duration(200+rand.IntN(1600)) * time.Millisecond)
			}
		})
	}
	wg.Go(func() {
		for time.Now().Before(end) && failed.Load() == nil {
			if err := halls[rand.IntN(rooms)].swap(); err != nil {
				failed.CompareAndSwap(nil, err)
			}
			time.Sleep(time.Second / churn)
		}
	})
	every := max(b.dur/60, time.Second)
	for time.Now().Before(end) && failed.Load() == nil {
		if err := measure(); err != nil {
			return err
		}
		p := points[len(points)-1]
		fmt.Fprintf(os.Stderr, "%8s  %7.0f kB  %5.0f goroutines\n", time.Since(begin).Round(time.Second), p.kb, p.routines)
		time.Sleep(every)
	}
	wg.Wait()
	if err, ok := failed.Load().(error); ok {
		return err
	}
	for _, h := range halls {
		if err := h.check(); err != nil {
			return err
		}
		h.leave()
	}
	time.Sleep(3 * time.Second)
	_, left, err := s.rss()
	if err != nil {
		return err
	}
	b.row("soak", fmt.Sprintf("%d sockets in %d rooms for %s", rooms*each, rooms, b.dur), fmt.Sprintf("%+.0f kB of resident memory an hour", slope(points, func(p point) float64 { return p.kb })),
		fmt.Sprintf("%+.1f goroutines an hour", slope(points, func(p point) float64 { return p.routines })), fmt.Sprintf("%.0f sockets and %d goroutines when all had gone", s.metric("uniqverse_chat_sockets"), left))
	return nil
}

// point is what was measured at one time, in hours.
type point struct{ at, kb, routines float64 }

// slope is the growth an hour of a line through the points; the first quarter, which fills caches and tails, is left out.
func slope(points []point, y func(point) float64) float64 {
	var n, sx, sy, sxx, sxy float64
	for _, p := range points[len(points)/4:] {
		n, sx, sy, sxx, sxy = n+1, sx+p.at, sy+y(p), sxx+p.at*p.at, sxy+p.at*y(p)
	}
	if d := n*sxx - sx*sx; d != 0 {
		return (n*sxy - sx*sy) / d
	}
	return 0
}

// hallOf is a room with people who come and go; each remembers what they saw last.
type hallOf struct {
	server *server
	room   int64
	mu     sync.Mutex
	crowds []*crowd
}

func (h *hallOf) enter() error {
	c, err := join(h.server.url, h.room, 1, "after=0", nil)
	if err == nil {
		h.mu.Lock()
		h.crowds = append(h.crowds, c)
		h.mu.Unlock()
	}
	return err
}

// swap ends one socket without a word and lets it come back where it was.
func (h *hallOf) swap() error {
	h.mu.Lock()
	i := rand.IntN(len(h.crowds))
	old := h.crowds[i]
	h.mu.Unlock()
	old.leave()
	old.members[0].wait()
	if err := old.err(); err != nil {
		return err
	}
	c, err := join(h.server.url, h.room, 1, "after="+strconv.FormatInt(old.members[0].last, 10), nil)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.crowds[i] = c
	h.mu.Unlock()
	return nil
}

// check waits until everybody has seen the room's newest line.
func (h *hallOf) check() error {
	p := newPoster(h.server.url, h.room, 77)
	seq, err := p.post(now())
	if err != nil {
		return err
	}
	for _, c := range h.crowds {
		for end := time.Now().Add(20 * time.Second); c.members[0].seen.Load() < seq; time.Sleep(5 * time.Millisecond) {
			if err := c.err(); err != nil {
				return err
			}
			if time.Now().After(end) {
				return fmt.Errorf("somebody in room %d saw line %d last, not %d", h.room, c.members[0].seen.Load(), seq)
			}
		}
	}
	return nil
}

func (h *hallOf) leave() {
	for _, c := range h.crowds {
		c.leave()
	}
}
