package web

import (
	"slices"
	"sync"
	"time"

	"uniqverse/internal/errs"
)

// Unlimited reports whether limits per user hold the caller back at all: they do not for our
// services, for servers' tokens, and for the demo identity.
func (c Caller) Unlimited() bool {
	return c.Demo || c.Server != "" || slices.ContainsFunc([]string{"game.server", "chat.moderate", "email.admin"}, c.Has)
}

// Quota counts what each user holds open at one time, such as sockets. It is safe for
// concurrent use.
type Quota struct {
	what string
	most int
	mu   sync.Mutex // guards open
	open map[string]int
}

// NewQuota returns a quota of so many things a user; what names them in the refusal: "sockets".
func NewQuota(what string, most int) *Quota {
	return &Quota{what: what, most: most, open: map[string]int{}}
}

// Take counts one more of the caller's and returns what gives it back; errs.Limited when they
// have the most.
func (q *Quota) Take(c Caller) (release func(), err error) {
	if c.Unlimited() {
		return func() {}, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open[c.Email] >= q.most {
		return nil, errs.Limit(time.Minute, "%s has %d %s open, which is the most; close one first", c.Email, q.most, q.what)
	}
	q.open[c.Email]++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.open[c.Email]--; q.open[c.Email] == 0 {
			delete(q.open, c.Email)
		}
	}, nil
}
