package search

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
)

const (
	batch    = 500                    // events of rooms that go into the index in one transaction
	settle   = 500 * time.Millisecond // how long the indexer waits for more of them: who searches sooner brings them in
	farOff   = 5                      // batches for which a search waits
	patience = 5 * time.Second        // what one search may take
)

// Store is what the search asks of the store.
type Store interface {
	// Index brings up to limit further events of the rooms' logs into the index and returns how many those were.
	Index(ctx context.Context, limit int) (int, error)
	// Mentioning returns the lines that mention the viewer in rooms that they may read, newest first: those with an id below before (0 for all).
	Mentioning(ctx context.Context, v chat.Viewer, now time.Time, before int64, limit int) ([]chat.Line, error)
	// Search returns lines that a viewer may read, newest first: those with an id below before (0 for all).
	Search(ctx context.Context, v chat.Viewer, q Query, room, before int64, now time.Time, limit int) ([]Found, error)
}

// Found is a line that was found, with its room.
type Found struct {
	chat.Line
	RoomName, RoomKind string
}

// Options make a Service. Store, Hub and Rooms are required.
type Options struct {
	Store Store
	Hub   hub.Hub
	Rooms *chat.Service
	Log   *slog.Logger     // nil is silent
	Now   func() time.Time // nil means time.Now
}

// Service is the search of chat. Make one with New.
type Service struct {
	opts  Options
	asked *web.Quota
	mu    sync.Mutex // held while the index grows
}

// New returns a search that serves; its index waits for Run, or for who searches.
func New(opts Options) *Service {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Service{opts: opts, asked: web.NewQuota("searches", 4)}
}

// Endpoints are the routes of the search.
func (s *Service) Endpoints() []web.Endpoint {
	return []web.Endpoint{
		web.View("/search", web.Needs("chat.read"), "A field to search with, and the lines that were found", s.page),
		web.Query(http.MethodGet, "/search", web.Needs("chat.read"), "Lines by their words, newest first, in the rooms that one may read; Link leads on", s.search),
		web.Query(http.MethodGet, "/mentions", web.Needs("chat.read"), "Lines that mention one, in the rooms that one may read, newest first; Link leads on", s.mentions),
	}
}

// Run feeds the index until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		sub, err := s.opts.Hub.Subscribe(ctx, event.StreamChat, nil)
		if err == nil {
			err = s.follow(ctx, sub)
			sub.Close()
		}
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, hub.ErrSlow) { // rooms are busy: the log tells what was missed
			wait(ctx, settle)
			continue
		}
		s.opts.Log.Warn("chat: the search falls behind; trying again", "err", err.Error())
		wait(ctx, time.Second)
	}
	return nil
}

// follow grows the index at once and then whenever something was said.
func (s *Service) follow(ctx context.Context, sub hub.Subscription) error {
	for {
		if _, err := s.CatchUp(ctx, 0); err != nil {
			return err
		}
		for {
			m, err := sub.Next(ctx)
			if err != nil {
				return err
			}
			if m.Seq != 0 {
				break
			}
		}
		wait(ctx, settle)
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// CatchUp brings the index up to date, in at most so many batches (0 for as many as it takes), and reports whether it is.
func (s *Service) CatchUp(ctx context.Context, batches int) (bool, error) {
	for n := 0; batches == 0 || n < batches; n++ {
		s.mu.Lock()
		done, err := s.opts.Store.Index(ctx, batch)
		s.mu.Unlock()
		if err != nil || done < batch {
			return err == nil, err
		}
	}
	return false, nil
}

type searchIn struct {
	Q      string `json:"q" web:"required" doc:"words, \"words in a row\", word*, -word, from:pilot, in:room, before:2026-11-27, after:2026-11-01, has:attachment"`
	Room   int64  `json:"room,omitempty" min:"1" doc:"only in the room with this id"`
	Limit  int    `json:"limit,omitempty" min:"1" max:"200" doc:"how many, 1 to 200; 50 when left out"`
	Before int64  `json:"before,omitempty" min:"1" doc:"lines before the one with this id"`
}

func (s *Service) search(c *web.Call, in searchIn) ([]api.ChatFound, error) {
	q, err := Parse(in.Q)
	if err != nil {
		return nil, err
	}
	if in.Room != 0 {
		if _, err := s.opts.Rooms.Reader(c.Context(), c.Caller, in.Room); err != nil {
			return nil, err
		}
	}
	release, err := s.asked.Take(c.Caller)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	if _, err := s.CatchUp(ctx, farOff); err != nil && c.Context().Err() == nil {
		c.Log.Warn("a search goes without the newest lines", "err", err.Error())
	}
	size := web.Paging{Limit: in.Limit}.Size()
	found, err := s.opts.Store.Search(ctx, chat.ViewerOf(c.Caller), q, in.Room, in.Before, s.opts.Now(), size+1)
	if ctx.Err() != nil && c.Context().Err() == nil {
		return nil, errs.New(errs.Timeout, "the search took too long; give a room or another word")
	}
	if err != nil {
		return nil, err
	}
	if len(found) > size {
		found = found[:size]
		next := url.Values{"q": {in.Q}, "before": {strconv.FormatInt(found[size-1].ID, 10)}, "limit": {strconv.Itoa(size)}}
		if in.Room != 0 {
			next.Set("room", strconv.FormatInt(in.Room, 10))
		}
		c.Header().Set("Link", "<"+c.URL("/search?"+next.Encode())+`>; rel="next"`)
	}
	return s.shown(c, q, found)
}

// mentionsIn pages through the lines that mention the caller.
type mentionsIn struct {
	Limit  int   `json:"limit,omitempty" min:"1" max:"200" doc:"how many, 1 to 200; 50 when left out"`
	Before int64 `json:"before,omitempty" min:"1" doc:"lines before the one with this id"`
}

func (s *Service) mentions(c *web.Call, in mentionsIn) ([]api.ChatMessage, error) {
	size := web.Paging{Limit: in.Limit}.Size()
	lines, err := s.opts.Store.Mentioning(c.Context(), chat.ViewerOf(c.Caller), s.opts.Now(), in.Before, size+1)
	if err != nil {
		return nil, err
	}
	if len(lines) > size {
		lines = lines[:size]
		c.Header().Set("Link", "<"+c.URL("/mentions?before="+strconv.FormatInt(lines[size-1].ID, 10)+"&limit="+strconv.Itoa(size))+`>; rel="next"`)
	}
	return s.opts.Rooms.Shown(c, lines)
}

func (s *Service) shown(c *web.Call, q Query, found []Found) ([]api.ChatFound, error) {
	lines := make([]chat.Line, len(found))
	for i, f := range found {
		lines[i] = f.Line
	}
	messages, err := s.opts.Rooms.Shown(c, lines)
	if err != nil {
		return nil, err
	}
	out := make([]api.ChatFound, len(found))
	for i, f := range found {
		out[i] = api.ChatFound{ChatMessage: messages[i], RoomName: f.RoomName, RoomKind: f.RoomKind, Parts: q.Highlight(f.Text)}
	}
	return out, nil
}
