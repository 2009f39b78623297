package queue

import (
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// Endpoints returns the routes of the queue and of the suppression list. They are for administrators of mail.
func (q *Queue[T]) Endpoints() []web.Endpoint {
	admin, page := web.NeedsToken("email.admin"), web.Needs("email.admin")
	all := []web.Endpoint{
		web.Query("GET", "/api/queue", admin, "Mail on its way to other hosts, newest first", q.list),
		web.Query("GET", "/api/suppressions", admin, "Addresses that no mail is sent to, newest first", q.suppressions),
		web.Command("POST", "/api/suppressions", admin, "Put an address on the suppression list", q.Store, q.suppress),
		web.Command("DELETE", "/api/suppressions/{address}", admin, "Take an address off the suppression list", q.Store, q.unsuppress),
		web.View("/queue", page, "The queue: what waits, what is held, what became of it", q.page),
		web.Command("POST", "/queue/unsuppress", page, "The page's form: take an address off the suppression list", q.Store, q.unsuppressForm).Redirect(toPage),
	}
	for _, a := range []struct {
		action  Action
		summary string
	}{
		{Release, "Send mail that is held"},
		{Retry, "Try now, without waiting for the next attempt; a bounced mail begins anew"},
		{Hold, "Hold mail that waits"},
		{Drop, "Take mail out of the queue; nobody is told"},
	} {
		act := func(c *web.Call, in idParams) (any, error) { return q.act(c, in, a.action) }
		all = append(all,
			web.Query("POST", "/api/queue/{id}/"+string(a.action), admin, a.summary, act),
			web.Query("POST", "/queue/{id}/"+string(a.action), page, "The page's form: "+strings.ToLower(a.summary[:1])+a.summary[1:], act).Redirect(toPage))
	}
	return all
}

// listParams choose a page of the queue.
type listParams struct {
	State string `json:"state,omitempty" doc:"only entries in this state: queued, held, sending, sent, bounced or dropped" max:"20"`
	web.Paging
}

type idParams struct {
	ID   int64  `path:"id" min:"1"`
	Next string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

// Check refuses a state that there is not.
func (p listParams) Check() error {
	for _, s := range States() {
		if p.State == "" || p.State == string(s) {
			return nil
		}
	}
	return errs.BadField("state", "must be one of queued, held, sending, sent, bounced, dropped")
}

func wire(e Entry) api.EmailQueueEntry {
	return api.EmailQueueEntry{ID: e.ID, QueueID: e.QueueID, MessageID: e.MessageID, User: e.User, From: e.ReversePath, Recipient: e.Recipient, Domain: e.Domain,
		State: string(e.State), Reason: e.Reason, Attempts: e.Attempts, NextAt: api.TimeOf(e.NextAt), LastReply: e.LastReply, Host: e.Host,
		CreatedAt: api.TimeOf(e.Created), UpdatedAt: api.TimeOf(e.Updated)}
}

func (q *Queue[T]) list(c *web.Call, in listParams) (api.EmailQueue, error) {
	out := api.EmailQueue{Counts: map[string]int64{}, Entries: []api.EmailQueueEntry{}}
	counts, err := q.Store.Counts(c.Context())
	if err != nil {
		return out, err
	}
	for _, s := range States() {
		out.Counts[string(s)] = counts[s]
	}
	entries, err := q.Store.Entries(c.Context(), State(in.State), in.Paging)
	for _, e := range entries {
		out.Entries = append(out.Entries, wire(e))
	}
	return out, err
}

// act does what a person wants with an entry.
func (q *Queue[T]) act(c *web.Call, in idParams, a Action) (any, error) {
	out, err := web.Update(c, in, q.Store, func(tx T) (api.EmailQueueEntry, error) {
		was, err := tx.EntryByID(in.ID)
		if err != nil {
			return api.EmailQueueEntry{}, err
		}
		e, err := was.Act(a, tx.Now())
		if err == nil {
			err = tx.SaveEntry(was, e)
		}
		return wire(e), err
	})
	if err == nil {
		q.Wake()
	}
	return out, err
}

type suppressionsParams struct{ web.Paging }

// suppressions is the list.
func (q *Queue[T]) suppressions(c *web.Call, in suppressionsParams) (api.EmailSuppressions, error) {
	out := api.EmailSuppressions{Suppressions: []api.EmailSuppression{}}
	list, err := q.Store.Suppressions(c.Context(), in.Paging)
	for _, s := range list {
		out.Suppressions = append(out.Suppressions, api.EmailSuppression{ID: s.ID, Address: s.Address, Reason: s.Reason, CreatedAt: api.TimeOf(s.Created)})
	}
	return out, err
}

type suppressParams struct {
	Address string `json:"address" web:"required" max:"320" doc:"an address at another domain"`
	Reason  string `json:"reason,omitempty" max:"500" doc:"why, for whoever meets it later"`
}

func (q *Queue[T]) suppress(_ *web.Call, tx T, in suppressParams) (api.EmailSuppression, error) {
	if _, _, err := Split(in.Address); err != nil {
		return api.EmailSuppression{}, errs.BadField("address", "must be a mail address")
	}
	s := Suppression{Address: Address(in.Address), Reason: in.Reason, Created: tx.Now()}
	if s.Reason == "" {
		s.Reason = "put on the list by an administrator"
	}
	return api.EmailSuppression{Address: s.Address, Reason: s.Reason, CreatedAt: api.TimeOf(s.Created)}, tx.Suppress(s)
}

type addressParams struct {
	Address string `path:"address" max:"320" doc:"the address"`
}

func (q *Queue[T]) unsuppress(_ *web.Call, tx T, in addressParams) (api.EmailSuppression, error) {
	a := Address(in.Address)
	return api.EmailSuppression{Address: a}, tx.Unsuppress(a)
}

type unsuppressForm struct {
	Address string `json:"address" web:"required" max:"320" doc:"the address"`
	Next    string `json:"next,omitempty" doc:"the page to go to afterwards" max:"2000"`
}

func (q *Queue[T]) unsuppressForm(c *web.Call, tx T, in unsuppressForm) (api.EmailSuppression, error) {
	return q.unsuppress(c, tx, addressParams{Address: in.Address})
}

// toPage sends a form's browser back to the queue, with the state that it showed.
func toPage(c *web.Call, _ any) string {
	next := c.Form("next")
	if next != "/queue" && !strings.HasPrefix(next, "/queue?") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/queue"
	}
	return next
}
