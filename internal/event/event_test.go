package event_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"uniqverse/internal/event"
)

var at = time.Date(2026, 3, 29, 1, 2, 3, 4_567_890, time.FixedZone("CET", 3600))

func TestEncode(t *testing.T) {
	trace := &event.Trace{ID: strings.Repeat("a", 32), Span: strings.Repeat("b", 16), Hops: []event.Hop{{At: "game", MS: 0.4}}}
	tests := []struct {
		name string
		ev   event.Event
		want string
	}{
		{"nothing but a type", event.Event{Type: "service.up", At: at},
			`{"type":"service.up","ts":"2026-03-29T00:02:03.004Z","id":7,"epoch":"k3"}`},
		{"a room's message", event.Event{Type: "chat.message.created", At: at, Room: 17, Seq: 3, Trace: trace, Payload: json.RawMessage(`{"message_id":442,"text":"Warp gate online"}`)},
			`{"type":"chat.message.created","room_id":17,"message_id":442,"text":"Warp gate online","seq":3,"ts":"2026-03-29T00:02:03.004Z","id":7,"epoch":"k3",` +
				`"trace":{"id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","hops":[{"at":"game","ms":0.4}]}}`},
		{"a trace without hops", event.Event{Type: "x", At: at, Trace: &event.Trace{ID: "i"}},
			`{"type":"x","ts":"2026-03-29T00:02:03.004Z","id":7,"epoch":"k3","trace":{"id":"i","hops":[]}}`},
		{"an empty payload", event.Event{Type: "x", At: at, Payload: json.RawMessage(`{}`)}, `{"type":"x","ts":"2026-03-29T00:02:03.004Z","id":7,"epoch":"k3"}`},
		{"an empty payload with space", event.Event{Type: "x", At: at, Payload: json.RawMessage(" { \n } ")}, `{"type":"x","ts":"2026-03-29T00:02:03.004Z","id":7,"epoch":"k3"}`},
		{"a payload over lines stays one line", event.Event{Type: "x", At: at, Payload: json.RawMessage("{\n  \"a\": [1,\r\n 2],\n  \"b\": \"c d\"\n}")},
			`{"type":"x","a":[1,2],"b":"c d","ts":"2026-03-29T00:02:03.004Z","id":7,"epoch":"k3"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := event.Encode(tt.ev, 7, "k3")
			if string(got) != tt.want {
				t.Errorf("got\n%s, want\n%s", got, tt.want)
			}
			if !json.Valid(got) || bytes.ContainsAny(got, "\r\n") {
				t.Errorf("not one line of JSON: %q", got)
			}
		})
	}
}

func TestNew(t *testing.T) {
	ev, err := event.New(event.GameKill, at, nil, struct {
		Victim string `json:"victim"`
	}{"a<b"})
	if err != nil || ev.Type != event.GameKill || !ev.At.Equal(at) {
		t.Fatalf("%+v, %v", ev, err)
	}
	var back map[string]any
	if err := json.Unmarshal(event.Encode(ev, 1, "e"), &back); err != nil || back["victim"] != "a<b" {
		t.Errorf("%v, %v", back, err)
	}
	for _, bad := range []any{[]int{1}, "text", 7, make(chan int)} {
		if _, err := event.New("x", at, nil, bad); err == nil {
			t.Errorf("%T was taken as a payload", bad)
		}
	}
	if ev, err := event.New("x", at, nil, nil); err != nil || ev.Payload != nil {
		t.Errorf("no payload: %+v, %v", ev, err)
	}
}

func TestParseTraceparent(t *testing.T) {
	id, span := "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	tests := []struct {
		name, header string
		ok           bool
	}{
		{"valid", "00-" + id + "-" + span + "-01", true},
		{"not sampled", "00-" + id + "-" + span + "-00", true},
		{"a later version with more fields", "01-" + id + "-" + span + "-01-what", true},
		{"version 00 with more fields", "00-" + id + "-" + span + "-01-what", false},
		{"forbidden version", "ff-" + id + "-" + span + "-01", false},
		{"upper case", "00-" + strings.ToUpper(id) + "-" + span + "-01", false},
		{"no id", "00-" + strings.Repeat("0", 32) + "-" + span + "-01", false},
		{"no span", "00-" + id + "-" + strings.Repeat("0", 16) + "-01", false},
		{"short id", "00-" + id[1:] + "-" + span + "-01", false},
		{"bad flags", "00-" + id + "-" + span + "-1", false},
		{"empty", "", false},
		{"injection", "00-" + id + "-" + span + "-0\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr, ok := event.ParseTraceparent(tt.header)
			if ok != tt.ok || (ok && (tr.ID != id || tr.Span != span)) {
				t.Errorf("%q: %+v, %v", tt.header, tr, ok)
			}
		})
	}
}

func TestTraceSteps(t *testing.T) {
	a := event.NewTrace()
	if back, ok := event.ParseTraceparent(a.Traceparent()); !ok || back.ID != a.ID || back.Span != a.Span {
		t.Fatalf("own header %s is not understood", a.Traceparent())
	}
	b := a.Step("portal", 412*time.Microsecond)
	c, d := b.Step("game", time.Millisecond), b.Step("chat", 0)
	if len(a.Hops) != 0 || len(b.Hops) != 1 || c.Hops[1].At != "game" || d.Hops[1].At != "chat" {
		t.Errorf("steps share their hops: %v %v %v", b.Hops, c.Hops, d.Hops)
	}
	if b.Hops[0].MS != 0.41 {
		t.Errorf("%v ms", b.Hops[0].MS)
	}
	if k := c.Child(); k.ID != a.ID || k.Span == c.Span || len(k.Hops) != 2 {
		t.Errorf("child %+v", k)
	}
	for range 40 {
		c = c.Step("loop", 0)
	}
	if len(c.Hops) != 16 {
		t.Errorf("%d hops", len(c.Hops))
	}
	ctx := event.WithTrace(t.Context(), c)
	if event.TraceOf(ctx) != c || event.TraceOf(t.Context()) != nil {
		t.Error("the context does not carry the trace")
	}
}

func TestHopsHeader(t *testing.T) {
	hops := []event.Hop{{At: "portal", MS: 0.4}, {At: "game", MS: 12}}
	if got := event.FormatHops(hops); got != "portal;0.4, game;12" {
		t.Errorf("got %q", got)
	}
	if got := event.ParseHops(event.FormatHops(hops)); !reflect.DeepEqual(got, hops) {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{
		"", "portal", "portal;", "portal;x", "portal;-1", "portal;NaN", "portal;Inf", "Portal;1", "a b;1", ";1", "portal;1,", "portal;1e12",
		strings.Repeat("a", 25) + ";1", strings.Repeat("a;1,", 16) + "a;1", strings.Repeat("a;1,", 300), "<script>;1",
	} {
		if got := event.ParseHops(bad); got != nil {
			t.Errorf("%.40q was read as %v", bad, got)
		}
	}
}

func FuzzTraceHeaders(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "portal;0.4, game;12")
	f.Fuzz(func(t *testing.T, parent, hops string) {
		if tr, ok := event.ParseTraceparent(parent); ok {
			if back, ok := event.ParseTraceparent(tr.Traceparent()); !ok || back.ID != tr.ID {
				t.Errorf("%q does not come back", parent)
			}
		}
		h := event.ParseHops(hops)
		if again := event.ParseHops(event.FormatHops(h)); len(h) > 0 && len(event.FormatHops(h)) <= 1024 && !reflect.DeepEqual(h, again) {
			t.Errorf("%q: %v, then %v", hops, h, again)
		}
	})
}

// An event that no call caused begins an action of its own: each carries a trace.
func TestNewWithoutATrace(t *testing.T) {
	one, err := event.New("chat.presence", time.Now(), nil, map[string]string{"state": "online"})
	if err != nil || one.Trace == nil || len(one.Trace.ID) != 32 {
		t.Fatalf("trace %+v, %v", one.Trace, err)
	}
	two, _ := event.New("chat.presence", time.Now(), nil, nil)
	if two.Trace.ID == one.Trace.ID {
		t.Error("two actions share a trace")
	}
}
