package moderation

import (
	"fmt"
	"net/http"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/services/chat/text"
)

// sanctions are the routes by which moderators act on people.
func (s *Service) sanctions() []web.Endpoint {
	read, write := web.Needs("chat.read"), web.Needs("chat.write")
	toRoom := func(c *web.Call, _ any) string { return fmt.Sprintf("/rooms/%s", c.Request.PathValue("id")) }
	return []web.Endpoint{
		web.Query(http.MethodDelete, "/rooms/{id}/members/{user}", write, "Take a member out; oneself leaves", s.dismissMember),
		web.Query(http.MethodPost, "/rooms/{id}/kick", write, "Take somebody out; their sockets close with 3503", s.act(chat.ActKick)).Redirect(toRoom),
		web.Query(http.MethodPost, "/rooms/{id}/ban", write, "Take somebody out and keep them out", s.actUntil(chat.ActBan)).Redirect(toRoom),
		web.Query(http.MethodPost, "/rooms/{id}/unban", write, "Lift a ban", s.act(chat.ActUnban)).Redirect(toRoom),
		web.Query(http.MethodPost, "/rooms/{id}/mute", write, "Let somebody read, but not write", s.actUntil(chat.ActMute)).Redirect(toRoom),
		web.Query(http.MethodPost, "/rooms/{id}/unmute", write, "Lift a mute", s.act(chat.ActUnmute)).Redirect(toRoom),
		web.Query(http.MethodGet, "/rooms/{id}/actions", read, "What moderators did in the room, newest first; for them alone", s.actions),
		web.Query(http.MethodGet, "/rooms/{id}/reports", read, "Lines that were reported, newest first; for moderators", s.reports),
	}
}

// next points the Link header at the next page of a list.
func next(c *web.Call, path string, before int64, size int) {
	c.Header().Set("Link", fmt.Sprintf(`<%s?before=%d&limit=%d>; rel="next"`, c.URL(path), before, size))
}

type memberIn struct {
	Room int64 `path:"id" doc:"the room's id"`
	User int64 `path:"user" doc:"their user_id"`
}

// dismissMember answers DELETE of a member: oneself leaves, another is taken out.
func (s *Service) dismissMember(c *web.Call, in memberIn) (any, error) {
	if in.User == c.Caller.ID {
		return s.opts.Rooms.Leave(c, in.Room)
	}
	return s.sanction(c, chat.ActKick, sanctionIn{Room: in.Room, UserID: in.User})
}

type sanctionIn struct {
	Room   int64  `path:"id" doc:"the room's id"`
	UserID int64  `json:"user_id,omitempty" min:"1" doc:"to whom"`
	Handle string `json:"handle,omitempty" doc:"their name, such as @pilot"`
	Reason string `json:"reason,omitempty" max:"500" doc:"why; the room's moderators and the person see it"`
}

// Check refuses a reason that shows something else than it says.
func (in *sanctionIn) Check() error { return text.OneLine("reason", in.Reason) }

type timedIn struct {
	sanctionIn
	Until api.Time `json:"until,omitempty" doc:"when it ends; it has no end when left out"`
	For   int      `json:"for_s,omitempty" min:"0" max:"31536000" doc:"the same as seconds from now, for forms; 0 has no end"`
}

func (s *Service) act(action string) func(*web.Call, sanctionIn) (any, error) {
	return func(c *web.Call, in sanctionIn) (any, error) { return s.sanction(c, action, in) }
}

func (s *Service) actUntil(action string) func(*web.Call, timedIn) (any, error) {
	return func(c *web.Call, in timedIn) (any, error) {
		if in.Until != 0 && !in.Until.Time().After(s.opts.Now()) {
			return nil, errs.BadField("until", "must lie in the future")
		}
		if in.For != 0 && in.Until != 0 {
			return nil, errs.BadField("for_s", "and until say the same thing; leave one of them out")
		}
		return s.sanctionUntil(c, action, in)
	}
}

func (s *Service) sanction(c *web.Call, action string, in sanctionIn) (any, error) {
	return s.sanctionUntil(c, action, timedIn{sanctionIn: in})
}

// sanctionUntil does to somebody what a moderator decided, and writes it down.
func (s *Service) sanctionUntil(c *web.Call, action string, in timedIn) (any, error) {
	if _, st, err := s.opts.Rooms.Entered(c.Context(), c.Caller, in.Room); err != nil || !chat.Moderates(c.Caller, st) { // before anybody is looked up
		if err == nil {
			err = errs.New(errs.Denied, "only the room's owner and moderators may do this")
		}
		return nil, err
	}
	who, err := s.opts.Rooms.Other(c, in.UserID, in.Handle)
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.opts.Store, func(tx Tx) (api.ChatAction, error) {
		until := in.Until
		if in.For != 0 {
			until = api.TimeOf(tx.Now().Add(time.Duration(in.For) * time.Second))
		}
		room, st, err := chat.Entered(c.Caller, tx, in.Room)
		if err != nil {
			return api.ChatAction{}, err
		}
		theirs, err := tx.Standing(room.ID, who.ID)
		if err != nil {
			return api.ChatAction{}, err
		}
		switch {
		case !chat.Moderates(c.Caller, st):
			return api.ChatAction{}, errs.New(errs.Denied, "only the room's owner and moderators may do this")
		case room.Kind == chat.KindDM:
			return api.ChatAction{}, errs.New(errs.Denied, "a direct room has no moderators")
		case who.ID == c.Caller.ID || !chat.Below(c.Caller, st, theirs):
			return api.ChatAction{}, errs.New(errs.Denied, "you can do this to members below you only")
		}
		return s.opts.Rooms.Act(c, tx, room, action, who, until, in.Reason)
	})
}

type actionsIn struct {
	ID int64 `path:"id" doc:"the room's id"`
	web.Paging
}

func (s *Service) actions(c *web.Call, in actionsIn) ([]api.ChatAction, error) {
	_, st, err := s.opts.Rooms.Entered(c.Context(), c.Caller, in.ID)
	if err != nil {
		return nil, err
	}
	if !chat.Moderates(c.Caller, st) {
		return nil, errs.New(errs.Denied, "what moderators did is for the room's owner and moderators")
	}
	size := in.Size()
	as, err := s.opts.Store.Actions(c.Context(), in.ID, in.Paging, size+1)
	if err != nil {
		return nil, err
	}
	if len(as) > size {
		as = as[:size]
		next(c, fmt.Sprintf("/rooms/%d/actions", in.ID), as[size-1].ID, size)
	}
	out := make([]api.ChatAction, len(as))
	for i, a := range as {
		out[i] = a.ChatAction
	}
	return out, nil
}

func (s *Service) reports(c *web.Call, in actionsIn) ([]api.ChatReport, error) {
	_, st, err := s.opts.Rooms.Entered(c.Context(), c.Caller, in.ID)
	if err != nil {
		return nil, err
	}
	if !chat.Moderates(c.Caller, st) {
		return nil, errs.New(errs.Denied, "reports are for the room's owner and moderators")
	}
	size := in.Size()
	rs, err := s.opts.Store.Reports(c.Context(), in.ID, in.Paging, size+1)
	if err == nil && len(rs) > size {
		rs = rs[:size]
		next(c, fmt.Sprintf("/rooms/%d/reports", in.ID), rs[size-1].ID, size)
	}
	return rs, err
}
