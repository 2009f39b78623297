package jmap

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/proto"
)

// socket is one WebSocket.
type socket struct {
	s       *Service
	c       *web.Call
	conn    *ws.Conn
	own     *account.Account
	visitor *web.Visitor
	ctx     context.Context
	end     context.CancelFunc

	mu   sync.Mutex
	stop context.CancelFunc // of the push that runs; nil when none does
}

// again is how often it is asked whether the caller may still be here.
const again = time.Minute

// socket opens a WebSocket that speaks JMAP (RFC 8887).
func (s *Service) socket(c *web.Call, w http.ResponseWriter, _ web.None) error {
	if !ws.Offers(c.Request, "jmap") {
		return errs.New(errs.Malformed, "open the WebSocket with the sub-protocol jmap (Sec-WebSocket-Protocol: jmap)")
	}
	own, err := s.accounts.Own(c.Context(), c.Caller)
	if err != nil {
		return err
	}
	release, err := s.streams.Take(c.Caller)
	if err != nil {
		return err
	}
	conn, err := s.sockets.Upgrade(w, c.Request, ws.Options{Origin: c.MayOpenSocket, Protocols: []string{"jmap"}, ReadLimit: s.limits.MaxSizeRequest, Rate: 50, Burst: 500,
		Queue: 32 << 20, Expires: c.Caller.Expires})
	if err != nil {
		release()
		if errors.Is(err, ws.ErrGone) {
			return nil
		}
		return err
	}
	k := &socket{s: s, c: c, conn: conn, own: own, visitor: c.Visitor()}
	k.ctx, k.end = context.WithCancel(context.WithoutCancel(c.Context()))
	s.running.Go(k.stay)
	conn.Start(k.message, func(ws.Code, string) {
		k.end()
		release()
	})
	return nil
}

// stay ends the connection when its caller may not be here any more.
func (k *socket) stay() {
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-tick.C:
			if k.visitor.Still(k.ctx) != nil && k.ctx.Err() == nil {
				k.conn.Close(ws.Expired, "the session has ended; sign in again")
				return
			}
		}
	}
}

// message serves one message of the client.
func (k *socket) message(data []byte) {
	var head struct {
		Type      string    `json:"@type"`
		ID        *string   `json:"id"`
		DataTypes *[]string `json:"dataTypes"`
		PushState string    `json:"pushState"`
	}
	if err := proto.CheckJSON(data); err != nil {
		k.refuse(nil, proto.NotJSON("the message cannot be read: %s", err))
		return
	}
	if json.Unmarshal(data, &head) != nil {
		k.refuse(nil, proto.NotRequest("a message is an object with @type"))
		return
	}
	switch head.Type {
	case "Request":
		k.request(data, head.ID)
	case "WebSocketPushEnable":
		k.enable(head.DataTypes, head.PushState)
	case "WebSocketPushDisable":
		k.disable()
	default:
		k.refuse(head.ID, proto.NotRequest("@type must be Request, WebSocketPushEnable or WebSocketPushDisable"))
	}
}

func (k *socket) send(v any) {
	if data, err := proto.Marshal(v); err == nil {
		k.conn.Send(k.ctx, data) // a peer who is gone hears nothing
	}
}

func (k *socket) refuse(id *string, e *proto.RequestError) {
	members := e.Problem()
	members["@type"], members["requestId"] = "RequestError", id
	k.send(members)
}

func (k *socket) request(data []byte, id *string) {
	out, refused, err := k.s.serve(k.ctx, data, k.c.Caller, k.s.runner(k.c))
	if err != nil {
		k.c.Log.Error("JMAP request failed", "err", err.Error())
		refused = &proto.RequestError{Type: "about:blank", Status: http.StatusServiceUnavailable, Detail: "something went wrong on our side; try again"}
	}
	if refused != nil {
		k.refuse(id, refused)
		return
	}
	members := map[string]any{"@type": "Response", "methodResponses": out.MethodResponses, "sessionState": out.SessionState}
	if id != nil {
		members["requestId"] = *id
	}
	if out.CreatedIDs != nil {
		members["createdIds"] = out.CreatedIDs
	}
	k.send(members)
}

// enable begins to tell of changes, in the place of what was told before.
func (k *socket) enable(wanted *[]string, known string) {
	k.disable()
	if k.own == nil {
		return
	}
	names := types()
	if wanted != nil {
		names = slices.Clone(*wanted)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	ctx, stop := context.WithCancel(k.ctx)
	k.stop = stop
	tell := func(changed map[string]string, now string) error {
		members := stateChange(k.own, changed)
		members["pushState"] = now
		data, err := proto.Marshal(members)
		if err != nil {
			return err
		}
		return k.conn.Send(ctx, data)
	}
	begun := make(chan struct{})
	k.s.running.Go(func() {
		early := true
		k.s.watch(ctx, k.own, names, known, 0, func() error { early = false; close(begun); return nil }, nil, tell)
		if early {
			close(begun)
		}
	})
	<-begun // what the client asks next is answered when it is told of changes already
}

func (k *socket) disable() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stop != nil {
		k.stop()
		k.stop = nil
	}
}
