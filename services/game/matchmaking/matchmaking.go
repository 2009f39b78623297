// Package matchmaking decides who plays whom. It is pure: tickets and a time go in, a match
// comes out; what waits is in the store, and taking tickets out of the queue is the caller's
// transaction. It keeps no clock, no queue and no lock, and is safe for concurrent use.
//
// # Who matches
//
//   - A side is one player, or a party: all waiting tickets of one mode and region with the
//     same party id. A party is never split and never plays against itself; its rating is the
//     mean of its members', and it has waited as long as the one of them who came first.
//   - Two sides of one mode, one region and the same size match when the gap of their ratings
//     is no more than the window of the side that has waited longer. The window is 50 and
//     widens by 25 with every full 5 seconds of waiting. The longer wait decides alone, so
//     that a newcomer near enough ends it at once.
//   - The oldest side that has a partner is served first, and of several partners it gets the
//     oldest one. So nobody is passed over by someone who came later and matches no better.
package matchmaking

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"time"
)

// The window of ratings, in points, and how it grows.
const (
	Window = 50
	Widen  = 25
	Every  = 5 * time.Second
)

// Ticket is one player who waits.
type Ticket struct {
	ID       int64 // grows in the order of queueing
	UserID   string
	MMR      float64 // the player's rating, finite
	Mode     string
	Region   string
	PartyID  string    // "" for a player alone
	QueuedAt time.Time // when the waiting began
}

// Match is two sides that play each other, the one that waited longer first.
type Match struct {
	Mode, Region string
	Teams        [2][]Ticket
	Gap          float64 // difference of the sides' ratings
}

// WindowAfter returns the gap of ratings that is accepted after that much waiting.
func WindowAfter(waited time.Duration) float64 {
	return Window + Widen*float64(max(waited, 0)/Every)
}

// side is what is matched as one.
type side struct {
	tickets []Ticket // in order of ID
	mmr     float64
	window  float64
	place   int64 // ID of its first ticket
}

type queueKey struct {
	mode, region string
	size         int
}

// Find returns the match that comes first, or false when no two sides fit. It looks at n
// tickets in about n·log n steps.
func Find(tickets []Ticket, now time.Time) (Match, bool) {
	var best *side
	var partner *side
	for _, q := range queues(tickets, now) {
		a, b := firstPair(q)
		if a != nil && (best == nil || a.place < best.place) {
			best, partner = a, b
		}
	}
	if best == nil {
		return Match{}, false
	}
	first := best.tickets[0]
	return Match{Mode: first.Mode, Region: first.Region, Teams: [2][]Ticket{best.tickets, partner.tickets}, Gap: math.Abs(best.mmr - partner.mmr)}, true
}

// queues groups tickets to sides, and sides to those that can meet.
func queues(tickets []Ticket, now time.Time) map[queueKey][]*side {
	ordered := slices.Clone(tickets)
	slices.SortFunc(ordered, func(a, b Ticket) int { return cmp.Compare(a.ID, b.ID) })
	type party struct{ mode, region, id string }
	parties := map[party]*side{}
	var sides []*side
	for _, t := range ordered {
		p := party{t.Mode, t.Region, t.PartyID}
		if s := parties[p]; s != nil && t.PartyID != "" {
			s.tickets = append(s.tickets, t)
			continue
		}
		s := &side{tickets: []Ticket{t}, place: t.ID}
		parties[p] = s
		sides = append(sides, s)
	}
	all := map[queueKey][]*side{}
	for _, s := range sides {
		since := s.tickets[0].QueuedAt
		for _, t := range s.tickets {
			s.mmr += t.MMR / float64(len(s.tickets))
			if t.QueuedAt.Before(since) {
				since = t.QueuedAt
			}
		}
		s.window = WindowAfter(now.Sub(since))
		k := queueKey{s.tickets[0].Mode, s.tickets[0].Region, len(s.tickets)}
		all[k] = append(all[k], s)
	}
	return all
}

// firstPair returns the oldest side that has a partner, and its oldest partner.
func firstPair(sides []*side) (*side, *side) {
	byMMR := slices.Clone(sides)
	slices.SortFunc(byMMR, func(a, b *side) int { return cmp.Or(cmp.Compare(a.mmr, b.mmr), cmp.Compare(a.place, b.place)) })
	at := make(map[*side]int, len(byMMR))
	for i, s := range byMMR {
		at[s] = i
	}
	for _, s := range sides { // in order of place
		i := at[s]
		// An older neighbour within reach would have been served before, so the nearest
		// on either side tells whether there is a partner at all.
		if !(i > 0 && s.mmr-byMMR[i-1].mmr <= s.window) && !(i+1 < len(byMMR) && byMMR[i+1].mmr-s.mmr <= s.window) {
			continue
		}
		var partner *side
		from := sort.Search(len(byMMR), func(j int) bool { return s.mmr-byMMR[j].mmr <= s.window })
		for _, o := range byMMR[from:] {
			if o.mmr-s.mmr > s.window {
				break
			}
			if o != s && (partner == nil || o.place < partner.place) {
				partner = o
			}
		}
		return s, partner
	}
	return nil, nil
}
