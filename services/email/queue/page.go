package queue

import (
	"net/url"
	"strconv"
	"strings"

	"uniqverse/internal/web"
	"uniqverse/templates"
)

// actions are what a person may do, in the order of the buttons.
func actions() []Action { return []Action{Release, Retry, Hold, Drop} }

// page shows the queue.
func (q *Queue[T]) page(c *web.Call, in listParams) (web.Page, error) {
	counts, err := q.Store.Counts(c.Context())
	if err != nil {
		return web.Page{}, err
	}
	rows, err := q.Store.Entries(c.Context(), in.filter(), in.Paging)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.QueueView{HoldAll: q.HoldAll, State: in.State, Domain: in.Domain, Here: in.address(0)}
	if err := q.around(c, &v); err != nil {
		return web.Page{}, err
	}
	var total int64
	for _, n := range counts {
		total += n
	}
	if in.Domain != "" { // the counts are of everything, and would mislead
		total, counts = 0, nil
	}
	all := in
	all.State = ""
	v.Filters = []templates.Tab{{Label: "All", Href: all.address(0), Current: in.State == "", Count: int(total)}}
	for _, s := range States() {
		of := in
		of.State = string(s)
		v.Filters = append(v.Filters, templates.Tab{Label: string(s), Href: of.address(0), Current: in.State == string(s), Count: int(counts[s])})
	}
	for _, e := range rows {
		v.Rows = append(v.Rows, rowOf(e))
	}
	if in.State != "" {
		v.Bulk = rowOf(Entry{State: State(in.State)}).Actions
	}
	if len(rows) == in.Size() {
		v.Pager.Next = in.address(rows[len(rows)-1].ID)
	}
	if in.Before != 0 {
		v.Pager.Prev = in.address(0)
	}
	return web.Page{Template: templates.PageQueue, Title: "Queue", Data: v}, nil
}

// around fills in what the page shows beside the list.
func (q *Queue[T]) around(c *web.Call, v *templates.QueueView) error {
	domains, err := q.Store.Domains(c.Context())
	if err != nil {
		return err
	}
	for _, d := range domains {
		if d.Name == AllDomains && !d.Paused.IsZero() {
			v.Paused, v.PauseReason = true, d.Reason
			continue
		}
		v.Domains = append(v.Domains, templates.QueueDomain{Name: d.Name, Paused: !d.Paused.IsZero(), Reason: d.Reason, Failures: d.Failures, Retry: d.RetryAt, LastReply: d.LastReply})
	}
	rules, err := q.Store.Rules(c.Context())
	if err != nil {
		return err
	}
	for _, r := range rules {
		v.Rules = append(v.Rules, templates.QueueRule{ID: r.ID, Pattern: r.Pattern, Redirect: r.Redirect})
	}
	list, err := q.Store.Suppressions(c.Context(), web.Paging{Limit: 100})
	for _, s := range list {
		v.Suppressions = append(v.Suppressions, templates.SuppressionRow{Address: s.Address, Reason: s.Reason, Created: s.Created})
	}
	return err
}

// rowOf is how pages show an entry.
func rowOf(e Entry) templates.OutboundRow {
	r := templates.OutboundRow{ID: e.ID, Recipient: e.Recipient, From: e.ReversePath, State: string(e.State), Reason: e.Reason, Attempts: e.Attempts,
		LastReply: e.LastReply, Host: e.Host, Created: e.Created, QueueID: e.QueueID, MessageID: e.MessageID}
	if e.State == Queued {
		r.Next = e.NextAt
	}
	for _, a := range actions() {
		if e.Can(a) {
			r.Actions = append(r.Actions, string(a))
		}
	}
	return r
}

// entryPage shows an entry and its attempts.
func (q *Queue[T]) entryPage(c *web.Call, in idParams) (web.Page, error) {
	e, attempts, err := q.Store.EntryAttempts(c.Context(), in.ID)
	if err != nil {
		return web.Page{}, err
	}
	_, original, _ := strings.Cut(e.ORCPT, ";")
	v := templates.QueueEntryView{OutboundRow: rowOf(e), Here: "/queue/" + strconv.FormatInt(e.ID, 10), Original: original, SendAt: e.NotBefore, CanMove: e.State == Held || e.State == Queued}
	v.Notify = "of failure and delay"
	if e.Notify != "" {
		v.Notify = "of " + strings.ToLower(strings.ReplaceAll(e.Notify, ",", ", "))
	}
	if e.Notify == "NEVER" {
		v.Notify = "none wanted"
	}
	for _, a := range attempts {
		v.Attempt = append(v.Attempt, templates.AttemptRow{Number: a.Number, At: a.Began, Took: a.Ended.Sub(a.Began), Verdict: a.Verdict, Host: a.Host, TLS: a.TLS, Reply: a.Reply})
	}
	return web.Page{Template: templates.PageQueueEntry, Title: "Mail to " + e.Recipient, Data: v}, nil
}

// address is the page's own, with what it shows.
func (p listParams) address(before int64) string {
	v := url.Values{}
	for name, value := range map[string]string{"state": p.State, "domain": p.Domain, "recipient": p.Recipient, "queue_id": p.QueueID} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if before != 0 {
		v.Set("before", strconv.FormatInt(before, 10))
	}
	if len(v) == 0 {
		return "/queue"
	}
	return "/queue?" + v.Encode()
}
