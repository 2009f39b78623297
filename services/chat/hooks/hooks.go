// Package hooks is the addresses at which other programs post lines into a room, in the form of Slack's and
// Mattermost's incoming webhooks: POST /hooks/{token} with {"text": …}.
//
// A room's moderators make and remove hooks. A hook's token is shown once, when it is made, and only its hash is
// stored; whoever has it can say lines in that room, and nothing else. What comes in is a line like any
// other: moderated, mentions resolved, kept from archived rooms. It carries the hook's name, never a
// person's, and is marked as a bot's. Outgoing webhooks are package webhooks.
//
// A Service is safe for concurrent use.
package hooks

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat/pace"
	"uniqverse/services/chat/text"
)

const (
	maxHooks  = 20   // of one room
	perSecond = 1.0  // lines of one hook
	burst     = 20.0 // lines at once
)

// Hook is one address.
type Hook struct {
	ID        int64    `json:"id"`
	RoomID    int64    `json:"room_id"`
	Name      string   `json:"name"`
	MadeBy    int64    `json:"made_by"` // user_id; 0 for a service
	CreatedAt api.Time `json:"created_at"`
	UsedAt    api.Time `json:"used_at"` // to the minute; null for never
}

// Line is what a hook says.
type Line struct {
	Room  int64
	Name  string          // the hook's, without @
	Text  string          // not cleaned yet
	Flags json.RawMessage // an object
	Key   string          // an Idempotency-Key, "" for none
	Whose string          // to whom the key belongs
}

// Store is what hooks ask of the store. Rows that do not exist are errs.NotFound.
type Store interface {
	web.Transactor[Tx]
	HookByHash(ctx context.Context, hash []byte) (Hook, error)
	// Hooks returns the hooks of a room, the newest first.
	Hooks(ctx context.Context, room int64, page web.Paging, limit int) ([]Hook, error)
}

// Tx changes hooks inside one transaction.
type Tx interface {
	Now() time.Time
	CountHooks(room int64) (int, error)
	// AddHook stores a hook and returns its id; errs.Conflict when the room has one with the name.
	AddHook(h Hook, hash []byte) (int64, error)
	DropHook(room, id int64) error
	HookUsed(id, at int64) error
}

// Rooms is what hooks ask of chat.
type Rooms interface {
	// Keeper is nil for who keeps order in the room.
	Keeper(ctx context.Context, c web.Caller, room int64) error
	// RoomName is what a room is called.
	RoomName(ctx context.Context, room int64) (string, error)
	// Say stores a line of a program's.
	Say(c *web.Call, line Line) (api.ChatSent, error)
	// Person reports whether a name is somebody's.
	Person(ctx context.Context, name string) (bool, error)
}

// Options make a Service; all are required.
type Options struct {
	Store Store
	Rooms Rooms
	Now   func() time.Time
}

// Service is the incoming hooks. Make one with New.
type Service struct {
	opts Options
	pace *pace.Limiter
}

// New returns a service that serves.
func New(opts Options) *Service { return &Service{opts: opts, pace: pace.New()} }

// Endpoints are the routes of hooks.
func (s *Service) Endpoints() []web.Endpoint {
	read, write := web.Needs("chat.read"), web.Needs("chat.write")
	write.Describe = "the room's owner and moderators"
	read.Describe = write.Describe
	return []web.Endpoint{
		web.View("/rooms/{id}/hooks", read, "The room's incoming hooks, and a form to make one", s.page),
		web.Query(http.MethodPost, "/rooms/{id}/hooks", write, "Make an address at which a program posts lines; its token is shown this once", s.make).Retry(s.refused),
		web.Query(http.MethodGet, "/rooms/{id}/hooks", read, "The room's incoming hooks, newest first", s.list),
		web.Query(http.MethodDelete, "/rooms/{id}/hooks/{hook}", write, "Remove a hook; its address answers 404 from then on", s.drop),
		web.Query(http.MethodPost, "/rooms/{id}/hooks/{hook}/delete", write, "As DELETE, for forms", s.drop).Redirect(toHooks),
		web.Query(http.MethodPost, "/hooks/{token}", web.Anyone(), "Post a line as Slack's and Mattermost's incoming webhooks take it; answers ok", s.post).MaxBody(256 << 10),
	}
}

type makeIn struct {
	Room int64  `path:"id" doc:"the room's id"`
	Name string `json:"name" web:"required" max:"79" doc:"what its lines are from, such as grafana"`
}

// made is the one answer with the token in it.
type made struct {
	Hook
	Token string `json:"token"`
	URL   string `json:"url"` // path of this service
}

func (s *Service) make(c *web.Call, in makeIn) (any, error) {
	m, err := s.add(c, in)
	if err == nil && c.WantsPage() {
		return s.view(c, listIn{Room: in.Room}, nil, &m)
	}
	return m, err
}

func (s *Service) add(c *web.Call, in makeIn) (made, error) {
	name, err := text.Handle(in.Name, "")
	if err != nil {
		return made{}, errs.BadField("name", "must be a name such as grafana, on one line")
	}
	if err := s.opts.Rooms.Keeper(c.Context(), c.Caller, in.Room); err != nil {
		return made{}, err
	}
	taken, err := s.opts.Rooms.Person(c.Context(), strings.ToLower(name))
	if err != nil {
		return made{}, err
	}
	if taken {
		return made{}, errs.New(errs.Conflict, "%s is somebody's name; call the hook otherwise", name)
	}
	token := strings.ToLower(rand.Text())
	h := Hook{RoomID: in.Room, Name: name, MadeBy: c.Caller.ID}
	err = s.opts.Store.Update(c.Context(), nil, func(tx Tx) error {
		n, err := tx.CountHooks(in.Room)
		if err != nil {
			return err
		}
		if n >= maxHooks {
			return errs.New(errs.Conflict, "a room has at most %d hooks; remove one first", maxHooks)
		}
		h.CreatedAt = api.TimeOf(tx.Now())
		h.ID, err = tx.AddHook(h, hashOf(token))
		return err
	})
	return made{h, token, c.URL("/hooks/" + token)}, err
}

func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

type listIn struct {
	Room int64 `path:"id" doc:"the room's id"`
	web.Paging
}

func (s *Service) list(c *web.Call, in listIn) ([]Hook, error) {
	if err := s.opts.Rooms.Keeper(c.Context(), c.Caller, in.Room); err != nil {
		return nil, err
	}
	hs, err := s.opts.Store.Hooks(c.Context(), in.Room, in.Paging, in.Size())
	if hs == nil {
		hs = []Hook{}
	}
	return hs, err
}

type dropIn struct {
	Room int64 `path:"id" doc:"the room's id"`
	Hook int64 `path:"hook" doc:"the hook's id"`
}

// dropped says that something is gone.
type dropped struct {
	OK bool `json:"ok"`
}

func (s *Service) drop(c *web.Call, in dropIn) (any, error) {
	if err := s.opts.Rooms.Keeper(c.Context(), c.Caller, in.Room); err != nil {
		return nil, err
	}
	return web.Update(c, in, s.opts.Store, func(tx Tx) (dropped, error) { return dropped{true}, tx.DropHook(in.Room, in.Hook) })
}

// post answers POST /hooks/{token}.
func (s *Service) post(c *web.Call, in map[string]json.RawMessage) (web.Text, error) {
	hash := hashOf(c.Request.PathValue("token"))
	h, err := s.opts.Store.HookByHash(c.Context(), hash)
	if err != nil {
		return "", err
	}
	if wait := s.pace.Take(pace.Key{Room: h.RoomID, User: h.ID}, perSecond, burst, s.opts.Now()); wait > 0 {
		return "", errs.Limit(wait, "this hook writes too fast; one line a second is what it may, and %d at once", int(burst))
	}
	p, err := read(in)
	if err != nil {
		return "", err
	}
	key := c.Request.Header.Get("Idempotency-Key")
	if len(key) > 128 {
		return "", errs.New(errs.Malformed, "Idempotency-Key must be given once, with 1 to 128 bytes")
	}
	line := Line{Room: h.RoomID, Name: h.Name, Text: p.line(), Flags: p.flags(h), Key: key, Whose: "hook/" + hex.EncodeToString(hash)}
	if _, err := s.opts.Rooms.Say(c, line); err != nil {
		return "", err
	}
	if now := s.opts.Now(); now.Sub(h.UsedAt.Time()) > time.Minute {
		err = s.opts.Store.Update(c.Context(), nil, func(tx Tx) error { return tx.HookUsed(h.ID, tx.Now().UnixMilli()) })
	}
	return "ok", err
}
