package chat

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/live"
)

// heard closes the sockets of whom an event takes out of its room.
func (s *Service) heard(ev event.Event) {
	if user, code, why := removed(ev.Type, ev.Payload); user != 0 {
		s.seats.Close(live.Seat{Room: ev.Room, User: user}, code, why)
	}
}

type socketIn struct {
	Room  int64  `path:"id" doc:"the room's id"`
	After *int64 `json:"after,omitempty" min:"0" doc:"the last seq seen; replays what came after it. Without it only new events come"`
	Epoch string `json:"epoch,omitempty" max:"64" doc:"the epoch in which that seq was seen"`
}

// Check refuses an epoch that belongs to no position.
func (in *socketIn) Check() error {
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

// socket answers GET /ws/rooms/{id}. What is committed before the room is looked up is past,
// what comes later is new: no line lies between the two.
func (s *Service) socket(c *web.Call, w http.ResponseWriter, in socketIn) error {
	room, st, err := s.readable(c.Context(), c.Caller, in.Room)
	if err != nil {
		return err
	}
	epoch := s.opts.Hub.Epoch()
	after, lost := room.Head, false
	if in.After != nil {
		lost = in.Epoch != "" && in.Epoch != epoch || *in.After > room.Head
		if !lost {
			after = max(*in.After, seenFrom(c.Caller, st))
		}
	}
	release, err := s.sockets.Take(c.Caller)
	if err != nil {
		return err
	}
	topic, err := s.relay.Join(c.Context(), room.ID)
	if err != nil {
		release()
		return err
	}
	leave := func() {
		s.relay.Leave(room.ID)
		release()
	}
	conn, err := s.edge.Upgrade(w, c.Request, ws.Options{Origin: c.MayOpenSocket, ReadLimit: 4096})
	if err != nil {
		leave()
		if errors.Is(err, ws.ErrGone) {
			return nil
		}
		return err
	}
	at := live.Seat{Room: room.ID, User: c.Caller.ID}
	stand, came := s.seats.Take(at, conn, callerHandle(c.Caller), audience(room))
	conn.Start(ws.ListenOnly(conn, "send lines with POST /rooms/{id}/messages"), func(ws.Code, string) {
		stand()
		leave()
	})
	if _, _, err := s.readable(c.Context(), c.Caller, room.ID); err != nil { // taken out before the socket had its seat
		conn.Close(ws.PermissionDenied, detail(err))
		return nil
	}
	if came {
		s.tell(c.Context(), at, callerHandle(c.Caller), audience(room), live.Online)
	}
	if lost {
		frame, _ := json.Marshal(lostPlace{Type: "recovered", RoomID: room.ID, Epoch: epoch, Head: room.Head}) // plain values: cannot fail
		if conn.Send(c.Context(), frame) != nil {
			return nil
		}
	}
	if err := s.play(c.Context(), conn, topic, room.ID, after); err != nil {
		if c.Context().Err() == nil && !errors.Is(err, ws.ErrGone) {
			c.Log.Error("a socket's replay failed", "room", room.ID, "err", err.Error())
		}
		conn.Close(ws.ServerError, "the room's history cannot be read; try again")
	}
	return nil
}

// play sends the log after a seq and then lets the live events follow from exactly there. Most
// of a long history is sent before the socket takes its place in the topic, whose window is bounded.
func (s *Service) play(ctx context.Context, conn *ws.Conn, topic *ws.Topic, room, after int64) error {
	var err error
	for topic.Last()-after > live.LogPage {
		if after, err = s.replay(ctx, conn, room, after, topic.Last()); err != nil {
			return err
		}
	}
	sub := topic.Attach(conn)
	if after < sub.Seq() {
		if after, err = s.replay(ctx, conn, room, after, sub.Seq()); err != nil {
			return err
		}
	}
	sub.Resume(after)
	return nil
}

// replay sends the events with after < seq <= upTo and returns upTo.
func (s *Service) replay(ctx context.Context, conn *ws.Conn, room, after, upTo int64) (int64, error) {
	for after < upTo {
		rows, err := s.relay.Events(ctx, room, after, upTo)
		if err != nil {
			return after, err
		}
		for _, row := range rows {
			if row.Seq != after+1 {
				return after, errs.New(errs.Internal, "the log of room %d has no event %d", room, after+1)
			}
			if err := conn.Send(ctx, event.Encode(row.Event, row.ID, s.opts.Hub.Epoch())); err != nil {
				return after, err
			}
			after = row.Seq
		}
		if len(rows) == 0 {
			return after, errs.New(errs.Internal, "the log of room %d ends at %d, before event %d that was published", room, after, upTo)
		}
	}
	return after, nil
}
