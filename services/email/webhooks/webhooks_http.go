package webhooks

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/internal/webhook"
)

// Endpoints are the routes of webhooks and their page.
func (s *Service) Endpoints() []web.Endpoint {
	token, page := web.NeedsToken("email.read"), web.Needs("email.read")
	token.Describe = "of one's own mailbox; of others and of all with email.admin"
	page.Describe = token.Describe
	one := "/api/webhooks/{wid}"
	back := func(c *web.Call, _ any) string { return pageOf(c.Form("of")) }
	return []web.Endpoint{
		web.Query(http.MethodPost, "/api/webhooks", token, "Have an address told of a mailbox's mail, or of everybody's; its secret is shown this once", s.add).Status(201),
		web.Query(http.MethodGet, "/api/webhooks", token, "The webhooks of a mailbox, or of all mailboxes, newest first", s.list),
		web.Query(http.MethodGet, one, token, "One webhook", s.one),
		web.Query(http.MethodPatch, one, token, "Change a webhook, or switch it on and off", s.change),
		web.Query(http.MethodDelete, one, token, "Remove a webhook with what waits for it", s.drop),
		web.Query(http.MethodGet, one+"/deliveries", token, "What was sent to a webhook and how it was answered, newest first; kept for a week", s.deliveries),
		web.Query(http.MethodPost, one+"/deliveries/{did}/replay", token, "Send a delivery again", s.replay),
		web.View("/webhooks", page, "Webhooks of a mailbox", s.page),
		web.Query(http.MethodPost, "/webhooks", page, "The page's form: make a webhook; its secret is shown this once", s.addForm).Retry(s.again),
		web.Query(http.MethodPost, "/webhooks/{wid}", page, "The page's form: switch a webhook on or off", s.change).Redirect(back),
		web.Query(http.MethodPost, "/webhooks/{wid}/delete", page, "The page's form: remove a webhook", s.drop).Redirect(back),
		web.Query(http.MethodPost, "/webhooks/{wid}/deliveries/{did}/replay", page, "The page's form: send a delivery again", s.replay).Redirect(back),
	}
}

// whose returns the mailbox that a request is about, after the owner check: the caller's when none is named.
func (s *Service) whose(c *web.Call, user string, all bool) (string, error) {
	if all {
		if user != "" {
			return "", errs.BadField("user", "does not go with all")
		}
		if !c.Caller.Has("email.admin") {
			return "", errs.New(errs.Denied, "webhooks of all mailboxes need the scope email.admin; leave all out for your own")
		}
		return "", nil
	}
	if user == "" {
		if user = c.Caller.User; user == "" {
			return "", errs.Missing("user")
		}
	}
	local, err := s.Named(user)
	if err != nil {
		return "", err
	}
	return local, c.Caller.ActAs(local, "email.admin")
}

// cleanEvents refuses types that no webhook is told of, and a type that is named twice.
func cleanEvents(types []string) error {
	for i, t := range types {
		if !slices.Contains(Types(), t) {
			return errs.BadField("events", "must be some of %s", strings.Join(Types(), ", "))
		}
		if slices.Contains(types[:i], t) {
			return errs.BadField("events", "must name each type once")
		}
	}
	return nil
}

type addIn struct {
	User   string   `json:"user,omitempty" max:"320" doc:"whose mailbox; the caller's when left out"`
	All    bool     `json:"all,omitempty" doc:"of all mailboxes; for email.admin"`
	URL    string   `json:"url" web:"required" max:"2000" doc:"where events are posted to"`
	Events []string `json:"events,omitempty" max:"20" doc:"types of events; all when left out"`
}

// Added is the one answer with the secret in it.
type Added struct {
	Webhook
	Secret string `json:"secret"`
}

func (s *Service) add(c *web.Call, in addIn) (Added, error) {
	if c.Request.Header.Get("Idempotency-Key") != "" {
		return Added{}, errs.BadField("Idempotency-Key", "is not taken here: the answer holds a secret that is not stored; leave it out")
	}
	if err := webhook.CheckURL(s.Targets, in.URL); err != nil {
		return Added{}, err
	}
	if err := cleanEvents(in.Events); err != nil {
		return Added{}, err
	}
	user, err := s.whose(c, in.User, in.All)
	if err != nil {
		return Added{}, err
	}
	w := Webhook{User: user, URL: in.URL, Events: in.Events, Enabled: true, Secret: webhook.NewSecret()}
	most := MaxOfUser
	if in.All {
		most = MaxOfAll
	}
	err = s.Store.Update(c.Context(), nil, func(tx Tx) error {
		n, err := tx.CountWebhooks(user)
		if err != nil {
			return err
		}
		if n >= most {
			return errs.New(errs.Conflict, "there are %d webhooks, which is the most; remove one first", most)
		}
		w.CreatedAt = api.TimeOf(tx.Now())
		w.ID, err = tx.AddWebhook(w)
		return err
	})
	if w.Events == nil {
		w.Events = []string{}
	}
	return Added{w, w.Secret}, err
}

type listIn struct {
	User string `json:"user,omitempty" max:"320" doc:"whose mailbox; the caller's when left out"`
	All  bool   `json:"all,omitempty" doc:"those of all mailboxes"`
	web.Paging
}

// List is the answer to GET /api/webhooks.
type List struct {
	Webhooks []Webhook `json:"webhooks"`
}

func (s *Service) list(c *web.Call, in listIn) (List, error) {
	out := List{Webhooks: []Webhook{}}
	user, err := s.whose(c, in.User, in.All)
	if err != nil {
		return out, err
	}
	ws, err := s.Store.Webhooks(c.Context(), user, in.Paging, in.Size())
	out.Webhooks = append(out.Webhooks, ws...)
	return out, err
}

type oneIn struct {
	ID int64 `path:"wid" doc:"the webhook's id"`
}

// find returns a webhook for who may change it; for anybody else it is not there.
func (s *Service) find(c *web.Call, id int64) (Webhook, error) {
	w, err := s.Store.Webhook(c.Context(), id)
	if err != nil {
		return w, err
	}
	if _, err := s.whose(c, w.User, w.User == ""); err != nil {
		return Webhook{}, errs.New(errs.NotFound, "there is no such webhook")
	}
	return w, nil
}

func (s *Service) one(c *web.Call, in oneIn) (Webhook, error) { return s.find(c, in.ID) }

// changing is what changes of one webhook have in common.
type changing struct {
	oneIn
	Of string `json:"of,omitempty" max:"400" doc:"for forms: whose page to show afterwards, as its query"`
}

type changeIn struct {
	changing
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
		if err := webhook.CheckURL(s.Targets, *in.URL); err != nil {
			return nil, err
		}
	}
	if in.Events != nil {
		if err := cleanEvents(*in.Events); err != nil {
			return nil, err
		}
	}
	if _, err := s.find(c, in.ID); err != nil {
		return nil, err
	}
	return web.Update(c, in, s.Store, func(tx Tx) (Webhook, error) {
		w, err := tx.Webhook(in.ID)
		if err != nil {
			return w, err
		}
		if in.URL != nil {
			w.URL = *in.URL
		}
		if in.Events != nil {
			w.Events = *in.Events
		}
		if in.Enabled != nil {
			if *in.Enabled && !w.Enabled {
				w.Failures, w.FailingSince = 0, 0
			}
			w.Enabled, w.Reason = *in.Enabled, ""
		}
		return w, tx.SaveWebhook(w)
	})
}

// dropped says that something is gone.
type dropped struct {
	OK bool `json:"ok"`
}

func (s *Service) drop(c *web.Call, in changing) (any, error) {
	if _, err := s.find(c, in.ID); err != nil {
		return nil, err
	}
	return web.Update(c, in, s.Store, func(tx Tx) (dropped, error) { return dropped{true}, tx.DropWebhook(in.ID) })
}

type deliveriesIn struct {
	oneIn
	web.Paging
}

// Deliveries is the answer to GET /api/webhooks/{wid}/deliveries.
type Deliveries struct {
	Deliveries []Delivery `json:"deliveries"`
}

func (s *Service) deliveries(c *web.Call, in deliveriesIn) (Deliveries, error) {
	out := Deliveries{Deliveries: []Delivery{}}
	if _, err := s.find(c, in.ID); err != nil {
		return out, err
	}
	ds, err := s.Store.Deliveries(c.Context(), in.ID, in.Paging, in.Size())
	out.Deliveries = append(out.Deliveries, ds...)
	return out, err
}

type replayIn struct {
	changing
	Delivery int64 `path:"did" doc:"the delivery's id"`
}

func (s *Service) replay(c *web.Call, in replayIn) (any, error) {
	if _, err := s.find(c, in.ID); err != nil {
		return nil, err
	}
	defer s.sender.Look()
	return web.Update(c, in, s.Store, func(tx Tx) (Delivery, error) {
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
		d.State, d.DueAt, d.DoneAt = webhook.Waiting, api.TimeOf(tx.Now()), 0
		return d, tx.Again(d)
	})
}

// pageOf is the page of whose webhooks they are, as the page's forms say it.
func pageOf(of string) string {
	if of == "" {
		return "/webhooks"
	}
	return fmt.Sprintf("/webhooks?%s", of)
}
