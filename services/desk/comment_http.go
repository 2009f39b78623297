package desk

import (
	"fmt"
	"net/url"

	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

type commentsIn struct {
	ticketIn
	web.Paging
}

func (s *Service) comments(c *web.Call, in commentsIn) ([]api.TicketComment, error) {
	if _, err := s.ticket(c, in.ticketIn); err != nil {
		return nil, err
	}
	size := in.Size()
	cs, err := s.store.Comments(c.Context(), in.ID, in.Paging, size+1)
	if err != nil {
		return nil, err
	}
	return page(c, cs, size, in.Paging, fmt.Sprintf("/tickets/%d/comments", in.ID), url.Values{}, func(e api.TicketComment) int64 { return e.ID }), nil
}

type commentIn struct {
	ID   int64  `path:"id" doc:"the ticket's id"`
	Text string `json:"text" web:"required" doc:"plain text, 1 to 10000 characters"`
}

// Check brings the text into the form in which it is stored.
func (in *commentIn) Check() error {
	var err error
	in.Text, err = cleanComment(in.Text)
	return err
}

// ticketCommented does not carry the text: the stream is read by more people than the ticket.
type ticketCommented struct {
	TicketID  int64 `json:"ticket_id"`
	CommentID int64 `json:"comment_id"`
	UserID    int64 `json:"user_id"` // who said it
}

func (s *Service) comment(c *web.Call, tx Tx, in commentIn) (api.TicketComment, error) {
	t, err := tx.Ticket(in.ID)
	if err != nil {
		return api.TicketComment{}, err
	}
	if err := mayTouch(c.Caller, t); err != nil {
		return api.TicketComment{}, err
	}
	e := api.TicketComment{
		TicketID: t.ID, AuthorID: c.Caller.ID, Author: callerName(c.Caller), Kind: KindComment, Text: in.Text, CreatedAt: api.TimeOf(tx.Now()),
	}
	if e.ID, err = tx.AddComment(e); err != nil {
		return api.TicketComment{}, err
	}
	t.LastMsgAt = e.CreatedAt
	if err := tx.SaveTicket(t); err != nil {
		return api.TicketComment{}, err
	}
	return e, s.tell(c, tx, t, event.TicketCommented, ticketCommented{TicketID: t.ID, CommentID: e.ID, UserID: e.AuthorID})
}
