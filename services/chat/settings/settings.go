// Package settings is what rooms can be set to by who keeps order in them: name, topic, slow mode, archiving, how long lines are
// kept, who may do what, and how lines are moderated; and taking a room away. What is new is an event of the
// room. What the settings mean is package chat's.
//
// A Service keeps nothing and is safe for concurrent use.
package settings

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/services/chat/people"
	"uniqverse/services/chat/text"
)

// Service is the settings of rooms. Make one with New.
type Service struct {
	store web.Transactor[chat.Tx]
	rooms *chat.Service
}

// New returns a service that serves.
func New(store web.Transactor[chat.Tx], rooms *chat.Service) *Service { return &Service{store, rooms} }

// Endpoints are the routes of settings.
func (s *Service) Endpoints() []web.Endpoint {
	write := web.Needs("chat.write")
	to := func(c *web.Call, _ any) string { return fmt.Sprintf("/rooms/%s", c.Request.PathValue("id")) }
	return []web.Endpoint{
		web.Command(http.MethodPatch, "/rooms/{id}", write, "Name, topic, slow mode, archiving, retention, permissions and moderation, by the room's owner and moderators", s.store, s.patch),
		web.Command(http.MethodPost, "/rooms/{id}/settings", write, "As PATCH, for forms", s.store, s.patch).Redirect(to),
		web.Command(http.MethodDelete, "/rooms/{id}", write, "Take a room away for good, with all that was said in it; by its owner", s.store, s.remove),
	}
}

// updated is the payload of chat.room.updated and chat.room.archived: the settings that are new.
type updated struct {
	Kind     string     `json:"kind"`
	Name     *string    `json:"name,omitempty"`
	Topic    *string    `json:"topic,omitempty"`
	SlowMode *int       `json:"slow_mode_s,omitempty"`
	Archived *bool      `json:"archived,omitempty"`
	Deleted  bool       `json:"deleted,omitempty"`
	Keep     *int       `json:"retention_days,omitempty"`
	Perm     *chat.Perm `json:"perm,omitempty"`
	By       int64      `json:"by"` // user_id; 0 for a service
}

type roomIn struct {
	ID int64 `path:"id" doc:"the room's id"`
}

// patchIn changes a room's settings; what is left out stays.
type patchIn struct {
	ID       int64      `path:"id" doc:"the room's id"`
	Name     *string    `json:"name,omitempty" doc:"another name; no two rooms have the same"`
	Topic    *string    `json:"topic,omitempty" max:"250" doc:"what the room is about, one line; \"\" takes it away"`
	SlowMode *int       `json:"slow_mode_s,omitempty" min:"0" max:"21600" doc:"seconds between two lines of one person; 0 turns it off"`
	Archived *bool      `json:"archived,omitempty" doc:"true closes the room for new lines, false opens it again"`
	Keep     *int       `json:"retention_days,omitempty" min:"-1" max:"3650" doc:"days that lines are kept; 0 for ever, -1 as rooms of its kind"`
	Perm     *chat.Perm `json:"perm,omitempty" doc:"join, history, write, invite and pin; what is \"\" or left out is as in rooms of its kind"`
	Closed   *bool      `json:"fail_closed,omitempty" doc:"true refuses lines when the external moderation does not answer"`
	Engine   *bool      `json:"engine,omitempty" doc:"true lets lines of a direct room be sent to the external moderation"`
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
		{"join", in.Perm.Join, []string{chat.JoinOpen, chat.JoinRequest, chat.JoinInvite}}, {"history", in.Perm.History, []string{chat.HistoryAll, chat.HistoryJoined}},
		{"write", in.Perm.Write, []string{chat.All, chat.Members, chat.Moderators}}, {"invite", in.Perm.Invite, []string{chat.Members, chat.Moderators}}, {"pin", in.Perm.Pin, []string{chat.Members, chat.Moderators}},
	} {
		if f.value != "" && !slices.Contains(f.may, f.value) {
			return errs.BadField("perm", "has %s that is none of %s", f.name, strings.Join(f.may, ", "))
		}
	}
	return nil
}

func (s *Service) patch(c *web.Call, tx chat.Tx, in patchIn) (api.ChatRoomInfo, error) {
	room, st, err := chat.Entered(c.Caller, tx, in.ID)
	if err != nil {
		return api.ChatRoomInfo{}, err
	}
	direct := room.Kind == chat.KindDM && st.Role != ""
	if !chat.Moderates(c.Caller, st) && (!direct || in.Engine == nil || in.Name != nil || in.Topic != nil || in.SlowMode != nil || in.Archived != nil || in.Keep != nil || in.Perm != nil || in.Closed != nil) {
		return api.ChatRoomInfo{}, errs.New(errs.Denied, "only the room's owner and moderators change its settings")
	}
	was := room
	change, err := in.apply(c, tx, &room)
	if err != nil || room == was {
		return s.rooms.Info(room, st), err
	}
	change.By = c.Caller.ID
	if err := tx.SaveRoom(room); err != nil {
		return api.ChatRoomInfo{}, err
	}
	typ := event.ChatRoomUpdated
	if room.ArchivedAt != 0 && was.ArchivedAt == 0 {
		typ = event.ChatRoomArchived
	}
	err = s.rooms.Log(c, tx, room, typ, change)
	room.Head++
	return s.rooms.Info(room, st), err
}

// apply changes the room and returns what is new.
func (in *patchIn) apply(c *web.Call, tx chat.Tx, room *chat.Room) (updated, error) {
	change := updated{Kind: room.Kind}
	if in.Name != nil && *in.Name != room.Name {
		if room.Kind == chat.KindDM {
			return change, errs.New(errs.Denied, "a direct room is called after its people")
		}
		if err := chat.NameIsFree(c, tx, *in.Name); err != nil {
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
		if in.Perm.Join != "" && (room.Kind == chat.KindDM || room.Kind == chat.KindParty) {
			return change, errs.BadField("perm", "cannot say who joins a room of kind %s", room.Kind)
		}
		room.Perm = *in.Perm
		now := chat.Perm(room.Permissions())
		change.Perm = &now
	}
	if in.Closed != nil {
		room.Moderation.Closed = *in.Closed
	}
	if in.Engine != nil {
		if room.Kind != chat.KindDM {
			return change, errs.BadField("engine", "is for direct rooms; the lines of others are moderated in any case")
		}
		room.Moderation.Engine = *in.Engine
	}
	return change, nil
}

// deleteRoom takes a room away for good. Its lines and files are removed soon after; its name is free again.
func (s *Service) remove(c *web.Call, tx chat.Tx, in roomIn) (api.OK, error) {
	room, st, err := chat.Entered(c.Caller, tx, in.ID)
	if err != nil {
		return api.OK{}, err
	}
	if st.Role != chat.RoleOwner && !c.Caller.Has(people.ActForOthers) {
		return api.OK{}, errs.New(errs.Denied, "only the room's owner takes it away")
	}
	return api.OK{OK: true}, s.takeAway(c, tx, room)
}

// takeAway deletes a room.
func (s *Service) takeAway(c *web.Call, tx chat.Tx, room chat.Room) error {
	yes := true
	if err := s.rooms.Log(c, tx, room, event.ChatRoomArchived, updated{Kind: room.Kind, Archived: &yes, Deleted: true, By: c.Caller.ID}); err != nil {
		return err
	}
	room.DeletedAt = api.TimeOf(tx.Now())
	return tx.SaveRoom(room)
}
