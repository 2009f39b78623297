package desk

import (
	"fmt"
	"net/url"
	"strconv"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

type ticketsIn struct {
	Status     string `json:"status,omitempty" doc:"only tickets in this state: open, assigned or solved"`
	AssigneeID int64  `json:"assignee_id,omitempty" min:"1" doc:"only tickets of this user"`
	web.Paging
}

// Check refuses a state that does not exist, rather than finding nothing in it.
func (in *ticketsIn) Check() error { return checkStatus(in.Status) }

func (in ticketsIn) query(who web.Caller) Query {
	q := Query{Status: in.Status, Assignee: in.AssigneeID, Paging: in.Paging}
	if !who.Demo && !who.Has(manage) {
		q.VisibleTo = who.ID
		if who.ID == 0 {
			q.VisibleTo = -1 // a service without the scope has no tickets
		}
	}
	return q
}

func (s *Service) tickets(c *web.Call, in ticketsIn) ([]api.Ticket, error) {
	size := in.Size()
	ts, err := s.store.Tickets(c.Context(), in.query(c.Caller), size+1)
	if err != nil {
		return nil, err
	}
	q := url.Values{}
	if in.Status != "" {
		q.Set("status", in.Status)
	}
	if in.AssigneeID != 0 {
		q.Set("assignee_id", strconv.FormatInt(in.AssigneeID, 10))
	}
	return page(c, ts, size, in.Paging, c.Request.URL.Path, q, func(t api.Ticket) int64 { return t.ID }), nil
}

// page cuts a newest-first list that was asked for one row more than its size, and points the
// Link header (RFC 8288) at what follows.
func page[T any](c *web.Call, rows []T, size int, p web.Paging, path string, q url.Values, id func(T) int64) []T {
	if len(rows) <= size {
		return rows
	}
	param := "before"
	if p.After > 0 && p.Before == 0 { // the rows just after one: what is too many is the newest
		rows, param = rows[1:], "after"
		q.Set(param, strconv.FormatInt(id(rows[0]), 10))
	} else {
		rows = rows[:size]
		q.Set(param, strconv.FormatInt(id(rows[size-1]), 10))
	}
	q.Set("limit", strconv.Itoa(size))
	c.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, c.URL(path), q.Encode()))
	return rows
}

type ticketIn struct {
	ID int64 `path:"id" doc:"the ticket's id"`
}

func (s *Service) ticket(c *web.Call, in ticketIn) (api.Ticket, error) {
	t, err := s.store.Ticket(c.Context(), in.ID)
	if err != nil {
		return api.Ticket{}, err
	}
	return t, mayTouch(c.Caller, t)
}

type openIn struct {
	Subject   string   `json:"subject" web:"required" doc:"what it is about, 1 to 200 characters"`
	CreatedBy int64    `json:"created_by,omitempty" min:"1" doc:"user_id of who asks; the caller when left out"`
	Tags      []string `json:"tags,omitempty" doc:"at most 10 words to find it by"`
}

// Check brings the fields into the form in which they are stored.
func (in *openIn) Check() error {
	var err error
	if in.Subject, err = cleanLine("subject", in.Subject, maxSubject); err != nil {
		return err
	}
	in.Tags, err = cleanTags(in.Tags)
	return err
}

type ticketCreated struct {
	TicketID  int64  `json:"ticket_id"`
	Subject   string `json:"subject"`
	CreatedBy int64  `json:"created_by"`
}

func (s *Service) open(c *web.Call, in openIn) (any, error) {
	if err := c.Caller.ActAsID(in.CreatedBy, manage); err != nil {
		return nil, err
	}
	by := in.CreatedBy
	if by == 0 {
		by = c.Caller.ID
	}
	name, err := s.nameOf(c.Context(), c.Caller, "created_by", by)
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.store, func(tx Tx) (api.TicketOpened, error) {
		now := api.TimeOf(tx.Now())
		t, err := tx.AddTicket(api.Ticket{Subject: in.Subject, CreatedBy: by, Requester: name, Status: StatusOpen, Tags: in.Tags, LastMsgAt: now, CreatedAt: now})
		if err != nil {
			return api.TicketOpened{}, err
		}
		err = s.tell(c, tx, t, event.TicketCreated, ticketCreated{TicketID: t.ID, Subject: t.Subject, CreatedBy: t.CreatedBy})
		return api.TicketOpened{ID: t.ID, Status: t.Status}, err
	})
}

type assignIn struct {
	ID         int64 `path:"id" doc:"the ticket's id"`
	AssigneeID int64 `json:"assignee_id" web:"required" min:"1" doc:"user_id of who shall have it"`
}

type ticketAssigned struct {
	TicketID   int64 `json:"ticket_id"`
	AssigneeID int64 `json:"assignee_id"`
}

func (s *Service) assign(c *web.Call, in assignIn) (any, error) {
	if _, err := s.store.Ticket(c.Context(), in.ID); err != nil {
		return nil, err // no ticket comes before nobody to have it
	}
	name, err := s.nameOf(c.Context(), c.Caller, "assignee_id", in.AssigneeID)
	if err != nil {
		return nil, err
	}
	return web.Update(c, in, s.store, func(tx Tx) (api.TicketChanged, error) {
		t, err := tx.Ticket(in.ID)
		if err != nil {
			return api.TicketChanged{}, err
		}
		if t.Status == StatusSolved {
			return api.TicketChanged{}, errs.New(errs.Conflict, "ticket %d is solved; reopen it first with POST /tickets/%d/reopen", t.ID, t.ID)
		}
		if t.AssigneeID != nil && *t.AssigneeID == in.AssigneeID {
			return api.TicketChanged{OK: true, Status: t.Status}, nil // theirs already: nothing happened
		}
		t.AssigneeID, t.Assignee, t.Status = &in.AssigneeID, name, StatusAssigned
		if err := tx.SaveTicket(t); err != nil {
			return api.TicketChanged{}, err
		}
		if err := note(c, tx, t.ID, "assigned to "+label(name, in.AssigneeID)); err != nil {
			return api.TicketChanged{}, err
		}
		err = s.tell(c, tx, t, event.TicketAssigned, ticketAssigned{TicketID: t.ID, AssigneeID: in.AssigneeID})
		return api.TicketChanged{OK: true, Status: t.Status}, err
	})
}

// ticketState is the payload of ticket.solved and ticket.reopened.
type ticketState struct {
	TicketID int64  `json:"ticket_id"`
	Status   string `json:"status"`
	UserID   int64  `json:"user_id"` // who did it
}

func (s *Service) solve(c *web.Call, tx Tx, in ticketIn) (api.TicketChanged, error) {
	return s.turn(c, tx, in.ID, event.TicketSolved, "solved", func(t *api.Ticket) error {
		if t.Status == StatusSolved {
			return errs.New(errs.Conflict, "ticket %d is solved already", t.ID)
		}
		t.Status = StatusSolved
		return nil
	})
}

func (s *Service) reopen(c *web.Call, tx Tx, in ticketIn) (api.TicketChanged, error) {
	return s.turn(c, tx, in.ID, event.TicketReopened, "reopened", func(t *api.Ticket) error {
		if t.Status != StatusSolved {
			return errs.New(errs.Conflict, "ticket %d is %s and not solved; there is nothing to reopen", t.ID, t.Status)
		}
		t.Status = StatusOpen
		if t.AssigneeID != nil {
			t.Status = StatusAssigned
		}
		return nil
	})
}

// turn changes a ticket's state, writes it into the history and tells of it.
func (s *Service) turn(c *web.Call, tx Tx, id int64, typ, word string, change func(*api.Ticket) error) (api.TicketChanged, error) {
	t, err := tx.Ticket(id)
	if err != nil {
		return api.TicketChanged{}, err
	}
	if err := mayTouch(c.Caller, t); err != nil {
		return api.TicketChanged{}, err
	}
	if err := change(&t); err != nil {
		return api.TicketChanged{}, err
	}
	if err := tx.SaveTicket(t); err != nil {
		return api.TicketChanged{}, err
	}
	if err := note(c, tx, t.ID, word); err != nil {
		return api.TicketChanged{}, err
	}
	err = s.tell(c, tx, t, typ, ticketState{TicketID: t.ID, Status: t.Status, UserID: c.Caller.ID})
	return api.TicketChanged{OK: true, Status: t.Status}, err
}
