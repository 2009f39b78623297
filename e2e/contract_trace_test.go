package e2e_test

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + traceID + "-00f067aa0ba902b7-01"
)

// way is the services of an X-QNetworks-Hops header, in their order.
func way(header string) string {
	var names []string
	for part := range strings.SplitSeq(header, ", ") {
		name, _, _ := strings.Cut(part, ";")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// hopsOf is the services of an event's trace.
func hopsOf(ev object) string {
	trace, _ := ev["trace"].(object)
	list, _ := trace["hops"].([]any)
	var names []string
	for _, h := range list {
		names = append(names, fmt.Sprint(h.(object)["at"]))
	}
	return fmt.Sprint(trace["id"], " ", strings.Join(names, " "))
}

// The action that a caller names is on the answer, with the services that it passed, on the event that it caused
// and in the mail's row; who names none gets a new one.
func TestTraceGoesThroughTheServices(t *testing.T) {
	s := start(t)
	s.post(200, "chat/rooms?name=Bridge", "")
	for target, want := range map[string]string{
		"chat/rooms": "chat", "portal/proxy/chat/rooms": "portal chat", "game/email/mail?user=demo&access_token=demo": "game email", "email/api/messages?user=demo&access_token=demo": "email",
		"portal/proxy/game/email/mail?user=demo&access_token=demo": "portal game email", "portal/": "portal", "portal/nowhere": "portal",
	} {
		r := s.call("GET", target, "", "traceparent", traceparent)
		if got := r.Header.Get("X-QNetworks-Trace"); got != traceID {
			t.Errorf("GET %s: trace %q", target, got)
		}
		if got := way(r.Header.Get("X-QNetworks-Hops")); got != want {
			t.Errorf("GET %s: went by %q, want %q", target, got, want)
		}
		if !regexp.MustCompile(`^([a-z]+;[0-9.]+(, )?)+$`).MatchString(r.Header.Get("X-QNetworks-Hops")) {
			t.Errorf("GET %s: hops %q", target, r.Header.Get("X-QNetworks-Hops"))
		}
	}
	if got := way(s.post(200, "portal/provision/pilot", "").Header.Get("X-QNetworks-Hops")); got != "portal email email" {
		t.Errorf("POST /provision went by %q, want two calls to mail", got)
	}
	fresh := regexp.MustCompile(`^[0-9a-f]{32}$`)
	one, two := s.get(200, "chat/rooms").Header.Get("X-QNetworks-Trace"), s.get(200, "chat/rooms", "traceparent", "nonsense").Header.Get("X-QNetworks-Trace")
	if !fresh.MatchString(one) || !fresh.MatchString(two) || one == two {
		t.Errorf("calls without a trace get %q and %q", one, two)
	}

	conn, stream := s.dial("chat/ws/rooms/1"), s.listen("chat/events")
	s.post(200, "portal/proxy/chat/rooms/1/messages?text=hello", "", "traceparent", traceparent)
	if got := hopsOf(nextFrame(t, conn)); got != traceID+" portal chat" {
		t.Errorf("the frame's trace is %s", got)
	}
	if got := hopsOf(stream.until("chat.message.created").data); got != traceID+" portal chat" {
		t.Errorf("the event's trace is %s", got)
	}
	s.post(200, "chat/rooms/1/messages?text=again", "", "traceparent", traceparent)
	if got := hopsOf(nextFrame(t, s.dial("chat/ws/rooms/1?after=1"))); got != traceID+" chat" {
		t.Errorf("a replayed frame's trace is %s", got)
	}
	s.post(200, "chat/tickets?subject=help", "", "traceparent", traceparent)
	if got := hopsOf(stream.until("ticket.created").data); !strings.HasPrefix(got, traceID+" chat") {
		t.Errorf("the ticket's trace is %s", got)
	}
	game := s.dial("game/ws/events")
	s.post(200, "game/ws/inputs?type=input", "", "traceparent", traceparent)
	if got := hopsOf(nextFrame(t, game)); got != traceID+" game" {
		t.Errorf("the input's trace is %s", got)
	}
}

// A mail begins an action of its own: its row and its event name the same trace.
func TestTraceOfAMail(t *testing.T) {
	s := start(t)
	events := s.listen("email/api/events?user=demo&access_token=demo")
	s.sendMail("eve@example.org", "demo@vezeuniqverse.com", "hello", "x")
	ev := events.until("mail.received")
	id := strings.Fields(hopsOf(ev.data))[0]
	var mail struct{ Traceparent string }
	s.get(200, fmt.Sprintf("email/api/messages/%v?access_token=demo", ev.data["message_id"])).JSON(t, &mail)
	if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`).MatchString(mail.Traceparent) || mail.Traceparent[3:35] != id {
		t.Errorf("the mail's traceparent is %q, its event's trace %s", mail.Traceparent, id)
	}
	if !strings.Contains(hopsOf(ev.data), " email") {
		t.Errorf("the event went by %s, want email", hopsOf(ev.data))
	}
	s.post(200, fmt.Sprintf("email/api/messages/%v/star?access_token=demo", ev.data["message_id"]), "", "traceparent", traceparent)
	if got := hopsOf(events.until("mail.star").data); got != traceID+" email" {
		t.Errorf("the star's trace is %s", got)
	}
}

// traceCollector takes OTLP over HTTP as a collector does.
type traceCollector struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []*spans.Span
	names  []string // of the services that sent
	header http.Header
}

func collect(t *testing.T) *traceCollector {
	c := &traceCollector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var batch collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &batch)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("the collector got %s %s: %v", r.URL.Path, r.Header.Get("Content-Type"), err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.header = r.Header
		for _, of := range batch.ResourceSpans {
			for _, attr := range of.Resource.Attributes {
				if attr.Key == "service.name" {
					c.names = append(c.names, attr.Value.GetStringValue())
				}
			}
			for _, scope := range of.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// of returns the spans of a trace by name.
func (c *traceCollector) of(trace string) map[string]*spans.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]*spans.Span{}
	for _, s := range c.spans {
		if hex.EncodeToString(s.TraceId) == trace {
			found[s.Name] = s
		}
	}
	return found
}

// With OTEL_* set the same trace goes to a collector, a span for each service, each below the one that called it.
func TestSpansGoToACollector(t *testing.T) {
	t.Parallel()
	c := collect(t)
	s := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_SERVICE_NAME=bridge", "OTEL_EXPORTER_OTLP_HEADERS=x-key=warp")
	s.post(200, "chat/rooms?name=Bridge", "")
	conn := s.dial("chat/ws/rooms/1")
	s.post(200, "portal/proxy/chat/rooms/1/messages?text=hello", "", "traceparent", traceparent)
	if got := hopsOf(nextFrame(t, conn)); got != traceID+" portal chat" {
		t.Errorf("with a collector the frame's trace is %s", got)
	}
	s.post(404, "chat/rooms/99/messages?text=hello", "")
	const second = "4bf92f3577b34da6a3ce929d0e0e4737"
	s.get(200, "portal/proxy/game/email/mail?user=demo&access_token=demo", "traceparent", strings.Replace(traceparent, traceID, second, 1))
	s.end() // sends what is queued
	defer s.boot()
	found := c.of(traceID)
	portal, chat := found["POST portal"], found["POST chat"]
	if portal == nil || chat == nil {
		t.Fatalf("the collector has %v of the trace, want a span of portal and one of chat", found)
	}
	if got := hex.EncodeToString(portal.ParentSpanId); got != "00f067aa0ba902b7" {
		t.Errorf("the portal's span is below %s, want the caller's", got)
	}
	if string(chat.ParentSpanId) != string(portal.SpanId) {
		t.Errorf("chat's span is below %x, want the portal's, %x", chat.ParentSpanId, portal.SpanId)
	}
	if portal.StartTimeUnixNano > chat.StartTimeUnixNano || portal.EndTimeUnixNano < chat.EndTimeUnixNano || len(chat.SpanId) != 8 {
		t.Errorf("chat's span does not lie within the portal's: %v %v", portal, chat)
	}
	above := "00f067aa0ba902b7"
	for _, name := range []string{"GET portal", "GET game", "GET email"} {
		span := c.of(second)[name]
		if span == nil || hex.EncodeToString(span.ParentSpanId) != above {
			t.Fatalf("the way over three services has, for %s, %v below %s", name, span, above)
		}
		above = hex.EncodeToString(span.SpanId)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.names) == 0 || c.names[0] != "bridge" || c.header.Get("X-Key") != "warp" {
		t.Errorf("spans of %v came with %v", c.names, c.header)
	}
	for _, span := range c.spans {
		status := int64(0)
		for _, a := range span.Attributes {
			if a.Key == "http.response.status_code" {
				status = a.Value.GetIntValue()
			}
		}
		if strings.HasPrefix(span.Name, "POST ") && status != 200 && status != 404 {
			t.Errorf("span %s has status %d", span.Name, status)
		}
	}
}

// Without OTEL_*, and with the SDK switched off, nothing is sent; a collector that is gone holds nobody up.
func TestSpansStayWithoutACollector(t *testing.T) {
	c := collect(t)
	for _, env := range [][]string{{}, {"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_SDK_DISABLED=true"}, {"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_TRACES_EXPORTER=none"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_TRACES_SAMPLER=always_off"}} {
		s := start(t, env...)
		s.get(200, "chat/rooms", "traceparent", traceparent)
		s.restart()
	}
	if found := c.of(traceID); len(found) != 0 {
		t.Errorf("spans were sent: %v", found)
	}
	gone, log := startLogged(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	if r := gone.get(200, "chat/rooms", "traceparent", traceparent); r.Header.Get("X-QNetworks-Trace") != traceID {
		t.Error("without its collector the trace is lost")
	}
	gone.end()
	if !strings.Contains(log.String(), "traces are lost") {
		t.Error("the log does not say that the collector is gone")
	}
	gone.boot()
}
