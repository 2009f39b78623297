package queue

import (
	"net/url"
	"strconv"

	"uniqverse/internal/web"
	"uniqverse/templates"
)

// page shows the queue.
func (q *Queue[T]) page(c *web.Call, in listParams) (web.Page, error) {
	counts, err := q.Store.Counts(c.Context())
	if err != nil {
		return web.Page{}, err
	}
	rows, err := q.Store.Entries(c.Context(), State(in.State), in.Paging)
	if err != nil {
		return web.Page{}, err
	}
	list, err := q.Store.Suppressions(c.Context(), web.Paging{Limit: 100})
	if err != nil {
		return web.Page{}, err
	}
	v := templates.QueueView{HoldAll: q.HoldAll, Here: address(in.State, 0)}
	var total int64
	for _, n := range counts {
		total += n
	}
	v.Filters = []templates.Tab{{Label: "All", Href: "/queue", Current: in.State == "", Count: int(total)}}
	for _, s := range States() {
		v.Filters = append(v.Filters, templates.Tab{Label: string(s), Href: address(string(s), 0), Current: in.State == string(s), Count: int(counts[s])})
	}
	for _, e := range rows {
		r := templates.OutboundRow{ID: e.ID, Recipient: e.Recipient, From: e.ReversePath, State: string(e.State), Reason: e.Reason, Attempts: e.Attempts,
			LastReply: e.LastReply, Host: e.Host, Created: e.Created, QueueID: e.QueueID, MessageID: e.MessageID}
		if e.State == Queued {
			r.Next = e.NextAt
		}
		for _, a := range []Action{Release, Retry, Hold, Drop} {
			if e.Can(a) {
				r.Actions = append(r.Actions, string(a))
			}
		}
		v.Rows = append(v.Rows, r)
	}
	for _, s := range list {
		v.Suppressions = append(v.Suppressions, templates.SuppressionRow{Address: s.Address, Reason: s.Reason, Created: s.Created})
	}
	if len(rows) == in.Size() {
		v.Pager.Next = address(in.State, rows[len(rows)-1].ID)
	}
	if in.Before != 0 {
		v.Pager.Prev = address(in.State, 0)
	}
	return web.Page{Template: templates.PageQueue, Title: "Queue", Data: v}, nil
}

// address is the page's own, with what it shows.
func address(state string, before int64) string {
	v := url.Values{}
	if state != "" {
		v.Set("state", state)
	}
	if before != 0 {
		v.Set("before", strconv.FormatInt(before, 10))
	}
	if len(v) == 0 {
		return "/queue"
	}
	return "/queue?" + v.Encode()
}
