package ws

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// EdgeOptions configure an Edge; the zero value has the product's defaults.
type EdgeOptions struct {
	MaxConns     int           // connections at one time, more are refused with errs.Unavailable; 0 means 20,000
	PingEvery    time.Duration // 0 means 25 s
	PongWait     time.Duration // after a ping; 0 means 10 s
	WriteTimeout time.Duration // for one write to make progress; 0 means 10 s
	CloseWait    time.Duration // for the peer's answer to a close frame; 0 means 2 s
	Spread       time.Duration // Shutdown closes connections over this time; 0 means 500 ms
	Log          *slog.Logger  // hears of failed handshakes and abuse at debug level; nil is silent
}

// Edge owns the connections and topics of one service.
type Edge struct{ opts EdgeOptions }

// NewEdge returns an edge that is ready to upgrade; call Shutdown to end it.
func NewEdge(opts EdgeOptions) *Edge { return &Edge{opts: opts} }

// Options say what one connection may do.
type Options struct {
	// Origin decides whether a page of the request's Origin may connect; it is asked only
	// when there is one. Nil allows an Origin whose host is the request's Host.
	Origin func(r *http.Request) bool
	// Protocols are the sub-protocols spoken, the preferred first. A client that offers none
	// of them gets none.
	Protocols []string
	// Header is added to the answer of the handshake.
	Header http.Header
	// ReadLimit bounds a message in bytes; over it the connection is closed with TooBig. 0 means 64 kB.
	ReadLimit int64
	// Binary allows binary messages; else they close the connection with Unsupported.
	Binary bool
	// Rate and Burst bound incoming messages and pings per second by a token bucket; beyond it
	// the connection is closed with TooManyRequests. 0 means 2 per second and a burst of 120;
	// a negative Rate switches the bound off.
	Rate  float64
	Burst int
	// Queue bounds what Send and Push have waiting, in bytes; 0 means 1 MiB.
	Queue int
	// Expires closes the connection with Expired at that time; zero means never.
	Expires time.Time
	// Hello closes the connection with Stale when no message came that long after Start; 0 means never.
	Hello time.Duration
}

// Upgrade answers the WebSocket handshake. The connection reads nothing before Start, and
// must be given to Start or Close.
//
// On error nothing was written, and the caller answers with the error: Malformed, NotAllowed,
// Denied (origin), Unavailable (too many connections, or shutting down), Internal. Only an
// error that is ErrGone needs no answer: the peer is not there any more.
func (e *Edge) Upgrade(w http.ResponseWriter, r *http.Request, opts Options) (*Conn, error) {
	return nil, ErrGone
}

// Shutdown refuses further upgrades, closes every connection with Shutdown (3001), spread
// over a short time so that not all clients come back at once, and waits for all goroutines.
// When ctx ends first it cuts the connections, waits for what is left and returns the context's error.
func (e *Edge) Shutdown(ctx context.Context) error { return nil }

// Stats are counts since the start, except Conns.
type Stats struct {
	Conns    int            // open now
	Opened   int64          // handshakes done
	Closed   map[Code]int64 // by the code that ended the connection
	Received int64          // messages read
	Frames   int64          // messages written
	Bytes    int64          // bytes written
	Writes   int64          // writes to sockets; Frames/Writes shows the batching
}

// Stats returns the counts as they are now.
func (e *Edge) Stats() Stats { return Stats{} }
