package event

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxHops bounds the way that a trace remembers, so that a loop of calls cannot grow it.
const maxHops = 16

// Hop is one service on an action's way and the milliseconds spent there so far.
type Hop struct {
	At string  `json:"at"` // the service: portal, game, email, chat, desk
	MS float64 `json:"ms"` // milliseconds, rounded to 0.01
}

// Trace is what an action carries through the services: a W3C trace id, the id of the
// current span and the hops so far. A Trace is immutable; Step returns a new one.
type Trace struct {
	ID   string // 32 lower-case hex digits, not all zero
	Span string // 16 lower-case hex digits, not all zero
	Hops []Hop
}

// MarshalJSON writes the form that events and chat frames carry: {"id": …, "hops": […]}.
func (t *Trace) MarshalJSON() ([]byte, error) {
	hops := t.Hops
	if hops == nil {
		hops = []Hop{}
	}
	return json.Marshal(struct {
		ID   string `json:"id"`
		Hops []Hop  `json:"hops"`
	}{t.ID, hops})
}

// NewTrace starts a trace with random ids and no hops.
func NewTrace() *Trace {
	return &Trace{ID: randomHex(16), Span: randomHex(8)}
}

// ParseTraceparent reads a W3C traceparent header (version 00, and later versions by their
// first four fields); ok is false for anything malformed, which callers treat as absent.
func ParseTraceparent(header string) (t *Trace, ok bool) {
	p := strings.Split(header, "-")
	if len(p) < 4 || len(p[0]) != 2 || p[0] == "ff" || (p[0] == "00" && len(p) != 4) || len(p[3]) != 2 {
		return nil, false
	}
	if !isHex(p[0]) || !isHex(p[3]) || len(p[1]) != 32 || !isHex(p[1]) || len(p[2]) != 16 || !isHex(p[2]) {
		return nil, false
	}
	if strings.Trim(p[1], "0") == "" || strings.Trim(p[2], "0") == "" {
		return nil, false
	}
	return &Trace{ID: p[1], Span: p[2]}, true
}

// Traceparent returns the W3C header for calls made on behalf of this trace.
func (t *Trace) Traceparent() string { return "00-" + t.ID + "-" + t.Span + "-01" }

// Child returns the trace with a new span id, for a call further on.
func (t *Trace) Child() *Trace { return &Trace{ID: t.ID, Span: randomHex(8), Hops: t.Hops} }

// Step returns the trace with one more hop; beyond 16 hops it returns the trace unchanged.
func (t *Trace) Step(at string, spent time.Duration) *Trace {
	if len(t.Hops) >= maxHops {
		return t
	}
	hops := make([]Hop, 0, len(t.Hops)+1)
	hops = append(append(hops, t.Hops...), Hop{At: at, MS: float64(spent.Microseconds()/10) / 100})
	return &Trace{ID: t.ID, Span: t.Span, Hops: hops}
}

// FormatHops writes hops as the X-QNetworks-Hops header does: "portal;0.4, game;1.2".
func FormatHops(hops []Hop) string {
	var b strings.Builder
	for i, h := range hops {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(h.At)
		b.WriteByte(';')
		b.WriteString(strconv.FormatFloat(h.MS, 'f', -1, 64))
	}
	return b.String()
}

// ParseHops reads what FormatHops writes; anything malformed gives nil, and no more than
// 16 hops are read, because the header may come from a stranger.
func ParseHops(header string) []Hop {
	if header == "" || len(header) > 1024 {
		return nil
	}
	var hops []Hop
	for part := range strings.SplitSeq(header, ",") {
		at, ms, ok := strings.Cut(strings.TrimSpace(part), ";")
		v, err := strconv.ParseFloat(ms, 64)
		if !ok || err != nil || !isName(at) || !(v >= 0 && v < 1e9) || len(hops) == maxHops {
			return nil
		}
		hops = append(hops, Hop{At: at, MS: v})
	}
	return hops
}

// Way is an action's trace while the action goes on: where it is now, and where the calls made
// on its behalf have been. It is safe for concurrent use.
type Way struct {
	now    func() *Trace
	mu     sync.Mutex // guards beyond
	beyond []Hop
}

// NewWay returns a way whose trace, with the hop of the service that asks, is what now returns.
func NewWay(now func() *Trace) *Way { return &Way{now: now} }

// Add notes the hops that the answer of a call named beyond our own.
func (w *Way) Add(hops []Hop) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beyond = append(w.beyond, hops[:max(0, min(len(hops), maxHops-len(w.beyond)))]...)
}

// Beyond returns the hops of the calls that were answered so far.
func (w *Way) Beyond() []Hop {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.beyond)
}

type wayKey struct{}

// WithWay returns a context that carries w down to the calls made on its behalf.
func WithWay(ctx context.Context, w *Way) context.Context {
	return context.WithValue(ctx, wayKey{}, w)
}

// WayOf returns the way that ctx carries, or nil.
func WayOf(ctx context.Context) *Way {
	w, _ := ctx.Value(wayKey{}).(*Way)
	return w
}

// WithTrace is WithWay for an action that stays where it is.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return WithWay(ctx, NewWay(func() *Trace { return t }))
}

// TraceOf returns the trace of the way that ctx carries, as it is now, or nil.
func TraceOf(ctx context.Context) *Trace {
	if w := WayOf(ctx); w != nil {
		return w.now()
	}
	return nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails, as documented
	b[0] |= 1    // an id of zeros is not valid
	return hex.EncodeToString(b)
}

func isHex(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isName(s string) bool {
	if s == "" || len(s) > 24 {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
