package rules

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// Stored is a message that is there already, as rules see it.
type Stored struct {
	Facts
	ID      int64
	Mailbox int64
}

// Office is the mail service as rules need it.
type Office[T Tx] interface {
	// Owner returns the local part of the user that a request names, the caller when it names none, after the domain
	// and owner checks.
	Owner(c *web.Call, user string) (string, error)
	// Ensure returns the id of a user's mailbox, and makes it when there is none.
	Ensure(tx T, user string) (int64, error)
	// FolderNamed finds a folder of a mailbox by role, path or id, and returns its id and its path; errs.Invalid when there is none.
	FolderNamed(ctx context.Context, mailbox int64, text string) (id int64, path string, err error)
	// FolderIn is FolderNamed in a transaction.
	FolderIn(tx T, mailbox int64, text string) (id int64, path string, err error)
	// CheckRedirect refuses an address that mail of the user cannot be sent on to, with errs.Invalid, and returns it as it is to
	// be written. It asks nobody.
	CheckRedirect(user, address string) (string, error)
	// StoredFacts reads a message that is there.
	StoredFacts(ctx context.Context, message int64) (Stored, error)
	// Visible returns a message's mailbox when the caller may see it.
	Visible(c *web.Call, message int64) (mailbox int64, err error)
	// ApplyPlan does to a message that is there what a plan wants, but sends nothing. changed is false when it was all done.
	ApplyPlan(tx T, message int64, p Plan) (changed bool, err error)
	// CleanLabel returns a label as it is stored, or errs.Invalid.
	CleanLabel(label string) (string, error)
}

// Options is all that a Set needs. All are required.
type Options[T Tx] struct {
	Store  Store[T]
	Office Office[T]
	Log    *slog.Logger
	Now    func() time.Time
}

// Set is everybody's rules. Make one with New.
type Set[T Tx] struct {
	Options[T]
	cache *cache
	wake  chan struct{}
}

// New returns a set; it starts nothing.
func New[T Tx](o Options[T]) (*Set[T], error) {
	if o.Store == nil || o.Office == nil || o.Log == nil || o.Now == nil {
		return nil, errors.New("rules: Store, Office, Log and Now are required")
	}
	return &Set[T]{Options: o, cache: &cache{}, wake: make(chan struct{}, 1)}, nil
}

// Standing returns what users want done with mail that arrives.
func (s *Set[T]) Standing(ctx context.Context, users []string) (map[string]Standing, error) {
	return s.Store.RulesFor(ctx, users)
}

// Plan asks a user's rules about a message that arrives.
func (s *Set[T]) Plan(st Standing, f *Facts) Plan {
	if len(st.Rules) == 0 {
		return Plan{}
	}
	return run(s.cache.ready(st.Rules), f)
}

// Run works through mail that is there already, until ctx ends.
func (s *Set[T]) Run(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for ctx.Err() == nil {
		runs, err := s.Store.RuleRuns(ctx, 0)
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("runs of rules cannot be read; it is tried again", "err", err.Error())
		}
		for _, r := range runs {
			s.work(ctx, r)
		}
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-tick.C:
		}
	}
}

// work goes through the messages of one run.
func (s *Set[T]) work(ctx context.Context, r Run) {
	for ctx.Err() == nil && r.State == Running {
		next, err := s.step(ctx, r)
		switch {
		case errs.Is(err, errs.Conflict): // stopped meanwhile
			return
		case err != nil && ctx.Err() == nil:
			s.Log.Warn("rules could not be run on mail that is there", "run", r.ID, "err", err.Error())
			if errs.Is(err, errs.Unavailable) {
				return // later again
			}
			failed := r
			failed.State, failed.Error = Failed, "an administrator finds the cause in the log"
			if err := s.Store.Update(ctx, nil, func(tx T) error { return tx.SaveRun(Running, failed) }); err != nil {
				return
			}
			return
		case err != nil:
			return
		}
		r = next
	}
}

// step looks at a batch: outside of the transaction that then does what is to be done.
func (s *Set[T]) step(ctx context.Context, r Run) (Run, error) {
	ids, err := s.Store.RunBatch(ctx, r, perBatch)
	if err != nil {
		return r, err
	}
	list, err := s.chosen(ctx, r.Mailbox, r.Rule)
	if err != nil {
		return r, err
	}
	ready := s.cache.ready(list)
	plans := map[int64]Plan{}
	for _, id := range ids {
		m, err := s.Office.StoredFacts(ctx, id)
		if errs.Is(err, errs.NotFound) {
			continue
		}
		if err != nil {
			return r, err
		}
		if p := run(ready, &m.Facts); !p.Empty() {
			plans[id] = p
		}
	}
	next := r
	err = s.Store.Update(ctx, nil, func(tx T) error {
		next = r
		next.Looked += int64(len(ids))
		for _, id := range ids {
			next.Next = id
			p, ok := plans[id]
			if !ok {
				continue
			}
			changed, err := s.Office.ApplyPlan(tx, id, p)
			if errs.Is(err, errs.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if changed {
				next.Changed++
				if err := tx.HitRules(id, r.Mailbox, p.Hits); err != nil {
					return err
				}
			}
		}
		if len(ids) < perBatch {
			next.State = Done
		}
		return tx.SaveRun(Running, next)
	})
	return next, err
}

// chosen returns the rules that a run is for.
func (s *Set[T]) chosen(ctx context.Context, mailbox, rule int64) ([]Rule, error) {
	all, err := s.Store.UserRules(ctx, mailbox)
	if err != nil {
		return nil, err
	}
	var out []Rule
	for _, r := range all {
		if rule == r.ID || rule == 0 && r.Enabled {
			out = append(out, r)
		}
	}
	return out, nil
}
