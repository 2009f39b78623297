package portal

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/templates"
)

// How often each service is asked, how long it may take, and from when on it counts as slow.
const (
	askEvery  = 2 * time.Second
	askWithin = 1500 * time.Millisecond
	slowFrom  = 500 * time.Millisecond
	kept      = 30 // latencies for the sparkline
)

// state is what is known of one service.
type state struct {
	Health    templates.Health
	Detail    string
	Latency   time.Duration
	Latencies []float64 // milliseconds, oldest first
	LastSeen  time.Time
}

// watch asks every service of the directory for its health, each in a goroutine of its own so
// that a dead one delays nobody.
type watch struct {
	s  *Service
	mu sync.Mutex // guards by
	by map[string]state
}

func newWatch(s *Service) *watch { return &watch{s: s, by: map[string]state{}} }

func (w *watch) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, e := range w.s.entries {
		if e.Href != "" || !w.s.opts.Registry.Known(e.Name) {
			continue
		}
		all.Go(func() {
			tick := time.NewTicker(askEvery)
			defer tick.Stop()
			for {
				w.ask(ctx, e.Name)
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	all.Wait()
}

func (w *watch) of(name string) state {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.by[name]
	st.Latencies = slices.Clone(st.Latencies)
	return st
}

// ask takes one reading and tells the hub when the service came or went.
func (w *watch) ask(ctx context.Context, name string) {
	start := time.Now()
	err := w.probe(ctx, name)
	spent := time.Since(start)
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	before := w.by[name]
	st := before
	st.Latency = spent
	st.Health, st.Detail = templates.HealthGreen, ""
	switch {
	case err != nil:
		st.Health, st.Detail, st.Latency = templates.HealthRed, why(err), 0
	case spent > slowFrom:
		st.Health, st.Detail = templates.HealthAmber, "answers slowly"
	}
	if err == nil {
		st.LastSeen = w.s.opts.Now()
		st.Latencies = append(slices.Clone(before.Latencies), float64(spent.Microseconds())/1000)
		if len(st.Latencies) > kept {
			st.Latencies = st.Latencies[1:]
		}
	}
	w.by[name] = st
	w.mu.Unlock()
	wasDown, isDown := before.Health == templates.HealthRed, st.Health == templates.HealthRed
	if wasDown != isDown {
		w.tell(ctx, name, isDown, st.Detail)
	}
}

func (w *watch) tell(ctx context.Context, name string, down bool, detail string) {
	typ := event.ServiceUp
	if down {
		typ = event.ServiceDown
		w.s.opts.Log.Warn("service is down", "service", name, "detail", detail)
	} else {
		w.s.opts.Log.Info("service is up again", "service", name)
	}
	ev, err := event.New(typ, w.s.opts.Now(), event.NewTrace(), map[string]string{"service": name, "detail": detail})
	if err == nil {
		_, err = w.s.opts.Hub.Publish(ctx, event.StreamPortal, ev)
	}
	if err != nil {
		w.s.opts.Log.Error("service change not published", "service", name, "err", err.Error())
	}
}

// probe is one GET /health; its error says why the tile is red.
func (w *watch) probe(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+name+"/health", nil)
	if err != nil {
		return err
	}
	res, err := w.s.opts.Registry.Client(name).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var body struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&body); err != nil {
		return errs.Wrap(errs.Upstream, err, "answers /health with something else than JSON")
	}
	if res.StatusCode != http.StatusOK || body.Status != "ok" {
		for part, st := range body.Checks {
			if st != "ok" {
				return errs.New(errs.Unavailable, "its %s is failing", part)
			}
		}
		return errs.New(errs.Unavailable, "says that it is not well (status %d)", res.StatusCode)
	}
	return nil
}

// why is one short line for a tile.
func why(err error) string {
	switch errs.KindOf(err) {
	case errs.Timeout:
		return "does not answer in time"
	case errs.Unavailable, errs.Upstream:
		var e *errs.Error
		if ok := asError(err, &e); ok {
			return e.Detail
		}
	}
	return "does not answer"
}
