package realtime_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/hub"
	"uniqverse/internal/event"
	"uniqverse/internal/ws"
	"uniqverse/services/game/realtime"
)

const stream = "s"

// serve runs a fan on a hub that keeps ring events, behind a server whose sockets join it.
func serve(t *testing.T, ring int) (*hub.Local, *realtime.Fan, string) {
	t.Helper()
	h, err := hub.NewLocal(t.Context(), hub.LocalOptions{Ring: ring})
	if err != nil {
		t.Fatal(err)
	}
	edge := ws.NewEdge(ws.EdgeOptions{})
	fan := realtime.New(h, stream, edge, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := fan.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		place, err := fan.Here(r.Context())
		if err != nil {
			t.Error(err)
			return
		}
		conn, err := edge.Upgrade(w, r, ws.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		conn.Start(nil, nil)
		fan.Join(conn, place)
	}))
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		edge.Shutdown(context.Background())
		srv.Close()
		h.Close()
	})
	return h, fan, "ws" + strings.TrimPrefix(srv.URL, "http")
}

func dial(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	return c
}

// ids reads until an event of the type last, or the close; it fails on a gap.
func ids(t *testing.T, c *websocket.Conn, last string) (n int, err error) {
	t.Helper()
	var before int64
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			return n, err
		}
		var ev struct {
			ID   int64
			Type string
		}
		if err := json.Unmarshal(b, &ev); err != nil {
			t.Fatal(err)
		}
		if before != 0 && ev.ID != before+1 {
			t.Fatalf("event %d after %d, and nobody said so", ev.ID, before)
		}
		before, n = ev.ID, n+1
		if ev.Type == last {
			return n, nil
		}
	}
}

func events(n int) []event.Event {
	evs := make([]event.Event, n)
	for i := range evs {
		evs[i] = event.Event{Type: "e", At: time.Unix(1, 0)}
	}
	return evs
}

func TestEverybodyGetsEverything(t *testing.T) {
	h, fan, url := serve(t, 0)
	a, b := dial(t, url), dial(t, url)
	for _, evs := range [][]event.Event{events(300), {{Type: "last", At: time.Unix(1, 0)}}} {
		if _, err := h.Publish(t.Context(), stream, evs...); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*websocket.Conn{a, b} {
		if n, err := ids(t, c, "last"); n != 301 || err != nil {
			t.Errorf("%d events, %v", n, err)
		}
	}
	if r := fan.Recent(2); len(r) != 2 || r[0].Type != "last" || r[1].ID != r[0].ID-1 {
		t.Errorf("recent %+v", r)
	}
}

// When the hub has moved on past the fan, its sockets are sent away and told to come back.
func TestAGapIsTold(t *testing.T) {
	h, _, url := serve(t, 8)
	c := dial(t, url)
	for range 20 { // each is more than the hub keeps
		if _, err := h.Publish(t.Context(), stream, events(500)...); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := ids(t, c, ""); !websocket.IsCloseError(err, int(ws.InsufficientState)) {
		t.Errorf("%d events, then %v", n, err)
	}
	for { // the fan may still be catching up: whoever is sent away comes back
		again := dial(t, url)
		if _, err := h.Publish(t.Context(), stream, event.Event{Type: "last", At: time.Unix(1, 0)}); err != nil {
			t.Fatal(err)
		}
		n, err := ids(t, again, "last")
		if websocket.IsCloseError(err, int(ws.InsufficientState)) {
			continue
		}
		if n != 1 || err != nil {
			t.Errorf("after coming back: %d events, %v", n, err)
		}
		return
	}
}
