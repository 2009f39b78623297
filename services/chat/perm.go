package chat

import (
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
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

// NameIsFree is errs.Conflict with the way to the room that has the name.
func NameIsFree(c *web.Call, tx Tx, name string) error {
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

// Info is a room as a caller with the standing sees it.
func (s *Service) Info(r Room, st Standing) api.ChatRoomInfo {
	return api.ChatRoomInfo{ChatRoom: r.ChatRoom, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt, Seq: r.Head, Epoch: s.opts.Hub.Epoch(),
		Topic: r.Topic, SlowMode: r.SlowMode, Archived: r.ArchivedAt != 0, Role: st.Role,
		Horizon: r.Horizon, Retention: r.RetentionDays(), Perm: r.Permissions(), Moderation: r.Moderation}
}
