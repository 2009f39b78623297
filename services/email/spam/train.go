package spam

import (
	"context"
	"time"

	"uniqverse/internal/errs"
)

// The bounds of what is counted for one mailbox.
const (
	MaxWords   = 50_000 // different words
	MaxTrained = 2_000  // messages of one kind
)

const (
	writeEvery = 10 * time.Second // what was seen of senders is written this often
	maxSeen    = 5000             // or when so much waits
	tidyEvery  = time.Hour
	batch      = 50 // marks that are read at a time
)

// Saw notes that a message was delivered with this verdict; it is written a little later, and a crash may lose the note.
func (f *Filter[T]) Saw(user string, v Verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, src := range v.Sources {
		k := seenKey{user, src}
		s := f.seen[k]
		if s == nil {
			if len(f.seen) >= 4*maxSeen {
				return // a flood of new senders: who they are can be learnt later
			}
			s = &Seen{User: user, Source: src, First: f.Now()}
			f.seen[k] = s
		}
		s.All++
		if v.Junk {
			s.Junk++
		}
	}
	if len(f.seen) >= maxSeen {
		f.Wake()
	}
}

// Wake lets Run look for marks at once. It never waits.
func (f *Filter[T]) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run works off marks until ctx ends, and then writes what was seen.
func (f *Filter[T]) Run(ctx context.Context) {
	tick, tidy := time.NewTicker(writeEvery), time.NewTicker(tidyEvery)
	defer tick.Stop()
	defer tidy.Stop()
	for ctx.Err() == nil {
		f.learn(ctx)
		select {
		case <-ctx.Done():
		case <-f.wake:
		case <-tick.C:
			f.writeSeen(ctx)
		case <-tidy.C:
			f.tidy(ctx)
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	f.writeSeen(end)
}

// writeSeen puts what was delivered into the store.
func (f *Filter[T]) writeSeen(ctx context.Context) {
	f.mu.Lock()
	seen := f.seen
	f.seen = map[seenKey]*Seen{}
	f.mu.Unlock()
	if len(seen) == 0 {
		return
	}
	list := make([]Seen, 0, len(seen))
	for _, s := range seen {
		list = append(list, *s)
	}
	if err := f.Store.Update(ctx, nil, func(tx T) error { return tx.SeeSpam(list) }); err != nil && ctx.Err() == nil {
		f.Log.Warn("what was seen of senders could not be written, and is forgotten", "err", err.Error())
	}
}

// learn works off the marks that wait.
func (f *Filter[T]) learn(ctx context.Context) {
	for ctx.Err() == nil {
		marks, err := f.Store.SpamPending(ctx, batch)
		if err != nil && ctx.Err() == nil {
			f.Log.Warn("what people marked as junk cannot be read; it is tried again", "err", err.Error())
			return
		}
		for _, m := range marks {
			if err := f.Train(ctx, m.Message); err != nil {
				if ctx.Err() == nil {
					f.Log.Warn("a message could not be learnt from; it is tried again", "message", m.Message, "err", err.Error())
				}
				return
			}
		}
		if len(marks) < batch {
			return
		}
	}
}

// Train counts a message as its mark says, and takes out what was counted of it before. It may be called at any time and
// any number of times.
func (f *Filter[T]) Train(ctx context.Context, message int64) error {
	m, err := f.Store.SpamMark(ctx, message)
	if errs.Is(err, errs.NotFound) || err == nil && m.Want == m.Trained {
		return nil
	}
	if err != nil {
		return err
	}
	facts, err := f.Office.Stored(ctx, m.Raw)
	gone := errs.Is(err, errs.NotFound)
	if err != nil && !gone {
		return err
	}
	var words, sources []string
	if !gone {
		words, sources = facts.Sample().Tokens(), Sources(facts)
	}
	done := false
	err = f.Store.Update(ctx, nil, func(tx T) error {
		done = false
		m, err := tx.SpamMark(message)
		if errs.Is(err, errs.NotFound) || err == nil && m.Want == m.Trained {
			return nil // somebody else was faster, or thought better of it
		}
		if err != nil {
			return err
		}
		if !gone {
			if m.Trained != None {
				if err := tx.CountSpam(m.Mailbox, m.Trained, -1, words, sources); err != nil {
					return err
				}
			}
			if m.Want != None {
				if err := tx.CountSpam(m.Mailbox, m.Want, 1, words, sources); err != nil {
					return err
				}
			}
		}
		m.Trained, done = m.Want, true
		return tx.SaveSpamMark(m)
	})
	if err != nil || !done {
		return err
	}
	f.trained.Inc()
	if m.Want == Spam && !m.Auto {
		return f.balance(ctx, m.Mailbox)
	}
	return nil
}

// balance marks a message that its owner read and kept as good, as long as fewer of those are counted than spam: words
// tell nothing when only one kind is known.
func (f *Filter[T]) balance(ctx context.Context, mailbox int64) error {
	p, err := f.Store.SpamProfile(ctx, mailbox)
	if err != nil || p.Trained.Ham >= p.Trained.Spam {
		return err
	}
	id, err := f.Store.SpamKept(ctx, mailbox)
	if err != nil || id == 0 {
		return err
	}
	err = f.Store.Update(ctx, nil, func(tx T) error {
		if _, err := tx.SpamMark(id); !errs.Is(err, errs.NotFound) {
			return err
		}
		return tx.SaveSpamMark(Mark{Message: id, Want: Ham, Auto: true, At: tx.Now()})
	})
	if err != nil {
		return err
	}
	return f.Train(ctx, id)
}

// tidy keeps the counts within their bounds.
func (f *Filter[T]) tidy(ctx context.Context) {
	over, err := f.Store.SpamOver(ctx, MaxWords, MaxTrained)
	for _, p := range over {
		if err == nil && max(p.Trained.Ham, p.Trained.Spam) > MaxTrained {
			err = f.Store.Update(ctx, nil, func(tx T) error { return tx.HalveSpam(p.Mailbox) })
		}
		if err == nil && p.Words > MaxWords {
			err = f.Store.Update(ctx, nil, func(tx T) error { return tx.TrimSpam(p.Mailbox, MaxWords*9/10) })
		}
	}
	if err != nil && ctx.Err() == nil {
		f.Log.Warn("the counts of words could not be tidied; it is tried again in an hour", "err", err.Error())
	}
}
