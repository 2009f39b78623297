package desk

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/templates"
)

const (
	homeTickets = 6   // tickets on chat's start page
	pageEntries = 200 // entries of a ticket's history on its page
)

// Newest returns the newest open tickets that the caller may see, for chat's start page.
func (s *Service) Newest(c *web.Call) ([]templates.TicketRow, error) {
	ts, err := s.store.Tickets(c.Context(), ticketsIn{Status: StatusOpen}.query(c.Caller), homeTickets)
	if err != nil {
		return nil, err
	}
	return rows(ts), nil
}

func (s *Service) inbox(c *web.Call, in ticketsIn) (web.Page, error) {
	return s.inboxView(c, in, nil)
}

func (s *Service) inboxView(c *web.Call, in ticketsIn, wrong templates.FieldErrors) (web.Page, error) {
	size := in.Size()
	ts, err := s.store.Tickets(c.Context(), in.query(c.Caller), size+1)
	if err != nil {
		return web.Page{}, err
	}
	at := func(status, param string, id int64) string {
		q := url.Values{}
		if status != "" {
			q.Set("status", status)
		}
		if id != 0 {
			q.Set(param, strconv.FormatInt(id, 10))
		}
		if len(q) == 0 {
			return "/inbox"
		}
		return "/inbox?" + q.Encode()
	}
	v := templates.TicketsView{CanCreate: c.Caller.Has("chat.write"), Errors: wrong, EventsURL: "/events"}
	if wrong != nil {
		v.Subject = c.Form("subject")
	}
	v.Filters = []templates.Tab{{Label: "All", Href: "/inbox", Current: in.Status == ""}}
	for _, f := range []struct{ status, title string }{{StatusOpen, "Open"}, {StatusAssigned, "Assigned"}, {StatusSolved, "Solved"}} {
		v.Filters = append(v.Filters, templates.Tab{Label: f.title, Href: at(f.status, "", 0), Current: in.Status == f.status})
	}
	if len(ts) > size {
		ts = ts[:size]
		v.Pager.Next = at(in.Status, "before", ts[size-1].ID)
	}
	if in.Before != 0 {
		v.Pager.Prev = at(in.Status, "", 0)
	}
	v.Tickets = rows(ts)
	return web.Page{Template: templates.PageTickets, Title: "Tickets", Data: v, Service: "desk"}, nil
}

// openRefused shows the list again with what is wrong in the form.
func (s *Service) openRefused(c *web.Call, err error) (web.Page, bool) {
	p, e := s.inboxView(c, ticketsIn{}, fieldErrors(err))
	return p, e == nil
}

func (s *Service) ticketPage(c *web.Call, in ticketIn) (web.Page, error) {
	return s.ticketView(c, in, nil)
}

func (s *Service) ticketView(c *web.Call, in ticketIn, wrong templates.FieldErrors) (web.Page, error) {
	t, err := s.ticket(c, in)
	if err != nil {
		return web.Page{}, err
	}
	entries, err := s.store.Comments(c.Context(), t.ID, web.Paging{}, pageEntries)
	if err != nil {
		return web.Page{}, err
	}
	v := templates.TicketView{TicketRow: row(t), CanComment: c.Caller.Has("chat.write"), Errors: wrong, EventsURL: "/events"}
	v.CanAssign = c.Caller.Has(manage) && t.Status != StatusSolved
	if v.CanAssign {
		v.SelfID = c.Caller.ID
	}
	if t.AssigneeID != nil {
		v.AssigneeID = *t.AssigneeID
	}
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		v.Comments = append(v.Comments, templates.Comment{Author: label(e.Author, e.AuthorID), Text: e.Text, At: e.CreatedAt.Time(), Event: e.Kind == KindEvent})
	}
	return web.Page{Template: templates.PageTicket, Title: fmt.Sprintf("Ticket #%d", t.ID), Data: v, Service: "desk"}, nil
}

// changeRefused shows the ticket again with what is wrong in its forms.
func (s *Service) changeRefused(c *web.Call, err error) (web.Page, bool) {
	id, bad := strconv.ParseInt(c.Request.PathValue("id"), 10, 64)
	if bad != nil || errs.Is(err, errs.NotFound) || errs.Is(err, errs.Denied) {
		return web.Page{}, false
	}
	p, e := s.ticketView(c, ticketIn{ID: id}, fieldErrors(err))
	return p, e == nil
}

// toNew sends a browser from the form to the new ticket.
func (s *Service) toNew(_ *web.Call, out any) string {
	if t, ok := out.(api.TicketOpened); ok {
		return fmt.Sprintf("/tickets/%d", t.ID)
	}
	return "/inbox"
}

// toTicket sends a browser from a form back to its ticket.
func (s *Service) toTicket(c *web.Call, _ any) string { return "/tickets/" + c.Request.PathValue("id") }

func rows(ts []api.Ticket) []templates.TicketRow {
	out := make([]templates.TicketRow, len(ts))
	for i, t := range ts {
		out[i] = row(t)
	}
	return out
}

func row(t api.Ticket) templates.TicketRow {
	r := templates.TicketRow{
		ID: t.ID, Subject: t.Subject, Status: t.Status, Requester: label(t.Requester, t.CreatedBy), Tags: t.Tags, Created: t.CreatedAt.Time(), LastAt: t.LastMsgAt.Time(),
	}
	if t.AssigneeID != nil {
		r.Assignee = label(t.Assignee, *t.AssigneeID)
	}
	return r
}

// fieldErrors are an error's fields for a form; an error without fields is about the whole form.
func fieldErrors(err error) templates.FieldErrors {
	out := templates.FieldErrors{}
	var e *errs.Error
	if !errors.As(err, &e) {
		out[""] = "This did not work; try again."
		return out
	}
	for _, f := range e.Fields {
		out[f.Field] = f.Detail
	}
	if len(out) == 0 {
		out[""] = e.Detail
	}
	return out
}
