package chat

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat/people"
	"uniqverse/services/chat/text"
)

type roomsIn struct {
	Kind   string `json:"kind,omitempty" doc:"only rooms of this kind: global, guild, party, dm or support"`
	Q      string `json:"q,omitempty" max:"120" doc:"only rooms with this in their name, whatever its case"`
	Member string `json:"member,omitempty" doc:"\"me\": only rooms of which the caller is a member"`
	web.Paging
}

// Check refuses a kind that does not exist, rather than finding nothing of it.
func (in *roomsIn) Check() error {
	if in.Member != "" && in.Member != "me" {
		return errs.BadField("member", "can only be me")
	}
	if in.Kind == "" {
		return nil
	}
	_, err := cleanKind(in.Kind)
	return err
}

func (s *Service) rooms(c *web.Call, in roomsIn) ([]api.ChatRoom, error) {
	size := in.Size()
	rs, err := s.store.Rooms(c.Context(), viewer(c.Caller), RoomFilter{Kind: in.Kind, Name: in.Q, Mine: in.Member != ""}, in.Paging, size+1)
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
		setNext(c, "/rooms", "before", out[0].ID, size, "kind", in.Kind, "q", in.Q, "member", in.Member)
	} else if more {
		setNext(c, "/rooms", "after", out[size-1].ID, size, "kind", in.Kind, "q", in.Q, "member", in.Member)
	}
	return out, nil
}

// setNext points the Link header (RFC 8288) at the next page of a list; more are names and values
// of what else was asked for.
func setNext(c *web.Call, path, param string, id int64, size int, more ...string) {
	q := url.Values{param: {strconv.FormatInt(id, 10)}, "limit": {strconv.Itoa(size)}}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] != "" {
			q.Set(more[i], more[i+1])
		}
	}
	c.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, c.URL(path), q.Encode()))
}

type roomIn struct {
	ID int64 `path:"id" doc:"the room's id"`
}

func (s *Service) room(c *web.Call, in roomIn) (api.ChatRoomInfo, error) {
	r, st, err := s.readable(c.Context(), c.Caller, in.ID)
	if err != nil {
		return api.ChatRoomInfo{}, err
	}
	return s.Info(r, st), nil
}

type newRoomIn struct {
	Name string `json:"name,omitempty" doc:"1 to 120 characters; no two rooms have the same. A party may leave it out and is given one"`
	Kind string `json:"kind,omitempty" doc:"global (the default), guild, party, dm or support; dm needs an address in the domain"`
}

// Check brings the fields into the form in which they are stored.
func (in *newRoomIn) Check() error {
	var err error
	if in.Kind, err = cleanKind(in.Kind); err != nil || in.Kind == KindParty && in.Name == "" {
		return err
	}
	in.Name, err = text.RoomName(in.Name)
	return err
}

// roomCreated is the payload of chat.room.created.
type roomCreated struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	CreatedBy int64  `json:"created_by"`
}

func (s *Service) createRoom(c *web.Call, tx Tx, in newRoomIn) (api.ChatRoom, error) {
	if in.Kind == KindDM && !text.InDomain(c.Caller.Email, s.opts.Domain) {
		return api.ChatRoom{}, errs.New(errs.Denied, "direct rooms are between addresses of %s, and the caller has none there", s.opts.Domain)
	}
	if in.Name == "" {
		var err error
		if in.Name, err = freeName(tx, partyName(tx.Now())); err != nil {
			return api.ChatRoom{}, err
		}
	}
	if err := NameIsFree(c, tx, in.Name); err != nil {
		return api.ChatRoom{}, err
	}
	var owner []people.Person
	if c.Caller.ID != 0 {
		owner = []people.Person{people.Caller(c.Caller)}
	}
	r, err := s.addRoom(authorOf(c), tx, Room{ChatRoom: api.ChatRoom{Name: in.Name, Kind: in.Kind}, CreatedBy: c.Caller.ID}, owner...)
	return r.ChatRoom, err
}

// addRoom stores a room with its first members: the first is the owner, save in a direct room,
// where all are alike.
func (s *Service) addRoom(by author, tx Tx, r Room, members ...people.Person) (Room, error) {
	r.CreatedAt, r.Retention = api.TimeOf(tx.Now()), AsItsKind
	r, err := tx.AddRoom(r)
	if err != nil {
		return r, err
	}
	for i, p := range members {
		role := RoleMember
		if i == 0 && r.Kind != KindDM {
			role = RoleOwner
		}
		if err := tx.PutMember(Member{Room: r.ID, ChatMember: api.ChatMember{UserID: p.ID, Handle: p.Handle, Role: role, JoinedAt: r.CreatedAt}}); err != nil {
			return r, err
		}
	}
	ev, err := by.event(event.ChatRoomCreated, roomCreated{Name: r.Name, Kind: r.Kind, CreatedBy: r.CreatedBy})
	if err != nil {
		return r, err
	}
	ev.Room, ev.User = r.ID, audience(r)
	tx.Emit(event.StreamChat, ev)
	return r, nil
}

// partyName is the name of a party that nobody named.
func partyName(now time.Time) string { return "Party " + now.UTC().Format("2006-01-02 15:04") }
