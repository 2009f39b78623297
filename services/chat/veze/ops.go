package veze

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/sockets"
)

// message serves one message of the client.
func (x *session) message(data []byte) {
	if len(bytes.TrimSpace(data)) == 0 { // a sign of life
		return
	}
	var r request
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(data, &fields) != nil || fields == nil || json.Unmarshal(data, &r) != nil || len(r.N) > 20 {
		x.Conn.Close(ws.BadRequest, "a message must be one JSON object with an op")
		return
	}
	delete(fields, "n")
	delete(fields, "op")
	if !x.Welcomed() {
		if r.Op != "hello" {
			x.Conn.Close(ws.BadRequest, "say hello first")
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
		x.Conn.Close(ws.BadRequest, "hello cannot be read")
		return
	}
	rooms := make(map[int64]position, len(in.Resume))
	for name, at := range in.Resume {
		room, err := strconv.ParseInt(name, 10, 64)
		if err != nil || room < 1 || len(in.Resume) > x.srv.sockets.Limits().Rooms || at.Seq != nil && *at.Seq < 0 || at.Epoch != "" && at.Seq == nil {
			x.fail(n, errs.BadField("resume", "must be at most %d rooms by id, each with a seq, from 0, and its epoch", x.srv.sockets.Limits().Rooms))
			x.Conn.Close(ws.BadRequest, "resume cannot be read")
			return
		}
		rooms[room] = at
	}
	if no := x.Welcome(in.Token); no != nil {
		x.fail(n, no.Err)
		x.Conn.Close(no.Code, sockets.Reason(no.Err))
		return
	}
	c := x.Visitor.Caller
	x.answer(n, map[string]any{"session": rand.Text()[:16], "user": map[string]any{"user_id": c.ID, "name": c.User, "server": c.Server}, "ping_s": pingSeconds,
		"limits": x.srv.sockets.Limits(), "now": x.now()})
	for room, at := range rooms {
		begin, err := x.enter(room, at)
		switch {
		case err == nil:
			begin()
		case !errors.Is(err, ws.ErrGone):
			x.Conn.Send(x.Ctx, encode(leftFrame{"left", room, int(leftCode(err)), failed(err).Detail}))
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
	Channel string `json:"channel"` // me or ticket:<id>, in place of a room

	Room  int64  `json:"room_id"`
	After *int64 `json:"after"` // the last seq seen; without it only what is new comes
	Epoch string `json:"epoch"`
}

func (x *session) sub(n json.Number, fields map[string]json.RawMessage) {
	var in subIn
	err := read(fields, &in)
	switch {
	case err != nil:
	case in.Channel != "":
		x.follow(n, in)
		return
	case in.Room < 1:
		err = errs.BadField("room_id", "must be the id of a room")
	case in.After != nil && *in.After < 0:
		err = errs.BadField("after", "must be a seq, from 0")
	case in.Epoch != "" && in.After == nil:
		err = errs.BadField("epoch", "goes with after")
	}
	if err == nil {
		err = x.MayJoin()
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

// besideFrame is an event that comes beside the rooms, from a channel without an order of its own.
type besideFrame struct {
	Channel string          `json:"channel"`
	Event   json.RawMessage `json:"event,omitempty"`
	Lost    bool            `json:"lost,omitempty"` // some were missed: ask what is
}

// follow takes a channel that is no room.
func (x *session) follow(n json.Number, in subIn) {
	if in.Room != 0 || in.After != nil || in.Epoch != "" {
		x.fail(n, errs.BadField("channel", "goes alone: it has no room and no replay"))
		return
	}
	err := x.Follow(in.Channel, func(data []byte) { x.Conn.Push(encode(besideFrame{Channel: in.Channel, Event: data})) },
		func() { x.Conn.Push(encode(besideFrame{Channel: in.Channel, Lost: true})) })
	if err != nil {
		x.fail(n, err)
		return
	}
	x.answer(n, map[string]any{"channel": in.Channel})
}

type roomIn struct {
	Room    int64  `json:"room_id"`
	Channel string `json:"channel"`
}

func (x *session) unsub(n json.Number, fields map[string]json.RawMessage) {
	var in roomIn
	if err := read(fields, &in); err != nil {
		x.fail(n, err)
		return
	}
	if in.Channel != "" {
		if !x.Unfollow(in.Channel) {
			x.fail(n, errs.New(errs.NotFound, "this connection does not have the channel"))
			return
		}
		x.answer(n, map[string]any{"channel": in.Channel})
		return
	}
	if !x.Leave(in.Room) {
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
		err = x.Renew(in.Token)
	}
	if err != nil {
		x.fail(n, err)
		return
	}
	more := map[string]any{}
	if at := x.Visitor.Caller.Expires; !at.IsZero() {
		more["expires_in"] = int(at.Sub(x.srv.now()).Seconds())
	}
	x.answer(n, more)
}

// ask serves an op as the request that it stands for.
func (x *session) ask(r request, fields map[string]json.RawMessage) {
	reply, err := x.Do(r.Op, fields)
	if err != nil {
		x.fail(r.N, err)
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
