package chat

import (
	"uniqverse/internal/api"
	"uniqverse/internal/web"
	"uniqverse/services/chat/live"
	"uniqverse/services/chat/pace"
)

const typingEvery = 3.0 // seconds between two notices that somebody is typing

func (s *Service) presence(c *web.Call, in roomIn) (api.ChatPresence, error) {
	if _, _, err := s.readable(c.Context(), c.Caller, in.ID); err != nil {
		return api.ChatPresence{}, err
	}
	return s.sockets.Online(in.ID), nil
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
	if s.typists.Take(pace.Key{Room: in.Room, User: who.ID}, 1/typingEvery, 1, s.opts.Now()) == 0 {
		s.sockets.Tell(c.Context(), live.Seat{Room: in.Room, User: who.ID}, who.Handle, audience(room), live.Typing)
	}
	return ok{true}, nil
}
