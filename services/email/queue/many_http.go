package queue

import (
	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// bulkMost is how many entries one call changes.
const bulkMost = 500

// bulkParams choose entries to change.
type bulkParams struct {
	IDs       []int64 `json:"ids,omitempty" max:"500" doc:"these entries"`
	State     string  `json:"state,omitempty" doc:"entries in this state" max:"20"`
	Domain    string  `json:"domain,omitempty" doc:"entries for this domain" max:"255"`
	Recipient string  `json:"recipient,omitempty" doc:"entries for this address" max:"320"`
	QueueID   string  `json:"queue_id,omitempty" doc:"entries of this message" max:"64"`
	To        string  `json:"to,omitempty" doc:"with release: the address that gets them instead" max:"320"`
}

// Check wants to be told which entries.
func (p bulkParams) Check() error {
	if len(p.IDs) == 0 && p.State == "" && p.Domain == "" && p.Recipient == "" && p.QueueID == "" {
		return errs.BadField("ids", "must be given, or state, domain, recipient or queue_id")
	}
	return listParams{State: p.State}.Check()
}

// usual is the state that an action is for when none is named.
func (a Action) usual() []State {
	switch a {
	case Release:
		return []State{Held}
	case Retry, Hold:
		return []State{Queued}
	}
	return []State{Queued, Held}
}

// bulk does the same with many entries, up to bulkMost in one transaction.
func (q *Queue[T]) bulk(c *web.Call, in bulkParams, a Action) (any, error) {
	if in.To != "" && a != Release {
		return nil, errs.BadField("to", "is only for release")
	}
	away, err := q.destination(c, in.To)
	if err != nil {
		return nil, err
	}
	ids, more, err := q.chosen(c, in, a)
	if err != nil {
		return nil, err
	}
	out, err := web.Update(c, in, q.Store, func(tx T) (api.EmailQueueChanged, error) {
		r := api.EmailQueueChanged{More: more}
		for _, id := range ids {
			switch _, err := actOn(tx, id, away, a); {
			case err == nil:
				r.Changed++
			case errs.Is(err, errs.Conflict) || errs.Is(err, errs.NotFound) && len(in.IDs) == 0:
				r.Skipped++
			default:
				return r, err
			}
		}
		return r, nil
	})
	if err == nil {
		q.Wake()
	}
	return out, err
}

// chosen returns the entries that an action is for, and whether there are more.
func (q *Queue[T]) chosen(c *web.Call, in bulkParams, a Action) (ids []int64, more bool, err error) {
	if len(in.IDs) > 0 {
		return in.IDs, false, nil
	}
	states := a.usual()
	if in.State != "" {
		states = []State{State(in.State)}
	}
	f := listParams{Domain: in.Domain, Recipient: in.Recipient, QueueID: in.QueueID}.filter()
	for _, s := range states {
		f.State = s
		p := web.Paging{Limit: 200}
		for len(ids) < bulkMost {
			list, err := q.Store.Entries(c.Context(), f, p)
			if err != nil {
				return nil, false, err
			}
			for _, e := range list {
				ids = append(ids, e.ID)
			}
			if len(list) < p.Limit {
				break
			}
			p.Before = list[len(list)-1].ID
		}
	}
	if len(ids) > bulkMost {
		return ids[:bulkMost], true, nil
	}
	return ids, len(ids) == bulkMost, nil
}

// bulkForm is the page's form.
type bulkForm struct {
	Action string `json:"action" web:"required" doc:"release, retry, hold or drop" max:"10"`
	State  string `json:"state,omitempty" max:"20"`
	Domain string `json:"domain,omitempty" max:"255"`
	To     string `json:"to,omitempty" max:"320"`
	Next   string `json:"next,omitempty" doc:"the page to go to afterwards" max:"2000"`
}

func (q *Queue[T]) bulkForm(c *web.Call, in bulkForm) (any, error) {
	a := Action(in.Action)
	if a != Release && a != Retry && a != Hold && a != Drop {
		return nil, errs.BadField("action", "must be one of release, retry, hold, drop")
	}
	p := bulkParams{State: in.State, Domain: in.Domain, To: in.To}
	if p.State == "" && p.Domain == "" {
		p.State = string(a.usual()[0])
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return q.bulk(c, p, a)
}

// pauseParams name a domain.
type pauseParams struct {
	Domain string `json:"domain,omitempty" doc:"a domain; left out: all that leaves this host" max:"255"`
	Reason string `json:"reason,omitempty" doc:"why, for whoever looks at it later" max:"300"`
	Next   string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

// name is the domain as it is kept.
func (p pauseParams) name() (string, error) {
	if p.Domain == "" || p.Domain == AllDomains {
		return AllDomains, nil
	}
	_, domain, err := Split("x@" + p.Domain)
	if err != nil {
		return "", errs.BadField("domain", "must be a domain such as example.org, and is %q", p.Domain)
	}
	return domain, nil
}

func (q *Queue[T]) pauseDomain(c *web.Call, in pauseParams) (any, error) {
	name, err := in.name()
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, q.Store, func(tx T) (api.EmailQueueDomain, error) {
		d, err := tx.DomainState(name)
		if err != nil {
			return api.EmailQueueDomain{}, err
		}
		if d.Paused.IsZero() {
			d.Paused = tx.Now()
		}
		d.Reason, d.Updated = in.Reason, tx.Now()
		return wireDomain(d), tx.SaveDomain(d)
	})
}

func (q *Queue[T]) resumeDomain(c *web.Call, in pauseParams) (any, error) {
	name, err := in.name()
	if err != nil {
		return nil, err
	}
	out, err := web.Update(c, in, q.Store, func(tx T) (api.EmailQueueDomain, error) {
		d := Domain{Name: name}
		if err := tx.SaveDomain(d); err != nil {
			return api.EmailQueueDomain{}, err
		}
		return wireDomain(d), tx.Advance(name, advanceMost)
	})
	if err == nil {
		q.Wake()
	}
	return out, err
}

func wireDomain(d Domain) api.EmailQueueDomain {
	return api.EmailQueueDomain{Domain: d.Name, Paused: !d.Paused.IsZero(), PausedAt: api.TimeOf(d.Paused), Reason: d.Reason, Failures: d.Failures, RetryAt: api.TimeOf(d.RetryAt), LastReply: d.LastReply}
}

func (q *Queue[T]) domains(c *web.Call, _ web.None) (api.EmailQueueDomains, error) {
	out := api.EmailQueueDomains{Domains: []api.EmailQueueDomain{}}
	list, err := q.Store.Domains(c.Context())
	for _, d := range list {
		out.Domains = append(out.Domains, wireDomain(d))
		out.Paused = out.Paused || d.Name == AllDomains && !d.Paused.IsZero()
	}
	return out, err
}

// ruleParams are a rule.
type ruleParams struct {
	Pattern  string `json:"pattern" web:"required" max:"320" doc:"an address, a domain, or *. and a domain for all below it"`
	Redirect string `json:"redirect,omitempty" max:"320" doc:"the address that gets it instead of its recipient"`
	Next     string `json:"next,omitempty" doc:"for forms: the page to go to afterwards" max:"2000"`
}

func wireRule(r Rule) api.EmailQueueRule {
	return api.EmailQueueRule{ID: r.ID, Pattern: r.Pattern, Redirect: r.Redirect, CreatedAt: api.TimeOf(r.Created)}
}

func (q *Queue[T]) rules(c *web.Call, _ web.None) (api.EmailQueueRules, error) {
	out := api.EmailQueueRules{Rules: []api.EmailQueueRule{}}
	list, err := q.Store.Rules(c.Context())
	for _, r := range list {
		out.Rules = append(out.Rules, wireRule(r))
	}
	return out, err
}

// addRule adds a rule. It is for mail that comes from now on; what is held already stays so.
func (q *Queue[T]) addRule(_ *web.Call, tx T, in ruleParams) (api.EmailQueueRule, error) {
	r := Rule{Created: tx.Now()}
	var err error
	if r.Pattern, err = normalPattern(in.Pattern); err != nil {
		return api.EmailQueueRule{}, err
	}
	if in.Redirect != "" {
		local, domain, err := Split(in.Redirect)
		if err != nil {
			return api.EmailQueueRule{}, errs.BadField("redirect", "must be a mail address")
		}
		r.Redirect = local + "@" + domain
	}
	all, err := tx.Rules()
	if err != nil {
		return api.EmailQueueRule{}, err
	}
	if len(all) >= MaxRules {
		return api.EmailQueueRule{}, errs.New(errs.Conflict, "there are %d rules, which is the most; remove one first", MaxRules)
	}
	r.ID, err = tx.AddRule(r)
	return wireRule(r), err
}

func (q *Queue[T]) dropRule(_ *web.Call, tx T, in idParams) (web.None, error) {
	return web.None{}, tx.DropRule(in.ID)
}
