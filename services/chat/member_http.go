package chat

import (
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

// Leave takes the caller out of a room, as POST /rooms/{id}/leave does.
func (s *Service) Leave(c *web.Call, room int64) (any, error) {
	return s.leaveRoom(c, whoIn{Room: room})
}

// Other finds somebody to whom something is done.
func (s *Service) Other(c *web.Call, id int64, handle string) (people.Person, error) {
	return s.people.Other(c.Context(), c.Caller, id, handle)
}

// Act does to somebody what a moderator decided, and writes it down: kick, ban, unban, mute, unmute or warn. Whether they may
// was decided before.
func (s *Service) Act(c *web.Call, tx Tx, room Room, action string, who people.Person, until api.Time, reason string) (api.ChatAction, error) {
	st, err := tx.Standing(room.ID, who.ID)
	if err != nil {
		return api.ChatAction{}, err
	}
	a, err := s.record(c, tx, room, action, who, until, reason) // told first, so that their sockets close with its code
	if err != nil || action == ActWarn {
		return a, err
	}
	return a, s.apply(c, tx, room, action, who, st, until)
}

// Below reports whether the caller may act on somebody with the standing: who is below them.
func Below(c web.Caller, own, theirs Standing) bool {
	return c.Has(actForOthers) || rank(theirs.Role) < rank(own.Role)
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
	return s.recordBy(c, tx, people.Caller(c.Caller), room, action, who, until, reason)
}

// recordBy is record for who acts without being the caller.
func (s *Service) recordBy(c *web.Call, tx Tx, by people.Person, room Room, action string, who people.Person, until api.Time, reason string) (api.ChatAction, error) {
	a := Action{Room: room.ID, ChatAction: api.ChatAction{Action: action, UserID: who.ID, Handle: who.Handle, Until: until, Reason: reason,
		ByID: by.ID, ByHandle: by.Handle, CreatedAt: api.TimeOf(tx.Now())}}
	var err error
	if a.ID, err = tx.AddAction(a); err != nil {
		return a.ChatAction, err
	}
	_, err = s.log(c, tx, room, event.ModerationActioned, actioned{Action: action, UserID: who.ID, Handle: who.Handle, Until: until, Reason: reason, By: by.ID})
	return a.ChatAction, err
}
