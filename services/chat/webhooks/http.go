package webhooks

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/internal/webhook"
)

// keeper decides who sees and changes the webhooks of a room, or (0) of all rooms.
func (s *Service) keeper(ctx context.Context, c web.Caller, room int64) error {
	if room != 0 {
		return s.opts.Rooms.Keeper(ctx, c, room)
	}
	if !c.Has("chat.moderate") {
		return errs.New(errs.Denied, "webhooks of all rooms need the scope chat.moderate; name a room with room_id")
	}
	return nil
}

// cleanEvents refuses types that no webhook is told of, and leaves each once.
func cleanEvents(types []string, room int64) error {
	for i, t := range types {
		if known := Types(room); !slices.Contains(known, t) {
			return errs.BadField("events", "must be some of %s", strings.Join(known, ", "))
		}
		if slices.Contains(types[:i], t) {
			return errs.BadField("events", "must name each type once")
		}
	}
	return nil
}

type addIn struct {
	RoomID int64    `json:"room_id,omitempty" min:"1" doc:"the room; left out, all rooms but direct ones"`
	URL    string   `json:"url" web:"required" max:"2000" doc:"where events are posted to"`
	Events []string `json:"events,omitempty" max:"20" doc:"types of events; all when left out"`
}

// added is the one answer with the secret in it.
type added struct {
	Webhook
	Secret string `json:"secret"`
}

func (s *Service) make(c *web.Call, in addIn) (any, error) {
	a, err := s.add(c, in)
	if err == nil && c.WantsPage() {
		return s.view(c, listIn{RoomID: in.RoomID}, nil, &a)
	}
	return a, err
}

func (s *Service) add(c *web.Call, in addIn) (added, error) {
	if err := webhook.CheckURL(s.opts.Targets, in.URL); err != nil {
		return added{}, err
	}
	if err := cleanEvents(in.Events, in.RoomID); err != nil {
		return added{}, err
	}
	if err := s.keeper(c.Context(), c.Caller, in.RoomID); err != nil {
		return added{}, err
	}
	w := Webhook{RoomID: in.RoomID, URL: in.URL, Events: in.Events, MadeBy: c.Caller.ID, Enabled: true, Secret: webhook.NewSecret()}
	err := s.opts.Store.Update(c.Context(), nil, func(tx Tx) error {
		n, err := tx.CountWebhooks(in.RoomID)
		if err != nil {
			return err
		}
		if most := most(in.RoomID); n >= most {
			return errs.New(errs.Conflict, "there are %d webhooks, which is the most; remove one first", most)
		}
		w.CreatedAt = api.TimeOf(tx.Now())
		w.ID, err = tx.AddWebhook(w)
		return err
	})
	if w.Events == nil {
		w.Events = []string{}
	}
	return added{w, w.Secret}, err
}

func most(room int64) int {
	if room == 0 {
		return maxOfAll
	}
	return maxOfRoom
}

type listIn struct {
	RoomID int64 `json:"room_id,omitempty" min:"1" doc:"the room; left out, the webhooks of all rooms"`
	web.Paging
}

func (s *Service) list(c *web.Call, in listIn) ([]Webhook, error) {
	if err := s.keeper(c.Context(), c.Caller, in.RoomID); err != nil {
		return nil, err
	}
	ws, err := s.opts.Store.Webhooks(c.Context(), in.RoomID, in.Paging, in.Size()+1)
	if len(ws) > in.Size() {
		ws = ws[:in.Size()]
		next(c, "/webhooks", url.Values{"room_id": {fmt.Sprint(in.RoomID)}}, ws[len(ws)-1].ID, in.Size())
	}
	return nonNil(ws), err
}

// next points the Link header at the next page.
func next(c *web.Call, path string, q url.Values, before int64, size int) {
	if q.Get("room_id") == "0" {
		q.Del("room_id")
	}
	q.Set("before", fmt.Sprint(before))
	q.Set("limit", fmt.Sprint(size))
	c.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, c.URL(path), q.Encode()))
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

type oneIn struct {
	ID int64 `path:"wid" doc:"the webhook's id"`
}

// find returns a webhook for who keeps it; for anybody else it is not there.
func (s *Service) find(c *web.Call, id int64) (Webhook, error) {
	w, err := s.opts.Store.Webhook(c.Context(), id)
	if err != nil {
		return w, err
	}
	if err := s.keeper(c.Context(), c.Caller, w.RoomID); err != nil {
		if errs.Is(err, errs.Denied) || errs.Is(err, errs.NotFound) {
			err = errs.New(errs.NotFound, "there is no such webhook")
		}
		return Webhook{}, err
	}
	return w, nil
}

func (s *Service) one(c *web.Call, in oneIn) (Webhook, error) { return s.find(c, in.ID) }

type changeIn struct {
	oneIn
	URL     *string   `json:"url,omitempty" max:"2000" doc:"where events are posted to"`
	Events  *[]string `json:"events,omitempty" doc:"types of events; an empty list is all"`
	Enabled *bool     `json:"enabled,omitempty" doc:"true switches it on again, for what happens from now on"`
}

// Check refuses a change of nothing.
func (in *changeIn) Check() error {
	if in.URL == nil && in.Events == nil && in.Enabled == nil {
		return errs.BadField("url", "or events or enabled is required: there is nothing to change")
	}
	return nil
}

func (s *Service) change(c *web.Call, in changeIn) (any, error) {
	if in.URL != nil {
		if err := webhook.CheckURL(s.opts.Targets, *in.URL); err != nil {
			return nil, err
		}
	}
	w, err := s.find(c, in.ID)
	if err != nil {
		return nil, err
	}
	if in.Events != nil {
		if err := cleanEvents(*in.Events, w.RoomID); err != nil {
			return nil, err
		}
	}
	return web.Update(c, in, s.opts.Store, func(tx Tx) (Webhook, error) {
		w, err := tx.Webhook(in.ID)
		if err != nil {
			return w, err
		}
		anew := in.Enabled != nil && *in.Enabled && !w.Enabled
		if in.URL != nil {
			w.URL = *in.URL
		}
		if in.Events != nil {
			w.Events = *in.Events
		}
		if in.Enabled != nil {
			w.Enabled, w.Reason = *in.Enabled, ""
		}
		if anew {
			w.Failures, w.FailingSince = 0, 0
		}
		return w, tx.SaveWebhook(w, anew)
	})
}

// dropped says that something is gone.
type dropped struct {
	OK     bool  `json:"ok"`
	RoomID int64 `json:"room_id"` // that it was of; 0 for all rooms
}

func (s *Service) drop(c *web.Call, in oneIn) (any, error) {
	w, err := s.find(c, in.ID)
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.opts.Store, func(tx Tx) (dropped, error) { return dropped{true, w.RoomID}, tx.DropWebhook(in.ID) })
}

type deliveriesIn struct {
	oneIn
	web.Paging
}

func (s *Service) deliveries(c *web.Call, in deliveriesIn) ([]Delivery, error) {
	if _, err := s.find(c, in.ID); err != nil {
		return nil, err
	}
	ds, err := s.opts.Store.Deliveries(c.Context(), in.ID, in.Paging, in.Size()+1)
	if len(ds) > in.Size() {
		ds = ds[:in.Size()]
		next(c, fmt.Sprintf("/webhooks/%d/deliveries", in.ID), url.Values{}, ds[len(ds)-1].ID, in.Size())
	}
	return nonNil(ds), err
}

type replayIn struct {
	oneIn
	Delivery int64 `path:"did" doc:"the delivery's id"`
}

func (s *Service) replay(c *web.Call, in replayIn) (any, error) {
	if _, err := s.find(c, in.ID); err != nil {
		return nil, err
	}
	defer s.sender.Look()
	return web.Update(c, in, s.opts.Store, func(tx Tx) (Delivery, error) {
		w, err := tx.Webhook(in.ID)
		if err != nil {
			return Delivery{}, err
		}
		if !w.Enabled {
			return Delivery{}, errs.New(errs.Conflict, "the webhook is switched off; switch it on first")
		}
		d, err := tx.Delivery(in.ID, in.Delivery)
		if err != nil {
			return d, err
		}
		d.State, d.DueAt, d.DoneAt, d.Attempts = webhook.Waiting, api.TimeOf(tx.Now()), 0, []Attempt{}
		return d, tx.Again(d)
	})
}
