package sockets

import (
	"context"
	"sync"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/live"
	"uniqverse/services/chat/pace"
)

// Session is one connection with many rooms, whatever protocol it speaks. Make one with NewSession and give End to
// the connection as its onClose. Visitor, Welcome and Renew are for onMessage alone.
type Session struct {
	Conn    *ws.Conn
	Ctx     context.Context // ends with the connection
	Visitor *web.Visitor

	srv     *Server
	cancel  context.CancelFunc
	bye     func()            // not nil once Welcome let the visitor in
	follows map[string]func() // what leaves each channel; for onMessage and onClose

	mu      sync.Mutex // guards what follows
	places  map[int64]*Place
	over    bool
	plays   []func() // replays that wait
	playing bool
	player  sync.WaitGroup
}

// NewSession returns the session of a connection whose visitor was not let in yet.
func (s *Server) NewSession(conn *ws.Conn, v *web.Visitor) *Session {
	ctx, cancel := context.WithCancel(context.Background())
	return &Session{Conn: conn, Ctx: ctx, Visitor: v, srv: s, cancel: cancel, places: map[int64]*Place{}}
}

// End leaves all rooms and waits for replays that run.
func (x *Session) End(ws.Code, string) {
	x.cancel()
	x.mu.Lock()
	x.over = true
	left := x.places
	x.places = nil
	x.mu.Unlock()
	for _, p := range left {
		p.Leave()
	}
	for _, leave := range x.follows {
		leave()
	}
	if x.bye != nil {
		x.bye()
	}
	x.player.Wait()
}

// Welcomed reports whether the visitor was let in.
func (x *Session) Welcomed() bool { return x.bye != nil }

// Welcome lets the visitor in, as Server.Welcome.
func (x *Session) Welcome(token string) *Refusal {
	v, bye, no := x.srv.Welcome(x.Ctx, x.Conn, x.Visitor, token)
	if no == nil {
		x.Visitor, x.bye = v, bye
	}
	return no
}

// Renew takes a new token of the same visitor.
func (x *Session) Renew(token string) error {
	v, err := x.srv.Renew(x.Ctx, x.Conn, x.Visitor, token)
	if err == nil {
		x.Visitor = v
	}
	return err
}

// MayJoin counts a room that is entered anew against the limit of a minute.
func (x *Session) MayJoin() error {
	c := x.Visitor.Caller
	if c.Unlimited() {
		return nil
	}
	joins := float64(x.srv.Limits().Joins)
	if wait := x.srv.joins.Take(pace.Key{User: c.ID}, joins/60, joins, x.srv.opts.Now()); wait > 0 {
		return errs.Limit(wait, "too_many_joins: %d rooms a minute are the most", int(joins))
	}
	return nil
}

// Enter takes a place in a room, whose events come once it is played. out is called when the visitor is taken out of
// the room. A connection that went meanwhile is ws.ErrGone.
func (x *Session) Enter(room int64, form live.Form, out func(code ws.Code, why string)) (*Place, error) {
	if err := x.mayEnter(room); err != nil {
		return nil, err
	}
	p, err := x.srv.Sit(x.Ctx, x.Visitor.Caller, x.Conn, room, form, func(code ws.Code, why string) {
		if x.forget(room) {
			out(code, why)
		}
	})
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	over := x.over
	if !over {
		x.places[room] = p
	}
	x.mu.Unlock()
	if over {
		p.Leave()
		return nil, ws.ErrGone
	}
	if p.Left() && x.forget(room) { // this very moment
		return nil, errs.New(errs.Denied, "you were taken out of this room")
	}
	return p, nil
}

func (x *Session) mayEnter(room int64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.places[room] != nil {
		return errs.New(errs.Conflict, "this connection has the room already; leave it first to take it from another place")
	}
	if most := x.srv.Limits().Rooms; len(x.places) >= most {
		return errs.New(errs.Conflict, "too_many_rooms: a connection has at most %d; leave one, or open another connection", most)
	}
	return nil
}

// forget takes a room off the list; false when it was not there.
func (x *Session) forget(room int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, had := x.places[room]
	delete(x.places, room)
	return had
}

// Leave gives a place back on the client's own wish; false when there was none.
func (x *Session) Leave(room int64) bool {
	x.mu.Lock()
	p := x.places[room]
	delete(x.places, room)
	x.mu.Unlock()
	if p != nil {
		p.Leave()
	}
	return p != nil
}

// Play runs f after what waits already, on a goroutine of the session: replays take as long as the client reads.
func (x *Session) Play(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	x.plays = append(x.plays, f)
	if !x.playing {
		x.playing = true
		x.player.Go(x.playAll)
	}
}

func (x *Session) playAll() {
	for {
		x.mu.Lock()
		if len(x.plays) == 0 || x.over {
			x.plays, x.playing = nil, false
			x.mu.Unlock()
			return
		}
		f := x.plays[0]
		x.plays = x.plays[1:]
		x.mu.Unlock()
		f()
	}
}
