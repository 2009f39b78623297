package chat

import (
	"context"
	"fmt"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat/sockets"
)

// The roles of members, the highest first.
const (
	RoleOwner     = "owner"
	RoleModerator = "moderator"
	RoleMember    = "member"
	RoleGuest     = "guest"
)

// rank orders the roles; nobody's is 0.
func rank(role string) int {
	switch role {
	case RoleOwner:
		return 4
	case RoleModerator:
		return 3
	case RoleMember:
		return 2
	case RoleGuest:
		return 1
	}
	return 0
}

// Viewer is somebody who looks for rooms; those that they may not read are not there for them.
type Viewer struct {
	User int64 // 0 for a service
	All  bool  // sees every room
	Desk bool  // sees rooms of kind support
}

func viewer(c web.Caller) Viewer {
	return Viewer{User: c.ID, All: c.Has(actForOthers), Desk: c.Has("ticket.manage")}
}

// ViewerOf is a caller as one who looks for rooms; for what stands beside rooms.
func ViewerOf(c web.Caller) Viewer { return viewer(c) }

// Sanction is a ban or a mute; the zero value is none.
type Sanction struct {
	On    bool
	Until api.Time // 0 is for good
}

// holds reports whether the sanction is in force.
func (s Sanction) holds(now time.Time) bool {
	return s.On && (s.Until == 0 || s.Until.Time().After(now))
}

// String says how long it lasts.
func (s Sanction) String() string {
	if s.Until == 0 {
		return "for good"
	}
	return "until " + s.Until.String()
}

// Standing is one user's place in one room; the zero value is that of somebody unknown there.
type Standing struct {
	Role  string // "" for who is no member
	Since int64  // they see what has a higher seq
	Ban   Sanction
	Mute  Sanction
}

// private reports whether a room is for its members.
func (r Room) private() bool { return r.Kind != KindGlobal }

// mayRead is errs.NotFound for a room that the caller must not know of, and errs.Denied for who is banned.
func mayRead(c web.Caller, r Room, st Standing, now time.Time) error {
	switch {
	case r.DeletedAt != 0:
		return errs.New(errs.NotFound, "Room not found")
	case c.Has(actForOthers):
		return nil
	case st.Ban.holds(now):
		return errs.New(errs.Denied, "you are banned from this room %s", st.Ban)
	case !r.private() || st.Role != "" || r.Kind == KindSupport && c.Has("ticket.manage"):
		return nil
	}
	return errs.New(errs.NotFound, "Room not found")
}

// Banned reports whether a ban is in force.
func (st Standing) Banned(now time.Time) bool { return st.Ban.holds(now) }

// MayWrite says why the caller may not write in a room; nil when they may.
func MayWrite(c web.Caller, r Room, st Standing, now time.Time) error { return mayWrite(c, r, st, now) }

// mayWrite adds to mayRead who is muted and what is closed.
func mayWrite(c web.Caller, r Room, st Standing, now time.Time) error {
	if err := mayRead(c, r, st, now); err != nil {
		return err
	}
	if st.Mute.holds(now) && !c.Has(actForOthers) {
		return errs.New(errs.Denied, "you are muted in this room %s; you can read on", st.Mute)
	}
	if r.ArchivedAt != 0 {
		return errs.New(errs.Conflict, "the room is archived; nothing can be said in it until it is opened again")
	}
	return r.allows(c, st)
}

// seenFrom is the seq after which the caller sees a room's lines.
func seenFrom(c web.Caller, st Standing) int64 {
	if c.Has(actForOthers) {
		return 0
	}
	return st.Since
}

// moderates reports whether the caller keeps order in the room.
func moderates(c web.Caller, st Standing) bool {
	return c.Has(actForOthers) || rank(st.Role) >= rank(RoleModerator)
}

// readable returns the room and the caller's standing in it, or says why they may not read it.
func (s *Service) readable(ctx context.Context, c web.Caller, id int64) (Room, Standing, error) {
	room, st, err := s.store.Entry(ctx, id, c.ID)
	if err != nil {
		return Room{}, Standing{}, err
	}
	return room, st, mayRead(c, room, st, s.opts.Now())
}

// enter is readable for sockets.
func (s *Service) enter(ctx context.Context, c web.Caller, id int64) (sockets.Entry, error) {
	room, st, err := s.readable(ctx, c, id)
	return sockets.Entry{Head: room.Head, Since: seenFrom(c, st), Horizon: room.Horizon, Audience: audience(room)}, err
}

// Reader returns the seq after which the caller may read a room, or says why they may not; for what stands beside rooms.
func (s *Service) Reader(ctx context.Context, c web.Caller, room int64) (since int64, err error) {
	_, st, err := s.readable(ctx, c, room)
	return seenFrom(c, st), err
}

// Writer says why the caller may not say anything in a room; nil when they may.
func (s *Service) Writer(ctx context.Context, c web.Caller, room int64) error {
	r, st, err := s.readable(ctx, c, room)
	if err != nil {
		return err
	}
	return mayWrite(c, r, st, s.opts.Now())
}

// entered is readable inside a transaction, where the answer holds until its end.
func entered(c web.Caller, tx Tx, id int64) (Room, Standing, error) {
	room, st, err := tx.Entry(id, c.ID)
	if err != nil {
		return Room{}, Standing{}, err
	}
	return room, st, mayRead(c, room, st, tx.Now())
}

// Log gives an event its place in the room's order, writes it into the room's log and emits it; for what stands beside rooms.
func (s *Service) Log(c *web.Call, tx Tx, room Room, typ string, payload any) error {
	_, err := s.log(c, tx, room, typ, payload)
	return err
}

// Entered returns a room and the caller's standing in it inside a transaction, or says why they may not read it.
func Entered(c web.Caller, tx Tx, id int64) (Room, Standing, error) { return entered(c, tx, id) }

// Entered returns a room and the caller's standing in it, or says why they may not read it.
func (s *Service) Entered(ctx context.Context, c web.Caller, id int64) (Room, Standing, error) {
	return s.readable(ctx, c, id)
}

// Moderates reports whether the caller keeps order in the room.
func Moderates(c web.Caller, st Standing) bool { return moderates(c, st) }

// SeenFrom is the seq after which the caller sees a room's lines.
func SeenFrom(c web.Caller, st Standing) int64 { return seenFrom(c, st) }

// log gives an event its place in the room's order, writes it into the room's log and emits it.
func (s *Service) log(c *web.Call, tx Tx, room Room, typ string, payload any) (event.Event, error) {
	ev, err := c.Event(typ, payload)
	if err != nil {
		return ev, err
	}
	ev.Room, ev.At, ev.User = room.ID, tx.Now(), audience(room)
	if ev.Seq, err = tx.NextSeq(room.ID); err != nil {
		return ev, err
	}
	return ev, tx.Log(ev)
}

// audience is whom a room's events are for: everybody, or its people. The latter is no user's name.
func audience(r Room) string {
	if !r.private() {
		return ""
	}
	return fmt.Sprintf("room %d", r.ID)
}
