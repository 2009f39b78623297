package centrifugo

import (
	"encoding/json"
	"errors"
	"strconv"

	"uniqverse/internal/errs"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/live"
	"uniqverse/services/chat/sockets"
)

// command is what a client sends; one of the requests is there, or none in a pong.
type command struct {
	ID            uint32          `json:"id"`
	Connect       *connectIn      `json:"connect"`
	Subscribe     *subscribeIn    `json:"subscribe"`
	Unsubscribe   *channelIn      `json:"unsubscribe"`
	Publish       *publishIn      `json:"publish"`
	Presence      *channelIn      `json:"presence"`
	PresenceStats *channelIn      `json:"presence_stats"`
	History       *historyIn      `json:"history"`
	Ping          *struct{}       `json:"ping"`
	Send          *dataIn         `json:"send"`
	RPC           *rpcIn          `json:"rpc"`
	Refresh       *refreshIn      `json:"refresh"`
	SubRefresh    json.RawMessage `json:"sub_refresh"`
}

type connectIn struct {
	Token   string            `json:"token"`
	Name    string            `json:"name"`
	Version string            `json:"version"`
	Headers map[string]string `json:"headers"` // what a browser cannot set in the handshake
}

type channelIn struct {
	Channel string `json:"channel"`
}

type subscribeIn struct {
	Channel string          `json:"channel"`
	Recover bool            `json:"recover"`
	Offset  int64           `json:"offset"`
	Epoch   string          `json:"epoch"`
	Flag    int             `json:"flag"`
	Type    int             `json:"type"` // 0 is a stream; others are not served
	Filter  json.RawMessage `json:"tf"`   // a filter of tags, which events have none of
}

// rejectUnrecovered is the flag that asks for an error in place of recovered: false.
const rejectUnrecovered = 2

type publishIn struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

type historyIn struct {
	Channel string `json:"channel"`
	Limit   int    `json:"limit"`
	Since   *struct {
		Offset int64  `json:"offset"`
		Epoch  string `json:"epoch"`
	} `json:"since"`
	Reverse bool `json:"reverse"`
}

type dataIn struct {
	Data json.RawMessage `json:"data"`
}

type rpcIn struct {
	Method string          `json:"method"`
	Data   json.RawMessage `json:"data"`
}

type refreshIn struct {
	Token string `json:"token"`
}

// failure is an error as the protocol has it.
type failure struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Temporary bool   `json:"temporary,omitempty"`
}

// The protocol's errors.
const (
	codeInternal          = 100
	codeUnauthorized      = 101
	codeUnknownChannel    = 102
	codePermissionDenied  = 103
	codeMethodNotFound    = 104
	codeAlreadySubscribed = 105
	codeLimitExceeded     = 106
	codeBadRequest        = 107
	codeNotAvailable      = 108
	codeTokenExpired      = 109
	codeTooManyRequests   = 111
	codeUnrecoverable     = 112
)

// failed brings an error into the form of the protocol.
func failed(err error) failure {
	f := failure{Code: codeBadRequest, Message: sockets.Reason(err)}
	var own failure
	if errors.As(err, &own) {
		return own
	}
	switch errs.KindOf(err) {
	case errs.Unauthenticated:
		f.Code = codeUnauthorized
	case errs.Denied:
		f.Code = codePermissionDenied
	case errs.NotFound:
		f.Code = codeUnknownChannel
	case errs.Limited:
		f.Code, f.Temporary = codeTooManyRequests, true
	case errs.Internal, errs.Unavailable, errs.Timeout, errs.Upstream:
		f.Code, f.Temporary = codeInternal, true
	}
	return f
}

// Error makes a failure an error, for failed.
func (f failure) Error() string { return f.Message }

// encode is a frame of plain values and JSON, which cannot fail.
func encode(frame any) []byte {
	raw, _ := json.Marshal(frame)
	return raw
}

// publication is an event of a room inside a reply.
type publication struct {
	Data   json.RawMessage `json:"data"`
	Offset int64           `json:"offset"`
}

func channel(room int64) string { return "room:" + strconv.FormatInt(room, 10) }

// push is an event of a room as a frame of its own; offset 0 is one that nobody keeps.
func push(room, offset int64, data []byte) []byte {
	b := make([]byte, 0, len(data)+80)
	b = append(b, `{"push":{"channel":"room:`...)
	b = strconv.AppendInt(b, room, 10)
	b = append(b, `","pub":{"data":`...)
	b = append(b, data...)
	if offset != 0 {
		b = append(b, `,"offset":`...)
		b = strconv.AppendInt(b, offset, 10)
	}
	return append(b, `}}}`...)
}

// info is somebody who is in a room.
type info struct {
	User   string            `json:"user"`
	Client string            `json:"client"`
	Conn   map[string]string `json:"conn_info"`
}

func someone(user int64, handle string) info {
	id := strconv.FormatInt(user, 10)
	return info{User: id, Client: "user-" + id, Conn: map[string]string{"handle": handle}}
}

// form is how rooms' events look here.
func form() live.Form {
	return live.Form{Name: "centrifugo", Frame: push, Passing: func(room int64, p live.Presence, data []byte) []byte {
		word := "join"
		switch p.State {
		case live.Typing:
			return push(room, 0, data)
		case live.Offline:
			word = "leave"
		}
		return encode(map[string]any{"push": map[string]any{"channel": channel(room), word: map[string]any{"info": someone(p.UserID, p.Handle)}}})
	}}
}

// unsubscribed is the frame that ends a subscription by the server: for good, or, from 2500 on, to subscribe again.
func unsubscribed(name string, code ws.Code, why string) []byte {
	end := 2000
	if code.Reconnect() {
		end = 2500
	}
	return encode(map[string]any{"push": map[string]any{"channel": name, "unsubscribe": map[string]any{"code": end, "reason": why}}})
}
