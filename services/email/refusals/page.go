package refusals

import (
	"net/url"
	"strconv"

	"uniqverse/internal/web"
	"uniqverse/templates"
)

type pageParams struct {
	User    string `json:"user,omitempty" max:"320" doc:"whose; the caller's own unless given, everybody's with email.admin"`
	Address string `json:"address,omitempty" max:"320" doc:"only what came from, or was for, exactly this address; - is the null sender"`
	Rule    string `json:"rule,omitempty" max:"40" doc:"only what this rule refused"`
	Before  int64  `json:"before,omitempty" min:"1" doc:"what came before the row with this id"`
}

// at is the page from before a row on; 0 is the newest.
func (p pageParams) at(before int64) string {
	q := url.Values{}
	for name, value := range map[string]string{"user": p.User, "address": p.Address, "rule": p.Rule} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if before != 0 {
		q.Set("before", strconv.FormatInt(before, 10))
	}
	if len(q) == 0 {
		return "/refusals"
	}
	return "/refusals?" + q.Encode()
}

// page shows what was not taken, and why.
func (j *Journal) page(c *web.Call, in pageParams) (web.Page, error) {
	p := web.Paging{Before: in.Before}
	list, err := j.list(c, listParams{User: in.User, Address: in.Address, Rule: in.Rule, Paging: p})
	if err != nil {
		return web.Page{}, err
	}
	v := templates.RefusalsView{Tools: templates.Tools{User: in.User, Links: templates.MailboxLinks(in.User, "/refusals")}, All: in.User == "" && c.Caller.Has("email.admin"),
		Address: in.Address, Rule: in.Rule, AllURL: pageParams{User: in.User}.at(0)}
	whose := in.User
	if whose == "" {
		whose = c.Caller.User
	}
	if local, err := j.Named(whose); err == nil {
		v.Mailbox = j.address(local)
	}
	for _, e := range list.Refusals {
		v.Rows = append(v.Rows, templates.RefusalRow{At: e.At.Time(), From: e.From, To: e.To, Peer: e.Peer, HELO: e.HELO, SignedIn: e.SignedIn, Code: e.Code, Enhanced: e.Enhanced,
			Text: e.Text, Rule: e.Rule, Detail: e.Detail})
	}
	if v.All && in.Before == 0 {
		grey, err := j.Store.Greylisted(c.Context(), c.Now.Add(-retryTime), onThePage)
		if err != nil {
			return web.Page{}, err
		}
		for _, w := range grey {
			v.Waiting = append(v.Waiting, templates.WaitingRow{Network: w.Network, From: w.From, To: w.To, At: w.Last})
		}
	}
	if n := len(list.Refusals); n == p.Size() {
		v.Pager.Next = in.at(list.Refusals[n-1].ID)
	}
	if in.Before != 0 {
		v.Pager.Prev = in.at(0)
	}
	return web.Page{Template: templates.PageRefusals, Title: "Not taken", Data: v}, nil
}
