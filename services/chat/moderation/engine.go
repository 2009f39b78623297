package moderation

import (
	"context"
	"sync"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
)

const (
	budget    = 300 * time.Millisecond // of a line that somebody waits for
	lastLines = 5                      // that the engine reads with it
	trips     = 5                      // failures in a row after which it is left alone
	resting   = 30 * time.Second
)

// Asker is an external moderation; api.XEngine.
type Asker interface {
	Moderate(ctx context.Context, q api.XEngineQuestion) (api.XEngineVerdict, error)
}

// Engine asks an external moderation within a budget, and leaves it alone for a while when it does not answer. Make
// one with NewEngine.
type Engine struct {
	asker  Asker
	budget time.Duration
	now    func() time.Time

	mu      sync.Mutex // guards what follows
	failed  int        // times in a row
	until   time.Time  // not asked before
	probing bool       // one asks whether it is well again
}

// NewEngine returns an engine behind its breaker; budget 0 means 300 ms.
func NewEngine(asker Asker, within time.Duration, now func() time.Time) *Engine {
	if within == 0 {
		within = budget
	}
	return &Engine{asker: asker, budget: within, now: now}
}

// errResting says that the engine is not asked now.
func errResting() error {
	return errs.New(errs.Unavailable, "the external moderation does not answer, and is left alone for a while")
}

// Ask asks about a line that somebody waits for. What is no verdict counts as no answer.
func (e *Engine) Ask(ctx context.Context, q api.XEngineQuestion) (api.XEngineVerdict, error) {
	if !e.take() {
		return api.XEngineVerdict{}, errResting()
	}
	within, cancel := context.WithTimeout(ctx, e.budget)
	defer cancel()
	v, err := e.asker.Moderate(within, q)
	switch v.Verdict {
	case "allow", "flag", "hide", "block":
	default:
		if err == nil {
			err = errs.New(errs.Upstream, "the external moderation answers with the verdict %.20q", v.Verdict)
		}
	}
	e.done(err == nil || ctx.Err() != nil) // a caller who went away says nothing of the engine
	return v, err
}

// take reports whether the engine may be asked now.
func (e *Engine) take() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed < trips {
		return true
	}
	if e.probing || e.now().Before(e.until) {
		return false
	}
	e.probing = true
	return true
}

func (e *Engine) done(well bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.probing = false
	if well {
		e.failed = 0
		return
	}
	if e.failed++; e.failed >= trips {
		e.until = e.now().Add(resting)
	}
}
