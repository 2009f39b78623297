package dnsclient

import (
	"context"
	"sync"
	"time"
)

// How long what is kept.
const (
	maxPositive     = time.Hour
	systemPositive  = 30 * time.Second // of an answer that does not say
	maxNegative     = 5 * time.Minute
	defaultNegative = 10 * time.Second // of "no such record" that does not say
	keepFailure     = 5 * time.Second
	maxKept         = 4096
)

// answer is what is kept about a name: a value, or why there is none.
type answer struct {
	value any
	err   error
	keep  time.Duration // 0: not kept
	until time.Time
}

// cache keeps answers, and lets those who ask for the same at the same time wait for one of them.
type cache struct {
	now func() time.Time

	mu     sync.Mutex // guards both
	kept   map[string]answer
	flight map[string]chan struct{} // closed when the answer has come
}

func newCache(now func() time.Time) *cache {
	return &cache{now: now, kept: make(map[string]answer), flight: make(map[string]chan struct{})}
}

func (c *cache) has(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.fresh(key)
	return ok
}

// fresh returns what is kept and still holds. The caller holds mu. A time that went back makes
// nothing hold longer than it would have from now.
func (c *cache) fresh(key string) (answer, bool) {
	a, ok := c.kept[key]
	now := c.now()
	return a, ok && now.Before(a.until) && a.until.Sub(now) <= a.keep
}

// get returns what is kept, or asks. Who waits for another's question and gets nothing that is kept asks again.
func (c *cache) get(ctx context.Context, key string, ask func() answer) answer {
	for {
		c.mu.Lock()
		if a, ok := c.fresh(key); ok {
			c.mu.Unlock()
			return a
		}
		other, busy := c.flight[key]
		if !busy {
			c.flight[key] = make(chan struct{})
			c.mu.Unlock()
			return c.ask(key, ask)
		}
		c.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return answer{err: temporary(key, ctx.Err())}
		}
	}
}

func (c *cache) ask(key string, ask func() answer) (a answer) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if a.keep > 0 {
			a.until = c.now().Add(a.keep)
			c.makeRoom()
			c.kept[key] = a
		}
		close(c.flight[key])
		delete(c.flight, key)
	}()
	return ask()
}

// makeRoom forgets whichever entries the map yields first: a peer that floods us with names gains
// nothing from a cleverer order. The caller holds mu.
func (c *cache) makeRoom() {
	if len(c.kept) < maxKept {
		return
	}
	room := maxKept / 8
	for k := range c.kept {
		if delete(c.kept, k); room == 0 {
			return
		}
		room--
	}
}
