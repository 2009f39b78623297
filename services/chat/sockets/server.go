package sockets

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/live"
	"uniqverse/services/chat/pace"
)

// Entry is what a caller who may read a room needs to know of it.
type Entry struct {
	Head     int64  // seq of the room's newest event
	Since    int64  // they see what has a higher seq
	Horizon  int64  // seq up to which the room's log was removed
	Audience string // the User of the room's events: "" where they are for everybody
}

// Options make a Server. Log, Hub, Enter, Removed and Concerns are required.
type Options struct {
	Log live.Log
	Hub hub.Hub
	// Enter returns the room for who may read it, errs.NotFound or errs.Denied for who may not.
	Enter func(ctx context.Context, c web.Caller, room int64) (Entry, error)
	// Removed says whom an event takes out of its room, with the close code for their sockets; 0 is nobody.
	Removed func(ev event.Event) (user int64, code ws.Code, why string)
	// Concerns reports whether an event changes what a user may read in its room.
	Concerns func(ev event.Event, user int64) bool
	PerUser  int // open sockets of one user; servers and the demo identity have no bound
	Edge     ws.EdgeOptions
	Logger   *slog.Logger
	Now      func() time.Time
}

// Server is the sockets of chat. Make one with New.
type Server struct {
	opts  Options
	edge  *ws.Edge
	relay *live.Relay
	quota *web.Quota
	seats *live.Seats
	joins *pace.Limiter
	ops   map[string]op

	guests    guests
	followers followers
}

// New returns a server whose sockets wait for Run.
func New(opts Options) *Server {
	s := &Server{opts: opts, edge: ws.NewEdge(opts.Edge), quota: web.NewQuota("sockets", opts.PerUser), seats: live.NewSeats(opts.Now),
		joins: pace.New(), ops: ops()}
	s.followers = followers{me: map[int64]map[*follower]bool{}, desk: map[int64]map[*follower]bool{}, rooms: map[int64]map[*follower]bool{}, fresh: map[int64]int64{}}
	s.relay = live.NewRelay(opts.Log, opts.Hub, s.edge, opts.Logger, s.heard)
	return s
}

// Run carries events to the sockets until ctx ends; then it closes them (3001) and writes down
// what is left to write, so the store must stay open until it returns.
func (s *Server) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx) })
	watching.Go(func() { s.follow(ctx) })
	err := s.relay.Run(ctx)
	watching.Wait()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if e := s.edge.Shutdown(stop); e != nil && err == nil {
		s.opts.Logger.Warn("chat: sockets had to be cut", "err", e)
	}
	return err
}

// Stats returns counts of the sockets.
func (s *Server) Stats() ws.Stats { return s.edge.Stats() }

// LogReads returns how often a room's log was read from the store for a socket.
func (s *Server) LogReads() int64 { return s.relay.LogReads() }

// Epoch is that of all rooms' seqs.
func (s *Server) Epoch() string { return s.opts.Hub.Epoch() }

// heard takes the seats of whom an event takes out of its room.
func (s *Server) heard(ev event.Event) {
	if user, code, why := s.opts.Removed(ev); user != 0 {
		s.seats.Close(live.Seat{Room: ev.Room, User: user}, code, why)
	}
}
