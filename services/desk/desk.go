package desk

import (
	"context"
	"log/slog"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/auth"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

// Store is what the desk asks of the store. Rows that do not exist are errs.NotFound.
type Store interface {
	web.Transactor[Tx]

	Ticket(ctx context.Context, id int64) (api.Ticket, error)
	// Tickets returns tickets, newest first.
	Tickets(ctx context.Context, q Query, limit int) ([]api.Ticket, error)
	// Comments returns the history of a ticket, newest first.
	Comments(ctx context.Context, ticket int64, page web.Paging, limit int) ([]api.TicketComment, error)
}

// Tx is what the desk changes inside one transaction.
type Tx interface {
	Now() time.Time
	Emit(stream string, ev event.Event)

	Ticket(id int64) (api.Ticket, error)
	// AddTicket stores a ticket and returns it with its id.
	AddTicket(t api.Ticket) (api.Ticket, error)
	// SaveTicket writes status, assignee and the time of the last word.
	SaveTicket(t api.Ticket) error
	// AddComment stores an entry of a ticket's history and returns its id.
	AddComment(c api.TicketComment) (int64, error)
}

// Query chooses tickets.
type Query struct {
	Status    string // "" is any
	Assignee  int64  // user_id; 0 is anybody and nobody
	VisibleTo int64  // user_id of who opened it or has it; 0 is everybody's
	web.Paging
}

// Users finds people by id; errs.NotFound when there is none.
type Users interface {
	UserByID(ctx context.Context, id int64) (auth.User, error)
}

// Options make a Service. Store and Users are required.
type Options struct {
	Store Store
	Users Users
	Log   *slog.Logger     // nil is silent
	Now   func() time.Time // nil means time.Now
}

// Service is the desk. Make one with New.
type Service struct {
	opts  Options
	store Store
}

// New returns a desk that serves.
func New(opts Options) *Service {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Service{opts: opts, store: opts.Store}
}

// Run returns when ctx ends: the desk has no work in the background.
func (s *Service) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
