package auth

import (
	"sync"
	"time"
)

// throttle is a set of token buckets by key that can give a token back: what succeeds is not
// counted. It holds at most maxThrottled keys; when that many are busy, new ones share a bucket.
type throttle struct {
	burst float64
	every time.Duration // a token grows back in this time

	mu sync.Mutex // guards by
	by map[string]bucket
}

type bucket struct {
	level float64 // tokens left
	at    time.Time
}

const maxThrottled = 10_000

func newThrottle(burst int, every time.Duration) *throttle {
	return &throttle{burst: float64(burst), every: every, by: map[string]bucket{}}
}

// take takes a token, or returns how long until there is one.
func (t *throttle) take(key string, now time.Time) (wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key, b := t.find(key, now)
	if b.level < 1 {
		return time.Duration((1 - b.level) * float64(t.every)), false
	}
	b.level--
	t.by[key] = b
	return 0, true
}

// giveBack undoes a take.
func (t *throttle) giveBack(key string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key, b := t.find(key, now)
	b.level = min(b.level+1, t.burst)
	t.by[key] = b
}

func (t *throttle) find(key string, now time.Time) (string, bucket) {
	b, ok := t.by[key]
	if !ok {
		if len(t.by) >= maxThrottled {
			t.sweep(now)
		}
		if len(t.by) >= maxThrottled {
			key = ""
			b, ok = t.by[key]
		}
	}
	if !ok {
		return key, bucket{t.burst, now}
	}
	return key, bucket{t.grown(b, now), now}
}

func (t *throttle) grown(b bucket, now time.Time) float64 {
	return min(t.burst, b.level+max(0, now.Sub(b.at).Seconds()/t.every.Seconds()))
}

// sweep forgets full buckets: a new one is the same.
func (t *throttle) sweep(now time.Time) {
	for k, b := range t.by {
		if t.grown(b, now) >= t.burst {
			delete(t.by, k)
		}
	}
}
