package web_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"uniqverse/internal/web"
	"uniqverse/templates"
)

// held is a handler with one route that waits, and these limits.
func held(t *testing.T, limits web.Limits) (h *web.Handler, entered, leave chan struct{}) {
	t.Helper()
	set, err := templates.New(templates.Options{})
	if err != nil {
		t.Fatal(err)
	}
	entered, leave = make(chan struct{}, 8), make(chan struct{})
	h, err = web.New(web.Options{Service: "test", Title: "Test", Version: "0", Auth: who{}, Templates: set, Site: &web.Site{}, Limits: limits,
		Metrics: metrics.NewSet(), Log: slog.New(slog.DiscardHandler), Now: time.Now, Endpoints: []web.Endpoint{
			web.Query(http.MethodPost, "/wait", web.Anyone(), "wait", func(*web.Call, web.None) (web.None, error) {
				entered <- struct{}{}
				<-leave
				return web.None{}, nil
			}),
		}})
	if err != nil {
		t.Fatal(err)
	}
	return h, entered, leave
}

// Beyond the number of requests that are served at a time one is told to come again; health is always asked.
func TestConcurrencyIsBounded(t *testing.T) {
	h, entered, leave := held(t, web.Limits{Concurrent: 2})
	done := make(chan int, 2)
	for range 2 {
		go func() { done <- do(h, "POST", "/wait", "").Code }()
		<-entered
	}
	if w := do(h, "POST", "/wait", ""); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("a third request: %d %v", w.Code, w.Header())
	}
	if w := do(h, "GET", "/health", ""); w.Code != 200 {
		t.Errorf("health: %d", w.Code)
	}
	close(leave)
	for range 2 {
		if code := <-done; code != 200 {
			t.Errorf("a request that was let in: %d", code)
		}
	}
	if w := do(h, "POST", "/wait", ""); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// A body that never comes is given up; headers and idle connections have their time and size.
func TestTimesAreBounded(t *testing.T) {
	h, _, leave := held(t, web.Limits{BodyTime: 20 * time.Millisecond})
	close(leave)
	srv := web.NewServer(h, slog.New(slog.DiscardHandler))
	if srv.ReadHeaderTimeout <= 0 || srv.ReadHeaderTimeout > 30*time.Second || srv.IdleTimeout <= 0 || srv.MaxHeaderBytes <= 0 || srv.MaxHeaderBytes > 64<<10 {
		t.Errorf("the server's bounds are %v for headers, %v idle and %d bytes", srv.ReadHeaderTimeout, srv.IdleTimeout, srv.MaxHeaderBytes)
	}
	test := httptest.NewUnstartedServer(nil)
	test.Config = srv
	test.Start()
	defer test.Close()
	conn, err := net.Dial("tcp", test.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, "POST /wait HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
	answer, err := io.ReadAll(conn)
	if err != nil || len(answer) < 12 || string(answer[9:12]) != "400" {
		t.Errorf("a body that stays away: %v\n%s", err, answer)
	}
}
