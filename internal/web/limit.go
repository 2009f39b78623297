package web

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"uniqverse/internal/errs"
	"uniqverse/internal/registry"
)

// Limits bound what a service takes. The zero value takes the defaults.
type Limits struct {
	PerUser      float64       // requests a second of one signed-in user; default 50
	UserBurst    int           // default 200
	PerAddress   float64       // requests a second of one address without a user; default 20
	AddressBurst int           // default 100
	Refused      float64       // refused identities a second of one address; default 2
	RefusedBurst int           // default 60
	Concurrent   int           // short requests served at the same time; default 1024
	BodyTime     time.Duration // for a request's body to arrive; default 60 s
}

func (l Limits) withDefaults() Limits {
	def := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	defInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.PerUser, 50)
	defInt(&l.UserBurst, 200)
	def(&l.PerAddress, 20)
	defInt(&l.AddressBurst, 100)
	def(&l.Refused, 2)
	defInt(&l.RefusedBurst, 60)
	defInt(&l.Concurrent, 1024)
	if l.BodyTime == 0 {
		l.BodyTime = 60 * time.Second
	}
	return l
}

// limiter holds one token bucket per user and address. Buckets that have been full for a
// while are forgotten, and there are never more than maxBuckets: beyond that all share one.
type limiter struct {
	limits Limits
	now    func() time.Time
	mu     sync.Mutex
	by     map[string]*bucket
	swept  time.Time
}

const maxBuckets = 50_000

type bucket struct {
	*rate.Limiter
	used time.Time
}

func newLimiter(l Limits, now func() time.Time) *limiter {
	return &limiter{limits: l, now: now, by: map[string]*bucket{}}
}

// take counts one request of the caller. At endpoints that are called often, so many times as many are allowed, and they are
// counted for themselves.
func (l *limiter) take(r *http.Request, c Caller, often int) error {
	if c.Unlimited() {
		return nil
	}
	if often > 0 && c.User != "" {
		return l.count("o:"+c.Email, float64(often)*l.limits.PerUser, often*l.limits.UserBurst)
	}
	if c.User != "" {
		return l.count("u:"+c.Email, l.limits.PerUser, l.limits.UserBurst)
	}
	return l.count("a:"+address(r), l.limits.PerAddress, l.limits.AddressBurst)
}

// refuse counts a refused identity against its address, so that tokens cannot be guessed
// quickly; it returns the refusal, or the limit.
func (l *limiter) refuse(r *http.Request, refusal error) error {
	if err := l.count("r:"+address(r), l.limits.Refused, l.limits.RefusedBurst); err != nil && !loopback(address(r)) {
		return err
	}
	return refusal
}

func (l *limiter) count(key string, perSecond float64, burst int) error {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > time.Minute {
		for k, b := range l.by {
			if now.Sub(b.used) > 2*time.Minute {
				delete(l.by, k)
			}
		}
		l.swept = now
	}
	b := l.by[key]
	if b == nil {
		if len(l.by) >= maxBuckets {
			key = "overflow"
			b = l.by[key]
		}
		if b == nil {
			b = &bucket{Limiter: rate.NewLimiter(rate.Limit(perSecond), burst)}
			l.by[key] = b
		}
	}
	b.used = now
	res := b.ReserveN(now, 1)
	if wait := res.DelayFrom(now); wait > 0 {
		res.CancelAt(now)
		return errs.Limit(wait, "too many requests; wait %d s", int(wait.Seconds())+1)
	}
	return nil
}

// address is the peer's address; a request from our own proxy in this process says for whom.
func address(r *http.Request) string {
	if r.RemoteAddr == registry.InProcess {
		if f := r.Header.Get("X-Forwarded-For"); f != "" {
			return strings.TrimSpace(f[strings.LastIndexByte(f, ',')+1:])
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func loopback(addr string) bool {
	if ip := net.ParseIP(strings.Trim(addr, "[]")); ip != nil {
		return ip.IsLoopback()
	}
	return addr == "localhost"
}
