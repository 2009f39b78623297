package game

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/api"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/game/matchmaking"
	"uniqverse/services/game/realtime"
)

// Store is what the game asks of the store.
type Store interface {
	web.Transactor[Tx]

	// Tickets returns who waits; "" for mode or region is every one.
	Tickets(ctx context.Context, mode, region string) ([]matchmaking.Ticket, error)
	// Queues returns the queues in which somebody waits, the fullest first.
	Queues(ctx context.Context, limit int) ([]Queue, error)
	// Board returns a season's board of a mode; ok is false when nobody has played it.
	Board(ctx context.Context, season, mode string) (b Board, ok bool, err error)
	// Boards returns all boards, the one that began last first.
	Boards(ctx context.Context) ([]Board, error)
	// Ranks returns rows of a board from the best, after so many.
	Ranks(ctx context.Context, b Board, limit, offset int) ([]Ranked, error)
	// RankOf returns the player's row; ok is false when there is none.
	RankOf(ctx context.Context, board int64, user string) (r Ranked, ok bool, err error)
	// Items returns what a player owns, by sku; known is false for one who never got anything.
	Items(ctx context.Context, user string) (items []api.GameItem, known bool, err error)
	// Telemetry returns events, newest first.
	Telemetry(ctx context.Context, q TelemetryQuery) ([]api.GameTelemetry, error)
	// Totals returns how many players wait, matches were made, players are ranked, and
	// telemetry events are stored.
	Totals(ctx context.Context) (Totals, error)
}

// Tx is what the game changes inside one transaction.
type Tx interface {
	Now() time.Time
	Emit(stream string, ev event.Event)

	// Ticket returns the player's ticket; ok is false when they do not wait.
	Ticket(user string) (t matchmaking.Ticket, ok bool, err error)
	// AddTicket puts a player at the end of the queue and returns the ticket's id.
	AddTicket(t matchmaking.Ticket) (int64, error)
	// SetMMR changes the rating of a ticket, which keeps its place.
	SetMMR(ticket int64, mmr float64) error
	// TakeTicket removes a ticket; false when it is gone already.
	TakeTicket(ticket int64) (bool, error)
	// Tickets is Store.Tickets as this transaction sees it.
	Tickets(mode, region string) ([]matchmaking.Ticket, error)
	// AddMatch stores a match and returns its id.
	AddMatch(m matchmaking.Match) (int64, error)
	// Submit stores a score when it is the player's best on the board, and returns the best.
	Submit(season, mode, user string, score float64) (best float64, improved bool, err error)
	// Item returns how many of a thing a player has, and how many different things; no
	// thing at all is a new player.
	Item(user, sku string) (qty int64, kinds int, err error)
	// SetItem stores how many of a thing a player has, at least 1.
	SetItem(user, sku string, qty int64) error
	// Items is Store.Items as this transaction sees it.
	Items(user string) ([]api.GameItem, error)
	// AddTelemetry stores events in their order.
	AddTelemetry(evs []TelemetryEvent) error
}

// Queue is one matchmaking queue.
type Queue struct {
	Mode, Region string
	Waiting      int
	Since        time.Time // when the one who waits longest came
}

// Totals are counts for the start page.
type Totals struct {
	Waiting, Matches, Ranked, Telemetry int64
}

// Mailboxes reads mail on behalf of a caller; api.Email behind it.
type Mailboxes interface {
	// Messages returns a page of the mailbox with this address. A service that cannot be
	// reached, answers wrongly or late is errs.Unavailable, errs.Upstream or errs.Timeout.
	Messages(ctx context.Context, caller web.Caller, user string, opts api.EmailListOptions) (api.EmailList, error)
}

// Options configure a Service. Store, Hub, Mail and Domain are required.
type Options struct {
	Store  Store
	Hub    hub.Hub
	Mail   Mailboxes
	Domain string // the mail domain: "pilot@<Domain>" and "pilot" are one player
	// SocketsPerUser bounds the open sockets of one user; 0 means 20. Servers and the demo identity have no bound.
	SocketsPerUser int
	Edge           ws.EdgeOptions   // for tests: shorter times
	Log            *slog.Logger     // nil is silent
	Now            func() time.Time // nil means time.Now
}

// Service is the game service. Make one with New.
type Service struct {
	opts    Options
	store   Store
	edge    *ws.Edge
	fan     *realtime.Fan
	sockets *web.Quota
	follow  sync.WaitGroup // sockets that follow the hub by themselves
}

// New returns a game that serves; its sockets wait for Run.
func New(opts Options) *Service {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.SocketsPerUser == 0 {
		opts.SocketsPerUser = 20
	}
	if opts.Edge.Log == nil {
		opts.Edge.Log = opts.Log
	}
	s := &Service{opts: opts, store: opts.Store, edge: ws.NewEdge(opts.Edge)}
	s.fan = realtime.New(opts.Hub, event.StreamGame, s.edge, opts.Log)
	s.sockets = web.NewQuota("sockets", opts.SocketsPerUser)
	return s
}

// Run carries events to the sockets until ctx ends, then closes them (3001).
func (s *Service) Run(ctx context.Context) error {
	err := s.fan.Run(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if e := s.edge.Shutdown(stop); e != nil && err == nil {
		s.opts.Log.Warn("game: sockets had to be cut", "err", e)
	}
	s.follow.Wait()
	return err
}

// Stats returns counts of the sockets.
func (s *Service) Stats() ws.Stats { return s.edge.Stats() }

// Discovery is the game's entry for directories, after the seed.
func (s *Service) Discovery() web.Discovery {
	return web.Discovery{
		Name: "VEZEPyGame", Category: "play",
		Routes: []web.Route{{Label: "Overview", Href: "/"}, {Label: "Leaderboards", Href: "/leaderboards"}},
		Scopes: []string{"game.read_mail", "game.play", "game.server"},
		Events: []string{event.GameMatchFound, event.GameMatchEnded, event.GameKill, event.GameLeaderboardUpdated, event.GameNotice},
	}
}
