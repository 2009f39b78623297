package registry_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"uniqverse/internal/registry"
)

func TestUpgradeThroughProxies(t *testing.T) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		c, err := up.Upgrade(w, r, http.Header{"X-Echo": {"yes"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for {
			typ, b, err := c.ReadMessage()
			if err != nil {
				return
			}
			if err := c.WriteMessage(typ, b); err != nil {
				return
			}
		}
	})
	both(t, registry.Options{}, echo, func(t *testing.T, c *http.Client) {
		front := httptest.NewServer(&httputil.ReverseProxy{
			Transport: c.Transport,
			Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(&url.URL{Scheme: "http", Host: "svc"}) },
			ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		})
		defer front.Close()
		conn, res, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(front.URL, "http")+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if res.Header.Get("X-Echo") != "yes" {
			t.Error("the handshake's headers are lost")
		}
		conn.SetReadDeadline(time.Now().Add(patience))
		for _, n := range []int{0, 1, 125, 126, 70_000, 300_000} {
			want := bytes.Repeat([]byte("x"), n)
			if err := conn.WriteMessage(websocket.TextMessage, want); err != nil {
				t.Fatal(err)
			}
			if _, got, err := conn.ReadMessage(); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("echo of %d bytes: %d bytes, %v", n, len(got), err)
			}
		}
		// A refused upgrade is an ordinary answer.
		_, res, err = websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(front.URL, "http")+"/no", nil)
		if err == nil || res == nil || res.StatusCode != http.StatusTeapot {
			t.Errorf("refused upgrade: %v, %v", res, err)
		}
	})
}

func TestHijackThatIsNoUpgrade(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("write after hijack: %v", err)
		}
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("second hijack: %v", err)
		}
		brw.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nby hand")
		brw.Flush()
	})
	both(t, registry.Options{}, h, func(t *testing.T, c *http.Client) {
		if got := text(t, do(t, c, request(t, "GET", "http://svc/", nil))); got != "by hand" {
			t.Errorf("got %q", got)
		}
	})
}

func TestResponseController(t *testing.T) {
	r := modes[0].open(t, registry.Options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if err := rc.SetReadDeadline(time.Now()); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("SetReadDeadline: %v", err)
		}
		if err := errors.Join(rc.SetWriteDeadline(time.Now().Add(time.Hour)), rc.EnableFullDuplex(), rc.Flush()); err != nil {
			t.Error(err)
		}
		if r.RemoteAddr != registry.InProcess {
			t.Errorf("remote address %q", r.RemoteAddr)
		}
	}))
	do(t, r.Client("svc"), request(t, "GET", "http://svc/", nil))
}
