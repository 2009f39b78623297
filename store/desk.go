package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/desk"
)

// Desk is the store of services/desk: tickets and their history.
type Desk struct{ db *DB }

// NewDesk returns the desk tables of the database.
func NewDesk(db *DB) Desk { return Desk{db} }

var (
	_ desk.Store = Desk{}
	_ desk.Tx    = deskTx{}
)

type deskTx struct{ *Tx }

// Update runs fn in one durable transaction.
func (s Desk) Update(ctx context.Context, once *web.Once, fn func(desk.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *Tx) error { return fn(deskTx{tx}) })
}

const deskTicketColumns = `id, subject, created_by, requester, status, assignee_id, assignee, tags, last_msg_at, created_at`

func scanDeskTicket(row RowScanner) (api.Ticket, error) {
	var t api.Ticket
	var tags string
	err := row.Scan(&t.ID, &t.Subject, &t.CreatedBy, &t.Requester, &t.Status, &t.AssigneeID, &t.Assignee, &tags, &t.LastMsgAt, &t.CreatedAt)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal([]byte(tags), &t.Tags); err != nil {
		return t, fmt.Errorf("read the tags of ticket %d: %w", t.ID, err)
	}
	return t, nil
}

// oneDeskTicket is scanDeskTicket for a single row; none is errs.NotFound.
func oneDeskTicket(row RowScanner) (api.Ticket, error) {
	t, err := scanDeskTicket(row)
	if errors.Is(err, sql.ErrNoRows) {
		return api.Ticket{}, errs.New(errs.NotFound, "Ticket not found")
	}
	return t, dbError(err)
}

// Ticket returns the ticket with the id, or errs.NotFound.
func (s Desk) Ticket(ctx context.Context, id int64) (api.Ticket, error) {
	return oneDeskTicket(s.db.QueryRow(ctx, `SELECT `+deskTicketColumns+` FROM desk_tickets WHERE id = $1`, id))
}

// Tickets returns tickets, newest first. With After alone they are those that follow it at once.
func (s Desk) Tickets(ctx context.Context, q desk.Query, limit int) ([]api.Ticket, error) {
	query := `SELECT ` + deskTicketColumns + ` FROM desk_tickets WHERE id < $1 AND id > $2`
	args := []any{Below(q.Before), q.After, limit, q.Offset}
	and := func(condition string, value any) {
		args = append(args, value)
		query += fmt.Sprintf(condition, len(args))
	}
	if q.Status != "" {
		and(` AND status = $%d`, q.Status)
	}
	if q.Assignee != 0 {
		and(` AND assignee_id = $%d`, q.Assignee)
	}
	if q.VisibleTo != 0 {
		and(` AND (created_by = $%[1]d OR assignee_id = $%[1]d)`, q.VisibleTo)
	}
	forward := q.After > 0 && q.Before == 0
	if forward {
		query += ` ORDER BY id LIMIT $3 OFFSET $4`
	} else {
		query += ` ORDER BY id DESC LIMIT $3 OFFSET $4`
	}
	rows, err := s.db.Query(ctx, query, args...)
	out, err := CollectRows(rows, err, scanDeskTicket)
	if forward {
		slices.Reverse(out)
	}
	return out, err
}

func scanDeskComment(row RowScanner) (api.TicketComment, error) {
	var c api.TicketComment
	err := row.Scan(&c.ID, &c.TicketID, &c.AuthorID, &c.Author, &c.Kind, &c.Text, &c.CreatedAt)
	return c, err
}

// Comments returns the history of a ticket, newest first; After is as in Tickets.
func (s Desk) Comments(ctx context.Context, ticket int64, p web.Paging, limit int) ([]api.TicketComment, error) {
	forward := p.After > 0 && p.Before == 0
	query := `SELECT id, ticket_id, author_id, author, kind, text, created_at FROM desk_comments WHERE ticket_id = $1 AND id < $2 AND id > $3`
	if forward {
		query += ` ORDER BY id LIMIT $4 OFFSET $5`
	} else {
		query += ` ORDER BY id DESC LIMIT $4 OFFSET $5`
	}
	rows, err := s.db.Query(ctx, query, ticket, Below(p.Before), p.After, limit, p.Offset)
	out, err := CollectRows(rows, err, scanDeskComment)
	if forward {
		slices.Reverse(out)
	}
	return out, err
}

// Ticket returns the ticket as the transaction sees it, or errs.NotFound.
func (tx deskTx) Ticket(id int64) (api.Ticket, error) {
	return oneDeskTicket(tx.QueryRow(`SELECT `+deskTicketColumns+` FROM desk_tickets WHERE id = $1`, id))
}

// AddTicket stores a ticket and returns it with its id.
func (tx deskTx) AddTicket(t api.Ticket) (api.Ticket, error) {
	if t.Tags == nil {
		t.Tags = []string{}
	}
	tags, err := json.Marshal(t.Tags)
	if err != nil {
		return t, fmt.Errorf("encode the tags of a ticket: %w", err)
	}
	err = tx.QueryRow(`INSERT INTO desk_tickets (subject, created_by, requester, status, assignee_id, assignee, tags, last_msg_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`,
		t.Subject, t.CreatedBy, t.Requester, t.Status, t.AssigneeID, t.Assignee, string(tags), int64(t.LastMsgAt), int64(t.CreatedAt)).Scan(&t.ID)
	return t, dbError(err)
}

// SaveTicket writes a ticket's status, assignee and the time of the last word.
func (tx deskTx) SaveTicket(t api.Ticket) error {
	_, err := tx.Exec(`UPDATE desk_tickets SET status = $1, assignee_id = $2, assignee = $3, last_msg_at = $4 WHERE id = $5`,
		t.Status, t.AssigneeID, t.Assignee, int64(t.LastMsgAt), t.ID)
	return err
}

// AddComment stores an entry of a ticket's history and returns its id.
func (tx deskTx) AddComment(c api.TicketComment) (int64, error) {
	var id int64
	err := tx.QueryRow(`INSERT INTO desk_comments (ticket_id, author_id, author, kind, text, created_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
		c.TicketID, c.AuthorID, c.Author, c.Kind, c.Text, int64(c.CreatedAt)).Scan(&id)
	return id, dbError(err)
}
