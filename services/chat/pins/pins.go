// Package pins is the lines that a room holds up: put there and taken down by who the room's permissions name, at most
// fifty, the newest first. The room's log tells of it (chat.room.updated with pinned or unpinned). A line
// that is taken away is pinned no more.
//
// A Service is safe for concurrent use.
package pins

import (
	"context"
	"fmt"
	"net/http"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/services/chat/people"
)

// most is how many lines a room holds up.
const most = 50

// Pin is a line that is held up.
type Pin struct {
	chat.Line
	By people.Person
	At api.Time
}

// Store is what pins ask of the store.
type Store interface {
	web.Transactor[Tx]
	// Pins returns what a room holds up, the last pinned first: lines with a seq above since.
	Pins(ctx context.Context, room, since int64) ([]Pin, error)
}

// Tx changes pins inside one transaction.
type Tx interface {
	chat.Tx
	// Pinned returns how many lines the room holds up, and whether this is one of them.
	Pinned(room, message int64) (n int, is bool, err error)
	Pin(room, message int64, by people.Person) error
	Unpin(room, message int64) error
}

// Service is the pins of chat. Make one with New.
type Service struct {
	store Store
	rooms *chat.Service
}

// New returns a service that serves.
func New(store Store, rooms *chat.Service) *Service { return &Service{store, rooms} }

// Endpoints are the routes of pins.
func (s *Service) Endpoints() []web.Endpoint {
	read, write := web.Needs("chat.read"), web.Needs("chat.write")
	to := func(c *web.Call, _ any) string { return fmt.Sprintf("/rooms/%s", c.Request.PathValue("id")) }
	return []web.Endpoint{
		web.View("/rooms/{id}/pins", read, "Lines that the room holds up", s.page),
		web.Query(http.MethodGet, "/rooms/{id}/pins", read, "Lines that the room holds up, the last pinned first", s.list),
		web.Command(http.MethodPut, "/rooms/{id}/pins/{mid}", write, "Hold a line up", s.store, s.pin),
		web.Command(http.MethodDelete, "/rooms/{id}/pins/{mid}", write, "Hold a line up no more", s.store, s.unpin),
		web.Command(http.MethodPost, "/rooms/{id}/messages/{mid}/pin", write, "As PUT of a pin, for forms", s.store, s.pin).Redirect(to),
		web.Command(http.MethodPost, "/rooms/{id}/messages/{mid}/unpin", write, "As DELETE of a pin, for forms", s.store, s.unpin).
			Redirect(func(c *web.Call, out any) string { return to(c, out) + "/pins" }),
	}
}

type roomIn struct {
	Room int64 `path:"id" doc:"the room's id"`
}

func (s *Service) list(c *web.Call, in roomIn) ([]api.ChatPin, error) {
	since, err := s.rooms.Reader(c.Context(), c.Caller, in.Room)
	if err != nil {
		return nil, err
	}
	pins, err := s.store.Pins(c.Context(), in.Room, since)
	if err != nil {
		return nil, err
	}
	lines := make([]chat.Line, len(pins))
	for i, p := range pins {
		lines[i] = p.Line
	}
	shown, err := s.rooms.Shown(c, lines)
	if err != nil {
		return nil, err
	}
	out := make([]api.ChatPin, len(pins))
	for i, p := range pins {
		out[i] = api.ChatPin{Message: shown[i], ByID: p.By.ID, ByHandle: p.By.Handle, PinnedAt: p.At}
	}
	return out, nil
}

type pinIn struct {
	Room int64 `path:"id" doc:"the room's id"`
	Line int64 `path:"mid" doc:"the line's id"`
}

// pinned is what chat.room.updated says of a pin.
type pinned struct {
	Kind     string `json:"kind"`
	Pinned   int64  `json:"pinned,omitempty"`   // id of the line
	Unpinned int64  `json:"unpinned,omitempty"` // id of the line
	By       int64  `json:"by"`
}

func (s *Service) pin(c *web.Call, tx Tx, in pinIn) (api.OK, error) {
	room, line, err := s.may(c, tx, in)
	if err != nil {
		return api.OK{}, err
	}
	n, is, err := tx.Pinned(room.ID, line.ID)
	switch {
	case err != nil || is:
		return api.OK{OK: true}, err
	case line.Deleted:
		return api.OK{}, errs.New(errs.Conflict, "the line was taken away")
	case n >= most:
		return api.OK{}, errs.New(errs.Conflict, "the room holds up %d lines, which is the most; take one down first", n)
	}
	if err := tx.Pin(room.ID, line.ID, people.Caller(c.Caller)); err != nil {
		return api.OK{}, err
	}
	return api.OK{OK: true}, s.rooms.Log(c, tx, room, event.ChatRoomUpdated, pinned{Kind: room.Kind, Pinned: line.ID, By: c.Caller.ID})
}

func (s *Service) unpin(c *web.Call, tx Tx, in pinIn) (api.OK, error) {
	room, line, err := s.may(c, tx, in)
	if err != nil {
		return api.OK{}, err
	}
	if _, is, err := tx.Pinned(room.ID, line.ID); err != nil || !is {
		return api.OK{OK: true}, err
	}
	if err := tx.Unpin(room.ID, line.ID); err != nil {
		return api.OK{}, err
	}
	return api.OK{OK: true}, s.rooms.Log(c, tx, room, event.ChatRoomUpdated, pinned{Kind: room.Kind, Unpinned: line.ID, By: c.Caller.ID})
}

// may returns the room and the line for who may pin there.
func (s *Service) may(c *web.Call, tx Tx, in pinIn) (chat.Room, chat.Line, error) {
	room, st, err := chat.Entered(c.Caller, tx, in.Room)
	if err != nil {
		return room, chat.Line{}, err
	}
	line, err := tx.Message(room.ID, in.Line)
	switch {
	case err != nil:
		return room, line, err
	case line.Seq <= chat.SeenFrom(c.Caller, st):
		return room, line, errs.New(errs.NotFound, "there is no such line in this room")
	case !chat.Holds(room.Permissions().Pin, c.Caller, st):
		return room, line, errs.New(errs.Denied, "only %s pin lines in this room", room.Permissions().Pin)
	}
	return room, line, chat.MayWrite(c.Caller, room, st, tx.Now())
}
