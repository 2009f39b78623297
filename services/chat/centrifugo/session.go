package centrifugo

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/chat/sockets"
)

const (
	pingEvery   = 25 * time.Second
	commandsMax = 300 // in one message
)

// Server speaks the protocol. Make one with New.
type Server struct {
	sockets *sockets.Server
	now     func() time.Time
}

// New returns a server over these sockets.
func New(s *sockets.Server, now func() time.Time) *Server { return &Server{sockets: s, now: now} }

// In is what clients put into the address.
type In struct {
	Format  string `json:"format,omitempty" doc:"json, the only one"`
	Version string `json:"cf_protocol_version,omitempty" doc:"v2, the only one"`
}

// Check refuses what is not spoken.
func (in *In) Check() error {
	if in.Format != "" && in.Format != "json" {
		return errs.BadField("format", "can only be json")
	}
	if in.Version != "" && in.Version != "v2" {
		return errs.BadField("cf_protocol_version", "can only be v2")
	}
	return nil
}

// Serve answers GET /connection/websocket.
func (s *Server) Serve(c *web.Call, w http.ResponseWriter, _ In) error {
	if ws.Offers(c.Request, "centrifuge-protobuf") {
		return errs.New(errs.Malformed, "the protocol is JSON here; use the client without protobuf")
	}
	conn, err := s.sockets.Upgrade(c, w, "centrifuge-json")
	if err != nil || conn == nil {
		return err
	}
	x := &session{Session: s.sockets.NewSession(conn, c.Visitor()), srv: s, client: rand.Text()}
	x.ping = time.AfterFunc(time.Hour, x.sendPing) // begins with connect, long before
	conn.Start(x.message, func(code ws.Code, why string) {
		x.ping.Stop()
		x.End(code, why)
	})
	return nil
}

// session is one connection; only onMessage uses it.
type session struct {
	*sockets.Session
	srv    *Server
	client string
	ping   *time.Timer
}

// message serves one message of the client: commands, a line each.
func (x *session) message(data []byte) {
	dec := json.NewDecoder(bytes.NewReader(data))
	for n := 0; ; n++ {
		var c command
		err := dec.Decode(&c)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || n == commandsMax {
			x.Conn.Close(ws.BadRequest, "a message must be commands in JSON, 300 at most, a line each")
			return
		}
		if n > 0 && c.Subscribe == nil && !x.Conn.Charge() {
			return
		}
		if !x.serve(c) {
			return
		}
	}
}

// serve serves one command; false ends the connection.
func (x *session) serve(c command) bool {
	if !x.Welcomed() {
		if c.Connect == nil || c.ID == 0 {
			x.Conn.Close(ws.BadRequest, "connect first")
			return false
		}
		return x.connect(c)
	}
	if c.Send != nil {
		x.op("", c.Send.Data)
		return true
	}
	if c.ID == 0 {
		if empty(c) { // a pong
			return true
		}
		x.Conn.Close(ws.BadRequest, "a command needs an id")
		return false
	}
	result, after, err := x.result(c)
	if err != nil {
		if c.Subscribe != nil {
			x.Conn.Charge()
		}
		x.reply(c.ID, "error", failed(err))
		return true
	}
	for name, value := range result {
		x.reply(c.ID, name, value)
	}
	if after != nil {
		after()
	}
	return true
}

func empty(c command) bool {
	return c.Connect == nil && c.Subscribe == nil && c.Unsubscribe == nil && c.Publish == nil && c.Presence == nil && c.PresenceStats == nil &&
		c.History == nil && c.RPC == nil && c.Refresh == nil && c.SubRefresh == nil
}

// result answers a command: the name and value of the reply's field, and what follows the reply.
func (x *session) result(c command) (map[string]any, func(), error) {
	switch {
	case c.Subscribe != nil:
		out, after, err := x.subscribe(*c.Subscribe)
		return map[string]any{"subscribe": out}, after, err
	case c.Unsubscribe != nil:
		return map[string]any{"unsubscribe": struct{}{}}, nil, x.unsubscribe(c.Unsubscribe.Channel)
	case c.Publish != nil:
		return map[string]any{"publish": struct{}{}}, nil, x.publish(*c.Publish)
	case c.Presence != nil:
		out, err := x.presence(c.Presence.Channel)
		return map[string]any{"presence": map[string]any{"presence": out}}, nil, err
	case c.PresenceStats != nil:
		out, err := x.presenceStats(c.PresenceStats.Channel)
		return map[string]any{"presence_stats": out}, nil, err
	case c.History != nil:
		out, err := x.history(*c.History)
		return map[string]any{"history": out}, nil, err
	case c.RPC != nil:
		out, err := x.op(c.RPC.Method, c.RPC.Data)
		return map[string]any{"rpc": map[string]any{"data": out}}, nil, err
	case c.Refresh != nil:
		out, err := x.refresh(c.Refresh.Token)
		return map[string]any{"refresh": out}, nil, err
	case c.Ping != nil:
		return map[string]any{"ping": struct{}{}}, nil, nil
	case c.Connect != nil:
		return nil, nil, failure{Code: codeBadRequest, Message: "connected already"}
	}
	return nil, nil, failure{Code: codeMethodNotFound, Message: "this command is not served here"}
}

func (x *session) reply(id uint32, field string, value any) {
	raw, err := json.Marshal(map[string]any{"id": id, field: value})
	if err != nil { // all raw values were JSON before
		x.Conn.Close(ws.ServerError, "a reply could not be written")
		return
	}
	x.Conn.Send(x.Ctx, raw) // a connection that went needs no reply
}

// connected is the reply to connect and refresh.
type connected struct {
	Client  string `json:"client"`
	Version string `json:"version"`
	Expires bool   `json:"expires,omitempty"`
	TTL     int    `json:"ttl,omitempty"` // seconds that the token is good for
	Ping    int    `json:"ping,omitempty"`
	Pong    bool   `json:"pong,omitempty"`
}

func (x *session) connected() connected {
	out := connected{Client: x.client, Version: "UniQVerse"}
	if at := x.Visitor.Caller.Expires; !at.IsZero() {
		out.Expires, out.TTL = true, max(1, int(at.Sub(x.srv.now()).Seconds()))
	}
	return out
}

func (x *session) connect(c command) bool {
	token := c.Connect.Token
	if token == "" {
		for name, value := range c.Connect.Headers {
			if scheme, rest, ok := strings.Cut(value, " "); ok && strings.EqualFold(name, "Authorization") && strings.EqualFold(scheme, "Bearer") {
				token = rest
			}
		}
	}
	if no := x.Welcome(token); no != nil {
		if auth.Expired(no.Err) { // the client gets a new one and connects again, here or anew
			x.reply(c.ID, "error", failure{Code: codeTokenExpired, Message: "token expired"})
			x.Conn.Close(ws.Expired, "token expired")
			return false
		}
		x.Conn.Close(no.Code, sockets.Reason(no.Err))
		return false
	}
	out := x.connected()
	out.Ping, out.Pong = int(pingEvery.Seconds()), true
	x.reply(c.ID, "connect", out)
	x.ping.Reset(pingEvery)
	return true
}

// sendPing tells the client that the link is alive: browsers show scripts no ping of the WebSocket's own.
func (x *session) sendPing() {
	if x.Conn.Push([]byte("{}")) {
		x.ping.Reset(pingEvery)
	}
}

func (x *session) refresh(token string) (connected, error) {
	if token == "" {
		return connected{}, errs.Missing("token")
	}
	if err := x.Renew(token); err != nil {
		if auth.Expired(err) {
			err = failure{Code: codeTokenExpired, Message: "token expired"}
		}
		return connected{}, err
	}
	return x.connected(), nil
}

// roomOf returns the room of a channel.
func roomOf(name string) (int64, error) {
	id, ok := strings.CutPrefix(name, "room:")
	room, err := strconv.ParseInt(id, 10, 64)
	if !ok || err != nil || room < 1 || id != strconv.FormatInt(room, 10) {
		return 0, failure{Code: codeUnknownChannel, Message: "there is no such channel; a room's is room:<id>"}
	}
	return room, nil
}
