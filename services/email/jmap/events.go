package jmap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/email/jmap/account"
	"uniqverse/services/email/jmap/proto"
)

// The bounds of streams.
const (
	maxStreams  = 16                     // of one person
	settle      = 100 * time.Millisecond // changes that come together are told together
	shortestSec = 5                      // of a ping, in seconds
	longestSec  = 900
)

// types are those whose states are told.
func types() []string {
	return []string{"Email", "EmailDelivery", "EmailSubmission", "Identity", "Mailbox", "Thread", "VacationResponse"}
}

// states returns the state of each type.
func (s *Service) states(ctx context.Context, acct *account.Account) (map[string]string, error) {
	return s.statesOf(ctx, acct.Mailbox.ID)
}

func (s *Service) statesOf(ctx context.Context, mailbox int64) (map[string]string, error) {
	st, err := s.Store.States(ctx, mailbox)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, n := range map[string]int64{"Email": st.Message, "EmailDelivery": st.Arrived, "EmailSubmission": st.Submission, "Identity": st.Identity, "Mailbox": st.Folder,
		"Thread": st.Thread, "VacationResponse": st.Vacation} {
		out[name] = s.accounts.State(n)
	}
	return out, nil
}

// stateChange is the object that tells of new states (RFC 8620 section 7.1).
func stateChange(acct *account.Account, changed map[string]string) map[string]any {
	return map[string]any{"@type": "StateChange", "changed": map[string]any{acct.ID: changed}}
}

// token names what the states are, so that a client that comes back with it is told only if they are others.
func token(states map[string]string) string {
	h := sha256.New()
	for _, name := range proto.Keys(states) {
		h.Write([]byte(name + "=" + states[name] + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// watch calls tell with the states of the wanted types that changed, until it fails, ctx ends or the service stops. known is
// the token that the client had; "" begins with what is now. idle, when not zero, is how often alive is called while nothing
// happens.
func (s *Service) watch(ctx context.Context, acct *account.Account, wanted []string, known string, idle time.Duration, ready, alive func() error, tell func(changed map[string]string, now string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.running.Go(func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	})
	sub, err := s.Hub.Subscribe(ctx, event.StreamMailOf(acct.User), nil)
	if err != nil {
		return err
	}
	defer func() { sub.Close() }()
	last, err := s.states(ctx, acct)
	if err != nil {
		return err
	}
	if ready != nil { // not before the states are known: what changes from now on is told
		if err := ready(); err != nil {
			return err
		}
	}
	if known != "" && known != token(last) {
		if err := tell(only(last, wanted), token(last)); err != nil {
			return err
		}
	}
	for {
		wait, end := ctx, context.CancelFunc(func() {})
		if idle > 0 {
			wait, end = context.WithTimeout(ctx, idle)
		}
		_, err := sub.Next(wait)
		end()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			if err := alive(); err != nil {
				return err
			}
			continue
		}
		if errors.Is(err, hub.ErrSlow) { // what was missed shows in the states
			sub.Close()
			sub, err = s.Hub.Subscribe(ctx, event.StreamMailOf(acct.User), nil)
		}
		if err != nil {
			return err
		}
		drain(ctx, sub)
		now, err := s.states(ctx, acct)
		if err != nil {
			return err
		}
		changed := map[string]string{}
		for name, state := range now {
			if state != last[name] && slices.Contains(wanted, name) {
				changed[name] = state
			}
		}
		last = now
		if len(changed) > 0 {
			if err := tell(changed, token(now)); err != nil {
				return err
			}
		}
	}
}

// drain takes what else comes within a moment.
func drain(ctx context.Context, sub hub.Subscription) {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for {
		if _, err := sub.Next(ctx); err != nil {
			return
		}
	}
}

func only(states map[string]string, wanted []string) map[string]string {
	out := map[string]string{}
	for _, name := range wanted {
		if v, ok := states[name]; ok {
			out[name] = v
		}
	}
	return out
}

type eventSourceParams struct {
	Types      string `json:"types,omitempty" max:"500" doc:"names of types, parted by commas, or * for all"`
	CloseAfter string `json:"closeafter,omitempty" max:"10" doc:"state: end after the first change; no: go on"`
	Ping       int    `json:"ping,omitempty" min:"0" max:"86400" doc:"seconds between pings; 0 is none"`
}

// Check refuses what closeafter cannot be.
func (p *eventSourceParams) Check() error {
	if p.CloseAfter != "" && p.CloseAfter != "state" && p.CloseAfter != "no" {
		return errs.BadField("closeafter", "must be state or no")
	}
	return nil
}

// eventSource tells of changes as server-sent events.
func (s *Service) eventSource(c *web.Call, w http.ResponseWriter, in eventSourceParams) error {
	own, err := s.accounts.Own(c.Context(), c.Caller)
	if err != nil {
		return err
	}
	if own == nil {
		return errs.New(errs.NotFound, "a server has no account of its own to tell about")
	}
	wanted := types()
	if in.Types != "*" && in.Types != "" {
		wanted = strings.Split(in.Types, ",")
	}
	release, err := s.streams.Take(c.Caller)
	if err != nil {
		return err
	}
	defer release()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(w)
	send := func(text string) error {
		rc.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a stuck reader is let go
		if _, err := w.Write([]byte(text)); err != nil {
			return err
		}
		return rc.Flush()
	}
	begun := false
	ready := func() error {
		begun = true
		w.WriteHeader(http.StatusOK)
		return send(": connected\n\n")
	}
	idle, alive := 30*time.Second, func() error { return send(": still here\n\n") }
	if in.Ping > 0 {
		seconds := min(max(in.Ping, shortestSec), longestSec)
		idle = time.Duration(seconds) * time.Second
		alive = func() error { return send("event: ping\ndata: {\"interval\":" + strconv.Itoa(seconds) + "}\n\n") }
	}
	ended := errors.New("told once")
	err = s.watch(c.Context(), own, wanted, c.Request.Header.Get("Last-Event-ID"), idle, ready, alive, func(changed map[string]string, now string) error {
		data, err := proto.Marshal(stateChange(own, changed))
		if err != nil {
			return err
		}
		var b bytes.Buffer
		b.WriteString("id: " + now + "\nevent: state\ndata: ")
		b.Write(data)
		b.WriteString("\n\n")
		if err := send(b.String()); err != nil {
			return err
		}
		if in.CloseAfter == "state" {
			return ended
		}
		return nil
	})
	if begun {
		return nil // however it ended, its reader saw it
	}
	return err
}
