package veze

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/pace"
)

// message serves one message of the client.
func (x *session) message(data []byte) {
	if len(bytes.TrimSpace(data)) == 0 { // a sign of life
		return
	}
	var r request
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(data, &fields) != nil || fields == nil || json.Unmarshal(data, &r) != nil || len(r.N) > 20 {
		x.conn.Close(ws.BadRequest, "a message must be one JSON object with an op")
		return
	}
	delete(fields, "n")
	delete(fields, "op")
	if x.bye == nil {
		if r.Op != "hello" {
			x.conn.Close(ws.BadRequest, "say hello first")
			return
		}
		x.hello(r.N, fields)
		return
	}
	switch r.Op {
	case "hello":
		x.fail(r.N, errs.New(errs.Conflict, "hello was said already"))
	case "ping":
		x.answer(r.N, map[string]any{"now": x.now()})
	case "sub":
		x.sub(r.N, fields)
	case "unsub":
		x.unsub(r.N, fields)
	case "refresh":
		x.refresh(r.N, fields)
	default:
		x.ask(r, fields)
	}
}

// read decodes an op's fields; one that is not known is refused.
func read(fields map[string]json.RawMessage, into any) error {
	raw, _ := json.Marshal(fields) // it was JSON before
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return errs.New(errs.Malformed, "the fields of this op are wrong: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

type helloIn struct {
	Token  string              `json:"token"`  // who says hello; may be left out where the request said it
	Resume map[string]position `json:"resume"` // where the client was, by room
}

func (x *session) hello(n json.Number, fields map[string]json.RawMessage) {
	var in helloIn
	if err := read(fields, &in); err != nil {
		x.fail(n, err)
		x.conn.Close(ws.BadRequest, "hello cannot be read")
		return
	}
	rooms := make(map[int64]position, len(in.Resume))
	for name, at := range in.Resume {
		room, err := strconv.ParseInt(name, 10, 64)
		if err != nil || room < 1 || len(in.Resume) > x.srv.sockets.Limits().Rooms || at.Seq != nil && *at.Seq < 0 || at.Epoch != "" && at.Seq == nil {
			x.fail(n, errs.BadField("resume", "must be at most %d rooms by id, each with a seq, from 0, and its epoch", x.srv.sockets.Limits().Rooms))
			x.conn.Close(ws.BadRequest, "resume cannot be read")
			return
		}
		rooms[room] = at
	}
	visitor, bye, no := x.srv.sockets.Welcome(x.ctx, x.conn, x.visitor, in.Token)
	if no != nil {
		x.fail(n, no.Err)
		f := failed(no.Err)
		x.conn.Close(no.Code, f.Detail)
		return
	}
	x.visitor, x.bye = visitor, bye
	c := visitor.Caller
	x.answer(n, map[string]any{"session": rand.Text()[:16], "user": map[string]any{"user_id": c.ID, "name": c.User, "server": c.Server}, "ping_s": pingSeconds,
		"limits": x.srv.sockets.Limits(), "now": x.now()})
	for room, at := range rooms {
		begin, err := x.enter(room, at)
		switch {
		case err == nil:
			begin()
		case !errors.Is(err, ws.ErrGone):
			x.conn.Send(x.ctx, encode(leftFrame{"left", room, int(leftCode(err)), failed(err).Detail}))
		}
	}
}

// leftCode is the close code of an error that keeps somebody out of a room.
func leftCode(err error) ws.Code {
	switch errs.KindOf(err) {
	case errs.NotFound, errs.Denied:
		return ws.PermissionDenied
	}
	return ws.ServerError
}

type subIn struct {
	Room  int64  `json:"room_id"`
	After *int64 `json:"after"` // the last seq seen; without it only what is new comes
	Epoch string `json:"epoch"`
}

func (x *session) sub(n json.Number, fields map[string]json.RawMessage) {
	var in subIn
	err := read(fields, &in)
	switch {
	case err != nil:
	case in.Room < 1:
		err = errs.BadField("room_id", "must be the id of a room")
	case in.After != nil && *in.After < 0:
		err = errs.BadField("after", "must be a seq, from 0")
	case in.Epoch != "" && in.After == nil:
		err = errs.BadField("epoch", "goes with after")
	}
	if c := x.visitor.Caller; err == nil && !c.Unlimited() {
		joins := float64(x.srv.sockets.Limits().Joins)
		if wait := x.srv.joins.Take(pace.Key{User: c.ID}, joins/60, joins, x.srv.now()); wait > 0 {
			err = errs.Limit(wait, "too_many_joins: %d rooms a minute are the most", int(joins))
		}
	}
	var begin func()
	if err == nil {
		begin, err = x.enter(in.Room, position{in.Epoch, in.After})
	}
	switch {
	case err == nil:
		x.answer(n, map[string]any{"room_id": in.Room}) // before the room's first frame
		begin()
	case !errors.Is(err, ws.ErrGone):
		x.fail(n, err)
	}
}

type roomIn struct {
	Room int64 `json:"room_id"`
}

func (x *session) unsub(n json.Number, fields map[string]json.RawMessage) {
	var in roomIn
	if err := read(fields, &in); err != nil {
		x.fail(n, err)
		return
	}
	if !x.leave(in.Room) {
		x.fail(n, errs.New(errs.NotFound, "this connection does not have the room"))
		return
	}
	x.answer(n, map[string]any{"room_id": in.Room})
}

type refreshIn struct {
	Token string `json:"token"`
}

func (x *session) refresh(n json.Number, fields map[string]json.RawMessage) {
	var in refreshIn
	err := read(fields, &in)
	if err == nil && in.Token == "" {
		err = errs.Missing("token")
	}
	if err == nil {
		var v *web.Visitor
		if v, err = x.srv.sockets.Renew(x.ctx, x.conn, x.visitor, in.Token); err == nil {
			x.visitor = v
			more := map[string]any{}
			if at := v.Caller.Expires; !at.IsZero() {
				more["expires_in"] = int(at.Sub(x.srv.now()).Seconds())
			}
			x.answer(n, more)
			return
		}
	}
	x.fail(n, err)
}

// route is the request that an op stands for.
type route struct {
	method string
	path   string   // with {room_id}, {message_id} and {emoji}
	query  []string // fields that go into the query; all others into the body
}

func routes() map[string]route {
	line := "/rooms/{room_id}/messages/{message_id}"
	return map[string]route{
		"send":     {method: http.MethodPost, path: "/rooms/{room_id}/messages"},
		"edit":     {method: http.MethodPatch, path: line},
		"delete":   {method: http.MethodDelete, path: line},
		"react":    {method: http.MethodPut, path: line + "/reactions/{emoji}"},
		"unreact":  {method: http.MethodDelete, path: line + "/reactions/{emoji}"},
		"read":     {method: http.MethodPost, path: "/rooms/{room_id}/read"},
		"typing":   {method: http.MethodPost, path: "/rooms/{room_id}/typing"},
		"history":  {method: http.MethodGet, path: "/rooms/{room_id}/messages", query: []string{"before", "after", "around", "limit", "offset"}},
		"message":  {method: http.MethodGet, path: line},
		"presence": {method: http.MethodGet, path: "/rooms/{room_id}/presence"},
		"room":     {method: http.MethodGet, path: "/rooms/{room_id}"},
		"rooms":    {method: http.MethodGet, path: "/rooms", query: []string{"kind", "q", "member", "before", "after", "limit", "offset"}},
		"unread":   {method: http.MethodGet, path: "/unread"},
	}
}

// ask serves an op as the request that it stands for.
func (x *session) ask(r request, fields map[string]json.RawMessage) {
	to, ok := x.srv.routes[r.Op]
	if !ok {
		x.fail(r.N, errs.New(errs.NotFound, "there is no op %.40q", r.Op))
		return
	}
	path, err := to.fill(fields)
	if err != nil {
		x.fail(r.N, err)
		return
	}
	var body []byte
	if len(fields) > 0 {
		body, _ = json.Marshal(fields) // it was JSON before
	}
	reply := x.visitor.Ask(x.ctx, to.method, path, body, nil)
	if e := reply.Err(); e != nil {
		x.fail(r.N, e)
		return
	}
	more := map[string]any{"result": json.RawMessage(reply.Body)}
	if r.Op == "send" {
		var sent struct{ ID, Seq int64 }
		if json.Unmarshal(reply.Body, &sent) == nil {
			more["message_id"], more["seq"] = sent.ID, sent.Seq
		}
	}
	x.answer(r.N, more)
}

// fill makes the path of a request, and takes what went into it out of the fields.
func (to route) fill(fields map[string]json.RawMessage) (string, error) {
	path := to.path
	for _, name := range []string{"room_id", "message_id", "emoji"} {
		mark := "{" + name + "}"
		if !strings.Contains(path, mark) {
			continue
		}
		value, err := text(name, fields)
		if err != nil {
			return "", err
		}
		if value == "" || value == "." || value == ".." {
			return "", errs.Missing(name)
		}
		path = strings.ReplaceAll(path, mark, url.PathEscape(value))
	}
	q := url.Values{}
	for _, name := range to.query {
		value, err := text(name, fields)
		if err != nil {
			return "", err
		}
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return path, nil
}

// text takes a text or a number out of the fields; "" when it is not there.
func text(name string, fields map[string]json.RawMessage) (string, error) {
	raw, ok := fields[name]
	if !ok {
		return "", nil
	}
	delete(fields, name)
	var s string
	var n json.Number
	switch {
	case json.Unmarshal(raw, &s) == nil:
		return s, nil
	case json.Unmarshal(raw, &n) == nil:
		return n.String(), nil
	}
	return "", errs.BadField(name, "must be a number or a text")
}
