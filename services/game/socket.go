package game

import (
	"context"
	"errors"
	"net/http"

	"uniqverse/hub"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/internal/ws"
)

// socket answers GET /ws/events. Where it begins is settled before the handshake is answered,
// so that a client which is connected misses nothing.
func (s *Service) socket(c *web.Call, w http.ResponseWriter, in web.Since) error {
	pos, err := in.Position(c.Request)
	if err != nil {
		return err
	}
	release, err := s.sockets.Take(c.Caller)
	if err != nil {
		return err
	}
	conn, err := s.upgrade(c, w, pos, release)
	if conn == nil {
		release()
		if errors.Is(err, ws.ErrGone) {
			return nil
		}
	}
	return err
}

// upgrade makes the connection live; release is called at its end. A nil connection has not
// begun, and release was not called.
func (s *Service) upgrade(c *web.Call, w http.ResponseWriter, pos *hub.Position, release func()) (*ws.Conn, error) {
	opts := ws.Options{Origin: c.MayOpenSocket, ReadLimit: 4096}
	if pos == nil {
		place, err := s.fan.Here(c.Context())
		if err != nil {
			return nil, errs.Wrap(errs.Unavailable, err, "the events are not live yet; try again in a second")
		}
		conn, err := s.edge.Upgrade(w, c.Request, opts)
		if err != nil {
			return nil, err
		}
		conn.Start(ws.ListenOnly(conn, "send inputs with POST /ws/inputs"), func(ws.Code, string) { release() })
		s.fan.Join(conn, place)
		return conn, nil
	}
	life := context.WithoutCancel(c.Context()) // the request ends with the handshake, the socket does not
	sub, err := s.opts.Hub.Subscribe(life, event.StreamGame, pos)
	if err != nil {
		return nil, err
	}
	conn, err := s.edge.Upgrade(w, c.Request, opts)
	if err != nil {
		sub.Close()
		return nil, err
	}
	conn.Start(ws.ListenOnly(conn, "send inputs with POST /ws/inputs"), func(ws.Code, string) { release() })
	s.follow.Go(func() {
		defer sub.Close()
		s.fan.Follow(conn, sub)
	})
	return conn, nil
}

// events answers GET /events.
func (s *Service) events(c *web.Call, w http.ResponseWriter, in web.Since) error {
	pos, err := in.Position(c.Request)
	if err != nil {
		return err
	}
	sub, err := s.opts.Hub.Subscribe(c.Context(), event.StreamGame, pos)
	if err != nil {
		return err
	}
	defer sub.Close()
	return c.ServeEvents(w, sub, pos != nil, nil)
}
