package moderation

import (
	"context"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/services/chat"
	"uniqverse/services/chat/people"
)

const (
	recheckEvery = 15 * time.Second
	recheckBatch = 20
	mostTries    = 40 // with a minute, two, four … up to an hour between: more than a day
)

// Run asks again about the lines that passed while the external engine did not answer, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	if s.opts.Pipeline.opts.Engine == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		if err := s.Recheck(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("lines could not be asked about again; trying later", "err", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Recheck asks about what is due now.
func (s *Service) Recheck(ctx context.Context) error {
	for {
		due, err := s.opts.Store.Due(ctx, s.opts.Now(), recheckBatch)
		if err != nil {
			return err
		}
		for _, r := range due {
			if err := s.again(ctx, r); err != nil {
				return err
			}
		}
		if len(due) < recheckBatch {
			return nil
		}
	}
}

// again asks about one line; a verdict hides it or puts it before moderators, for it cannot be refused any more.
func (s *Service) again(ctx context.Context, r Recheck) error {
	room, line, err := s.opts.Rooms.LineOf(ctx, r.Room, r.Message)
	gone := errs.Is(err, errs.NotFound) || err == nil && (line.Deleted || room.DeletedAt != 0)
	if err != nil && !gone {
		return err
	}
	var said api.XEngineVerdict
	if !gone {
		said, err = s.opts.Pipeline.engine(ctx, chat.Candidate{Room: room, Author: people.Person{ID: line.UserID, Handle: line.Handle}, Text: line.Text, ReplyTo: line.ReplyTo, Line: line.ID}, line.ID)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if !gone && err != nil && r.Tries+1 < mostTries {
		wait := min(time.Minute<<min(r.Tries, 6), time.Hour)
		r.Tries++
		return s.opts.Store.Update(ctx, nil, func(tx Tx) error { return tx.PutRecheck(r, tx.Now().Add(wait)) })
	}
	answered := !gone && err == nil
	r.Tries = -1
	return s.opts.Store.Update(ctx, nil, func(tx Tx) error {
		if err := tx.PutRecheck(r, tx.Now()); err != nil || !answered || said.Verdict == "allow" {
			return err
		}
		return s.late(tx, room, line, said)
	})
}

// late does what the engine says of a line that stands already.
func (s *Service) late(tx Tx, room chat.Room, line chat.Line, said api.XEngineVerdict) error {
	now, err := tx.Message(room.ID, line.ID)
	if err != nil || now.Deleted || now.Text != line.Text { // changed meanwhile, and asked about then
		return nil
	}
	if err := tx.OpenCase(now.ChatMessage, chat.Case{Source: "engine", Reason: said.Reason}); err != nil {
		return err
	}
	if said.Verdict != "flag" && !now.Hidden {
		if err := s.opts.Rooms.HideLate(tx, room, now); err != nil {
			return err
		}
	}
	ev, err := alert{Action: "recheck", Room: room.ID, Line: line.ID, Reason: said.Reason}.event(tx.Now())
	if err == nil {
		tx.Emit("veze.chat", ev)
	}
	return err
}
