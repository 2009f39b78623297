package chat

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

type roomsIn struct {
	Kind string `json:"kind,omitempty" doc:"only rooms of this kind: global, guild, party, dm or support"`
	web.Paging
}

// Check refuses a kind that does not exist, rather than finding nothing of it.
func (in *roomsIn) Check() error {
	if in.Kind == "" {
		return nil
	}
	_, err := cleanKind(in.Kind)
	return err
}

func (s *Service) rooms(c *web.Call, in roomsIn) ([]api.ChatRoom, error) {
	size := in.Size()
	rs, err := s.store.Rooms(c.Context(), in.Kind, in.Paging, size+1)
	if err != nil {
		return nil, err
	}
	back := in.Before > 0 && in.After == 0 // the rooms just before one: what is too many is the first
	more := len(rs) > size
	if more && back {
		rs = rs[1:]
	} else if more {
		rs = rs[:size]
	}
	out := make([]api.ChatRoom, len(rs))
	for i := range rs {
		out[i] = rs[i].ChatRoom
	}
	if more && back {
		setNext(c, "/rooms", "before", out[0].ID, size, in.Kind)
	} else if more {
		setNext(c, "/rooms", "after", out[size-1].ID, size, in.Kind)
	}
	return out, nil
}

// setNext points the Link header (RFC 8288) at the next page of a list.
func setNext(c *web.Call, path, param string, id int64, size int, kind string) {
	q := url.Values{param: {strconv.FormatInt(id, 10)}, "limit": {strconv.Itoa(size)}}
	if kind != "" {
		q.Set("kind", kind)
	}
	c.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, c.URL(path), q.Encode()))
}

type roomIn struct {
	ID int64 `path:"id" doc:"the room's id"`
}

func (s *Service) room(c *web.Call, in roomIn) (api.ChatRoomInfo, error) {
	r, err := s.store.Room(c.Context(), in.ID)
	if err != nil {
		return api.ChatRoomInfo{}, err
	}
	return api.ChatRoomInfo{ChatRoom: r.ChatRoom, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt, Seq: r.Head, Epoch: s.opts.Hub.Epoch()}, nil
}

type newRoomIn struct {
	Name string `json:"name" web:"required" doc:"1 to 120 characters; no two rooms have the same"`
	Kind string `json:"kind,omitempty" doc:"global (the default), guild, party, dm or support; dm needs an address in the domain"`
}

// Check brings the fields into the form in which they are stored.
func (in *newRoomIn) Check() error {
	var err error
	if in.Name, err = cleanRoomName(in.Name); err != nil {
		return err
	}
	in.Kind, err = cleanKind(in.Kind)
	return err
}

// roomCreated is the payload of chat.room.created.
type roomCreated struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	CreatedBy int64  `json:"created_by"`
}

func (s *Service) createRoom(c *web.Call, tx Tx, in newRoomIn) (api.ChatRoom, error) {
	if in.Kind == KindDM && !InDomain(c.Caller.Email, s.opts.Domain) {
		return api.ChatRoom{}, errs.New(errs.Denied, "direct rooms are between addresses of %s, and the caller has none there", s.opts.Domain)
	}
	taken, err := tx.RoomByName(in.Name)
	if err == nil {
		c.Header().Set("Location", c.URL(roomPath(taken.ID)))
		return api.ChatRoom{}, errs.New(errs.Conflict, "a room with this name exists already: it is room %d at %s", taken.ID, roomPath(taken.ID))
	}
	if !errs.Is(err, errs.NotFound) {
		return api.ChatRoom{}, err
	}
	r, err := tx.AddRoom(Room{ChatRoom: api.ChatRoom{Name: in.Name, Kind: in.Kind}, CreatedBy: c.Caller.ID, CreatedAt: api.TimeOf(tx.Now())})
	if err != nil {
		return api.ChatRoom{}, err
	}
	ev, err := c.Event(event.ChatRoomCreated, roomCreated{Name: r.Name, Kind: r.Kind, CreatedBy: r.CreatedBy})
	if err != nil {
		return api.ChatRoom{}, err
	}
	ev.Room = r.ID
	tx.Emit(event.StreamChat, ev)
	return r.ChatRoom, nil
}

type roomEventsIn struct {
	roomIn
	web.Since
}

func (s *Service) roomEvents(c *web.Call, w http.ResponseWriter, in roomEventsIn) error {
	if _, err := s.store.Room(c.Context(), in.ID); err != nil {
		return err
	}
	return s.stream(c, w, in.Since, func(m hub.Message) bool { return m.Room == in.ID })
}

func (s *Service) events(c *web.Call, w http.ResponseWriter, in web.Since) error {
	return s.stream(c, w, in, func(m hub.Message) bool {
		// A ticket is between its requester and the agents; everything else on the stream is for all.
		return m.User == "" || m.User == c.Caller.User || c.Caller.Has("ticket.manage")
	})
}

func (s *Service) stream(c *web.Call, w http.ResponseWriter, since web.Since, keep func(hub.Message) bool) error {
	pos, err := since.Position(c.Request)
	if err != nil {
		return err
	}
	sub, err := s.opts.Hub.Subscribe(c.Context(), event.StreamChat, pos)
	if err != nil {
		return err
	}
	defer sub.Close()
	return c.ServeEvents(w, sub, pos != nil, keep)
}
