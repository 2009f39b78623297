package veze

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/live"
	"uniqverse/services/chat/sockets"
)

// Protocol is the name of the sub-protocol.
const Protocol = "veze.v1"

// pingSeconds is how often the server pings; a client that heard nothing for longer knows that the link is dead.
const pingSeconds = 25

// Server speaks the protocol. Make one with New.
type Server struct {
	sockets *sockets.Server
	now     func() time.Time
}

// New returns a server over these sockets.
func New(s *sockets.Server, now func() time.Time) *Server {
	return &Server{sockets: s, now: now}
}

// In is what a connection takes: nothing beside the token by which a caller may be known.
type In struct{}

// Serve answers GET /ws.
func (s *Server) Serve(c *web.Call, w http.ResponseWriter, _ In) error {
	if !ws.Offers(c.Request, Protocol) && c.Request.Header.Get("Upgrade") != "" {
		return errs.New(errs.Malformed, "offer the sub-protocol %s here; /ws/rooms/{id} is the socket without one", Protocol)
	}
	conn, err := s.sockets.Upgrade(c, w, Protocol)
	if err != nil || conn == nil {
		return err
	}
	x := &session{s.sockets.NewSession(conn, c.Visitor()), s}
	conn.Start(x.message, x.End)
	return nil
}

// session is one connection.
type session struct {
	*sockets.Session
	srv *Server
}

// request is what a client sends, as far as every op has it.
type request struct {
	N  json.Number `json:"n"`
	Op string      `json:"op"`
}

// failure is why an op was refused.
type failure struct {
	Status     int          `json:"status"`
	Code       string       `json:"code"`
	Detail     string       `json:"detail"`
	Errors     []errs.Field `json:"errors,omitempty"`
	RetryAfter int64        `json:"retry_after_ms,omitempty"`
	Temporary  bool         `json:"temporary"` // the same may do later
}

// answer is what an op is answered with; more are the fields of the op.
func (x *session) answer(n json.Number, more map[string]any) {
	if more == nil {
		more = map[string]any{}
	}
	more["ok"] = true
	x.send(n, more)
}

func (x *session) fail(n json.Number, err error) { x.send(n, map[string]any{"err": failed(err)}) }

func (x *session) send(n json.Number, frame map[string]any) {
	if n != "" {
		frame["n"] = n
	}
	raw, err := json.Marshal(frame)
	if err != nil { // all numbers and raw values were JSON before
		x.Conn.Close(ws.ServerError, "an answer could not be written")
		return
	}
	x.Conn.Send(x.Ctx, raw) // a connection that went needs no answer
}

// failed brings an error into the form of the protocol.
func failed(err error) failure {
	f := failure{Status: web.Status(errs.KindOf(err)), Code: string(errs.KindOf(err)), Detail: sockets.Reason(err)}
	var e *errs.Error
	if errors.As(err, &e) {
		f.Errors, f.RetryAfter = e.Fields, e.RetryAfter.Milliseconds()
		if word, rest, found := strings.Cut(e.Detail, ": "); found && isWord(word) { // "slow_mode: one line in 30 seconds here"
			f.Code, f.Detail = word, rest
		}
		switch e.Kind {
		case errs.Limited, errs.Unavailable, errs.Timeout, errs.Upstream, errs.Internal:
			f.Temporary = true
		case errs.Conflict:
			f.Temporary = e.RetryAfter > 0
		}
	}
	return f
}

// isWord reports whether a text is a code such as slow_mode.
func isWord(s string) bool {
	return strings.Contains(s, "_") && !strings.ContainsFunc(s, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') })
}

// syncFrame says what a client that takes a room's events is told: everything after where it was, or, when that
// cannot be, only what is new.
type syncFrame struct {
	Type      string `json:"type"` // "sync"
	RoomID    int64  `json:"room_id"`
	Epoch     string `json:"epoch"`
	Seq       int64  `json:"seq"` // of the newest event when the room was entered
	Recovered *bool  `json:"recovered,omitempty"`
	Count     int64  `json:"count"`            // events that follow before those that came after Seq
	Reload    string `json:"reload,omitempty"` // where the room is loaded again
}

// leftFrame says that a room's events end.
type leftFrame struct {
	Type   string `json:"type"` // "left"
	RoomID int64  `json:"room_id"`
	Code   int    `json:"code"` // as a close code: from 3500 on, do not come back
	Reason string `json:"reason"`
}

// position is where a client was in a room.
type position struct {
	Epoch string `json:"epoch"`
	Seq   *int64 `json:"seq"`
}

// enter takes a place in a room, whose events come after begin was called.
func (x *session) enter(room int64, at position) (begin func(), err error) {
	p, err := x.Enter(room, live.Full(), func(code ws.Code, why string) { x.Conn.Push(encode(leftFrame{"left", room, int(code), why})) })
	if err != nil {
		return nil, err
	}
	from, lost := p.From(at.Seq, at.Epoch)
	frame := syncFrame{Type: "sync", RoomID: room, Epoch: x.srv.sockets.Epoch(), Seq: p.Head, Count: p.Head - from}
	if at.Seq != nil {
		recovered := !lost
		frame.Recovered = &recovered
	}
	if lost {
		frame.Reload = fmt.Sprintf("/rooms/%d/messages?limit=50", room)
	}
	return func() {
		x.Play(func() {
			if x.Conn.Send(x.Ctx, encode(frame)) == nil {
				p.Play(x.Ctx, from, func(row live.Logged) error { return x.Conn.Send(x.Ctx, x.srv.sockets.Encode(row)) })
			}
		})
	}, nil
}

// encode is a frame of plain values, which cannot fail.
func encode(frame any) []byte {
	raw, _ := json.Marshal(frame)
	return raw
}

func (x *session) now() string { return x.srv.now().UTC().Format(event.TimeLayout) }
