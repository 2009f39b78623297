package ws

import "time"

// TopicOptions configure a Topic.
type TopicOptions struct {
	// Last is the highest seq that exists already: the next published is expected to be Last+1,
	// and anything up to Last is dropped because the store replays it.
	Last int64
	// Window is how many bytes of frames are kept for subscribers that lag; 0 means 1 MiB.
	Window int
	// GapWait is how long frames wait for a missing seq before it; 0 means 2 s.
	GapWait time.Duration
}

// Topic is the log of one room, fanned out to its subscribers.
type Topic struct{}

// NewTopic returns a topic whose subscribers are connections of this edge. It has no
// goroutine and needs no closing: one that nobody holds is simply gone.
func (e *Edge) NewTopic(opts TopicOptions) *Topic { return &Topic{} }

// Publish hands a text message to every subscriber. seq is its place in the room's order,
// from 1 without gaps; 0 is for what has no place (presence, typing), which is sent where it comes.
func (t *Topic) Publish(seq int64, payload []byte) {}

// Attach subscribes the connection, paused: frames from now on are kept for it, within the
// window, and none is sent before Resume. A connection that ends is detached by itself.
func (t *Topic) Attach(c *Conn) *Sub { return &Sub{} }

// Last returns the highest seq published.
func (t *Topic) Last() int64 { return 0 }

// Len returns the number of subscribers.
func (t *Topic) Len() int { return 0 }

// Close detaches all subscribers and closes their connections.
func (t *Topic) Close(code Code, reason string) {}

// Sub is one connection's place in a topic.
type Sub struct{}

// Seq returns the highest seq that was published before Attach: a replay from the store must
// reach at least this far.
func (s *Sub) Seq() int64 { return 0 }

// Resume starts the live frames: all since Attach, except those with a seq up to after, which
// the caller has sent itself. For only what is new, pass Seq. A replay that ended short of
// Seq would leave a gap: then the connection is closed with InsufficientState and false returned.
func (s *Sub) Resume(after int64) bool { return false }

// Detach ends the subscription; frames not yet written are dropped.
func (s *Sub) Detach() {}
