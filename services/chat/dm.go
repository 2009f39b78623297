package chat

import (
	"fmt"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat/people"
	"uniqverse/services/chat/text"
)

type dmIn struct {
	With string `json:"with" web:"required" max:"320" doc:"an address of the domain, or a handle such as @pilot"`
}

// direct finds the room of the caller and somebody else, or makes it.
func (s *Service) direct(c *web.Call, in dmIn) (any, error) {
	gate := errs.New(errs.Denied, "dm_domain: direct rooms are between addresses of %s", s.opts.Domain)
	if c.Caller.ID == 0 || !text.InDomain(c.Caller.Email, s.opts.Domain) {
		return nil, gate
	}
	with := strings.TrimSpace(in.With)
	if strings.Contains(strings.TrimPrefix(with, "@"), "@") && !text.InDomain(with, s.opts.Domain) {
		return nil, gate
	}
	name, err := text.Handle(with, s.opts.Domain)
	if err != nil {
		return nil, errs.BadField("with", "must be an address of %s or a handle such as @pilot", s.opts.Domain)
	}
	u, err := s.opts.Users.UserByName(c.Context(), strings.ToLower(name))
	if errs.Is(err, errs.NotFound) && c.Caller.Demo {
		u, err = s.opts.Users.Ensure(c.Context(), strings.ToLower(name))
	}
	switch {
	case errs.Is(err, errs.NotFound) || errs.Is(err, errs.Invalid):
		return nil, errs.BadField("with", "names nobody who is known here")
	case err != nil:
		return nil, err
	case !text.InDomain(u.Email, s.opts.Domain):
		return nil, gate
	case u.ID == c.Caller.ID:
		return nil, errs.BadField("with", "must be somebody else")
	}
	return web.Update(c, in, s.store, func(tx Tx) (api.ChatRoom, error) {
		return s.openDirect(c, tx, people.Caller(c.Caller), people.Person{ID: u.ID, Handle: "@" + u.Name})
	})
}

func (s *Service) openDirect(c *web.Call, tx Tx, a, b people.Person) (api.ChatRoom, error) {
	if a.ID > b.ID {
		a, b = b, a
	}
	people := fmt.Sprintf("%d %d", a.ID, b.ID)
	room, err := tx.RoomOf(people)
	if err == nil || !errs.Is(err, errs.NotFound) {
		return room.ChatRoom, err
	}
	name, err := freeName(tx, a.Handle+", "+b.Handle)
	if err != nil {
		return api.ChatRoom{}, err
	}
	room, err = s.addRoom(authorOf(c), tx, Room{ChatRoom: api.ChatRoom{Name: name, Kind: KindDM}, CreatedBy: c.Caller.ID, People: people}, a, b)
	return room.ChatRoom, err
}

// freeName returns a name that no room has: the wish itself, or with a number.
func freeName(tx Tx, wish string) (string, error) {
	wish = text.Clip(wish, text.MaxRoomName-8)
	name := wish
	for n := 2; ; n++ {
		_, err := tx.RoomByName(name)
		if errs.Is(err, errs.NotFound) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		name = fmt.Sprintf("%s #%d", wish, n)
	}
}
