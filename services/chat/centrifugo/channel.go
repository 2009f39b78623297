package centrifugo

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/live"
)

// subscribed is the reply to subscribe.
type subscribed struct {
	Recoverable   bool          `json:"recoverable"`
	Positioned    bool          `json:"positioned"`
	Epoch         string        `json:"epoch"`
	Offset        int64         `json:"offset"`
	WasRecovering bool          `json:"was_recovering,omitempty"`
	Recovered     bool          `json:"recovered,omitempty"`
	Publications  []publication `json:"publications,omitempty"`
}

// subscribe enters a room. A client that recovers gets the first of what it missed with the reply, whose offset is where it
// recovers from, and the rest, however much that is, as publications before those that are new.
func (x *session) subscribe(in subscribeIn) (out subscribed, after func(), err error) {
	if beside(in.Channel) {
		return subscribed{Epoch: x.srv.sockets.Epoch(), WasRecovering: in.Recover}, nil, x.follow(in)
	}
	room, err := roomOf(in.Channel)
	switch {
	case err != nil:
	case in.Type != 0 || len(in.Filter) > 0:
		err = failure{Code: codeNotAvailable, Message: "channels here are streams, without filters"}
	case in.Offset < 0:
		err = failure{Code: codeBadRequest, Message: "an offset begins at 0"}
	case !in.Recover:
		err = x.MayJoin()
	}
	if err != nil {
		return out, nil, err
	}
	p, err := x.Enter(room, form(), func(code ws.Code, why string) { x.Conn.Push(unsubscribed(in.Channel, code, why)) })
	if err != nil {
		return out, nil, entering(err)
	}
	var at *int64
	if in.Recover {
		at = &in.Offset
	}
	from, lost := p.From(at, in.Epoch)
	if lost && in.Flag&rejectUnrecovered != 0 {
		x.Leave(room)
		return out, nil, failure{Code: codeUnrecoverable, Message: "unrecoverable position"}
	}
	out = subscribed{Recoverable: true, Positioned: true, Epoch: x.srv.sockets.Epoch(), Offset: from, WasRecovering: in.Recover, Recovered: in.Recover && !lost}
	rows, err := p.First(x.Ctx, from, 200, 48<<10)
	if err != nil {
		x.Leave(room)
		return out, nil, err
	}
	for _, row := range rows {
		out.Publications = append(out.Publications, publication{x.srv.sockets.Encode(row), row.Seq})
		from = row.Seq
	}
	return out, func() {
		x.Play(func() {
			p.Play(x.Ctx, from, func(row live.Logged) error {
				return x.Conn.Send(x.Ctx, push(room, row.Seq, x.srv.sockets.Encode(row)))
			})
		})
	}, nil
}

// beside reports whether a channel is one without an order and recovery.
func beside(name string) bool { return name == "me" || strings.HasPrefix(name, "ticket:") }

// follow takes such a channel.
func (x *session) follow(in subscribeIn) error {
	if in.Type != 0 || len(in.Filter) > 0 {
		return failure{Code: codeNotAvailable, Message: "channels here are streams, without filters"}
	}
	return entering(x.Follow(in.Channel, func(data []byte) {
		x.Conn.Push(encode(map[string]any{"push": map[string]any{"channel": in.Channel, "pub": map[string]any{"data": json.RawMessage(data)}}}))
	}, func() { x.Conn.Push(unsubscribed(in.Channel, ws.InsufficientState, "some events were missed")) }))
}

// entering gives the reasons not to enter a room their codes.
func entering(err error) error {
	var e *errs.Error
	if errors.As(err, &e) && e.Kind == errs.Conflict {
		if e.Detail[:min(8, len(e.Detail))] == "too_many" {
			return failure{Code: codeLimitExceeded, Message: e.Detail}
		}
		return failure{Code: codeAlreadySubscribed, Message: "already subscribed"}
	}
	return err
}

func (x *session) unsubscribe(name string) error {
	if beside(name) {
		x.Unfollow(name)
		return nil
	}
	room, err := roomOf(name)
	if err == nil {
		x.Leave(room) // gone is gone
	}
	return err
}

// publish says a line: data is its text, or an object with the fields of POST /rooms/{id}/messages.
func (x *session) publish(in publishIn) error {
	room, err := roomOf(in.Channel)
	if err != nil {
		return err
	}
	fields := map[string]json.RawMessage{}
	var line string
	switch {
	case json.Unmarshal(in.Data, &line) == nil:
		fields["text"] = in.Data
	case json.Unmarshal(in.Data, &fields) != nil:
		return failure{Code: codeBadRequest, Message: `data must be a text, or an object such as {"text":"…","nonce":"…"}`}
	}
	if fields["room_id"] != nil {
		return failure{Code: codeBadRequest, Message: "the channel says the room; leave room_id out"}
	}
	fields["room_id"] = json.RawMessage(strconv.FormatInt(room, 10))
	_, err = x.Do("send", fields)
	return err
}

// op serves an operation; with no name, data says it in its op.
func (x *session) op(name string, data json.RawMessage) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if len(data) > 0 && json.Unmarshal(data, &fields) != nil {
		return nil, failure{Code: codeBadRequest, Message: "data must be an object with the operation's fields"}
	}
	if name == "" {
		if json.Unmarshal(fields["op"], &name) != nil || name == "" {
			return nil, failure{Code: codeMethodNotFound, Message: "no operation is named"}
		}
		delete(fields, "op")
	}
	if fields == nil { // null
		fields = map[string]json.RawMessage{}
	}
	if !x.Knows(name) {
		return nil, failure{Code: codeMethodNotFound, Message: "there is no such operation"}
	}
	reply, err := x.Do(name, fields)
	return reply.Body, err
}

// online asks who is in a room.
func (x *session) online(name string) (room int64, out api.ChatPresence, err error) {
	if room, err = roomOf(name); err != nil {
		return 0, out, err
	}
	reply, err := x.Do("presence", map[string]json.RawMessage{"room_id": json.RawMessage(strconv.FormatInt(room, 10))})
	if err == nil {
		err = json.Unmarshal(reply.Body, &out)
	}
	return room, out, err
}

func (x *session) presence(name string) (map[string]info, error) {
	_, all, err := x.online(name)
	out := map[string]info{}
	for _, u := range all.Users {
		one := someone(u.UserID, u.Handle)
		out[one.Client] = one
	}
	return out, err
}

// stats are the counts of who is in a room.
type stats struct {
	Clients int `json:"num_clients"`
	Users   int `json:"num_users"`
}

func (x *session) presenceStats(name string) (stats, error) {
	room, all, err := x.online(name)
	return stats{Clients: x.srv.sockets.Sitting(room), Users: all.Online}, err
}

// historyOut is the reply to history.
type historyOut struct {
	Publications []publication `json:"publications"`
	Epoch        string        `json:"epoch"`
	Offset       int64         `json:"offset"`
}

const historyMost = live.LogPage

// history reads the room's log: limit events after a position, or before it in reverse; none with limit 0.
func (x *session) history(in historyIn) (historyOut, error) {
	room, err := roomOf(in.Channel)
	if err == nil && (in.Limit < 0 || in.Limit > historyMost || in.Since != nil && in.Since.Offset < 0) {
		err = failure{Code: codeBadRequest, Message: "limit must be 0 to " + strconv.Itoa(historyMost) + ", and an offset begins at 0"}
	}
	epoch := x.srv.sockets.Epoch()
	if err == nil && in.Since != nil && in.Since.Epoch != "" && in.Since.Epoch != epoch {
		err = failure{Code: codeUnrecoverable, Message: "unrecoverable position"}
	}
	if err != nil {
		return historyOut{}, err
	}
	out := historyOut{Publications: []publication{}, Epoch: epoch}
	rows, head, err := x.srv.sockets.History(x.Ctx, x.Visitor.Caller, room, func(floor, head int64) (after, upTo int64) {
		n := int64(in.Limit)
		switch {
		case in.Reverse && in.Since != nil:
			upTo = min(head, in.Since.Offset-1)
			return upTo - n, upTo
		case in.Reverse:
			return head - n, head
		case in.Since != nil:
			after = max(floor, in.Since.Offset)
			return after, min(head, after+n)
		}
		return floor, min(head, floor+n)
	})
	if err != nil {
		return out, err
	}
	out.Offset = head
	for _, row := range rows {
		out.Publications = append(out.Publications, publication{x.srv.sockets.Encode(row), row.Seq})
	}
	if in.Reverse {
		slices.Reverse(out.Publications)
	}
	return out, nil
}
