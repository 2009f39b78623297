// Package pace holds back who does too much at once: each user has a bucket of things to do, in a room or in
// all of them together, that fills with time. It keeps nothing over a restart, and decides nothing
// about who is exempt. A Limiter is safe for concurrent use and forgets whoever was quiet for a minute.
package pace

import (
	"sync"
	"time"
)

// Limiter holds back who does too much. Make one with New.
type Limiter struct {
	mu      sync.Mutex // guards buckets
	buckets map[Key]bucket
}

// Key is a user, in one room or (0) in all.
type Key struct{ Room, User int64 }

// New returns a limiter that holds back nobody yet.
func New() *Limiter { return &Limiter{buckets: map[Key]bucket{}} }

type bucket struct {
	left float64
	at   time.Time
}

// Take spends one from the bucket; wait says when there will be one if there is none now.
func (p *Limiter) Take(key Key, perSecond, burst float64, now time.Time) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.buckets) > 10_000 {
		for k, b := range p.buckets {
			if now.Sub(b.at) > time.Minute {
				delete(p.buckets, k)
			}
		}
	}
	b, ok := p.buckets[key]
	if !ok {
		b = bucket{burst, now}
	}
	if now.After(b.at) { // a clock that goes back fills nothing
		b.left = min(burst, b.left+now.Sub(b.at).Seconds()*perSecond)
		b.at = now
	}
	if b.left < 1 {
		wait = time.Duration((1 - b.left) / perSecond * float64(time.Second))
	} else {
		b.left--
	}
	p.buckets[key] = b
	return wait
}
