// Package trends opens a room for what people begin to talk about: trend.detected{slug} makes sure that there is the global room
// #slug, and says in it why.
//
// It finds no trends; that is xengine's. A slug is told of at most once an hour, at most six rooms are made an hour, and a
// room in which nobody said anything for a day is archived, until its slug is a trend again. A room that a moderator took
// away is not made again by a trend: a moderator may make it.
//
// A Service is safe for concurrent use.
package trends

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/services/chat"
)

const (
	cooldown  = time.Hour // between two lines about one slug
	perHour   = 6         // rooms
	quietFor  = 24 * time.Hour
	lookEvery = 10 * time.Minute
)

// Room is the room of a slug.
type Room struct {
	Slug      string
	Room      int64
	CreatedAt time.Time
	ToldAt    time.Time // when the room heard of it last
	Archived  bool
	Deleted   bool
	LastAt    time.Time // of the last thing that somebody said in it; zero for never
}

// Store is what trends ask of the store. Rows that do not exist are errs.NotFound.
type Store interface {
	Trend(ctx context.Context, slug string) (Room, error)
	// Made returns how many rooms were made since a time.
	Made(ctx context.Context, since time.Time) (int, error)
	// KeepTrend stores the room of a slug and that it heard of it now.
	KeepTrend(ctx context.Context, slug string, room int64) error
	// Quiet returns rooms that are open, and that were last told of and last spoken in before the time.
	Quiet(ctx context.Context, before time.Time, limit int) ([]Room, error)
}

// Rooms makes rooms and speaks in them; *chat.Service.
type Rooms interface {
	// Ensure returns the room with the name, made for everybody when there is none.
	Ensure(ctx context.Context, name string) (chat.Room, error)
	Announce(ctx context.Context, room int64, line string) error
	// SetArchived closes or opens a room on behalf of the server.
	SetArchived(ctx context.Context, room int64, archived bool) error
}

// Options make a Service. Store, Rooms and Hub are required.
type Options struct {
	Store Store
	Rooms Rooms
	Hub   hub.Hub
	Log   *slog.Logger     // nil is silent
	Now   func() time.Time // nil means time.Now
}

// Service is the trend rooms. Make one with New.
type Service struct {
	opts Options
	slug *regexp.Regexp
}

// New returns a service that waits for Run.
func New(opts Options) *Service {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Service{opts, regexp.MustCompile(`^[\pL\pN]([\pL\pN-]{0,38}[\pL\pN])?$`)}
}

// detected is the payload of trend.detected.
type detected struct {
	Slug   string  `json:"slug"`
	Score  float64 `json:"score"`
	Window int     `json:"window_s"`
}

// Run listens to trends until ctx ends, and archives rooms that have become quiet.
func (s *Service) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.watch(ctx)
	}()
	for ctx.Err() == nil {
		sub, err := s.opts.Hub.Subscribe(ctx, event.StreamChat, nil)
		for err == nil {
			var m hub.Message
			if m, err = sub.Next(ctx); err == nil && m.Type == event.TrendDetected {
				s.heard(event.WithTrace(ctx, m.Trace), m)
			}
		}
		if sub != nil {
			sub.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	<-done
	return nil
}

func (s *Service) heard(ctx context.Context, m hub.Message) {
	var d detected
	if json.Unmarshal(m.Payload, &d) != nil || !s.slug.MatchString(d.Slug) {
		return
	}
	if err := s.Tell(ctx, d.Slug, d.Score, time.Duration(d.Window)*time.Second); err != nil && ctx.Err() == nil {
		s.opts.Log.Warn("chat: a trend got no room", "slug", d.Slug, "err", err.Error())
	}
}

// Tell makes sure that a trend has its room, and says in it that it is one.
func (s *Service) Tell(ctx context.Context, slug string, score float64, window time.Duration) error {
	now := s.opts.Now()
	known, err := s.opts.Store.Trend(ctx, slug)
	switch {
	case errs.Is(err, errs.NotFound):
		made, err := s.opts.Store.Made(ctx, now.Add(-time.Hour))
		if err != nil || made >= perHour {
			return err
		}
	case err != nil:
		return err
	case known.Deleted, now.Sub(known.ToldAt) < cooldown:
		return nil
	}
	room := known.Room
	if room == 0 {
		r, err := s.opts.Rooms.Ensure(ctx, "#"+slug)
		if err != nil {
			return err
		}
		if r.Kind != chat.KindGlobal { // somebody's own room of that name
			return nil
		}
		room = r.ID
	}
	if err := s.opts.Store.KeepTrend(ctx, slug, room); err != nil {
		return err
	}
	if known.Archived {
		if err := s.opts.Rooms.SetArchived(ctx, room, false); err != nil {
			return err
		}
	}
	return s.opts.Rooms.Announce(ctx, room, fmt.Sprintf("#%s is what people talk about: %.0f times as often as usual in the last %.0f minutes.", slug, score, window.Minutes()))
}

func (s *Service) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("chat: quiet rooms could not be archived; trying again later", "err", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sweep archives the rooms of trends in which nobody speaks any more.
func (s *Service) Sweep(ctx context.Context) error {
	quiet, err := s.opts.Store.Quiet(ctx, s.opts.Now().Add(-quietFor), 100)
	if err != nil {
		return err
	}
	for _, r := range quiet {
		if err := s.opts.Rooms.SetArchived(ctx, r.Room, true); err != nil {
			return err
		}
	}
	return nil
}
