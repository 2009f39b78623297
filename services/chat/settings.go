package chat

import (
	"slices"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat/text"
)

// How long lines are kept, in days, where that is no number of days.
const (
	Forever   = 0
	AsItsKind = -1
)

// Perm is what of a room's permissions differs from those of its kind; "" does not.
type Perm struct {
	Join    string `json:"join,omitempty" doc:"who comes in: open, request or invite"`
	History string `json:"history,omitempty" doc:"what members see: all, or joined for what was said since they came"`
	Write   string `json:"write,omitempty" doc:"who writes: all who may read, members or moderators"`
	Invite  string `json:"invite,omitempty" doc:"who invites: members or moderators"`
	Pin     string `json:"pin,omitempty" doc:"who pins lines: members or moderators"`
}

// The words of Perm.
const (
	JoinOpen, JoinRequest, JoinInvite = "open", "request", "invite"
	HistoryAll, HistoryJoined         = "all", "joined"
	All, Members, Moderators          = "all", "members", "moderators"
)

// permOf is what holds in a room of a kind where nothing else is set.
func permOf(kind string) api.ChatPerm {
	p := api.ChatPerm{Join: JoinInvite, History: HistoryAll, Write: All, Invite: Members, Pin: Moderators}
	switch kind {
	case KindGlobal:
		p.Join = JoinOpen
	case KindGuild:
		p.Join, p.Write = JoinRequest, Members
	case KindParty:
		p.History, p.Write, p.Pin = HistoryJoined, Members, Members
	case KindDM:
		p.Write, p.Pin = Members, Members
	}
	return p
}

// Permissions returns who may do what in the room.
func (r Room) Permissions() api.ChatPerm {
	p := permOf(r.Kind)
	for _, set := range []struct {
		to   *string
		from string
	}{{&p.Join, r.Perm.Join}, {&p.History, r.Perm.History}, {&p.Write, r.Perm.Write}, {&p.Invite, r.Perm.Invite}, {&p.Pin, r.Perm.Pin}} {
		if set.from != "" {
			*set.to = set.from
		}
	}
	return p
}

// Knock returns how somebody comes in who may not read the room: by themselves (JoinOpen), by asking (JoinRequest), or ""
// for not at all: for them the room is not there.
func (r Room) Knock() string {
	if join := r.Permissions().Join; r.Kind == KindGuild && r.DeletedAt == 0 && join != JoinInvite {
		return join
	}
	return ""
}

func (r Room) history() string { return r.Permissions().History }

// RetentionDays returns for how many days the room's lines are kept; Forever for no end. A party's are kept as long
// as somebody is in it, and a day longer.
func (r Room) RetentionDays() int {
	switch {
	case r.Retention != AsItsKind:
		return r.Retention
	case r.Kind == KindGlobal:
		return 90
	}
	return Forever
}

// Holds reports whether the caller is one of whom a permission speaks: all, members or moderators.
func Holds(who string, c web.Caller, st Standing) bool {
	switch who {
	case Moderators:
		return moderates(c, st)
	case Members:
		return st.Role != "" || c.Has(actForOthers)
	}
	return true
}

// allows refuses a line of who may read the room, but not write in it.
func (r Room) allows(c web.Caller, st Standing) error {
	who := r.Permissions().Write
	if who == Members && r.Kind == KindSupport && c.Has("ticket.manage") || Holds(who, c, st) {
		return nil
	}
	return errs.New(errs.Denied, "only %s write in this room; you can read on", who)
}

// patchIn changes a room's settings; what is left out stays.
type patchIn struct {
	ID       int64   `path:"id" doc:"the room's id"`
	Name     *string `json:"name,omitempty" doc:"another name; no two rooms have the same"`
	Topic    *string `json:"topic,omitempty" max:"250" doc:"what the room is about, one line; \"\" takes it away"`
	SlowMode *int    `json:"slow_mode_s,omitempty" min:"0" max:"21600" doc:"seconds between two lines of one person; 0 turns it off"`
	Archived *bool   `json:"archived,omitempty" doc:"true closes the room for new lines, false opens it again"`
	Keep     *int    `json:"retention_days,omitempty" min:"-1" max:"3650" doc:"days that lines are kept; 0 for ever, -1 as rooms of its kind"`
	Perm     *Perm   `json:"perm,omitempty" doc:"join, history, write, invite and pin; what is \"\" or left out is as in rooms of its kind"`
	Closed   *bool   `json:"fail_closed,omitempty" doc:"true refuses lines when the external moderation does not answer"`
	Engine   *bool   `json:"engine,omitempty" doc:"true lets lines of a direct room be sent to the external moderation"`
}

// Check refuses a change of nothing, a topic over lines, and permissions that do not exist.
func (in *patchIn) Check() error {
	if in.Name == nil && in.Topic == nil && in.SlowMode == nil && in.Archived == nil && in.Keep == nil && in.Perm == nil && in.Closed == nil && in.Engine == nil {
		return errs.BadField("topic", "or slow_mode_s, archived or another setting is required: there is nothing to change")
	}
	if in.Name != nil {
		name, err := text.RoomName(*in.Name)
		if err != nil {
			return err
		}
		*in.Name = name
	}
	if in.Topic != nil {
		*in.Topic = strings.TrimSpace(*in.Topic)
		if err := text.OneLine("topic", *in.Topic); err != nil {
			return err
		}
	}
	if in.Perm == nil {
		return nil
	}
	for _, f := range []struct {
		name, value string
		may         []string
	}{
		{"join", in.Perm.Join, []string{JoinOpen, JoinRequest, JoinInvite}}, {"history", in.Perm.History, []string{HistoryAll, HistoryJoined}},
		{"write", in.Perm.Write, []string{All, Members, Moderators}}, {"invite", in.Perm.Invite, []string{Members, Moderators}}, {"pin", in.Perm.Pin, []string{Members, Moderators}},
	} {
		if f.value != "" && !slices.Contains(f.may, f.value) {
			return errs.BadField("perm", "has %s that is none of %s", f.name, strings.Join(f.may, ", "))
		}
	}
	return nil
}

func (s *Service) patchRoom(c *web.Call, tx Tx, in patchIn) (api.ChatRoomInfo, error) {
	room, st, err := entered(c.Caller, tx, in.ID)
	if err != nil {
		return api.ChatRoomInfo{}, err
	}
	direct := room.Kind == KindDM && st.Role != ""
	if !moderates(c.Caller, st) && (!direct || in.Engine == nil || in.Name != nil || in.Topic != nil || in.SlowMode != nil || in.Archived != nil || in.Keep != nil || in.Perm != nil || in.Closed != nil) {
		return api.ChatRoomInfo{}, errs.New(errs.Denied, "only the room's owner and moderators change its settings")
	}
	was := room
	change, err := in.apply(c, tx, &room)
	if err != nil || room == was {
		return s.info(room, st), err
	}
	change.By = c.Caller.ID
	if err := tx.SaveRoom(room); err != nil {
		return api.ChatRoomInfo{}, err
	}
	typ := event.ChatRoomUpdated
	if room.ArchivedAt != 0 && was.ArchivedAt == 0 {
		typ = event.ChatRoomArchived
	}
	ev, err := s.log(c, tx, room, typ, change)
	room.Head = ev.Seq
	return s.info(room, st), err
}

// apply changes the room and returns what is new.
func (in *patchIn) apply(c *web.Call, tx Tx, room *Room) (roomUpdated, error) {
	change := roomUpdated{Kind: room.Kind}
	if in.Name != nil && *in.Name != room.Name {
		if room.Kind == KindDM {
			return change, errs.New(errs.Denied, "a direct room is called after its people")
		}
		if err := nameIsFree(c, tx, *in.Name); err != nil {
			return change, err
		}
		room.Name, change.Name = *in.Name, in.Name
	}
	if in.Topic != nil && *in.Topic != room.Topic {
		room.Topic, change.Topic = *in.Topic, in.Topic
	}
	if in.SlowMode != nil && *in.SlowMode != room.SlowMode {
		room.SlowMode, change.SlowMode = *in.SlowMode, in.SlowMode
	}
	if in.Archived != nil && *in.Archived != (room.ArchivedAt != 0) {
		room.ArchivedAt, change.Archived = 0, in.Archived
		if *in.Archived {
			room.ArchivedAt = api.TimeOf(tx.Now())
		}
	}
	if in.Keep != nil && *in.Keep != room.Retention {
		room.Retention = *in.Keep
		days := room.RetentionDays()
		change.Keep = &days
	}
	if in.Perm != nil && *in.Perm != room.Perm {
		if in.Perm.Join != "" && (room.Kind == KindDM || room.Kind == KindParty) {
			return change, errs.BadField("perm", "cannot say who joins a room of kind %s", room.Kind)
		}
		room.Perm = *in.Perm
		now := Perm(room.Permissions())
		change.Perm = &now
	}
	if in.Closed != nil {
		room.Moderation.Closed = *in.Closed
	}
	if in.Engine != nil {
		if room.Kind != KindDM {
			return change, errs.BadField("engine", "is for direct rooms; the lines of others are moderated in any case")
		}
		room.Moderation.Engine = *in.Engine
	}
	return change, nil
}

// nameIsFree is errs.Conflict with the way to the room that has the name.
func nameIsFree(c *web.Call, tx Tx, name string) error {
	taken, err := tx.RoomByName(name)
	if err == nil {
		c.Header().Set("Location", c.URL(roomPath(taken.ID)))
		return errs.New(errs.Conflict, "a room with this name exists already: it is room %d at %s", taken.ID, roomPath(taken.ID))
	}
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}

// deleteRoom takes a room away for good. Its lines and files are removed soon after; its name is free again.
func (s *Service) deleteRoom(c *web.Call, tx Tx, in roomIn) (ok, error) {
	room, st, err := entered(c.Caller, tx, in.ID)
	if err != nil {
		return ok{}, err
	}
	if rank(st.Role) < rank(RoleOwner) && !c.Caller.Has(actForOthers) {
		return ok{}, errs.New(errs.Denied, "only the room's owner takes it away")
	}
	return ok{true}, s.takeAway(c, tx, room)
}

// takeAway deletes a room.
func (s *Service) takeAway(c *web.Call, tx Tx, room Room) error {
	yes := true
	if _, err := s.log(c, tx, room, event.ChatRoomArchived, roomUpdated{Kind: room.Kind, Archived: &yes, Deleted: true, By: c.Caller.ID}); err != nil {
		return err
	}
	room.DeletedAt = api.TimeOf(tx.Now())
	return tx.SaveRoom(room)
}

func (s *Service) info(r Room, st Standing) api.ChatRoomInfo {
	return api.ChatRoomInfo{ChatRoom: r.ChatRoom, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt, Seq: r.Head, Epoch: s.opts.Hub.Epoch(),
		Topic: r.Topic, SlowMode: r.SlowMode, Archived: r.ArchivedAt != 0, Role: st.Role,
		Horizon: r.Horizon, Retention: r.RetentionDays(), Perm: r.Permissions(), Moderation: r.Moderation}
}
