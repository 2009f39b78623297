// Package event holds what the services tell each other and the world: the names of the
// streams, the types of events, their payloads (one file per producing service) and the
// trace context that every action carries.
//
// It is not a bus (package hub is) and decides nothing. The rules of the wire are those of
// the contract, section 5: one JSON object per event with type, the payload's fields, ts,
// id, epoch, trace and, for events of a room, room_id and seq. Fields are only ever added.
//
// All values are plain data; an Event is not changed after it was handed to a hub.
package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// The streams of the hub.
const (
	StreamChat   = "veze.chat"   // chat, tickets, moderation, trends
	StreamGame   = "veze.game"   // matches, kills, leaderboards, notices
	StreamPortal = "veze.portal" // services and users
	StreamMail   = "email:events"
)

// StreamMailOf names the stream with one user's mail events; user is the local part.
func StreamMailOf(user string) string { return StreamMail + ":" + user }

// TimeLayout is how every timestamp is written: RFC 3339 in UTC with milliseconds.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// Event is one thing that happened, before the hub has given it an id.
type Event struct {
	Type      string          // such as "chat.message.created"
	Payload   json.RawMessage // a JSON object with the fields of this type; nil means none
	At        time.Time       // when it happened
	Trace     *Trace          // the action that caused it; nil where there is none
	Room      int64           // the room's id, 0 for events that belong to no room
	Seq       int64           // place in the room's order, 1, 2, 3 …; 0 for presence, typing and events without a room
	Ephemeral bool            // presence and typing: never replayed
	User      string          // local part of the user whom it concerns, "" for everybody
}

// New returns an event with the payload's JSON; payload is a struct or a map that encodes
// to a JSON object. Without a trace the event begins an action of its own: every event carries one. It fails only when payload cannot be encoded.
func New(typ string, at time.Time, trace *Trace, payload any) (Event, error) {
	if trace == nil {
		trace = NewTrace()
	}
	ev := Event{Type: typ, At: at, Trace: trace}
	if payload == nil {
		return ev, nil
	}
	raw, err := json.Marshal(payload)
	if err != nil {
		return Event{}, fmt.Errorf("encode event %s: %w", typ, err)
	}
	if len(raw) < 2 || raw[0] != '{' {
		return Event{}, fmt.Errorf("encode event %s: payload is not a JSON object", typ)
	}
	ev.Payload = raw
	return ev, nil
}

// Encode returns the event as one line of JSON without a line end, with the id and epoch
// that the hub gave it. The payload's own fields come first after type; a payload must not
// hold the names type, ts, id, epoch, trace, room_id (with Room set) or seq (with Seq set).
func Encode(ev Event, id int64, epoch string) []byte {
	b := make([]byte, 0, len(ev.Payload)+192)
	b = append(b, `{"type":`...)
	b = strconv.AppendQuote(b, ev.Type) // types are ASCII words: Go and JSON quoting agree
	if ev.Room != 0 {
		b = append(b, `,"room_id":`...)
		b = strconv.AppendInt(b, ev.Room, 10)
	}
	if fields := payloadFields(ev.Payload); len(fields) > 0 {
		b = append(b, ',')
		b = append(b, fields...)
	}
	if ev.Seq != 0 {
		b = append(b, `,"seq":`...)
		b = strconv.AppendInt(b, ev.Seq, 10)
	}
	b = append(b, `,"ts":"`...)
	b = ev.At.UTC().AppendFormat(b, TimeLayout)
	b = append(b, `","id":`...)
	b = strconv.AppendInt(b, id, 10)
	b = append(b, `,"epoch":`...)
	b = strconv.AppendQuote(b, epoch)
	if ev.Trace != nil {
		if t, err := json.Marshal(ev.Trace); err == nil {
			b = append(b, `,"trace":`...)
			b = append(b, t...)
		}
	}
	return append(b, '}')
}

// payloadFields returns what stands between the braces of a payload, on one line: an event
// is one line on every stream that carries it.
func payloadFields(payload []byte) []byte {
	p := bytes.TrimSpace(payload)
	if bytes.ContainsAny(p, "\r\n") { // never inside a JSON string
		var line bytes.Buffer
		if json.Compact(&line, p) == nil {
			p = line.Bytes()
		}
	}
	if len(p) <= 2 {
		return nil
	}
	return bytes.TrimSpace(p[1 : len(p)-1])
}
