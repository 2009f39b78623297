package sockets

import (
	"encoding/json"
	"errors"
	"net/http"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/live"
)

// PlainIn is what the plain socket of a room takes.
type PlainIn struct {
	Room  int64  `path:"id" doc:"the room's id"`
	After *int64 `json:"after,omitempty" min:"0" doc:"the last seq seen; replays what came after it. Without it only new events come"`
	Epoch string `json:"epoch,omitempty" max:"64" doc:"the epoch in which that seq was seen"`
}

// Check refuses an epoch that belongs to no position.
func (in *PlainIn) Check() error {
	if in.Epoch != "" && in.After == nil {
		return errs.BadField("epoch", "goes with after=<seq>; leave it out to get only new events")
	}
	return nil
}

// lostPlace is the frame that tells a client to load the room again.
type lostPlace struct {
	Type      string `json:"type"` // "recovered"
	Recovered bool   `json:"recovered"`
	RoomID    int64  `json:"room_id"`
	Epoch     string `json:"epoch"`
	Head      int64  `json:"head"` // seq of the newest event when the client came
}

// Plain answers GET /ws/rooms/{id}. What is committed before the room is looked up is past,
// what comes later is new: no line lies between the two.
func (s *Server) Plain(c *web.Call, w http.ResponseWriter, in PlainIn) error {
	entry, err := s.opts.Enter(c.Context(), c.Caller, in.Room)
	if err != nil {
		return err
	}
	release, err := s.quota.Take(c.Caller)
	if err != nil {
		return err
	}
	topic, err := s.relay.Join(c.Context(), in.Room, live.Plain())
	if err != nil {
		release()
		return err
	}
	conn, err := s.edge.Upgrade(w, c.Request, ws.Options{Origin: c.MayOpenSocket, ReadLimit: 4096, Expires: c.Caller.Expires})
	if err != nil {
		s.relay.Leave(in.Room)
		release()
		if errors.Is(err, ws.ErrGone) {
			return nil
		}
		return err
	}
	forget := s.guests.add(conn, c.Visitor())
	p := s.seat(c.Context(), c.Caller, conn, in.Room, topic, entry, conn.Close)
	conn.Start(ws.ListenOnly(conn, "send lines with POST /rooms/{id}/messages"), func(ws.Code, string) {
		forget()
		p.Leave()
		release()
	})
	if _, err := s.opts.Enter(c.Context(), c.Caller, in.Room); err != nil { // taken out before the socket had its seat
		conn.Close(ws.PermissionDenied, Reason(err))
		return nil
	}
	from, lost := p.From(in.After, in.Epoch)
	if lost {
		frame, _ := json.Marshal(lostPlace{Type: "recovered", RoomID: in.Room, Epoch: s.Epoch(), Head: p.Head}) // plain values: cannot fail
		if conn.Send(c.Context(), frame) != nil {
			return nil
		}
	}
	p.Play(c.Context(), from, func(row live.Logged) error { return conn.Send(c.Context(), s.Encode(row)) })
	return nil
}

// Reason is the sentence of an error for the one who made the call.
func Reason(err error) string {
	var e *errs.Error
	if !errors.As(err, &e) {
		return "this did not work; try again"
	}
	return e.Detail
}
