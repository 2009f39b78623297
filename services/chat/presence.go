package chat

import (
	"context"
	"slices"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat/live"
	"uniqverse/services/chat/pace"
)

const (
	leaveGrace  = 10 * time.Second // a page that is loaded again has not left
	typingEvery = 3.0              // seconds between two notices that somebody is typing
	shownOnline = 100              // more people than this are a number
)

// tell publishes where somebody is or what they do; nobody keeps it.
func (s *Service) tell(ctx context.Context, at live.Seat, handle, audience, state string) {
	ev, err := event.New(event.ChatPresence, s.opts.Now(), event.TraceOf(ctx), live.Presence{UserID: at.User, Handle: handle, State: state})
	if err == nil {
		ev.Room, ev.User, ev.Ephemeral = at.Room, audience, true
		_, err = s.opts.Hub.Publish(ctx, event.StreamChat, ev)
	}
	if err != nil && ctx.Err() == nil {
		s.opts.Log.Warn("chat: who is there could not be told", "err", err)
	}
}

// watch tells of those who left, once they did not come back in time, until ctx ends.
func (s *Service) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for at, p := range s.seats.Gone(s.opts.Now().Add(-leaveGrace)) {
			s.tell(ctx, at, p.Handle, p.Audience, live.Offline)
		}
	}
}

func (s *Service) presence(c *web.Call, in roomIn) (api.ChatPresence, error) {
	if _, _, err := s.readable(c.Context(), c.Caller, in.ID); err != nil {
		return api.ChatPresence{}, err
	}
	return s.online(in.ID), nil
}

// online is who is in a room now, in the order of their ids.
func (s *Service) online(room int64) api.ChatPresence {
	all := s.seats.In(room)
	out := api.ChatPresence{Online: len(all), Users: []api.ChatPresentOne{}}
	if len(all) > shownOnline {
		return out
	}
	for user, handle := range all {
		out.Users = append(out.Users, api.ChatPresentOne{UserID: user, Handle: handle, State: live.Online})
	}
	slices.SortFunc(out.Users, func(a, b api.ChatPresentOne) int { return int(a.UserID - b.UserID) })
	return out
}

// typing tells the room that somebody writes; more often than every three seconds it is not passed on.
func (s *Service) typing(c *web.Call, in whoIn) (ok, error) {
	who, err := s.self(c, in)
	if err != nil {
		return ok{}, err
	}
	room, st, err := s.readable(c.Context(), c.Caller, in.Room)
	if err == nil {
		err = mayWrite(c.Caller, room, st, s.opts.Now())
	}
	if err != nil {
		return ok{}, err
	}
	if s.typists.Take(pace.Key{Room: in.Room, User: who.id}, 1/typingEvery, 1, s.opts.Now()) == 0 {
		s.tell(c.Context(), live.Seat{Room: in.Room, User: who.id}, who.handle, audience(room), live.Typing)
	}
	return ok{true}, nil
}
