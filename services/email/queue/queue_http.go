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
		web.Query("GET", "/api/queue/{id}", admin, "One mail on its way, and how each attempt went", q.get),
		web.Query("GET", "/api/queue/domains", admin, "Domains that are paused, or whose hosts do not answer", q.domains),
		web.Query("POST", "/api/queue/pause", admin, "Send nothing, or nothing to one domain, until it is resumed", q.pauseDomain),
		web.Query("POST", "/api/queue/resume", admin, "Send again; a domain whose hosts did not answer is tried at once", q.resumeDomain),
		web.Query("GET", "/api/queue-rules", admin, "What is released although everything is held", q.rules),
		web.Command("POST", "/api/queue-rules", admin, "Release mail for an address or domain by itself, to another address if wanted", q.Store, q.addRule),
		web.Command("DELETE", "/api/queue-rules/{id}", admin, "Remove a rule", q.Store, q.dropRule),
		web.Query("GET", "/api/suppressions", admin, "Addresses that no mail is sent to, newest first", q.suppressions),
		web.Command("POST", "/api/suppressions", admin, "Put an address on the suppression list", q.Store, q.suppress),
		web.Command("DELETE", "/api/suppressions/{address}", admin, "Take an address off the suppression list", q.Store, q.unsuppress),
		web.View("/queue", page, "The queue: what waits, what is held, what became of it", q.page),
		web.View("/queue/{id}", page, "One mail on its way, and how each attempt went", q.entryPage),
		web.Query("POST", "/queue/pause", page, "The page's form: send nothing until it is resumed", q.pauseDomain).Redirect(toPage),
		web.Query("POST", "/queue/resume", page, "The page's form: send again", q.resumeDomain).Redirect(toPage),
		web.Command("POST", "/queue/rules", page, "The page's form: add a rule", q.Store, q.addRule).Redirect(toPage),
		web.Command("POST", "/queue/rules/{id}/delete", page, "The page's form: remove a rule", q.Store, q.dropRule).Redirect(toPage),
		web.Query("POST", "/queue/bulk", page, "The page's form: the same for all that is shown", q.bulkForm).Redirect(toPage),
		web.Command("POST", "/queue/unsuppress", page, "The page's form: take an address off the suppression list", q.Store, q.unsuppressForm).Redirect(toPage),
	}
	for _, a := range []struct {
		action  Action
		summary string
	}{
		{Release, "Send mail that is held, to another address if wanted"},
		{Retry, "Try now, without waiting for the next attempt; a bounced mail begins anew"},
		{Hold, "Hold mail that waits"},
		{Drop, "Take mail out of the queue; nobody is told"},
	} {
		act := func(c *web.Call, in idParams) (any, error) { return q.act(c, in.ID, in, "", a.action) }
		form := act
		one := web.Query("POST", "/api/queue/{id}/"+string(a.action), admin, a.summary, act)
		two := web.Query("POST", "/queue/{id}/"+string(a.action), page, "The page's form: "+strings.ToLower(a.summary[:1])+a.summary[1:], form).Redirect(toPage)
		if a.action == Release {
			redirect := func(c *web.Call, in releaseParams) (any, error) { return q.act(c, in.ID, in, in.To, Release) }
			one = web.Query("POST", one.Path, admin, a.summary, redirect)
			two = web.Query("POST", two.Path, page, two.Summary, redirect).Redirect(toPage)
		}
		all = append(all, one, two, web.Query("POST", "/api/queue/"+string(a.action), admin, "The same for many: "+strings.ToLower(a.summary[:1])+a.summary[1:],
			func(c *web.Call, in bulkParams) (any, error) { return q.bulk(c, in, a.action) }))
	}
	return append(all, q.scheduledEndpoints()...)
}

// listParams choose a page of the queue.
type listParams struct {
	State     string `json:"state,omitempty" doc:"only entries in this state: queued, held, sending, sent, bounced or dropped" max:"20"`
	Domain    string `json:"domain,omitempty" doc:"only entries for this domain" max:"255"`
	Recipient string `json:"recipient,omitempty" doc:"only entries for this address" max:"320"`
	QueueID   string `json:"queue_id,omitempty" doc:"only entries of this message" max:"64"`
	web.Paging
}

// filter is what the parameters choose.
func (p listParams) filter() Filter {
	f := Filter{State: State(p.State), Domain: asciiDomain(p.Domain), QueueID: p.QueueID}
	if local, domain, err := Split(p.Recipient); err == nil {
		f.Recipient = local + "@" + domain
	} else {
		f.Recipient = p.Recipient
	}
	return f
}

// asciiDomain writes a domain as entries have it; what is none stays as it is, and no entry has it.
func asciiDomain(s string) string {
	if _, d, err := Split("x@" + s); err == nil {
		return d
	}
	return s
}

// releaseParams release an entry.
type releaseParams struct {
	ID   int64  `path:"id" min:"1"`
	To   string `json:"to,omitempty" doc:"the address that gets it instead of its recipient" max:"320"`
	Next string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
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
	_, original, _ := strings.Cut(e.ORCPT, ";")
	return api.EmailQueueEntry{ID: e.ID, QueueID: e.QueueID, MessageID: e.MessageID, User: e.User, From: e.ReversePath, Recipient: e.Recipient, Domain: e.Domain,
		State: string(e.State), Reason: e.Reason, Attempts: e.Attempts, NextAt: api.TimeOf(e.NextAt), LastReply: e.LastReply, Host: e.Host,
		CreatedAt: api.TimeOf(e.Created), UpdatedAt: api.TimeOf(e.Updated), SendAt: api.TimeOf(e.NotBefore), Original: original, Notify: e.Notify, EnvelopeID: e.EnvelopeID,
		RequireTLS: e.RequireTLS}
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
	entries, err := q.Store.Entries(c.Context(), in.filter(), in.Paging)
	for _, e := range entries {
		out.Entries = append(out.Entries, wire(e))
	}
	return out, err
}

func (q *Queue[T]) get(c *web.Call, in idParams) (api.EmailQueueDetail, error) {
	e, attempts, err := q.Store.EntryAttempts(c.Context(), in.ID)
	out := api.EmailQueueDetail{EmailQueueEntry: wire(e), Log: []api.EmailQueueAttempt{}}
	for _, a := range attempts {
		out.Log = append(out.Log, api.EmailQueueAttempt{Attempt: a.Number, BeganAt: api.TimeOf(a.Began), EndedAt: api.TimeOf(a.Ended), Verdict: a.Verdict, Host: a.Host, TLS: a.TLS,
			Code: a.code(), Reply: a.Reply})
	}
	return out, err
}

// act does what a person wants with an entry. in is what they sent.
func (q *Queue[T]) act(c *web.Call, id int64, in any, to string, a Action) (any, error) {
	away, err := q.destination(c, to)
	if err != nil {
		return nil, err
	}
	out, err := web.Update(c, in, q.Store, func(tx T) (api.EmailQueueEntry, error) {
		e, err := actOn(tx, id, away, a)
		return wire(e), err
	})
	if err == nil {
		q.Wake()
	}
	return out, err
}

// elsewhere is where mail is sent instead of to its recipient; "" is not.
type elsewhere struct{ local, domain string }

// destination reads an address that mail is redirected to.
func (q *Queue[T]) destination(c *web.Call, to string) (away elsewhere, err error) {
	if to == "" {
		return away, nil
	}
	if away.local, away.domain, err = Split(to); err != nil {
		return away, errs.BadField("to", "must be a mail address")
	}
	s, err := q.Store.SuppressionOf(c.Context(), Address(to))
	switch {
	case err == nil:
		return away, errs.BadField("to", "is on the suppression list: %s", s.Reason)
	case !errs.Is(err, errs.NotFound):
		return away, err
	}
	return away, nil
}

// actOn changes an entry in a transaction.
func actOn[T Tx](tx T, id int64, away elsewhere, a Action) (Entry, error) {
	was, err := tx.EntryByID(id)
	if err != nil {
		return was, err
	}
	var e Entry
	if a == Release && away.domain != "" {
		e, err = was.Redirect(away.local, away.domain, tx.Now())
	} else {
		e, err = was.Act(a, tx.Now())
	}
	if err != nil {
		return was, err
	}
	if err := tx.SaveEntry(was, e); err != nil {
		return was, err
	}
	if a != Release && a != Retry {
		return e, nil
	}
	// Whoever asks for it now does not mean: when the domain's hosts have had their rest.
	for _, name := range []string{e.Domain, AllDomains} {
		d, err := tx.DomainState(name)
		if err == nil && d.RetryAt.After(tx.Now()) {
			d.RetryAt = tx.Now()
			err = tx.SaveDomain(d)
		}
		if err != nil {
			return was, err
		}
	}
	return e, nil
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
	ours := next == "/queue" || strings.HasPrefix(next, "/queue?") || strings.HasPrefix(next, "/queue/") && digits(next[len("/queue/"):])
	if !ours || strings.ContainsAny(next, "\\\r\n\t") {
		return "/queue"
	}
	return next
}
