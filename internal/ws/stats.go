package ws

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// Stats are counts since the start, except Conns.
type Stats struct {
	Conns    int            // open now
	Opened   int64          // handshakes done
	Refused  int64          // handshakes that came to nothing: too many connections, a drain, a wrong origin, no WebSocket
	Closed   map[Code]int64 // by the code that ended the connection
	Received int64          // messages read
	Frames   int64          // messages queued for writing by Send and Push, and published to topics, each once
	Bytes    int64          // bytes written to all sockets
	Writes   int64          // writes to all sockets; Bytes/Writes shows the batching
}

// Stats returns the counts as they are now.
func (e *Edge) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{
		Conns: e.count, Closed: maps.Clone(e.closed), Opened: e.opened.Load(), Refused: e.refused.Load(), Received: e.received.Load(),
		Frames: e.frames.Load(), Bytes: e.bytes.Load(), Writes: e.writes.Load(),
	}
}

// named are the codes that figures tell apart; a peer may close with any other.
var named = [...]Code{Normal, GoingAway, ProtocolError, Unsupported, NoStatus, Abnormal, BadText, TooBig, Shutdown, ServerError, Expired, SlowConsumer,
	WriteError, InsufficientState, NoPong, TooManyRequests, InvalidToken, BadRequest, Stale, ForceNoReconnect, ConnectionLimit, PermissionDenied}

// WriteMetrics writes the counts as Prometheus text; name is what their names begin with, "uniqverse_chat_sockets" say.
func (s Stats) WriteMetrics(w io.Writer, name string) {
	other := int64(0)
	for code, n := range s.Closed {
		if !slices.Contains(named[:], code) {
			other += n
		}
	}
	fmt.Fprintf(w, "%s %d\n%[1]s_opened_total %[3]d\n%[1]s_refused_total %[4]d\n", name, s.Conns, s.Opened, s.Refused)
	for _, code := range named {
		fmt.Fprintf(w, "%s_closed_total{code=\"%d\"} %d\n", name, code, s.Closed[code])
	}
	fmt.Fprintf(w, "%s_closed_total{code=\"other\"} %d\n", name, other)
	fmt.Fprintf(w, "%s_received_total %d\n%[1]s_frames_total %[3]d\n%[1]s_written_bytes_total %[4]d\n%[1]s_writes_total %[5]d\n", name, s.Received, s.Frames, s.Bytes, s.Writes)
}
