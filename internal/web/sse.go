package web

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/errs"
)

// heartbeat keeps an idle event stream alive through proxies that close after 30 s.
const heartbeat = 15 * time.Second

// Since is what an event stream takes to resume: the header Last-Event-ID, or these.
type Since struct {
	After *int64 `json:"after,omitempty" doc:"the last event id seen; replays what came after" min:"0"`
	Epoch string `json:"epoch,omitempty" doc:"the epoch in which it was seen" max:"64"`
}

// Position returns where the stream begins: the header Last-Event-ID wins, as browsers send
// it on their own when they reconnect; nil means only new events.
func (s Since) Position(r *http.Request) (*hub.Position, error) {
	if h := r.Header.Get("Last-Event-ID"); h != "" {
		id, err := strconv.ParseInt(h, 10, 64)
		if err != nil || id < 0 {
			return nil, errs.New(errs.Malformed, "Last-Event-ID must be the id of an event")
		}
		return &hub.Position{After: id, Epoch: s.Epoch}, nil
	}
	if s.After == nil {
		return nil, nil
	}
	return &hub.Position{After: *s.After, Epoch: s.Epoch}, nil
}

// ServeEvents writes a subscription as server-sent events until the reader goes, the server
// stops, or the reader is too slow; a browser then reconnects by itself with the last id. keep decides
// which messages this reader may see; nil keeps all. Headers are sent at once. When a position
// was asked for, the first event is `recovered`, with "recovered": true or false: false
// means reload. The caller closes sub.
func (c *Call) ServeEvents(w http.ResponseWriter, sub hub.Subscription, resumed bool, keep func(hub.Message) bool) error {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(w)
	var out bytes.Buffer
	out.WriteString("retry: 2000\n: connected\n\n")
	if resumed {
		out.WriteString("event: recovered\ndata: {\"recovered\":" + strconv.FormatBool(sub.Recovered()) + "}\n\n")
	}
	flush := func() error {
		rc.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a stuck reader is let go
		if _, err := w.Write(out.Bytes()); err != nil {
			return err
		}
		out.Reset()
		return rc.Flush()
	}
	if err := flush(); err != nil {
		return nil
	}
	live, end := context.WithCancel(c.Context())
	defer end()
	go func() {
		select {
		case <-c.handler.opts.Stopping:
			end()
		case <-live.Done():
		}
	}()
	for {
		ctx, cancel := context.WithTimeout(live, heartbeat)
		m, err := sub.Next(ctx)
		cancel()
		switch {
		case err == nil:
			if keep != nil && !keep(m) {
				continue
			}
			writeEvent(&out, m)
		case errors.Is(err, context.DeadlineExceeded) && live.Err() == nil:
			out.WriteString(": heartbeat\n\n")
		default:
			return nil
		}
		if flush() != nil {
			return nil
		}
	}
}

func writeEvent(out *bytes.Buffer, m hub.Message) {
	out.WriteString("id: " + strconv.FormatInt(m.ID, 10) + "\nevent: " + m.Type + "\ndata: ")
	out.Write(m.Data)
	out.WriteString("\n\n")
}
