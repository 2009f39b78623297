package main

import (
	"fmt"
	"sync"
	"time"
)

// members measures rooms of several sizes at 10 lines a second each. Small rooms are many, so that there is as much to deliver as in
// one of a thousand. What the same lines cost in the same rooms while nobody listens is taken off.
func (b *bench) members() error {
	for _, n := range []int{10, 100, 1000, 5000} {
		if err := b.size(n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) size(n int) error {
	s, first, err := hall()
	if err != nil {
		return err
	}
	defer s.end()
	rooms := []int64{first}
	for i := 1; i < 1000/n; i++ {
		room, err := newRoom(s.url, fmt.Sprintf("hall %d", i))
		if err != nil {
			return err
		}
		rooms = append(rooms, room)
	}
	if _, _, err := b.paced(s, rooms, time.Second); err != nil { // to warm up
		return err
	}
	used, lines, err := b.paced(s, rooms, b.dur)
	if err != nil {
		return err
	}
	bare := us(used) / float64(lines)
	crowds := make([]*crowd, len(rooms))
	for i, room := range rooms {
		if crowds[i], err = join(s.url, room, n, "", nil); err != nil {
			return err
		}
		defer crowds[i].leave()
	}
	_, warm, err := b.paced(s, rooms, time.Second)
	if err == nil {
		err = awaitAll(crowds, int64(warm*n))
	}
	if err != nil {
		return err
	}
	for _, c := range crowds {
		c.delay()
	}
	before := s.cpu()
	if _, lines, err = b.paced(s, rooms, b.dur); err != nil {
		return err
	}
	if err := awaitAll(crowds, int64((warm+lines)*n)); err != nil {
		return err
	}
	each := (us(s.cpu()-before)/float64(lines) - bare) / float64(n)
	b.row("members", fmt.Sprintf("%d rooms of %d sockets", len(rooms), n), fmt.Sprintf("%.2f µs a delivery beside the line's %.0f", each, bare), "x "+b.ratio(each)+" of a bare write",
		fmt.Sprintf("%d lines, all delivered in order", lines), crowds[0].delay())
	return nil
}

func us(d time.Duration) float64 { return float64(d.Microseconds()) }

// awaitAll waits until so many lines came, over all crowds.
func awaitAll(crowds []*crowd, n int64) error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		got := int64(0)
		for _, c := range crowds {
			if err := c.err(); err != nil {
				return err
			}
			got += c.got.Load()
		}
		switch {
		case got == n:
			return nil
		case got > n || time.Now().After(end):
			return fmt.Errorf("%d of %d lines came", got, n)
		}
	}
}

// paced posts 10 lines a second into each room, not in all at the same moment, and returns the server's CPU time and the lines.
func (b *bench) paced(s *server, rooms []int64, d time.Duration) (used time.Duration, lines int, err error) {
	const every = time.Second / 10
	each := int(d / every)
	failed := make(chan error, len(rooms))
	before, begin := s.cpu(), time.Now()
	var wg sync.WaitGroup
	for i, room := range rooms {
		wg.Go(func() {
			p, err := newRawPoster(s.url, room, 77)
			if err != nil {
				failed <- err
				return
			}
			defer p.close()
			for j := range each {
				at := begin.Add(time.Duration(j)*every + every*time.Duration(i)/time.Duration(len(rooms)))
				time.Sleep(time.Until(at))
				if _, err := p.post(int64(at.Sub(epoch))); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err = <-failed:
	default:
	}
	return s.cpu() - before, each * len(rooms), err
}
