package game

import (
	"errors"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/game/matchmaking"
)

type enqueueIn struct {
	UserID  userID  `json:"user_id,omitempty" doc:"who waits; the caller when a user leaves it out"`
	MMR     float64 `json:"mmr" web:"required" min:"-1000000" max:"1000000" doc:"the player's rating"`
	Mode    string  `json:"mode" web:"required"`
	Region  string  `json:"region" web:"required"`
	PartyID string  `json:"party_id,omitempty" doc:"those who wait with the same party are one side"`
}

// Check cleans the names.
func (in *enqueueIn) Check() error {
	all := []named{{"mode", &in.Mode}, {"region", &in.Region}}
	if in.PartyID = strings.TrimSpace(in.PartyID); in.PartyID != "" {
		all = append(all, named{"party_id", &in.PartyID})
	}
	return cleanNames(all...)
}

func (s *Service) enqueue(c *web.Call, tx Tx, in enqueueIn) (api.GameTicket, error) {
	user, err := s.player(c, in.UserID)
	if err != nil {
		return api.GameTicket{}, err
	}
	t, waits, err := tx.Ticket(user)
	if err != nil {
		return api.GameTicket{}, err
	}
	if waits && t.Mode == in.Mode && t.Region == in.Region && t.PartyID == in.PartyID {
		t.MMR = in.MMR
		err = tx.SetMMR(t.ID, t.MMR)
	} else {
		if waits {
			if _, err := tx.TakeTicket(t.ID); err != nil {
				return api.GameTicket{}, err
			}
		}
		t = matchmaking.Ticket{UserID: user, MMR: in.MMR, Mode: in.Mode, Region: in.Region, PartyID: in.PartyID, QueuedAt: tx.Now()}
		_, err = tx.AddTicket(t)
	}
	if err != nil {
		return api.GameTicket{}, err
	}
	return api.GameTicket{Queued: true, AlreadyQueued: waits, UserID: user, MMR: t.MMR, Mode: t.Mode, Region: t.Region, PartyID: t.PartyID, QueuedAt: api.TimeOf(t.QueuedAt)}, nil
}

type dequeueIn struct {
	UserID userID `json:"user_id,omitempty" doc:"who waits no more; the caller when a user leaves it out"`
}

func (s *Service) dequeue(c *web.Call, tx Tx, in dequeueIn) (api.GameDequeued, error) {
	user, err := s.player(c, in.UserID)
	if err != nil {
		return api.GameDequeued{}, err
	}
	t, waits, err := tx.Ticket(user)
	if err != nil || !waits {
		return api.GameDequeued{}, err
	}
	removed, err := tx.TakeTicket(t.ID)
	return api.GameDequeued{Removed: removed}, err
}

type matchIn struct {
	Mode   string `json:"mode,omitempty" max:"64" doc:"only in this mode"`
	Region string `json:"region,omitempty" max:"64" doc:"only in this region"`
}

// errTaken says that a match was found whose players are no longer all there.
var errTaken = errors.New("a ticket is gone")

// matchFound is the payload of game.match.found.
type matchFound struct {
	MatchID int64      `json:"match_id"`
	Mode    string     `json:"mode"`
	Region  string     `json:"region"`
	Players []string   `json:"players"`
	Teams   [][]string `json:"teams"`
}

// match looks for the next match among the readers, where a long queue holds nobody up, and
// takes it in a transaction. Where somebody was quicker, it looks again inside of it.
func (s *Service) match(c *web.Call, in matchIn) (any, error) {
	tickets, err := s.store.Tickets(c.Context(), in.Mode, in.Region)
	if err != nil {
		return nil, err
	}
	m, found := matchmaking.Find(tickets, s.opts.Now())
	out, err := web.Update(c, in, s.store, func(tx Tx) (api.GameMatch, error) { return s.take(c, tx, m, found) })
	if !errors.Is(err, errTaken) {
		return out, err
	}
	return web.Update(c, in, s.store, func(tx Tx) (api.GameMatch, error) {
		tickets, err := tx.Tickets(in.Mode, in.Region)
		if err != nil {
			return api.GameMatch{}, err
		}
		m, found := matchmaking.Find(tickets, tx.Now())
		return s.take(c, tx, m, found)
	})
}

// take makes the match true: its players are out of the queue, it is stored, and it is told.
func (s *Service) take(c *web.Call, tx Tx, m matchmaking.Match, found bool) (api.GameMatch, error) {
	out := api.GameMatch{Found: found, Players: []string{}, Teams: [][]string{}}
	if !found {
		return out, nil
	}
	for _, team := range m.Teams {
		var users []string
		for _, t := range team {
			ok, err := tx.TakeTicket(t.ID)
			if err != nil {
				return out, err
			}
			if !ok {
				return out, errTaken
			}
			users = append(users, t.UserID)
		}
		out.Players = append(out.Players, users...)
		out.Teams = append(out.Teams, users)
	}
	id, err := tx.AddMatch(m)
	if err != nil {
		return out, err
	}
	out.MatchID, out.Mode, out.Region = &id, m.Mode, m.Region
	ev, err := c.Event(event.GameMatchFound, matchFound{MatchID: id, Mode: m.Mode, Region: m.Region, Players: out.Players, Teams: out.Teams})
	if err != nil {
		return out, errs.Wrap(errs.Internal, err, "the match could not be told")
	}
	tx.Emit(event.StreamGame, ev)
	return out, nil
}
