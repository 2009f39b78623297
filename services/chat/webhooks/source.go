package webhooks

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/webhook"
)

const feedPage = 200

// source is the rooms' webhooks as their sender sees them.
type source struct{ *Service }

var _ webhook.Source = source{}

// Hooks implements webhook.Source: new events are turned into deliveries first.
func (s source) Hooks(ctx context.Context) (out []webhook.Hook, err error) {
	all, err := s.opts.Store.Enabled(ctx)
	if err != nil || len(all) == 0 { // nobody listens: the cursor is moved when somebody does
		return nil, err
	}
	for _, w := range all {
		out = append(out, webhook.Hook{ID: w.ID, URL: w.URL, Secret: w.Secret, WaitUntil: w.WaitUntil})
	}
	if err := s.feed(ctx); err != nil {
		return nil, err
	}
	return out, s.feedRooms(ctx, all)
}

// Due implements webhook.Source.
func (s source) Due(ctx context.Context, hook int64, now time.Time, most int) (out []webhook.Delivery, err error) {
	ds, err := s.opts.Store.Due(ctx, hook, now, most)
	for _, d := range ds {
		out = append(out, webhook.Delivery{ID: d.ID, Hook: d.Webhook, MessageID: d.MessageID, Body: d.Body, Tries: d.Tries})
	}
	return out, err
}

// Waits implements webhook.Source.
func (s source) Waits(ctx context.Context, hook int64) (int, error) {
	return s.opts.Store.Waits(ctx, hook)
}

// feed turns what the logs have into deliveries. The events are read before the webhooks, so that one that was there
// when an event was committed is among them.
func (s source) feed(ctx context.Context) error {
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
func (s source) feedRooms(ctx context.Context, all []Webhook) error {
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
func (s source) told(w Webhook, r NewRoom) Delivery {
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
func (s source) delivery(w Webhook, ev Event) Delivery {
	return s.waiting(w, ev.Type, ev.Room, ev.Seq, ev.At.UTC().Format(event.TimeLayout), event.Encode(ev.Event, ev.ID, s.opts.Hub.Epoch()))
}

func (s source) waiting(w Webhook, typ string, room, seq int64, at string, data []byte) Delivery {
	body := `{"type":` + strconv.Quote(typ) + `,"timestamp":"` + at + `","data":` + string(data) + `}`
	now := api.TimeOf(s.opts.Now())
	return Delivery{Webhook: w.ID, MessageID: "msg_" + rand.Text(), Type: typ, RoomID: room, Seq: seq, State: webhook.Waiting, DueAt: now, CreatedAt: now, Body: body}
}

// Attempted implements webhook.Source.
func (s source) Attempted(ctx context.Context, sent webhook.Delivery, a Attempt) (off string, err error) {
	err = s.opts.Store.Update(ctx, nil, func(tx Tx) error {
		w, err := tx.Webhook(sent.Hook)
		if errs.Is(err, errs.NotFound) { // removed meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		d, err := tx.Delivery(sent.Hook, sent.ID)
		if err != nil {
			return err
		}
		var o webhook.Outcome
		o, off = webhook.Settle(webhook.Health{Failures: w.Failures, FailingSince: w.FailingSince, WaitUntil: w.WaitUntil}, d.DueAt, a, tx.Now())
		d.Tries, d.State, d.DueAt, d.DoneAt = a.N, o.State, o.DueAt, o.DoneAt
		w.Failures, w.FailingSince, w.WaitUntil = o.Failures, o.FailingSince, o.WaitUntil
		if err := tx.Attempted(d, a); err != nil {
			return err
		}
		return tx.SaveWebhook(w, false)
	})
	return off, err
}

// SwitchOff implements webhook.Source: the room is told.
func (s source) SwitchOff(ctx context.Context, id int64, why string) error {
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

// Forget implements webhook.Source.
func (s source) Forget(ctx context.Context, before time.Time, most int) (n int, err error) {
	err = s.opts.Store.Update(ctx, nil, func(tx Tx) (err error) {
		n, err = tx.Forget(before, most)
		return err
	})
	return n, err
}
