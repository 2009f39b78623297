package sockets

import (
	"context"
	"slices"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat/live"
)

// ShownOnline is how many people who are online are named; more are a number.
const ShownOnline = 100

const leaveGrace = 10 * time.Second // a page that is loaded again has not left

// Tell publishes where somebody is or what they do; nobody keeps it.
func (s *Server) Tell(ctx context.Context, at live.Seat, handle, audience, state string) {
	ev, err := event.New(event.ChatPresence, s.opts.Now(), event.TraceOf(ctx), live.Presence{UserID: at.User, Handle: handle, State: state})
	if err == nil {
		ev.Room, ev.User, ev.Ephemeral = at.Room, audience, true
		_, err = s.opts.Hub.Publish(ctx, event.StreamChat, ev)
	}
	if err != nil && ctx.Err() == nil {
		s.opts.Logger.Warn("chat: who is there could not be told", "err", err)
	}
}

// watch tells of those who left, once they did not come back in time, and asks again who is there, until ctx ends.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for slot := 0; ; slot = (slot + 1) % guestSlots {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.guests.askAgain(ctx, slot)
		for at, p := range s.seats.Gone(s.opts.Now().Add(-leaveGrace)) {
			s.Tell(ctx, at, p.Handle, p.Audience, live.Offline)
		}
	}
}

// Online is who is in a room now, in the order of their ids.
func (s *Server) Online(room int64) api.ChatPresence {
	all := s.seats.In(room)
	out := api.ChatPresence{Online: len(all), Users: []api.ChatPresentOne{}}
	if len(all) > ShownOnline {
		return out
	}
	for _, p := range all {
		out.Users = append(out.Users, api.ChatPresentOne{UserID: p.UserID, Handle: p.Handle, State: p.State})
	}
	slices.SortFunc(out.Users, func(a, b api.ChatPresentOne) int { return int(a.UserID - b.UserID) })
	return out
}

// Away says in all rooms where a user is that they are away, or back.
func (s *Server) Away(ctx context.Context, user int64, away bool) {
	state := live.Online
	if away {
		state = live.Away
	}
	for at, p := range s.seats.SetAway(user, away) {
		s.Tell(ctx, at, p.Handle, p.Audience, state)
	}
}

// Sitting is how many sockets of people are in a room now.
func (s *Server) Sitting(room int64) int { return s.seats.Sockets(room) }

// StateIn is what somebody says of where they are.
type StateIn struct {
	State string `json:"state" web:"required" doc:"online or away"`
}

// SetState says in all rooms where the caller has a socket that they are away, or back. Who leaves is offline by themselves.
func (s *Server) SetState(c *web.Call, in StateIn) (api.OK, error) {
	if in.State != live.Online && in.State != live.Away {
		return api.OK{}, errs.BadField("state", "must be online or away")
	}
	if c.Caller.ID == 0 {
		return api.OK{}, errs.New(errs.Denied, "a service is in no room")
	}
	s.Away(c.Context(), c.Caller.ID, in.State == live.Away)
	return api.OK{OK: true}, nil
}
