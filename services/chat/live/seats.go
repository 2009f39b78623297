package live

import (
	"maps"
	"slices"
	"sync"
	"time"

	"uniqverse/internal/ws"
)

// Seat is a user's place in a room, as far as sockets go.
type Seat struct{ Room, User int64 }

// Place is what is known of a seat that is taken, or was a moment ago.
type Place struct {
	sockets          map[*socket]bool
	Handle, Audience string    // as the socket was opened
	left             time.Time // when the last socket went; zero while there is one
	away             bool      // they said so
}

// socket is one of those that sit in a place.
type socket struct{ out func(ws.Code, string) }

// Seats knows which sockets are whose: to close them when somebody must go, and to say who is there.
type Seats struct {
	now   func() time.Time
	mu    sync.Mutex // guards taken
	taken map[Seat]*Place
}

// NewSeats returns seats that nobody takes yet; now is the clock.
func NewSeats(now func() time.Time) *Seats { return &Seats{now: now, taken: map[Seat]*Place{}} }

// Take seats a socket and returns what frees the seat, and whether nobody sat there. A service, user 0, has none.
// out is what Close calls, without any lock held.
func (s *Seats) Take(at Seat, out func(ws.Code, string), handle, audience string) (free func(), came bool) {
	if at.User == 0 {
		return func() {}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.taken[at]
	if p == nil {
		p, came = &Place{sockets: map[*socket]bool{}, Handle: handle, Audience: audience}, true
		s.taken[at] = p
	}
	one := &socket{out}
	p.sockets[one], p.left = true, time.Time{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(p.sockets, one); len(p.sockets) == 0 {
			p.left = s.now()
		}
	}, came
}

// Gone forgets and returns the seats that were left before the time.
func (s *Seats) Gone(before time.Time) map[Seat]*Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[Seat]*Place{}
	for at, p := range s.taken {
		if !p.left.IsZero() && p.left.Before(before) {
			out[at] = p
			delete(s.taken, at)
		}
	}
	return out
}

// In returns who sits in a room, or did a moment ago.
func (s *Seats) In(room int64) map[int64]Presence {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int64]Presence{}
	for at, p := range s.taken {
		if at.Room == room {
			out[at.User] = p.presence(at.User)
		}
	}
	return out
}

func (p *Place) presence(user int64) Presence {
	if p.away {
		return Presence{user, p.Handle, Away}
	}
	return Presence{user, p.Handle, Online}
}

// SetAway notes for all seats of a user whether they are away, and returns those where that is new. A new socket does
// not change it; the seat's end does.
func (s *Seats) SetAway(user int64, away bool) map[Seat]*Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[Seat]*Place{}
	for at, p := range s.taken {
		if at.User == user && p.away != away {
			p.away = away
			out[at] = p
		}
	}
	return out
}

// Sockets returns how many sockets there are in a room.
func (s *Seats) Sockets(room int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for at, p := range s.taken {
		if at.Room == room {
			n += len(p.sockets)
		}
	}
	return n
}

// Close takes a seat from all its sockets.
func (s *Seats) Close(at Seat, code ws.Code, why string) {
	s.mu.Lock()
	var all []*socket
	if p := s.taken[at]; p != nil {
		all = slices.Collect(maps.Keys(p.sockets))
	}
	s.mu.Unlock()
	for _, one := range all {
		one.out(code, why)
	}
}

// Presence is the payload of chat.presence.
type Presence struct {
	UserID int64  `json:"user_id"`
	Handle string `json:"handle"`
	State  string `json:"state"` // online, away, offline or typing
}

// The states of chat.presence.
const (
	Online  = "online"
	Away    = "away"
	Offline = "offline"
	Typing  = "typing"
)
