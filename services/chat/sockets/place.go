package sockets

import (
	"context"
	"errors"
	"sync"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/live"
)

// Place is one connection's place in one room.
type Place struct {
	Entry
	Room int64

	srv   *Server
	conn  *ws.Conn
	topic *ws.Topic
	stand func()
	once  sync.Once

	mu   sync.Mutex // guards what follows
	sub  *ws.Sub    // nil before the live events begin
	gone bool
}

// Sit takes a place in a room for a connection; Leave must follow, also when the connection ends. out is called
// once, on whatever goroutine, when the caller must go: the place is then left already.
func (s *Server) Sit(ctx context.Context, c web.Caller, conn *ws.Conn, room int64, form live.Form, out func(ws.Code, string)) (*Place, error) {
	entry, err := s.opts.Enter(ctx, c, room)
	if err != nil {
		return nil, err
	}
	topic, err := s.relay.Join(ctx, room, form)
	if err != nil {
		return nil, err
	}
	p := s.seat(ctx, c, conn, room, topic, entry, out)
	if _, err := s.opts.Enter(ctx, c, room); err != nil { // taken out before there was a seat
		p.Leave()
		return nil, err
	}
	return p, nil
}

// seat takes the seat in a room that was joined already.
func (s *Server) seat(ctx context.Context, c web.Caller, conn *ws.Conn, room int64, topic *ws.Topic, entry Entry, out func(ws.Code, string)) *Place {
	p := &Place{Entry: entry, Room: room, srv: s, conn: conn, topic: topic}
	at := live.Seat{Room: room, User: c.ID}
	stand, came := s.seats.Take(at, func(code ws.Code, why string) {
		p.Leave()
		out(code, why)
	}, Handle(c), entry.Audience)
	p.mu.Lock()
	p.stand = stand
	gone := p.gone
	p.mu.Unlock()
	if gone { // taken out this very moment
		stand()
	} else if came {
		s.Tell(ctx, at, Handle(c), entry.Audience, live.Online)
	}
	return p
}

// From says where a client begins that saw a seq in an epoch: nil is one that wants only what is new. lost is
// true when nobody can say what it missed; it then begins at the room's newest event.
func (p *Place) From(after *int64, epoch string) (from int64, lost bool) {
	if after == nil {
		return p.Head, false
	}
	from = max(*after, p.Since)
	if epoch != "" && epoch != p.srv.Epoch() || *after > p.Head || from < p.Horizon {
		return p.Head, true
	}
	return from, false
}

// Leave gives the place back; nothing of the room is written any more. It may be called more than once.
func (p *Place) Leave() {
	p.once.Do(func() {
		p.mu.Lock()
		p.gone = true
		sub, stand := p.sub, p.stand
		p.mu.Unlock()
		if sub != nil {
			sub.Detach()
		}
		if stand != nil {
			stand()
		}
		p.srv.relay.Leave(p.Room)
	})
}

// Left reports whether the place was left, or taken.
func (p *Place) Left() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// errLeft ends a replay to a place that was left.
var errLeft = errors.New("sockets: the place was left")

// Play sends the log after a seq through send and then lets the live events follow from exactly there. Most
// of a long history is sent before the place is live, for the window of a topic is bounded. A connection
// that went, or a place that was left, is no error; any other closes the connection with 3004.
func (p *Place) Play(ctx context.Context, after int64, send func(live.Logged) error) error {
	err := p.play(ctx, after, send)
	switch {
	case err == nil || errors.Is(err, errLeft) || errors.Is(err, ws.ErrGone) || ctx.Err() != nil:
		return nil
	}
	p.srv.opts.Logger.Error("a socket's replay failed", "room", p.Room, "err", err.Error())
	p.conn.Close(ws.ServerError, "the room's history cannot be read; try again")
	return err
}

func (p *Place) play(ctx context.Context, after int64, send func(live.Logged) error) error {
	var err error
	for p.topic.Last()-after > live.LogPage {
		if after, err = p.replay(ctx, after, p.topic.Last(), send); err != nil {
			return err
		}
	}
	sub := p.Hold()
	if sub == nil {
		return errLeft
	}
	if after < sub.Seq() {
		if after, err = p.replay(ctx, after, sub.Seq(), send); err != nil {
			return err
		}
	}
	sub.Resume(after)
	return nil
}

// First reads the first events after a seq that were published, at most so many and, but for the first, so many bytes.
func (p *Place) First(ctx context.Context, after int64, most, size int) ([]live.Logged, error) {
	upTo := min(p.topic.Last(), after+int64(most))
	if after >= upTo {
		return nil, nil
	}
	rows, err := p.srv.relay.Events(ctx, p.Room, after, upTo)
	for i, row := range rows {
		if row.Seq != after+int64(i)+1 {
			return nil, errs.New(errs.Internal, "the log of room %d has no event %d", p.Room, after+int64(i)+1)
		}
		if size -= len(row.Payload) + 200; size < 0 && i > 0 {
			return rows[:i], err
		}
	}
	return rows, err
}

// History reads the events with after < seq <= upTo of a room that the caller may read, at most live.LogPage: span
// says which, given the seq before the first that is there for them and the newest.
func (s *Server) History(ctx context.Context, c web.Caller, room int64, span func(floor, head int64) (after, upTo int64)) (rows []live.Logged, head int64, err error) {
	entry, err := s.opts.Enter(ctx, c, room)
	if err != nil {
		return nil, 0, err
	}
	topic, err := s.relay.Join(ctx, room, live.Plain())
	if err != nil {
		return nil, 0, err
	}
	defer s.relay.Leave(room)
	head = topic.Last()
	floor := max(entry.Since, entry.Horizon)
	after, upTo := span(floor, head)
	if after = max(after, floor); after < upTo {
		rows, err = s.relay.Events(ctx, room, after, upTo)
	}
	return rows, head, err
}

// Hold begins to keep the live events for the place, without sending any; nil when the place was left.
func (p *Place) Hold() *ws.Sub {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return nil
	}
	if p.sub == nil {
		p.sub = p.topic.Attach(p.conn)
	}
	return p.sub
}

// replay sends the events with after < seq <= upTo and returns upTo.
func (p *Place) replay(ctx context.Context, after, upTo int64, send func(live.Logged) error) (int64, error) {
	for after < upTo {
		rows, err := p.srv.relay.Events(ctx, p.Room, after, upTo)
		if err != nil {
			return after, err
		}
		for _, row := range rows {
			if row.Seq != after+1 {
				return after, errs.New(errs.Internal, "the log of room %d has no event %d", p.Room, after+1)
			}
			if p.Left() {
				return after, errLeft
			}
			if err := send(row); err != nil {
				return after, err
			}
			after = row.Seq
		}
		if len(rows) == 0 {
			return after, errs.New(errs.Internal, "the log of room %d ends at %d, before event %d that was published", p.Room, after, upTo)
		}
	}
	return after, nil
}

// Encode is an event of the log as a live one looks.
func (s *Server) Encode(row live.Logged) []byte {
	if row.Data != nil {
		return row.Data
	}
	return event.Encode(row.Event, row.ID, s.Epoch())
}

// Handle is how a caller is called in rooms.
func Handle(c web.Caller) string {
	if c.User == "" {
		return "@" + c.Server
	}
	return "@" + c.User
}
