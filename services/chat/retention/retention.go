// Package retention removes what was said when its time is over: lines with their files, words in the search and
// places in their room's log. A room keeps its order: seq goes on where it was, and who comes back from
// below the room's horizon is told to load it again.
//
// It decides nothing about how long: that is a setting of the room (chat.Room). Besides, it takes away parties that everybody
// left, or that were archived, a day ago, and clears what rooms that were deleted have left.
//
// It works in small transactions, so that nobody waits for it; a kill between two of them leaves what is left for the next
// sweep. A Sweeper is safe for concurrent use.
package retention

import (
	"context"
	"log/slog"
	"time"

	"uniqverse/services/chat"
)

const (
	every    = time.Hour
	batch    = 200 // events of a room in one transaction
	page     = 200 // rooms looked at in one read
	partyFor = 24 * time.Hour
)

// Kept is a room with what decides how long its lines stay.
type Kept struct {
	chat.Room
	EmptiedAt time.Time // when its last member left; zero while there is one
	Oldest    time.Time // of what its log holds; zero for nothing
}

// Store is what the sweeper asks of the store.
type Store interface {
	// Kept returns rooms in the order of their ids, those after one.
	Kept(ctx context.Context, after int64, limit int) ([]Kept, error)
	// Expire removes up to limit of the oldest events of a room that are from before the time, with their lines, and
	// returns how many that were. The newest event of a room stays, without its text.
	Expire(ctx context.Context, room int64, before time.Time, limit int) (int, error)
	// TakeAway deletes a room in which nobody is any more, or that is archived; one that somebody entered or opened meanwhile stays.
	TakeAway(ctx context.Context, room int64) error
}

// Options make a Sweeper. Store is required.
type Options struct {
	Store Store
	Log   *slog.Logger     // nil is silent
	Now   func() time.Time // nil means time.Now
}

// Sweeper removes what was said long ago. Make one with New.
type Sweeper struct{ opts Options }

// New returns a sweeper that waits for Run, or for who calls Sweep.
func New(opts Options) *Sweeper {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Sweeper{opts}
}

// Run sweeps at once and every hour, until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("chat: old lines could not be removed; trying again later", "err", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep removes everything whose time is over.
func (s *Sweeper) Sweep(ctx context.Context) error {
	for after := int64(0); ; {
		rooms, err := s.opts.Store.Kept(ctx, after, page)
		if err != nil {
			return err
		}
		for _, r := range rooms {
			if err := s.room(ctx, r); err != nil {
				return err
			}
			after = r.ID
		}
		if len(rooms) < page {
			return nil
		}
	}
}

func (s *Sweeper) room(ctx context.Context, r Kept) error {
	now := s.opts.Now()
	if r.Kind == chat.KindParty && r.DeletedAt == 0 && r.Retention == chat.AsItsKind {
		over := r.EmptiedAt
		if r.ArchivedAt != 0 { // its match is over
			over = r.ArchivedAt.Time()
		}
		if !over.IsZero() && now.Sub(over) >= partyFor {
			return s.opts.Store.TakeAway(ctx, r.ID) // cleared by the next sweep
		}
	}
	var before time.Time
	switch days := r.RetentionDays(); {
	case r.DeletedAt != 0:
		before = now.Add(time.Millisecond)
	case days == chat.Forever:
		return nil
	default:
		before = now.AddDate(0, 0, -days)
	}
	if r.Oldest.IsZero() || !r.Oldest.Before(before) {
		return nil
	}
	total := 0
	for {
		n, err := s.opts.Store.Expire(ctx, r.ID, before, batch)
		total += n
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	if total > 0 {
		s.opts.Log.Info("chat: old lines were removed", "room", r.ID, "events", total)
	}
	return nil
}
