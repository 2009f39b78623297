package webhooks

import (
	"context"
	"crypto/rand"
	"encoding/json"
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
	"uniqverse/internal/event"
)

const (
	lookEvery = time.Second            // for what is due
	idsAfter  = 250 * time.Millisecond // an event has its id in the log by then
	feedPage  = 200
	duePage   = 50
	atOnce    = 16 // webhooks that are sent to
)

// pauses are between the attempts of one delivery; after the last it is dropped.
func pauses() []time.Duration {
	return []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}
}

// look has the service look for what is to be done, now.
func (s *Service) look() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Run turns the rooms' logs into deliveries and sends them, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.listen(ctx) })
	busy := &busy{of: map[int64]bool{}}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	swept := time.Time{}
	for {
		if err := s.round(ctx, &wg, busy); err != nil && ctx.Err() == nil {
			s.opts.Log.Error("webhooks: the store does not answer; trying again", "err", err)
		}
		if now := s.opts.Now(); now.Sub(swept) > time.Hour {
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

// listen looks when something happens in rooms: the log is the truth, the hub the hint.
func (s *Service) listen(ctx context.Context) {
	for ctx.Err() == nil {
		sub, err := s.opts.Hub.Subscribe(ctx, event.StreamChat, nil)
		for err == nil {
			if _, err = sub.Next(ctx); err == nil {
				if !pause(ctx, idsAfter) {
					break
				}
				s.look()
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

// round does what is to be done: new events first, then what is due.
func (s *Service) round(ctx context.Context, wg *sync.WaitGroup, busy *busy) error {
	all, err := s.opts.Store.Enabled(ctx)
	if err != nil || len(all) == 0 { // nobody listens: the cursor is moved when somebody does
		return err
	}
	if err := s.feed(ctx); err != nil {
		return err
	}
	if err := s.feedRooms(ctx, all); err != nil {
		return err
	}
	now := s.opts.Now()
	for _, w := range all {
		if w.WaitUntil.After(now) || !busy.take(w.ID) {
			continue
		}
		wg.Go(func() {
			defer busy.free(w.ID)
			if more, err := s.serve(ctx, w); err != nil && ctx.Err() == nil {
				s.opts.Log.Error("webhooks: deliveries could not be written down", "webhook", w.ID, "err", err)
			} else if more {
				s.look()
			}
		})
	}
	return nil
}

// feed turns what the logs have into deliveries. The events are read before the webhooks, so that one that was there
// when an event was committed is among them.
func (s *Service) feed(ctx context.Context) error {
	for {
		events, err := s.opts.Store.Behind(ctx, feedPage)
		if err != nil || len(events) == 0 {
			return err
		}
		all, err := s.opts.Store.Enabled(ctx)
		if err != nil {
			return err
		}
		var ds []Delivery
		for _, ev := range events {
			for _, w := range all {
				if w.hears(ev) {
					ds = append(ds, s.delivery(w, ev))
				}
			}
		}
		err = s.opts.Store.Update(ctx, nil, func(tx Tx) error { return tx.Queue(ds, events[len(events)-1].Place) })
		if err != nil || len(events) < feedPage {
			return err
		}
	}
}

// feedRooms turns rooms that were made into deliveries.
func (s *Service) feedRooms(ctx context.Context, all []Webhook) error {
	for {
		rooms, err := s.opts.Store.NewRooms(ctx, feedPage)
		if err != nil || len(rooms) == 0 {
			return err
		}
		var ds []Delivery
		for _, r := range rooms {
			for _, w := range all {
				if w.hearsOf(r) {
					ds = append(ds, s.told(w, r))
				}
			}
		}
		err = s.opts.Store.Update(ctx, nil, func(tx Tx) error { return tx.QueueRooms(ds, rooms[len(rooms)-1].ID) })
		if err != nil || len(rooms) < feedPage {
			return err
		}
	}
}

// told is a new room as it will be posted: what sockets hear of it, but for the id that the hub gave, which is kept nowhere.
func (s *Service) told(w Webhook, r NewRoom) Delivery {
	at := r.CreatedAt.Time().UTC().Format(event.TimeLayout)
	data, _ := json.Marshal(struct { // plain values: cannot fail
		Type      string `json:"type"`
		RoomID    int64  `json:"room_id"`
		Name      string `json:"name"`
		Kind      string `json:"kind"`
		CreatedBy int64  `json:"created_by"`
		At        string `json:"ts"`
	}{event.ChatRoomCreated, r.ID, r.Name, r.Kind, r.CreatedBy, at})
	return s.waiting(w, event.ChatRoomCreated, r.ID, 0, at, data)
}

// delivery is an event as it will be posted.
func (s *Service) delivery(w Webhook, ev Event) Delivery {
	return s.waiting(w, ev.Type, ev.Room, ev.Seq, ev.At.UTC().Format(event.TimeLayout), event.Encode(ev.Event, ev.ID, s.opts.Hub.Epoch()))
}

func (s *Service) waiting(w Webhook, typ string, room, seq int64, at string, data []byte) Delivery {
	body := `{"type":` + strconv.Quote(typ) + `,"timestamp":"` + at + `","data":` + string(data) + `}`
	now := api.TimeOf(s.opts.Now())
	return Delivery{Webhook: w.ID, MessageID: "msg_" + rand.Text(), Type: typ, RoomID: room, Seq: seq, State: Waiting, DueAt: now, CreatedAt: now, Body: body}
}

// serve sends what is due to one webhook, until there is nothing, or one fails; more says that there may be more.
func (s *Service) serve(ctx context.Context, w Webhook) (more bool, err error) {
	ds, err := s.opts.Store.Due(ctx, w.ID, s.opts.Now(), duePage)
	if err != nil {
		return false, err
	}
	if len(ds) == duePage {
		if n, err := s.opts.Store.Waits(ctx, w.ID); err != nil || n > maxWaiting {
			if err == nil {
				err = s.switchOff(ctx, w.ID, fmt.Sprintf("more than %d deliveries wait", maxWaiting))
			}
			return false, err
		}
	}
	for _, d := range ds {
		began := s.opts.Now()
		status, err := s.post(ctx, w, d)
		if ctx.Err() != nil { // a drain: it is sent again after the start
			return false, nil
		}
		a := Attempt{N: d.Tries + 1, At: api.TimeOf(began), Status: status, MS: s.opts.Now().Sub(began).Milliseconds()}
		if err != nil {
			a.Error = err.Error()
		}
		off, err := s.attempted(ctx, d, a)
		if err != nil {
			return false, err
		}
		if off != "" {
			return false, s.switchOff(ctx, w.ID, off)
		}
		if a.Error != "" {
			return false, nil
		}
	}
	return len(ds) == duePage, nil
}

// post sends a delivery once; an error is why it did not arrive.
func (s *Service) post(ctx context.Context, w Webhook, d Delivery) (status int, err error) {
	now := s.opts.Now()
	signature, err := sign(w.Secret, d.MessageID, now, d.Body)
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

// attempted writes down what came of an attempt; off says why the webhook must be switched off.
func (s *Service) attempted(ctx context.Context, d Delivery, a Attempt) (off string, err error) {
	err = s.opts.Store.Update(ctx, nil, func(tx Tx) error {
		now := tx.Now()
		w, err := tx.Webhook(d.Webhook)
		if errs.Is(err, errs.NotFound) { // removed meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		d.Tries = a.N
		if a.Error == "" {
			d.State, d.DoneAt = Delivered, api.TimeOf(now)
			w.Failures, w.FailingSince, w.WaitUntil = 0, 0, time.Time{}
		} else {
			off = failed(&w, &d, a, now)
		}
		if err := tx.Attempted(d, a); err != nil {
			return err
		}
		return tx.SaveWebhook(w, false)
	})
	return off, err
}

// failed decides when a delivery is tried again, when its webhook is, and whether that has failed for too long.
func failed(w *Webhook, d *Delivery, a Attempt, now time.Time) (off string) {
	if all := pauses(); a.N > len(all) {
		d.State, d.DoneAt = Dropped, api.TimeOf(now)
	} else {
		p := all[a.N-1]
		d.DueAt = api.TimeOf(now.Add(p - p/5 + mathrand.N(2*p/5)))
	}
	w.Failures++
	w.WaitUntil = now.Add(min(time.Second<<min(w.Failures, 10), 5*time.Minute))
	if w.FailingSince == 0 {
		w.FailingSince = api.TimeOf(now)
	}
	switch {
	case a.Status == http.StatusGone:
		return "the other side says that it is gone (410)"
	case now.Sub(w.FailingSince.Time()) > failFor:
		return "nothing could be delivered for three days"
	}
	return ""
}

// switchOff disables a webhook and tells its room.
func (s *Service) switchOff(ctx context.Context, id int64, why string) error {
	var w Webhook
	err := s.opts.Store.Update(ctx, nil, func(tx Tx) error {
		var err error
		if w, err = tx.Webhook(id); err != nil {
			return err
		}
		w.Enabled, w.Reason = false, why
		return tx.SaveWebhook(w, false)
	})
	if err != nil {
		return err
	}
	s.opts.Log.Warn("webhooks: one is switched off", "webhook", id, "room", w.RoomID, "why", why)
	if w.RoomID == 0 {
		return nil
	}
	if err := s.opts.Rooms.Announce(ctx, w.RoomID, fmt.Sprintf("Webhook %d of this room was switched off: %s. Its moderators can switch it on again.", id, why)); err != nil {
		s.opts.Log.Warn("webhooks: the room could not be told", "room", w.RoomID, "err", err)
	}
	return nil
}

// sweep forgets old deliveries.
func (s *Service) sweep(ctx context.Context) {
	const some = 500
	for {
		n := 0
		err := s.opts.Store.Update(ctx, nil, func(tx Tx) (err error) {
			n, err = tx.Forget(tx.Now().Add(-keptFor), some)
			return err
		})
		if err != nil || n < some {
			return
		}
	}
}
