package sockets

import (
	"net/http"

	"uniqverse/hub"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

// StreamIn is what the event stream of a room takes.
type StreamIn struct {
	ID int64 `path:"id" doc:"the room's id"`
	web.Since
}

// RoomEvents answers GET /rooms/{id}/events.
func (s *Server) RoomEvents(c *web.Call, w http.ResponseWriter, in StreamIn) error {
	if _, err := s.opts.Enter(c.Context(), c.Caller, in.ID); err != nil {
		return err
	}
	hears := s.hears(c)
	return s.stream(c, w, in.Since, func(m hub.Message) bool { return m.Room == in.ID && hears(m) })
}

// Events answers GET /events: all rooms, and the tickets that the caller may see.
func (s *Server) Events(c *web.Call, w http.ResponseWriter, in web.Since) error {
	return s.stream(c, w, in, s.hears(c))
}

// hears returns what decides whether an event is for the caller. It remembers which rooms they may
// read until an event says otherwise, so it belongs to one stream, and to one goroutine.
func (s *Server) hears(c *web.Call) func(hub.Message) bool {
	const nowhere = -1
	from := map[int64]int64{} // the seq after which they may hear a room; nowhere for one that is not theirs
	return func(m hub.Message) bool {
		if m.Room == 0 {
			// A ticket is between its requester and the agents.
			return m.User == "" || m.User == c.Caller.User || c.Caller.Has("ticket.manage") || m.Type == event.ModerationActioned && c.Caller.Has("chat.moderate")
		}
		since, known := from[m.Room]
		if known && s.opts.Concerns(m.Event, c.Caller.ID) {
			delete(from, m.Room) // this they still hear, if they heard the room
			known = since != nowhere
		}
		if !known {
			entry, err := s.opts.Enter(c.Context(), c.Caller, m.Room)
			switch {
			case errs.Is(err, errs.NotFound):
				since = nowhere
			case err != nil: // a ban that may end
				return false
			default:
				since = entry.Since
			}
			if len(from) >= 4096 {
				clear(from)
			}
			from[m.Room] = since
		}
		return since != nowhere && (m.Seq == 0 || m.Seq > since)
	}
}

func (s *Server) stream(c *web.Call, w http.ResponseWriter, since web.Since, keep func(hub.Message) bool) error {
	pos, err := since.Position(c.Request)
	if err != nil {
		return err
	}
	sub, err := s.opts.Hub.Subscribe(c.Context(), event.StreamChat, pos)
	if err != nil {
		return err
	}
	defer sub.Close()
	return c.ServeEvents(w, sub, pos != nil, keep)
}
