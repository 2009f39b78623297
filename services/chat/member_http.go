package chat

import (
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat/people"
)

type membersIn struct {
	roomIn
	web.Paging
}

func (s *Service) members(c *web.Call, in membersIn) ([]api.ChatMember, error) {
	if _, _, err := s.readable(c.Context(), c.Caller, in.ID); err != nil {
		return nil, err
	}
	size := in.Size()
	ms, err := s.store.Members(c.Context(), in.ID, s.opts.Now().UnixMilli(), in.Paging, size+1)
	if err != nil {
		return nil, err
	}
	if len(ms) > size {
		ms = ms[:size]
		setNext(c, roomPath(in.ID)+"/members", "after", ms[size-1].UserID, size)
	}
	out := make([]api.ChatMember, len(ms))
	for i, m := range ms {
		out[i] = m.ChatMember
	}
	return out, nil
}

// whoIn names a person: the caller when both are left out.
type whoIn struct {
	Room   int64  `path:"id" doc:"the room's id"`
	UserID int64  `json:"user_id,omitempty" min:"1" doc:"who; the caller when left out"`
	Handle string `json:"handle,omitempty" doc:"their name, such as @pilot"`
}

// self resolves who acts; only a server's token and the demo identity may name another.
func (s *Service) self(c *web.Call, in whoIn) (people.Person, error) {
	p, err := s.people.Author(c.Context(), c.Caller, in.UserID, in.Handle)
	if err == nil && p.ID == 0 {
		err = errs.BadField("user_id", "is required from a service, which is no member of rooms itself")
	}
	return p, err
}

func (s *Service) joinRoom(c *web.Call, in whoIn) (any, error) {
	who, err := s.self(c, in)
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.store, func(tx Tx) (api.ChatMember, error) {
		room, own, err := entered(c.Caller, tx, in.Room)
		if err != nil && !(errs.Is(err, errs.NotFound) && room.Knock() == JoinOpen) {
			return api.ChatMember{}, err
		}
		st, err := tx.Standing(room.ID, who.ID)
		if err != nil {
			return api.ChatMember{}, err
		}
		if st.Ban.holds(tx.Now()) {
			return api.ChatMember{}, errs.New(errs.Denied, "%s is banned from this room %s", who.Handle, st.Ban)
		}
		if room.Kind == KindDM {
			return api.ChatMember{}, errs.New(errs.Denied, "nobody joins a direct room; open one of your own with POST /dm")
		}
		if st.Role == "" && room.Permissions().Join != JoinOpen && !moderates(c.Caller, own) && !(room.Kind == KindSupport && c.Caller.Has("ticket.manage")) {
			return api.ChatMember{}, errs.New(errs.Denied, "this room is entered by invitation or request; ask with POST %s/requests", roomPath(room.ID))
		}
		return s.admit(c, tx, room, who, RoleMember)
	})
}

// Admit is admit for what stands beside rooms.
func (s *Service) Admit(c *web.Call, tx Tx, room Room, who people.Person, role string) (api.ChatMember, error) {
	return s.admit(c, tx, room, who, role)
}

// admit makes somebody a member; one who is a member already stays what they are.
func (s *Service) admit(c *web.Call, tx Tx, room Room, who people.Person, role string) (api.ChatMember, error) {
	m, err := tx.Member(room.ID, who.ID)
	if err == nil || !errs.Is(err, errs.NotFound) {
		return m.ChatMember, err
	}
	if room.ArchivedAt != 0 {
		return m.ChatMember, errs.New(errs.Conflict, "the room is archived; nobody can come in")
	}
	m = Member{Room: room.ID, Since: since(room), ChatMember: api.ChatMember{UserID: who.ID, Handle: who.Handle, Role: role, JoinedAt: api.TimeOf(tx.Now())}}
	if err := tx.PutMember(m); err != nil {
		return m.ChatMember, err
	}
	return m.ChatMember, s.tellMember(c, tx, room, who, role)
}

// tellMember writes into the room's log what somebody is there now; "" is no member.
func (s *Service) tellMember(c *web.Call, tx Tx, room Room, who people.Person, role string) error {
	_, err := s.log(c, tx, room, event.ChatRoomUpdated, roomUpdated{Kind: room.Kind, By: c.Caller.ID, Member: &memberChange{UserID: who.ID, Handle: who.Handle, Role: role}})
	return err
}

// ok is the answer where there is nothing else to say.
type ok struct {
	OK bool `json:"ok"` // always true
}

func (s *Service) leaveRoom(c *web.Call, in whoIn) (any, error) {
	who, err := s.self(c, in)
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.store, func(tx Tx) (ok, error) {
		room, _, err := entered(c.Caller, tx, in.Room)
		if err != nil {
			return ok{}, err
		}
		if room.Kind == KindDM {
			return ok{}, errs.New(errs.Denied, "nobody leaves a direct room")
		}
		return ok{OK: true}, s.takeOut(c, tx, room, who.ID)
	})
}

// takeOut removes a member, if they are one, and sees to it that a room with members has an owner.
func (s *Service) takeOut(c *web.Call, tx Tx, room Room, user int64) error {
	m, err := tx.Member(room.ID, user)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.RemoveMember(room.ID, user); err != nil {
		return err
	}
	if err := s.tellMember(c, tx, room, people.Person{ID: m.UserID, Handle: m.Handle}, ""); err != nil || m.Role != RoleOwner {
		return err
	}
	heir, err := tx.Heir(room.ID)
	if errs.Is(err, errs.NotFound) || err == nil && heir.Role == RoleOwner {
		return nil
	}
	if err != nil {
		return err
	}
	heir.Role = RoleOwner
	if err := tx.PutMember(heir); err != nil {
		return err
	}
	return s.tellMember(c, tx, room, people.Person{ID: heir.UserID, Handle: heir.Handle}, RoleOwner)
}

type inviteIn struct {
	whoIn
	Role string `json:"role,omitempty" doc:"owner, moderator, member (the default) or guest; what is not above the caller's own"`
}

// Check refuses a role that does not exist.
func (in *inviteIn) Check() error {
	_, err := cleanRole(in.Role)
	return err
}

// invite makes somebody a member, or gives a member another role.
func (s *Service) invite(c *web.Call, in inviteIn) (any, error) {
	room, st, err := s.readable(c.Context(), c.Caller, in.Room)
	if err != nil {
		return nil, err
	}
	if err := mayGive(c.Caller, room, st, "", RoleGuest); err != nil { // before anybody is looked up
		return nil, err
	}
	who, err := s.people.Other(c.Context(), c.Caller, in.UserID, in.Handle)
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.store, func(tx Tx) (api.ChatMember, error) {
		room, st, err := entered(c.Caller, tx, in.Room)
		if err != nil {
			return api.ChatMember{}, err
		}
		role, _ := cleanRole(in.Role) // Check did
		had, err := tx.Member(room.ID, who.ID)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return api.ChatMember{}, err
		}
		if err := mayGive(c.Caller, room, st, had.Role, role); err != nil {
			return api.ChatMember{}, err
		}
		theirs, err := tx.Standing(room.ID, who.ID)
		if err != nil {
			return api.ChatMember{}, err
		}
		if theirs.Ban.holds(tx.Now()) {
			return api.ChatMember{}, errs.New(errs.Conflict, "%s is banned from this room %s; lift the ban first", who.Handle, theirs.Ban)
		}
		if had.Role == "" {
			return s.admit(c, tx, room, who, role)
		}
		if in.Role == "" || had.Role == role {
			return had.ChatMember, nil
		}
		had.Role = role
		if err := tx.PutMember(had); err != nil {
			return api.ChatMember{}, err
		}
		return had.ChatMember, s.tellMember(c, tx, room, people.Person{ID: had.UserID, Handle: had.Handle}, role)
	})
}

// mayGive decides whether the caller may make somebody who is had ("" for no member) what role says.
func mayGive(c web.Caller, room Room, st Standing, had, role string) error {
	own := rank(st.Role)
	switch {
	case room.Kind == KindDM:
		return errs.New(errs.Denied, "nobody joins a direct room; open another with POST /dm")
	case c.Has(actForOthers):
		return nil
	case own < rank(RoleMember):
		return errs.New(errs.Denied, "only members invite others")
	case had == "" && !Holds(room.Permissions().Invite, c, st):
		return errs.New(errs.Denied, "only moderators invite others into this room")
	case had != "" && had != role && (own < rank(RoleModerator) || own <= rank(had)):
		return errs.New(errs.Denied, "as %s you cannot change the role of a member who is %s", st.Role, had)
	case rank(role) > own || rank(role) > rank(RoleMember) && own < rank(RoleOwner):
		return errs.New(errs.Denied, "as %s you cannot make somebody %s", st.Role, role)
	}
	return nil
}

type memberIn struct {
	Room int64 `path:"id" doc:"the room's id"`
	User int64 `path:"user" doc:"their user_id"`
}

// dismissMember answers DELETE of a member: oneself leaves, another is taken out.
func (s *Service) dismissMember(c *web.Call, in memberIn) (any, error) {
	if in.User == c.Caller.ID {
		return s.leaveRoom(c, whoIn{Room: in.Room})
	}
	return s.sanction(c, actKick, sanctionIn{whoIn: whoIn{Room: in.Room, UserID: in.User}})
}

type sanctionIn struct {
	whoIn
	Reason string `json:"reason,omitempty" max:"500" doc:"why; the room's moderators and the person see it"`
}

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
	if _, st, err := s.readable(c.Context(), c.Caller, in.Room); err != nil || !moderates(c.Caller, st) { // before anybody is looked up
		if err == nil {
			err = errs.New(errs.Denied, "only the room's owner and moderators may do this")
		}
		return nil, err
	}
	who, err := s.people.Other(c.Context(), c.Caller, in.UserID, in.Handle)
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.store, func(tx Tx) (api.ChatAction, error) {
		until := in.Until
		if in.For != 0 {
			until = api.TimeOf(tx.Now().Add(time.Duration(in.For) * time.Second))
		}
		room, st, err := entered(c.Caller, tx, in.Room)
		if err != nil {
			return api.ChatAction{}, err
		}
		theirs, err := tx.Standing(room.ID, who.ID)
		if err != nil {
			return api.ChatAction{}, err
		}
		switch {
		case !moderates(c.Caller, st):
			return api.ChatAction{}, errs.New(errs.Denied, "only the room's owner and moderators may do this")
		case room.Kind == KindDM:
			return api.ChatAction{}, errs.New(errs.Denied, "a direct room has no moderators")
		case who.ID == c.Caller.ID || !c.Caller.Has(actForOthers) && rank(theirs.Role) >= rank(st.Role):
			return api.ChatAction{}, errs.New(errs.Denied, "you can do this to members below you only")
		}
		a, err := s.record(c, tx, room, action, who, until, in.Reason) // told first, so that their sockets close with its code
		if err != nil {
			return a, err
		}
		return a, s.apply(c, tx, room, action, who, theirs, until)
	})
}

// apply is what an action does.
func (s *Service) apply(c *web.Call, tx Tx, room Room, action string, who people.Person, st Standing, until api.Time) error {
	put := func(kind string, on bool) error {
		return tx.PutSanction(room.ID, who.ID, kind, Sanction{On: on, Until: until})
	}
	switch action {
	case actBan:
		if err := put(actBan, true); err != nil {
			return err
		}
		return s.takeOut(c, tx, room, who.ID)
	case actKick:
		if st.Role == "" && room.private() {
			return errs.New(errs.NotFound, "%s is no member of this room", who.Handle)
		}
		return s.takeOut(c, tx, room, who.ID)
	case actMute:
		return put(actMute, true)
	case actUnmute:
		return put(actMute, false)
	default:
		return put(actBan, false)
	}
}

// record writes an action into the audit list and the room's log.
func (s *Service) record(c *web.Call, tx Tx, room Room, action string, who people.Person, until api.Time, reason string) (api.ChatAction, error) {
	a := Action{Room: room.ID, ChatAction: api.ChatAction{Action: action, UserID: who.ID, Handle: who.Handle, Until: until, Reason: reason,
		ByID: c.Caller.ID, ByHandle: people.Caller(c.Caller).Handle, CreatedAt: api.TimeOf(tx.Now())}}
	var err error
	if a.ID, err = tx.AddAction(a); err != nil {
		return a.ChatAction, err
	}
	_, err = s.log(c, tx, room, event.ModerationActioned, actioned{Action: action, UserID: who.ID, Handle: who.Handle, Until: until, Reason: reason, By: c.Caller.ID})
	return a.ChatAction, err
}

type actionsIn struct {
	roomIn
	web.Paging
}

func (s *Service) actions(c *web.Call, in actionsIn) ([]api.ChatAction, error) {
	_, st, err := s.readable(c.Context(), c.Caller, in.ID)
	if err != nil {
		return nil, err
	}
	if !moderates(c.Caller, st) {
		return nil, errs.New(errs.Denied, "what moderators did is for the room's owner and moderators")
	}
	size := in.Size()
	as, err := s.store.Actions(c.Context(), in.ID, in.Paging, size+1)
	if err != nil {
		return nil, err
	}
	if len(as) > size {
		as = as[:size]
		setNext(c, roomPath(in.ID)+"/actions", "before", as[size-1].ID, size)
	}
	out := make([]api.ChatAction, len(as))
	for i, a := range as {
		out[i] = a.ChatAction
	}
	return out, nil
}
