package chat

import (
	"encoding/json"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/ws"
)

// Member is somebody who belongs to a room.
type Member struct {
	api.ChatMember
	Room  int64
	Since int64 // they see what has a higher seq
}

// Action is what a moderator did.
type Action struct {
	api.ChatAction
	Room int64
}

// What happens to people by moderators' hands.
const (
	actKick   = "kick"
	actBan    = "ban"
	actUnban  = "unban"
	actMute   = "mute"
	actUnmute = "unmute"
	actDelete = "delete" // a line of theirs

	ActKick, ActBan, ActUnban, ActMute, ActUnmute = actKick, actBan, actUnban, actMute, actUnmute // for what stands beside rooms
	ActWarn                                       = "warn"
)

// roomUpdated is the payload of chat.room.updated where it tells of a member. Packages settings, pins and
// requests tell of other things by the same name.
type roomUpdated struct {
	Kind   string        `json:"kind"`
	Member *memberChange `json:"member,omitempty"`
	By     int64         `json:"by"` // user_id; 0 for a service
}

type memberChange struct {
	UserID int64  `json:"user_id"`
	Handle string `json:"handle"`
	Role   string `json:"role"` // "" when they are no member any more
}

// actioned is the payload of moderation.actioned.
type actioned struct {
	Action string   `json:"action"`
	UserID int64    `json:"user_id"` // to whom
	Handle string   `json:"handle"`
	Until  api.Time `json:"until"` // null where it has no end
	Reason string   `json:"reason"`
	By     int64    `json:"by"`
}

// removed says whom an event takes out of its room, with the close code for their sockets;
// 0 is nobody.
func removed(ev event.Event) (user int64, code ws.Code, why string) {
	switch ev.Type {
	case event.ModerationActioned:
		var a actioned
		if json.Unmarshal(ev.Payload, &a) == nil && (a.Action == actKick || a.Action == actBan) {
			return a.UserID, ws.ForceNoReconnect, map[string]string{actKick: "you were taken out of this room", actBan: "you are banned from this room"}[a.Action]
		}
	case event.ChatRoomUpdated:
		var u roomUpdated
		if json.Unmarshal(ev.Payload, &u) == nil && u.Member != nil && u.Member.Role == "" && u.Kind != KindGlobal {
			return u.Member.UserID, ws.PermissionDenied, "you left this room"
		}
	}
	return 0, 0, ""
}

// concerns reports whether an event changes what a user may read in its room.
func concerns(ev event.Event, user int64) bool {
	if out, _, _ := removed(ev); out != 0 {
		return out == user
	}
	var u roomUpdated
	return ev.Type == event.ChatRoomUpdated && json.Unmarshal(ev.Payload, &u) == nil && u.Member != nil && u.Member.UserID == user
}

// cleanRole returns the role to give; member when none is named.
func cleanRole(role string) (string, error) {
	if role == "" {
		return RoleMember, nil
	}
	if rank(role) == 0 {
		return "", errs.BadField("role", "must be one of owner, moderator, member, guest")
	}
	return role, nil
}

// since is what a new member of a room does not see: in a party, and where it is set so, the lines from before they came.
func since(r Room) int64 {
	if r.history() == HistoryJoined {
		return r.Head
	}
	return 0
}
