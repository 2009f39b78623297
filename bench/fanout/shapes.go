package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// poster sends lines over HTTP.
type poster struct {
	client *http.Client
	url    string
	user   int
}

func newPoster(base string, room int64, user int) *poster {
	return &poster{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4, DisableCompression: true}, Timeout: 30 * time.Second},
		url: fmt.Sprintf("%s/rooms/%d/messages", base, room), user: user}
}

// line is a body with a text of 128 bytes that carries its time.
func (p *poster) line(at int64) []byte {
	text := fmt.Sprintf("t%d ", at)
	text += strings.Repeat("x", 128-len(text))
	return fmt.Appendf(nil, `{"user_id":%d,"handle":"@poster%d","text":"%s"}`, p.user, p.user, text)
}

func (p *poster) post(at int64) (seq int64, err error) {
	res, err := p.client.Post(p.url, "application/json", bytes.NewReader(p.line(at)))
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("a line is refused: %d %.200s", res.StatusCode, b)
	}
	return number(b, `"seq":`), err
}

// newRoom opens a room and returns its id.
func newRoom(base, name string) (int64, error) {
	res, err := http.Post(base+"/rooms", "application/json", strings.NewReader(`{"name":"`+name+`","kind":"global"}`))
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var out struct{ ID int64 }
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || out.ID == 0 {
		return 0, fmt.Errorf("no room was opened: %d %v", res.StatusCode, err)
	}
	return out.ID, nil
}

// hall is a server with one room.
func hall() (*server, int64, error) {
	s, err := product()
	if err != nil {
		return nil, 0, err
	}
	room, err := newRoom(s.url, "hall")
	if err != nil {
		s.end()
	}
	return s, room, err
}

// open measures lines at a fixed rate.
func (b *bench) open(what string, rate int) error {
	s, room, err := hall()
	if err != nil {
		return err
	}
	defer s.end()
	us, lines, delays, err := b.steady(s, room, b.sockets, rate, b.dur)
	if err != nil {
		return err
	}
	b.row(what, fmt.Sprintf("%d sockets", b.sockets), fmt.Sprintf("%.2f µs a delivery", us), "x "+b.ratio(us)+" of a bare write", fmt.Sprintf("%d lines, all delivered in order", lines), delays)
	return nil
}

// steady posts at a rate to a room with n sockets and returns the server's CPU for a delivery in µs.
func (b *bench) steady(s *server, room int64, n, rate int, d time.Duration) (us float64, lines int, delays string, err error) {
	c, err := join(s.url, room, n, "", nil)
	if err != nil {
		return 0, 0, "", err
	}
	defer c.leave()
	p := newPoster(s.url, room, 77)
	every := time.Second / time.Duration(rate)
	sent, failed := 0, make(chan error, 1)
	var wg sync.WaitGroup
	emit := func(count int) error {
		begin := time.Now()
		for i := range count {
			at := begin.Add(time.Duration(i) * every)
			time.Sleep(time.Until(at))
			sent++
			if _, err := p.post(int64(at.Sub(epoch))); err != nil {
				return err
			}
		}
		return nil
	}
	if err := emit(max(rate, 10)); err != nil { // to warm up
		return 0, 0, "", err
	}
	if err := c.await(int64(sent*n), 20*time.Second); err != nil {
		return 0, 0, "", err
	}
	c.delay()
	profiled := func() error { return nil }
	if b.pprof != "" {
		profiled = s.profile(b.pprof, d)
	}
	before, warm := s.cpu(), sent
	if err := emit(int(d.Seconds() * float64(rate))); err != nil {
		return 0, 0, "", err
	}
	wg.Wait()
	select {
	case err := <-failed:
		return 0, 0, "", err
	default:
	}
	if err := c.await(int64(sent*n), 20*time.Second); err != nil {
		return 0, 0, "", err
	}
	used := s.cpu() - before
	lines = sent - warm
	return float64(used.Microseconds()) / float64(lines*n), lines, c.delay(), profiled()
}

// closed measures lines with so many in flight: the next is posted when the oldest has reached every socket.
func (b *bench) closed(what string, window int) error {
	s, room, err := hall()
	if err != nil {
		return err
	}
	defer s.end()
	var counts sync.Map // seq → *atomic.Int64
	n := int64(b.sockets)
	free := make(chan struct{}, window)
	c, err := join(s.url, room, b.sockets, "", func(seq int64) {
		v, ok := counts.Load(seq)
		if !ok {
			v, _ = counts.LoadOrStore(seq, new(atomic.Int64))
		}
		if v.(*atomic.Int64).Add(1) == n {
			counts.Delete(seq)
			<-free
		}
	})
	if err != nil {
		return err
	}
	defer c.leave()
	var sent atomic.Int64
	var end atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, window)
	end.Store(now() + int64(time.Second)) // to warm up
	loop := func() {
		for range window {
			wg.Go(func() {
				p := newPoster(s.url, room, 77)
				for now() < end.Load() {
					select {
					case free <- struct{}{}:
					case <-time.After(20 * time.Second):
						failed <- fmt.Errorf("lines do not arrive: %v", c.err())
						return
					}
					if now() >= end.Load() {
						<-free
						return
					}
					sent.Add(1)
					if _, err := p.post(now()); err != nil {
						failed <- err
						return
					}
				}
			})
		}
		wg.Wait()
	}
	loop()
	if err := c.await(sent.Load()*n, 20*time.Second); err != nil {
		return err
	}
	c.delay()
	profiled := func() error { return nil }
	if b.pprof != "" {
		profiled = s.profile(b.pprof, b.dur)
	}
	before, warm := s.cpu(), sent.Load()
	end.Store(now() + int64(b.dur))
	loop()
	select {
	case err := <-failed:
		return err
	default:
	}
	if err := c.await(sent.Load()*n, 20*time.Second); err != nil {
		return err
	}
	used, lines := s.cpu()-before, sent.Load()-warm
	us := float64(used.Microseconds()) / float64(lines*n)
	b.row(what, fmt.Sprintf("%d sockets", b.sockets), fmt.Sprintf("%.2f µs a delivery", us), "x "+b.ratio(us)+" of a bare write",
		fmt.Sprintf("%d lines, all delivered in order", lines), c.delay())
	return profiled()
}

// idle measures what sockets hold on which nothing happens.
func (b *bench) idle() error {
	s, room, err := hall()
	if err != nil {
		return err
	}
	defer s.end()
	c, err := join(s.url, room, 200, "", nil) // so that what exists once exists
	if err != nil {
		return err
	}
	time.Sleep(time.Second)
	before, routines, err := s.rss()
	if err != nil {
		return err
	}
	const n = 5000
	d, err := join(s.url, room, n, "", nil)
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	after, more, err := s.rss()
	if err != nil {
		return err
	}
	if b.pprof != "" {
		heap, err := get(s.door + "/debug/pprof/heap")
		if err == nil {
			err = os.WriteFile(b.pprof, []byte(heap), 0o644)
		}
		if err != nil {
			return err
		}
	}
	for _, c := range []*crowd{c, d} {
		if err := c.err(); err != nil {
			return err
		}
		c.leave()
	}
	b.row("idle", fmt.Sprintf("%d sockets", n), fmt.Sprintf("%.2f kB resident a socket", float64(after-before)/n/1024), fmt.Sprintf("%.2f goroutines a socket", float64(more-routines)/n))
	return nil
}

// storm measures how a crowd comes back: each socket resumes from where it was and gets the lines that it missed.
func (b *bench) storm() error {
	s, room, err := hall()
	if err != nil {
		return err
	}
	defer s.end()
	const n, missed = 5000, 20
	p := newPoster(s.url, room, 77)
	for range 50 {
		if _, err := p.post(now()); err != nil {
			return err
		}
	}
	c, err := join(s.url, room, n, "after=50", nil)
	if err != nil {
		return err
	}
	c.leave()
	for range missed {
		if _, err := p.post(now()); err != nil {
			return err
		}
	}
	time.Sleep(time.Second) // until the server has noticed that all went
	reads, log, begin, cpu := s.metric("uniqverse_store_reads_total"), s.metric("uniqverse_chat_log_reads_total"), time.Now(), s.cpu()
	c, err = join(s.url, room, n, "after=50", nil)
	if err != nil {
		return err
	}
	joined := time.Since(begin)
	if err := c.await(n*missed, 60*time.Second); err != nil {
		return err
	}
	took, used := time.Since(begin), s.cpu()-cpu
	c.leave()
	b.row("storm", fmt.Sprintf("%d sockets", n), fmt.Sprintf("all were back after %.1f s and had %d lines each after %.1f s", joined.Seconds(), missed, took.Seconds()),
		fmt.Sprintf("%.0f µs of CPU a socket", float64(used.Microseconds())/n), fmt.Sprintf("%.0f reads of the room's log, %.0f of the store in all", s.metric("uniqverse_chat_log_reads_total")-log, s.metric("uniqverse_store_reads_total")-reads))
	return nil
}

// send measures lines that are on disk before they are answered: posted over HTTP, and then as acknowledged sends over
// veze.v1 sockets.
func (b *bench) send() error {
	over := func(what string, open func(base string, room int64, user int) (acked, error), profile bool) error {
		return b.posted(what, open, profile && b.pprof != "")
	}
	err := over("over HTTP", func(base string, room int64, user int) (acked, error) { return newRawPoster(base, room, user) }, true)
	if err != nil {
		return err
	}
	return over("over veze.v1", func(base string, room int64, user int) (acked, error) { return newSocketPoster(base, room, user) }, false)
}

// acked posts a line and returns when it is acknowledged.
type acked interface {
	post(at int64) (seq int64, err error)
	close()
}

// posted measures lines from many posters, each with one in flight.
func (b *bench) posted(what string, open func(base string, room int64, user int) (acked, error), profile bool) error {
	s, room, err := hall()
	if err != nil {
		return err
	}
	defer s.end()
	posters := make([]acked, b.posters)
	for i := range posters {
		if posters[i], err = open(s.url, room, 100+i); err != nil {
			return err
		}
		defer posters[i].close()
	}
	var sent atomic.Int64
	var end atomic.Int64
	failed := make(chan error, b.posters)
	var wg sync.WaitGroup
	end.Store(now() + int64(time.Second)) // to warm up
	loop := func() {
		for _, p := range posters {
			wg.Go(func() {
				for now() < end.Load() {
					if _, err := p.post(now()); err != nil {
						failed <- err
						return
					}
					sent.Add(1)
				}
			})
		}
		wg.Wait()
	}
	loop()
	profiled := func() error { return nil }
	if profile {
		profiled = s.profile(b.pprof, b.dur)
	}
	before, warm, begin := s.cpu(), sent.Load(), time.Now()
	end.Store(now() + int64(b.dur))
	loop()
	took, used, lines := time.Since(begin), s.cpu()-before, sent.Load()-warm
	select {
	case err := <-failed:
		return err
	default:
	}
	var info struct{ Seq int64 }
	text, err := get(fmt.Sprintf("%s/rooms/%d", s.url, room))
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), &info); err != nil || info.Seq != sent.Load() {
		return fmt.Errorf("%d lines were answered, the room has %d (%v)", sent.Load(), info.Seq, err)
	}
	b.row("send", fmt.Sprintf("%d posters, %s", b.posters, what), fmt.Sprintf("%.0f lines a second", float64(lines)/took.Seconds()), fmt.Sprintf("%.0f µs of the server's CPU a line", float64(used.Microseconds())/float64(lines)))
	return profiled()
}
