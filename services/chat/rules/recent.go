package rules

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

const (
	remembered = 20        // lines of one person in one room
	longest    = time.Hour // that they are remembered
	people     = 10_000    // after so many, those who were quiet are forgotten
)

// Recent remembers what people said lately, to tell who says the same again. It keeps nothing over a restart. Make
// one with NewRecent.
type Recent struct {
	seed maphash.Seed
	mu   sync.Mutex // guards said
	said map[place][]once
}

type place struct{ room, user int64 }

type once struct {
	sum uint64
	at  time.Time
}

// NewRecent returns one that remembers nothing yet.
func NewRecent() *Recent { return &Recent{seed: maphash.MakeSeed(), said: map[place][]once{}} }

func (r *Recent) sum(text string) uint64 {
	return maphash.String(r.seed, strings.Join(split(plain(text)), " "))
}

// Again returns how often somebody said the same words in a room within the time. Lines without words are never the same.
func (r *Recent) Again(room, user int64, text string, window time.Duration, now time.Time) int {
	if len(split(plain(text))) == 0 {
		return 0
	}
	sum, n := r.sum(text), 0
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.said[place{room, user}] {
		if o.sum == sum && now.Sub(o.at) < window {
			n++
		}
	}
	return n
}

// Said remembers a line.
func (r *Recent) Said(room, user int64, text string, now time.Time) {
	sum := r.sum(text)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.said) >= people {
		for p, all := range r.said {
			if now.Sub(all[len(all)-1].at) > time.Minute {
				delete(r.said, p)
			}
		}
		if len(r.said) >= people {
			clear(r.said)
		}
	}
	p := place{room, user}
	all := append(r.said[p], once{sum, now})
	for len(all) > remembered || now.Sub(all[0].at) > longest {
		all = all[1:]
	}
	r.said[p] = all
}
