package ws

import (
	"context"
	"errors"
)

// ErrGone says that the connection is closed, or its peer went away.
var ErrGone = errors.New("ws: connection is gone")

// Conn is one WebSocket connection. Its methods are safe for concurrent use and none of
// them waits for the socket, except Send.
type Conn struct{}

// Start begins to read. onMessage is called for one message at a time, in order, and owns
// data; while it runs nothing further is read. Nil ignores messages. onClose is called once,
// after the last onMessage, when the connection is over: code and reason are those of our
// side if it closed first, else the peer's. Nil is allowed. Both run on the connection's own goroutine.
func (c *Conn) Start(onMessage func(data []byte), onClose func(code Code, reason string)) {}

// Send queues a text message and waits while the queue is over its bound. It fails with
// ErrGone or the context's error; nil means queued, not received.
func (c *Conn) Send(ctx context.Context, payload []byte) error { return ErrGone }

// Push queues a text message and never waits: a connection whose queue is over its bound is
// closed with SlowConsumer. It reports whether the message was queued.
func (c *Conn) Push(payload []byte) bool { return false }

// Close ends the connection: what Send and Push queued is still written, then the close
// frame; frames of topics are not. The first Close counts. A reason over 123 bytes is cut.
func (c *Conn) Close(code Code, reason string) {}

// Done is closed when the connection is over, just before onClose is called.
func (c *Conn) Done() <-chan struct{} { return nil }

// Subprotocol returns the sub-protocol agreed on, or "".
func (c *Conn) Subprotocol() string { return "" }

// RemoteAddr returns the peer's address as the request had it.
func (c *Conn) RemoteAddr() string { return "" }
