// Package killfeed is what the game tells chat: a party room for each match with its players in it, a line for each kill, and
// notices of the server in the rooms that they name.
//
// It asks chat through internal/api, wherever chat runs. What is to be told is a row of the same transaction as what
// happened, and is worked off in order: chat that is down, or a kill -9 anywhere, delays lines and neither loses nor repeats
// them (each goes with an Idempotency-Key of its own). What could not be told for a day is dropped, with a line
// in the log.
//
// A Service is safe for concurrent use.
package killfeed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

const (
	batch    = 100
	tryAgain = 5 * time.Second // after chat did not answer, and twice as long each time
	longest  = time.Minute
	keptFor  = 24 * time.Hour
	patience = 10 * time.Second // for one call of chat
)

// The kinds of entries.
const (
	Open   = "open"   // a match begins: its room is made
	Line   = "line"   // of a match
	End    = "end"    // a match is over: its room is archived
	Notice = "notice" // a line in the room of a name
)

// Entry is something that chat is to be told.
type Entry struct {
	ID        int64
	Match     int64  // 0 for a notice
	Kind      string // Open, Line, End or Notice
	Room      string // name of a notice's room
	Text      string
	CreatedAt time.Time
}

// Match is a match, as far as chat is told of it.
type Match struct {
	ID      int64
	Mode    string
	Region  string
	Teams   [][]string // players
	Room    int64      // in chat; 0 before it is made
	EndedAt api.Time   // 0 while it goes on
}

// Store is what the killfeed asks of the store. Rows that do not exist are errs.NotFound.
type Store interface {
	web.Transactor[Tx]
	// Waiting returns entries in their order.
	Waiting(ctx context.Context, limit int) ([]Entry, error)
	Match(ctx context.Context, id int64) (Match, error)
}

// Tx changes what waits, inside one transaction.
type Tx interface {
	Now() time.Time
	Emit(stream string, ev event.Event)
	Match(id int64) (Match, error)
	AddEntry(e Entry) error
	DropEntry(id int64) error
	// SetRoom notes the room of a match.
	SetRoom(match, room int64) error
	// SetEnded notes that a match is over.
	SetEnded(match int64) error
}

// Chat is what chat is asked for; api.Chat behind it.
type Chat interface {
	CreateRoom(ctx context.Context, room api.ChatNewRoom, key string) (api.ChatRoom, error)
	// FindRoom returns the room with exactly this name, or errs.NotFound.
	FindRoom(ctx context.Context, name string) (api.ChatRoom, error)
	AddMember(ctx context.Context, room int64, handle string) error
	Send(ctx context.Context, room int64, m api.ChatNewMessage, key string) (api.ChatSent, error)
	Archive(ctx context.Context, room int64) error
}

// Options make a Service. Store, Hub and Chat are required.
type Options struct {
	Store Store
	Hub   hub.Hub
	Chat  Chat
	Log   *slog.Logger     // nil is silent
	Now   func() time.Time // nil means time.Now
}

// Service is the killfeed. Make one with New.
type Service struct{ opts Options }

// New returns a service that serves; what is to be told waits for Run.
func New(opts Options) *Service {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Service{opts}
}

// Run tells chat what waits, at once and whenever there is more, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	for pause := tryAgain; ctx.Err() == nil; pause = min(2*pause, longest) {
		sub, err := s.opts.Hub.Subscribe(ctx, event.StreamGame, nil)
		if err == nil {
			err = s.follow(ctx, sub, func() { pause = tryAgain / 2 })
			sub.Close()
		}
		if ctx.Err() != nil || errors.Is(err, hub.ErrClosed) {
			break
		}
		s.opts.Log.Warn("game: chat could not be told; trying again", "err", err.Error())
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
	return nil
}

// follow tells what waits and then whenever there is more; well is called when chat took all of it.
func (s *Service) follow(ctx context.Context, sub hub.Subscription, well func()) error {
	for {
		if err := s.Deliver(ctx); err != nil {
			return err
		}
		well()
		for {
			m, err := sub.Next(ctx)
			if err != nil {
				return err
			}
			if m.Type == event.GameMatchFound || m.Type == event.GameMatchEnded || m.Type == event.GameKill || m.Type == event.GameNotice {
				break
			}
		}
	}
}

// Deliver tells chat all that waits, in its order; the first that chat cannot take now ends it.
func (s *Service) Deliver(ctx context.Context) error {
	for {
		waiting, err := s.opts.Store.Waiting(ctx, batch)
		if err != nil {
			return err
		}
		for _, e := range waiting {
			err := s.tell(ctx, e)
			late := err != nil && s.opts.Now().Sub(e.CreatedAt) > keptFor
			if err != nil && !late && temporary(err) {
				return err
			}
			if err != nil {
				s.opts.Log.Warn("game: chat does not take it; left out", "match", e.Match, "kind", e.Kind, "err", err.Error())
			}
			if err := s.opts.Store.Update(ctx, nil, func(tx Tx) error { return tx.DropEntry(e.ID) }); err != nil {
				return err
			}
		}
		if len(waiting) < batch {
			return nil
		}
	}
}

// temporary reports what may go away by itself.
func temporary(err error) bool {
	for _, k := range []errs.Kind{errs.Unavailable, errs.Timeout, errs.Upstream, errs.Limited, errs.Internal, errs.Unauthenticated} {
		if errs.Is(err, k) {
			return true
		}
	}
	var known *errs.Error
	return !errors.As(err, &known)
}

func (s *Service) tell(ctx context.Context, e Entry) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	key := fmt.Sprintf("game-%d", e.ID)
	if e.Kind == Notice {
		room, err := s.named(ctx, e.Room)
		if err != nil {
			return err
		}
		_, err = s.opts.Chat.Send(ctx, room, api.ChatNewMessage{Text: e.Text}, key)
		return err
	}
	m, err := s.opts.Store.Match(ctx, e.Match)
	if err != nil {
		return err
	}
	if m.Room == 0 {
		if m.Room, err = s.open(ctx, m); err != nil {
			return err
		}
	}
	if e.Text != "" {
		if _, err := s.opts.Chat.Send(ctx, m.Room, api.ChatNewMessage{Text: e.Text}, key); err != nil {
			return err
		}
	}
	if e.Kind == End {
		return s.opts.Chat.Archive(ctx, m.Room)
	}
	return nil
}

// open makes the room of a match, with its players in it.
func (s *Service) open(ctx context.Context, m Match) (int64, error) {
	key := fmt.Sprintf("game-match-%d", m.ID)
	room, err := s.opts.Chat.CreateRoom(ctx, api.ChatNewRoom{Name: fmt.Sprintf("Match %d", m.ID), Kind: "party"}, key)
	if errs.Is(err, errs.Conflict) { // somebody called a room so
		room, err = s.opts.Chat.CreateRoom(ctx, api.ChatNewRoom{Kind: "party"}, key+"-unnamed")
	}
	if err != nil {
		return 0, err
	}
	var sides []string
	for _, team := range m.Teams {
		for _, player := range team {
			err := s.opts.Chat.AddMember(ctx, room.ID, "@"+player)
			if err != nil && temporary(err) {
				return 0, err
			}
			if err != nil { // a player whom chat does not know
				s.opts.Log.Debug("game: a player is not in chat", "match", m.ID, "err", err.Error())
			}
		}
		sides = append(sides, strings.Join(team, ", "))
	}
	begin := fmt.Sprintf("Match %d (%s, %s): %s", m.ID, m.Mode, m.Region, strings.Join(sides, " against "))
	if _, err := s.opts.Chat.Send(ctx, room.ID, api.ChatNewMessage{Text: begin}, key+"-begin"); err != nil && temporary(err) {
		return 0, err
	}
	return room.ID, s.opts.Store.Update(ctx, nil, func(tx Tx) error { return tx.SetRoom(m.ID, room.ID) })
}

// named returns the room with the name, made for everybody when there is none.
func (s *Service) named(ctx context.Context, name string) (int64, error) {
	room, err := s.opts.Chat.FindRoom(ctx, name)
	if errs.Is(err, errs.NotFound) {
		room, err = s.opts.Chat.CreateRoom(ctx, api.ChatNewRoom{Name: name, Kind: "global"}, "")
	}
	return room.ID, err
}
