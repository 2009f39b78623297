package chat_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

// Ten thousand connections of every protocol, ended in every way, leave no goroutine, no seat and no room behind.
func TestConnectionsLeaveNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	w := start(t, "")
	room := w.room("r")
	w.post(room, 1, 30)
	connections := 10_000
	if testing.Short() {
		connections = 300
	}
	protocols := []struct{ path, protocol, first string }{
		{"/ws/rooms/1?after=0", "", ""},
		{"/ws/rooms/1", "", ""},
		{"/ws", "veze.v1", `{"op":"hello","resume":{"1":{"seq":0}}}`},
		{"/ws", "veze.v1", `{"op":"hello"}`},
		{"/ws", "veze.v1", ""},
		{"/connection/websocket", "", `{"id":1,"connect":{}}` + "\n" + `{"id":2,"subscribe":{"channel":"room:1","recover":true}}`},
		{"/connection/websocket", "", `{"id":1,"connect":{}}`},
	}
	var buffers, workers = sync.Pool{}, sync.WaitGroup{}
	for worker := range 16 {
		workers.Go(func() {
			for i := range connections / 16 {
				p := protocols[(worker+i)%len(protocols)]
				dialer := websocket.Dialer{ReadBufferSize: 512, WriteBufferPool: &buffers}
				if p.protocol != "" {
					dialer.Subprotocols = []string{p.protocol}
				}
				c, _, err := dialer.Dial("ws"+strings.TrimPrefix(w.srv.URL, "http")+p.path, http.Header{"Authorization": {"Bearer agent"}})
				if err != nil {
					t.Errorf("%s: %v", p.path, err)
					return
				}
				if p.first != "" {
					c.WriteMessage(websocket.TextMessage, []byte(p.first))
				}
				switch rand.N(3) {
				case 0: // cut at once
				case 1: // after a frame, where one comes
					if p.first != "" {
						read(c)
					}
				case 2: // with a close frame
					c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""))
				}
				c.Close()
			}
		})
	}
	workers.Wait()
	eventually(t, func() error {
		if n := w.svc.Stats().Conns; n != 0 {
			return fmt.Errorf("%d connections are open", n)
		}
		return nil
	})
	w.stop()
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/VictoriaMetrics/metrics.summariesSwapCron"))
}

// eventually asks again until ok or twenty seconds have passed.
func eventually(t *testing.T, ok func() error) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
