package sockets

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"sync"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
)

const (
	ticketLife  = time.Minute // of a connect token
	ticketsMost = 20_000
	guestSlots  = 5 // each guest is asked again every so many seconds
)

// Limits are what holds for every connection that speaks a protocol. Servers' tokens and the demo identity have only
// the first two.
type Limits struct {
	Frame   int64 `json:"frame"`          // bytes of one message; more closes with 1009
	Rooms   int   `json:"rooms"`          // at one time
	Frames  int   `json:"frames_per_min"` // messages a minute, as many at once; more closes with 3013
	Joins   int   `json:"joins_per_min"`  // rooms entered a minute, beside those of hello
	Sockets int   `json:"sockets"`        // of one user; more closes with 3504
	Hello   int   `json:"hello_s"`        // seconds to say who one is; else 3502
}

// Limits returns what holds here.
func (s *Server) Limits() Limits {
	return Limits{Frame: 64 << 10, Rooms: 128, Frames: 120, Joins: 30, Sockets: s.opts.PerUser, Hello: 15}
}

// guests are the connections whose callers are asked again from time to time, and the tokens that open one.
type guests struct {
	mu      sync.Mutex // guards what follows
	slots   [guestSlots]map[*ws.Conn]*web.Visitor
	serial  int
	tickets map[[32]byte]ticket
}

type ticket struct {
	who  *web.Visitor
	ends time.Time
}

// Ticket is a token that opens one connection.
type Ticket struct {
	Token     string `json:"token"`
	ExpiresIn int    `json:"expires_in"` // seconds
}

// Ticket answers POST /ws/token: what a browser puts in place of a bearer token when it connects.
func (s *Server) Ticket(c *web.Call, _ web.None) (Ticket, error) {
	g := &s.guests
	now := s.opts.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.tickets) >= ticketsMost {
		for key, t := range g.tickets {
			if !now.Before(t.ends) {
				delete(g.tickets, key)
			}
		}
	}
	if len(g.tickets) >= ticketsMost {
		return Ticket{}, errs.Limit(ticketLife, "too many connect tokens are out; try again in a minute")
	}
	token := "once_" + rand.Text()
	if g.tickets == nil {
		g.tickets = map[[32]byte]ticket{}
	}
	g.tickets[sha256.Sum256([]byte(token))] = ticket{c.Visitor(), now.Add(ticketLife)}
	return Ticket{token, int(ticketLife.Seconds())}, nil
}

// redeem returns whose connect token it is, once.
func (s *Server) redeem(token string) (*web.Visitor, error) {
	g := &s.guests
	key := sha256.Sum256([]byte(token))
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok := g.tickets[key]
	delete(g.tickets, key)
	if !ok || !s.opts.Now().Before(t.ends) {
		return nil, errs.New(errs.Unauthenticated, "the connect token was used, or is older than a minute; get a new one")
	}
	return t.who, nil
}

// Upgrade opens a connection that will say who it is; the subprotocol is one of protocols, or the client is refused
// where one is required.
func (s *Server) Upgrade(c *web.Call, w http.ResponseWriter, protocols ...string) (*ws.Conn, error) {
	l := s.Limits()
	conn, err := s.edge.Upgrade(w, c.Request, ws.Options{Origin: c.MayOpenSocket, Protocols: protocols, ReadLimit: l.Frame,
		Rate: float64(l.Frames) / 60, Burst: l.Frames, Hello: time.Duration(l.Hello) * time.Second})
	if errors.Is(err, ws.ErrGone) {
		return nil, nil
	}
	return conn, err
}

// Refusal is why a connection may not stay, with its close code.
type Refusal struct {
	Code ws.Code
	Err  error
}

// Welcome decides whether a visitor may stay: who the token says, or who the request came from when it is "". The caller
// returns what Welcome gives back when the connection ends. Only onMessage may call it.
func (s *Server) Welcome(ctx context.Context, conn *ws.Conn, v *web.Visitor, token string) (_ *web.Visitor, bye func(), no *Refusal) {
	var err error
	switch {
	case len(token) > 5 && token[:5] == "once_":
		v, err = s.redeem(token)
	case token != "":
		v, err = v.Identify(ctx, token)
	case !v.Caller.Known():
		err = errs.New(errs.Unauthenticated, "say who you are: a token in the first message, or a session")
	}
	if err != nil {
		return nil, nil, &Refusal{ws.InvalidToken, err}
	}
	if !v.Caller.Has("chat.read") {
		return nil, nil, &Refusal{ws.PermissionDenied, errs.New(errs.Denied, "this needs the scope chat.read, and the token does not carry it")}
	}
	release, err := s.quota.Take(v.Caller)
	if err != nil {
		return nil, nil, &Refusal{ws.ConnectionLimit, err}
	}
	conn.SetExpires(v.Caller.Expires)
	if v.Caller.Unlimited() {
		conn.Unlimit()
	}
	leave := s.guests.add(conn, v)
	return v, func() {
		leave()
		release()
	}, nil
}

// Renew takes a new token of the same visitor for a connection that Welcome let in. Only onMessage may call it.
func (s *Server) Renew(ctx context.Context, conn *ws.Conn, v *web.Visitor, token string) (*web.Visitor, error) {
	next, err := v.Identify(ctx, token)
	if err != nil {
		return nil, err
	}
	if next.Caller.Email != v.Caller.Email || next.Caller.Server != v.Caller.Server {
		return nil, errs.New(errs.Denied, "the token is somebody else's; open another connection for them")
	}
	if !next.Caller.Has("chat.read") {
		return nil, errs.New(errs.Denied, "this needs the scope chat.read, and the token does not carry it")
	}
	conn.SetExpires(next.Caller.Expires)
	s.guests.renew(conn, next)
	return next, nil
}

func (g *guests) renew(conn *ws.Conn, v *web.Visitor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, slot := range g.slots {
		if _, ok := slot[conn]; ok {
			slot[conn] = v
		}
	}
}

// add has a visitor asked again from time to time, until what it returns is called.
func (g *guests) add(conn *ws.Conn, v *web.Visitor) (leave func()) {
	if v.Caller.Via == web.NoCredential {
		return func() {}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	slot := g.serial % guestSlots
	g.serial++
	if g.slots[slot] == nil {
		g.slots[slot] = map[*ws.Conn]*web.Visitor{}
	}
	g.slots[slot][conn] = v
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.slots[slot], conn)
	}
}

// askAgain closes the connections of those who are not who they were any more: their session ended, the token was
// withdrawn, the account disabled.
func (g *guests) askAgain(ctx context.Context, slot int) {
	g.mu.Lock()
	some := make(map[*ws.Conn]*web.Visitor, len(g.slots[slot]))
	for conn, v := range g.slots[slot] {
		some[conn] = v
	}
	g.mu.Unlock()
	for conn, v := range some {
		if err := v.Still(ctx); err != nil {
			conn.Close(ws.InvalidToken, Reason(err))
		}
	}
}
