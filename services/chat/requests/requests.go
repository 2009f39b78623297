// Package requests is how somebody comes into a room that is not for everybody, and that they were not
// invited to: they ask, and its moderators say yes or no. Only guilds whose permission join is "request" are asked; for
// who may not read it any other room is not there. A request is one per room and person, and goes with its answer, with an
// invitation, or when it is taken back.
//
// A Service is safe for concurrent use.
package requests

import (
	"context"
	"net/http"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/services/chat/people"
	"uniqverse/services/chat/text"
)

// most is how many requests wait at one room.
const most = 200

// Store is what requests ask of the store.
type Store interface {
	web.Transactor[Tx]
	// Requests returns who asks to come into a room, the oldest first.
	Requests(ctx context.Context, room int64) ([]api.ChatRequest, error)
}

// Tx changes requests inside one transaction.
type Tx interface {
	chat.Tx
	// Request returns what somebody asked, or errs.NotFound.
	Request(room, user int64) (api.ChatRequest, error)
	// AddRequest stores a request, or its new words, and returns how many wait at the room.
	AddRequest(room int64, r api.ChatRequest) (waiting int, err error)
	DropRequest(room, user int64) error
}

// Service is the requests of chat. Make one with New.
type Service struct {
	store Store
	rooms *chat.Service
}

// New returns a service that serves.
func New(store Store, rooms *chat.Service) *Service { return &Service{store, rooms} }

// Endpoints are the routes of requests.
func (s *Service) Endpoints() []web.Endpoint {
	read, write := web.Needs("chat.read"), web.Needs("chat.write")
	return []web.Endpoint{
		web.View("/rooms/{id}/requests", read, "Who asks to come in; for the room's moderators", s.page),
		web.Command(http.MethodPost, "/rooms/{id}/requests", write, "Ask to come into a guild", s.store, s.ask).
			Redirect(func(c *web.Call, _ any) string { return "/rooms/" + c.Request.PathValue("id") + "?asked=true" }),
		web.Query(http.MethodGet, "/rooms/{id}/requests", read, "Who asks to come in, the oldest first; for the room's moderators", s.list),
		web.Command(http.MethodDelete, "/rooms/{id}/requests", write, "Take one's request back", s.store, s.takeBack),
		web.Command(http.MethodPost, "/rooms/{id}/requests/{user}/approve", write, "Let somebody in who asks", s.store, s.approve).Redirect(toList),
		web.Command(http.MethodPost, "/rooms/{id}/requests/{user}/decline", write, "Do not let somebody in who asks", s.store, s.decline).Redirect(toList),
	}
}

type askIn struct {
	Room  int64  `path:"id" doc:"the room's id"`
	Words string `json:"text,omitempty" max:"500" doc:"what one says to it"`
}

// Check refuses words that show more than they say.
func (in *askIn) Check() error { return text.OneLine("text", in.Words) }

func (s *Service) ask(c *web.Call, tx Tx, in askIn) (api.ChatRequest, error) {
	room, st, err := chat.Entered(c.Caller, tx, in.Room)
	switch {
	case err == nil && st.Role != "":
		return api.ChatRequest{}, errs.New(errs.Conflict, "you are a member of this room")
	case err == nil && room.Knock() == "":
		return api.ChatRequest{}, errs.New(errs.Conflict, "nobody has to ask to come into this room")
	case err != nil && (!errs.Is(err, errs.NotFound) || room.Knock() == ""):
		return api.ChatRequest{}, err
	case c.Caller.ID == 0:
		return api.ChatRequest{}, errs.New(errs.Denied, "people ask to come in, services do not")
	case room.Knock() == chat.JoinOpen:
		return api.ChatRequest{}, errs.New(errs.Conflict, "nobody has to ask to come into this room; join it with POST /rooms/%d/join", room.ID)
	case room.ArchivedAt != 0:
		return api.ChatRequest{}, errs.New(errs.Conflict, "the room is archived; nobody can come in")
	}
	who := people.Caller(c.Caller)
	r := api.ChatRequest{UserID: who.ID, Handle: who.Handle, Text: in.Words, CreatedAt: api.TimeOf(tx.Now())}
	_, err = tx.Request(room.ID, who.ID)
	known := err == nil
	if err != nil && !errs.Is(err, errs.NotFound) {
		return r, err
	}
	waiting, err := tx.AddRequest(room.ID, r)
	switch {
	case err != nil:
		return r, err
	case known: // its words are new; the room was told
		return r, nil
	case waiting > most:
		return r, errs.New(errs.Conflict, "too many wait at this room already; ask again later")
	}
	return r, s.rooms.Log(c, tx, room, event.ChatRoomUpdated, requested{Kind: room.Kind, Requests: waiting, By: who.ID})
}

// requested is what chat.room.updated says of requests: how many wait now.
type requested struct {
	Kind     string `json:"kind"`
	Requests int    `json:"requests"`
	By       int64  `json:"by"`
}

type roomIn struct {
	Room int64 `path:"id" doc:"the room's id"`
}

func (s *Service) list(c *web.Call, in roomIn) ([]api.ChatRequest, error) {
	_, st, err := s.rooms.Entered(c.Context(), c.Caller, in.Room)
	if err == nil && !chat.Moderates(c.Caller, st) {
		err = denied()
	}
	if err != nil {
		return nil, err
	}
	return s.store.Requests(c.Context(), in.Room)
}

func denied() error {
	return errs.New(errs.Denied, "who asks to come in is for the room's owner and moderators")
}

func (s *Service) takeBack(c *web.Call, tx Tx, in roomIn) (api.OK, error) {
	if _, err := tx.Request(in.Room, c.Caller.ID); err != nil {
		return api.OK{}, err
	}
	return api.OK{OK: true}, tx.DropRequest(in.Room, c.Caller.ID)
}

type answerIn struct {
	Room int64 `path:"id" doc:"the room's id"`
	User int64 `path:"user" doc:"user_id of who asks"`
}

// asked returns the room and the request that a moderator answers.
func asked(c *web.Call, tx Tx, in answerIn) (chat.Room, api.ChatRequest, error) {
	room, st, err := chat.Entered(c.Caller, tx, in.Room)
	if err == nil && !chat.Moderates(c.Caller, st) {
		err = denied()
	}
	if err != nil {
		return room, api.ChatRequest{}, err
	}
	r, err := tx.Request(in.Room, in.User)
	return room, r, err
}

func (s *Service) approve(c *web.Call, tx Tx, in answerIn) (api.ChatMember, error) {
	room, r, err := asked(c, tx, in)
	if err != nil {
		return api.ChatMember{}, err
	}
	theirs, err := tx.Standing(room.ID, r.UserID)
	if err != nil {
		return api.ChatMember{}, err
	}
	if theirs.Banned(tx.Now()) {
		return api.ChatMember{}, errs.New(errs.Conflict, "%s is banned from this room; lift the ban first", r.Handle)
	}
	return s.rooms.Admit(c, tx, room, people.Person{ID: r.UserID, Handle: r.Handle}, chat.RoleMember) // the request goes with it
}

func (s *Service) decline(c *web.Call, tx Tx, in answerIn) (api.OK, error) {
	_, r, err := asked(c, tx, in)
	if err != nil {
		return api.OK{}, err
	}
	return api.OK{OK: true}, tx.DropRequest(in.Room, r.UserID)
}
