package stats

import (
	"slices"
	"time"

	"uniqverse/internal/web"
	"uniqverse/services/email/queue"
	"uniqverse/templates"
)

// Params choose whose figures.
type Params struct {
	User string `json:"user,omitempty" max:"320" doc:"whose: an address of the domain, or its local part; the caller's own when left out"`
	All  bool   `json:"all,omitempty" doc:"the whole installation, with its queue; email.admin"`
}

// Endpoints returns the routes.
func (s *Stats) Endpoints() []web.Endpoint {
	read, page := web.NeedsToken("email.read"), web.Needs("email.read")
	read.Describe = "the user's own; others', and those of the whole installation, with email.admin"
	page.Describe = read.Describe
	return []web.Endpoint{
		web.Query("GET", "/api/stats", read, "What a mailbox, or the whole installation, holds, and what came and went in the last 30 days", s.Of),
		web.View("/stats", page, "Figures of a mailbox, or of the whole installation", s.page),
	}
}

// states are those of the queue, as the page orders them.
var states = []queue.State{queue.Queued, queue.Held, queue.Sending, queue.Sent, queue.Bounced, queue.Dropped}

// page shows the figures as bars and, the same, as a table.
func (s *Stats) page(c *web.Call, in Params) (web.Page, error) {
	f, err := s.Of(c, in)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.StatsView{Tools: templates.Tools{Mailbox: f.User, User: in.User, Links: templates.MailboxLinks(in.User, "/stats")}, All: in.All, MayAll: c.Caller.Has("email.admin") || c.Caller.Demo,
		Messages: f.Messages, Unread: f.Unread, Bytes: f.Bytes, Quota: f.Quota, Mailboxes: f.Mailboxes}
	if in.All {
		v.Mailbox = "everybody"
	}
	for _, x := range f.Folders {
		v.Folders = append(v.Folders, templates.StatsFolder{Name: x.Name, Messages: x.Messages, Unread: x.Unread})
	}
	for _, d := range f.Days {
		at, err := time.Parse(time.DateOnly, d.Day)
		if err != nil {
			return web.Page{}, err
		}
		row := templates.StatsDay{At: at, Received: d.Received, Sent: d.Sent, Junk: d.Junk, Refused: -1}
		if d.Refused != nil {
			row.Refused = *d.Refused
		}
		v.Days = append(v.Days, row)
	}
	if in.All {
		v.Queue = []templates.Count{}
		for _, state := range states {
			v.Queue = append(v.Queue, templates.Count{Label: string(state), Value: f.Queue[string(state)]})
		}
	}
	v.Newest = slices.Clone(v.Days)
	slices.Reverse(v.Newest)
	return web.Page{Template: templates.PageStats, Title: "Figures", Data: v}, nil
}
