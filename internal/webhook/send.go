package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
)

const (
	lookEvery = time.Second            // for what is due
	idsAfter  = 250 * time.Millisecond // an event has its id in the log by then
	duePage   = 50
	atOnce    = 16 // webhooks that are sent to
)

// pauses are between the attempts of one delivery; after the last it is dropped.
func pauses() []time.Duration {
	return []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}
}

// Look has the sender look for what is to be done, now.
func (s *Sender) Look() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Run sends what waits, until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.listen(ctx) })
	busy := &busy{of: map[int64]bool{}}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	swept := time.Time{}
	for {
		if err := s.round(ctx, &wg, busy); err != nil && ctx.Err() == nil {
			s.o.Log.Error("webhooks: the store does not answer; trying again", "err", err)
		}
		if now := s.o.Now(); now.Sub(swept) > time.Hour {
			swept = now
			s.sweep(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.kick:
		}
	}
}

// listen looks when something happens: the store is the truth, the hub the hint.
func (s *Sender) listen(ctx context.Context) {
	for ctx.Err() == nil {
		sub, err := s.o.Hub.Subscribe(ctx, s.o.Stream, nil)
		for err == nil {
			if _, err = sub.Next(ctx); err == nil {
				if !pause(ctx, idsAfter) {
					break
				}
				s.Look()
			}
		}
		if sub != nil {
			sub.Close()
		}
		if !pause(ctx, idsAfter) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// busy is which webhooks are sent to just now.
type busy struct {
	mu sync.Mutex // guards of
	of map[int64]bool
}

func (b *busy) take(id int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of[id] || len(b.of) >= atOnce {
		return false
	}
	b.of[id] = true
	return true
}

func (b *busy) free(id int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, id)
}

// round sends to each webhook what is due.
func (s *Sender) round(ctx context.Context, wg *sync.WaitGroup, busy *busy) error {
	all, err := s.o.Source.Hooks(ctx)
	if err != nil {
		return err
	}
	now := s.o.Now()
	for _, w := range all {
		if w.WaitUntil.After(now) || !busy.take(w.ID) {
			continue
		}
		wg.Go(func() {
			defer busy.free(w.ID)
			if more, err := s.serve(ctx, w); err != nil && ctx.Err() == nil {
				s.o.Log.Error("webhooks: deliveries could not be written down", "webhook", w.ID, "err", err)
			} else if more {
				s.Look()
			}
		})
	}
	return nil
}

// serve sends what is due to one webhook, until there is nothing, or one fails; more says that there may be more.
func (s *Sender) serve(ctx context.Context, w Hook) (more bool, err error) {
	ds, err := s.o.Source.Due(ctx, w.ID, s.o.Now(), duePage)
	if err != nil {
		return false, err
	}
	if len(ds) == duePage {
		if n, err := s.o.Source.Waits(ctx, w.ID); err != nil || n > MaxWaiting {
			if err == nil {
				err = s.o.Source.SwitchOff(ctx, w.ID, fmt.Sprintf("more than %d deliveries wait", MaxWaiting))
			}
			return false, err
		}
	}
	for _, d := range ds {
		began := s.o.Now()
		status, err := s.post(ctx, w, d)
		if ctx.Err() != nil { // a drain: it is sent again after the start
			return false, nil
		}
		a := Attempt{N: d.Tries + 1, At: api.TimeOf(began), Status: status, MS: s.o.Now().Sub(began).Milliseconds()}
		if err != nil {
			a.Error = err.Error()
		}
		off, err := s.o.Source.Attempted(ctx, d, a)
		if err != nil {
			return false, err
		}
		if off != "" {
			return false, s.o.Source.SwitchOff(ctx, w.ID, off)
		}
		if a.Error != "" {
			return false, nil
		}
	}
	return len(ds) == duePage, nil
}

// post sends a delivery once; an error is why it did not arrive.
func (s *Sender) post(ctx context.Context, w Hook, d Delivery) (status int, err error) {
	now := s.o.Now()
	signature, err := Sign(w.Secret, d.MessageID, now, d.Body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, strings.NewReader(d.Body))
	if err != nil {
		return 0, errors.New("the address cannot be read")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "UniQVerse-Webhooks")
	req.Header.Set("webhook-id", d.MessageID)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", signature)
	res, err := s.client.Do(req)
	if err != nil {
		return 0, reason(err)
	}
	io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
	res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return res.StatusCode, fmt.Errorf("answered %d", res.StatusCode)
	}
	return res.StatusCode, nil
}

// reason says why nothing was answered, and nothing of what a network that is not the user's looks like.
func reason(err error) error {
	var e *errs.Error
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &e):
		return errors.New(e.Detail)
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time")
	}
	return errors.New("no connection")
}

// Settle returns what an attempt makes of its delivery and of its webhook's health; off says why the webhook must be switched off,
// "" for no reason.
func Settle(h Health, due api.Time, a Attempt, now time.Time) (o Outcome, off string) {
	if a.Error == "" {
		return Outcome{State: Delivered, DueAt: due, DoneAt: api.TimeOf(now)}, ""
	}
	o = Outcome{State: Waiting, DueAt: due, Health: h}
	if all := pauses(); a.N > len(all) {
		o.State, o.DoneAt = Dropped, api.TimeOf(now)
	} else {
		p := all[a.N-1]
		o.DueAt = api.TimeOf(now.Add(p - p/5 + mathrand.N(2*p/5)))
	}
	o.Failures++
	o.WaitUntil = now.Add(min(time.Second<<min(o.Failures, 10), 5*time.Minute))
	if o.FailingSince == 0 {
		o.FailingSince = api.TimeOf(now)
	}
	switch {
	case a.Status == http.StatusGone:
		return o, "the other side says that it is gone (410)"
	case now.Sub(o.FailingSince.Time()) > failFor:
		return o, "nothing could be delivered for three days"
	}
	return o, ""
}

// sweep forgets old deliveries.
func (s *Sender) sweep(ctx context.Context) {
	const some = 500
	for {
		n, err := s.o.Source.Forget(ctx, s.o.Now().Add(-keptFor), some)
		if err != nil || n < some {
			return
		}
	}
}
