package api

import (
	"context"
	"net/http"
	"strconv"
)

// Ticket is one request for help.
type Ticket struct {
	ID         int64    `json:"id"`
	Subject    string   `json:"subject"`
	CreatedBy  int64    `json:"created_by"`  // user_id of who asks; 0 for a service
	Requester  string   `json:"requester"`   // their name; "" when nobody is known by that id
	Status     string   `json:"status"`      // open, assigned or solved
	AssigneeID *int64   `json:"assignee_id"` // user_id; null is nobody
	Assignee   string   `json:"assignee"`    // their name; "" as for Requester
	Tags       []string `json:"tags"`
	LastMsgAt  Time     `json:"last_msg_at"` // when something was last said
	CreatedAt  Time     `json:"created_at"`
}

// TicketComment is one entry of a ticket's history.
type TicketComment struct {
	ID        int64  `json:"id"`
	TicketID  int64  `json:"ticket_id"`
	AuthorID  int64  `json:"author_id"` // user_id; 0 for a service
	Author    string `json:"author"`    // their name
	Kind      string `json:"kind"`      // comment: said by the author; event: done by them
	Text      string `json:"text"`
	CreatedAt Time   `json:"created_at"`
}

// NewTicket asks for help. CreatedBy 0 is the caller; naming others takes the scope ticket.manage.
type NewTicket struct {
	Subject   string   `json:"subject"`
	CreatedBy int64    `json:"created_by,omitempty"`
	Tags      []string `json:"tags,omitempty"`
}

// TicketOpened is the answer to a new ticket.
type TicketOpened struct {
	ID     int64  `json:"id"`
	Status string `json:"status"`
}

// TicketChanged is the answer to a change of a ticket.
type TicketChanged struct {
	OK     bool   `json:"ok"`
	Status string `json:"status"` // as it is now
}

// Desk is a client of the support desk, which answers on the chat service's port.
type Desk struct{ call caller }

// NewDesk returns a client over registry.Client("chat"); authorize puts a token on each
// request, nil sends none. Its methods return the errors that NewEmail describes.
func NewDesk(client *http.Client, authorize func(*http.Request) error) *Desk {
	return &Desk{call: caller{service: "chat", client: client, authorize: authorize}}
}

// Open makes a ticket. With a key a repeat answers as the first call did.
func (d *Desk) Open(ctx context.Context, t NewTicket, key string) (TicketOpened, error) {
	var out TicketOpened
	err := d.call.post(ctx, "/tickets", t, key, &out)
	return out, err
}

// Ticket returns one ticket; errs.NotFound when there is none.
func (d *Desk) Ticket(ctx context.Context, id int64) (Ticket, error) {
	var out Ticket
	err := d.call.get(ctx, "/tickets/"+strconv.FormatInt(id, 10), &out)
	return out, err
}

// Assign gives the ticket to a user; errs.Conflict when it is solved, errs.Invalid when nobody
// has the id.
func (d *Desk) Assign(ctx context.Context, id, assignee int64, key string) error {
	in := struct {
		AssigneeID int64 `json:"assignee_id"`
	}{assignee}
	return d.call.post(ctx, "/tickets/"+strconv.FormatInt(id, 10)+"/assign", in, key, nil)
}
