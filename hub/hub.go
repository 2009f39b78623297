// Package hub carries named streams of events between the services, and to every socket and
// event stream that listens.
//
// What holds for every implementation (hubtest.Run checks it):
//
//   - Order: subscribers see a stream's events in the order of their ids; ids only grow
//     within a stream, also over a restart of the process.
//   - Position: an id belongs to an epoch. The epoch changes only when the database itself
//     was replaced. A subscriber that presents an id and the epoch it saw gets exactly what
//     came after, in order, without gap or repeat, or Subscription.Recovered is false and
//     it gets only what is new: never a part.
//   - Slow subscribers: publishing never blocks on them. One whose queue exceeds its bound
//     is closed with ErrSlow after what was queued, and resumes from its last id.
//   - Words that were taken back: once an event says that a line of a room is gone (event.Silences), those before it
//     that told of the line are delivered without its text.
//   - Ephemeral events (presence, typing) take an id but are not kept for replay.
//
// The hub is the hint, the store is the truth: what must not be lost is in the store before
// it is published, and rooms replay from the store by their seq.
//
// The in-process hub (Local) serves one process only; Redis Streams come behind the same
// interface. Everything here is safe for concurrent use.
package hub

import (
	"context"
	"errors"

	"uniqverse/internal/event"
)

// ErrSlow closes a subscription whose reader fell behind its bounded queue.
var ErrSlow = errors.New("hub: subscriber too slow")

// ErrClosed is returned by a hub, and ends the subscriptions of a hub, that was shut down.
var ErrClosed = errors.New("hub: closed")

// Message is an event as the hub delivers it.
type Message struct {
	Stream string
	ID     int64  // grows within the stream
	Data   []byte // the whole event as one line of JSON (event.Encode); shared: do not change
	event.Event
}

// Position is where in a stream a subscriber wants to begin.
type Position struct {
	After int64  // the last id seen; 0 for the oldest that is kept
	Epoch string // the epoch in which After was seen; "" skips the check of the epoch
}

// Hub is publish and subscribe over named streams.
type Hub interface {
	// Publish appends events to the stream in the order given and returns the last id. It does not wait
	// for subscribers. It fails with ErrClosed, or an errs.Unavailable where the hub is remote.
	Publish(ctx context.Context, stream string, events ...event.Event) (int64, error)
	// Subscribe delivers the stream's events: from == nil only new ones, else all after the
	// position, or Recovered() false. It ends when ctx ends or Close is called.
	Subscribe(ctx context.Context, stream string, from *Position) (Subscription, error)
	// Epoch returns the epoch of all streams of this hub.
	Epoch() string
	// Check reports whether the hub can take events; it is what /health asks.
	Check(ctx context.Context) error
}

// Subscription is one subscriber's view of a stream. Next is for one goroutine at a time.
type Subscription interface {
	// Next waits for the next message. After the last it returns ErrSlow, ErrClosed or the
	// context's error.
	Next(ctx context.Context) (Message, error)
	// Recovered is false when a position was asked for and could not be served without a gap.
	Recovered() bool
	// Close ends the subscription and frees its queue; it may be called more than once.
	Close()
}
