package hub

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/event"
)

// LocalOptions configure a Local hub; the zero value is a hub for tests.
type LocalOptions struct {
	// Epoch names the database that the ids belong to; "" makes a random one, which is right
	// only where no position is kept beyond the process.
	Epoch string
	// FirstID is the first id given out when Reserve is nil; 0 means 1.
	FirstID int64
	// Reserve durably sets aside n ids and returns the first of them; every call must return
	// a higher range than all before it, also over restarts. NewLocal asks once, and a
	// goroutine of the hub asks again whenever half of a block is used. Nil: ids live in memory.
	Reserve func(ctx context.Context, n int64) (first int64, err error)
	// Block is how many ids are reserved at once; 0 means 1<<20.
	Block int64
	// Ring is how many events a stream keeps for replay, and how far a subscriber may fall
	// behind before ErrSlow; 0 means 4096. Ephemeral events take a place too.
	Ring int
	// RingBytes bounds the same ring by size; 0 means 4 MiB. The newest event is always kept.
	RingBytes int
	// TotalBytes bounds all streams together; 0 means 64 MiB. Over it, idle streams are forgotten
	// and every stream that grows keeps no more than 64 KiB.
	TotalBytes int
	// IdleStreams is how many streams without a subscriber are kept; 0 means 1024.
	IdleStreams int
	// IdleAfter is how long a stream without subscribers and events is kept; 0 means 30 minutes.
	IdleAfter time.Duration
	// Log hears of failed reservations; nil is silent.
	Log *slog.Logger
	// Now is the clock, for events without a time and for idle streams; nil means time.Now.
	Now func() time.Time
}

// Local is the hub of a single process.
//
// A stream is one ring of encoded events; a subscriber is an offset in it, so a publish
// costs the same for one subscriber and for a thousand, and the queue of a subscriber is
// the ring itself: whoever is overtaken by it gets ErrSlow at the next call of Next. Where
// that happens the rest of the queue is gone with it; the subscriber resumes from its last
// id and is told if that is no longer possible.
//
// Streams appear when they are first named. Those that nobody listens to are forgotten
// after a time or when there are too many; a position in a forgotten stream is answered
// with Recovered false unless nothing can have been missed.
type Local struct {
	opts LocalOptions
	ids  allocator
	done chan struct{} // closed by Close

	mu    sync.RWMutex // guards table, lost and the sweep's marks
	table map[string]*stream
	// lost is the highest id of any event that went with a forgotten stream, or of a time
	// before this process: a new stream cannot vouch for anything up to it.
	lost      int64
	sweepSize int       // sweep when the table grows to this,
	sweepTime time.Time // or when this time has come,
	crampTime time.Time // or, over TotalBytes, this one
	bytes     atomic.Int64
	closeOnce sync.Once
}

// NewLocal returns a running hub; call Close to end it. It fails, with an errs.Unavailable,
// only when the first block of ids cannot be reserved.
func NewLocal(ctx context.Context, opts LocalOptions) (*Local, error) {
	if opts.Epoch == "" {
		opts.Epoch = rand.Text()[:12]
	}
	opts.FirstID = orDefault(opts.FirstID, 1)
	opts.Block = orDefault(opts.Block, 1<<20)
	opts.Ring = orDefault(opts.Ring, 4096)
	opts.RingBytes = orDefault(opts.RingBytes, 4<<20)
	opts.TotalBytes = orDefault(opts.TotalBytes, 64<<20)
	opts.IdleStreams = orDefault(opts.IdleStreams, 1024)
	opts.IdleAfter = orDefault(opts.IdleAfter, 30*time.Minute)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	h := &Local{opts: opts, done: make(chan struct{}), table: map[string]*stream{}}
	h.sweepSize = opts.IdleStreams + 1
	h.sweepTime = opts.Now().Add(opts.IdleAfter / 2)
	if err := h.ids.start(ctx, opts); err != nil {
		return nil, err
	}
	h.lost = h.ids.next - 1
	return h, nil
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}

// Epoch returns the epoch of all streams.
func (h *Local) Epoch() string { return h.opts.Epoch }

// Check fails with ErrClosed after Close, and with an errs.Unavailable when ids ran out
// because the store does not reserve more.
func (h *Local) Check(context.Context) error {
	if h.closed() {
		return ErrClosed
	}
	return h.ids.check()
}

// Close ends all subscriptions with ErrClosed, after what they had queued, and waits for
// the hub's own goroutine. Publish and Subscribe fail with ErrClosed from then on.
func (h *Local) Close() {
	h.closeOnce.Do(func() {
		h.mu.Lock()
		close(h.done)
		h.mu.Unlock()
		h.ids.stop()
	})
}

func (h *Local) closed() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// Publish implements Hub. It never waits; it fails with ErrClosed or, when ids ran out, errs.Unavailable.
func (h *Local) Publish(_ context.Context, name string, events ...event.Event) (int64, error) {
	for {
		s, err := h.stream(name)
		if err != nil {
			return 0, err
		}
		id, gone, err := s.append(h, events)
		if !gone {
			return id, err
		}
	}
}

// Subscribe implements Hub. It fails only with ErrClosed or the context's error.
func (h *Local) Subscribe(ctx context.Context, name string, from *Position) (Subscription, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		s, err := h.stream(name)
		if err != nil {
			return nil, err
		}
		if sub := s.subscribe(h, ctx, from); sub != nil {
			return sub, nil
		}
	}
}

// stream returns the named stream and makes it when it is new.
func (h *Local) stream(name string) (*stream, error) {
	h.mu.RLock()
	now := h.opts.Now()
	s, due := h.table[name], now.After(h.sweepTime) ||
		(h.bytes.Load() > int64(h.opts.TotalBytes) && now.After(h.crampTime))
	h.mu.RUnlock()
	if h.closed() {
		return nil, ErrClosed
	}
	if s != nil && !due {
		return s, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.table) >= h.sweepSize || due {
		h.sweep()
	}
	if s = h.table[name]; s == nil {
		s = newStream(name, h.lost)
		s.used = now
		h.table[name] = s
	}
	return s, nil
}

// allocator hands out ids that only grow, from blocks that were reserved ahead.
type allocator struct {
	reserve func(ctx context.Context, n int64) (int64, error)
	block   int64
	log     *slog.Logger
	mu      sync.Mutex // guards next, end and spare*
	next    int64      // the next id to give out
	end     int64      // one past the last of this block
	spare   int64      // first id of the block reserved ahead; 0 means none
	kick    chan struct{}
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	failing atomic.Bool
}

func (a *allocator) start(ctx context.Context, opts LocalOptions) error {
	a.reserve, a.block, a.log = opts.Reserve, opts.Block, opts.Log
	if a.reserve == nil {
		a.next, a.end = opts.FirstID, 1<<63-1
		return nil
	}
	first, err := a.reserve(ctx, a.block)
	if err == nil && first < 1 {
		err = fmt.Errorf("reserved ids begin at %d", first)
	}
	if err != nil {
		return errs.Wrap(errs.Unavailable, err, "The hub could not reserve event ids; check the database")
	}
	a.next, a.end = first, first+a.block
	a.kick = make(chan struct{}, 1)
	ctx, a.cancel = context.WithCancel(context.Background())
	a.wg.Go(func() { a.run(ctx) })
	return nil
}

func (a *allocator) stop() {
	if a.cancel != nil {
		a.cancel()
		a.wg.Wait()
	}
}

// take returns an id higher than all before it.
func (a *allocator) take() (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next == a.end {
		if a.spare == 0 {
			a.ahead()
			return 0, errs.New(errs.Unavailable, "The hub has no event ids left; the database does not reserve more")
		}
		a.next, a.end, a.spare = a.spare, a.spare+a.block, 0
	}
	id := a.next
	a.next++
	if a.spare == 0 && a.kick != nil && a.end-a.next <= a.block/2 {
		a.ahead()
	}
	return id, nil
}

func (a *allocator) ahead() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

func (a *allocator) check() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next == a.end && a.spare == 0 {
		return errs.New(errs.Unavailable, "The hub has no event ids left; the database does not reserve more")
	}
	return nil
}

// run reserves the next block each time it is asked to, so that no publisher waits for the store.
func (a *allocator) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.kick:
		}
		a.mu.Lock()
		have, end := a.spare != 0, a.end
		a.mu.Unlock()
		if have {
			continue
		}
		first, err := a.reserve(ctx, a.block)
		if err == nil && first < end {
			err = fmt.Errorf("reserved ids begin at %d, below %d which are already given out", first, end)
		}
		if err != nil {
			if ctx.Err() == nil && !a.failing.Swap(true) {
				a.log.Error("hub: cannot reserve event ids", "err", err)
			}
			// The next publish asks again: no timer is needed, for without events no ids are.
			continue
		}
		a.failing.Store(false)
		a.mu.Lock()
		a.spare = first
		a.mu.Unlock()
	}
}
