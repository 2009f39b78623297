package ws_test

import (
	"strings"
	"testing"

	"uniqverse/internal/ws"
)

func TestStatsAsMetrics(t *testing.T) {
	var b strings.Builder
	ws.Stats{Conns: 3, Opened: 9, Refused: 2, Closed: map[ws.Code]int64{ws.SlowConsumer: 4, 4123: 1, 4999: 1}, Received: 5, Frames: 6, Bytes: 7, Writes: 8}.WriteMetrics(&b, "x")
	for _, want := range []string{"x 3", "x_opened_total 9", "x_refused_total 2", `x_closed_total{code="3008"} 4`, `x_closed_total{code="1009"} 0`, `x_closed_total{code="other"} 2`,
		"x_received_total 5", "x_frames_total 6", "x_written_bytes_total 7", "x_writes_total 8"} {
		if !strings.Contains("\n"+b.String(), "\n"+want+"\n") {
			t.Errorf("no line %q in\n%s", want, b.String())
		}
	}
	if n := strings.Count(b.String(), "_closed_total"); n != 23 {
		t.Errorf("%d codes are told apart", n)
	}
}
