package hub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"uniqverse/hub"
	"uniqverse/hub/hubtest"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
)

func open(t testing.TB, opts hub.LocalOptions) *hub.Local {
	t.Helper()
	h, err := hub.NewLocal(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func TestLocal(t *testing.T) {
	t.Run("defaults but a smaller ring", func(t *testing.T) {
		hubtest.Run(t, func(t *testing.T) hub.Hub { return open(t, hub.LocalOptions{Ring: 2000}) })
	})
	t.Run("bounded by bytes", func(t *testing.T) {
		hubtest.Run(t, func(t *testing.T) hub.Hub { return open(t, hub.LocalOptions{RingBytes: 600_000}) })
	})
	t.Run("reserved ids", func(t *testing.T) {
		s := &sequence{}
		hubtest.Run(t, func(t *testing.T) hub.Hub {
			return open(t, hub.LocalOptions{Ring: 2000, Reserve: s.reserve, Block: 1 << 13})
		})
	})
}

// sequence is a store's high-water mark.
type sequence struct {
	mu   sync.Mutex
	next int64
	fail error
	asks chan struct{} // told of every call, when not nil
}

func (s *sequence) reserve(_ context.Context, n int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asks != nil {
		defer func() { s.asks <- struct{}{} }()
	}
	if s.fail != nil {
		return 0, s.fail
	}
	first := s.next + 1
	s.next += n
	return first, nil
}

func TestIDsGrowOverRestarts(t *testing.T) {
	s := &sequence{}
	var last int64
	for start := range 5 {
		h := open(t, hub.LocalOptions{Epoch: "e", Reserve: s.reserve})
		for range 10 {
			id, err := h.Publish(t.Context(), "a", hubtest.Event(0))
			if err != nil {
				t.Fatal(err)
			}
			if id <= last {
				t.Fatalf("start %d: id %d after %d", start, id, last)
			}
			// A position from before this start, below the floor, is not served.
			if last != 0 {
				sub, err := h.Subscribe(t.Context(), "a", &hub.Position{After: last - 1, Epoch: "e"})
				if err != nil {
					t.Fatal(err)
				}
				if old := last-1 < id-10; old && sub.Recovered() {
					t.Fatal("a position of an earlier process was recovered")
				}
				sub.Close()
			}
			last = id
		}
		h.Close()
	}
}

func TestPositionOfEarlierProcess(t *testing.T) {
	h := open(t, hub.LocalOptions{Epoch: "e", FirstID: 1000})
	for _, tt := range []struct {
		after int64
		want  bool
	}{{0, true}, {1, false}, {998, false}, {999, true}, {1000, false}} {
		sub, err := h.Subscribe(t.Context(), "a", &hub.Position{After: tt.after, Epoch: "e"})
		if err != nil {
			t.Fatal(err)
		}
		if sub.Recovered() != tt.want {
			t.Errorf("after %d: Recovered %v, want %v", tt.after, !tt.want, tt.want)
		}
		sub.Close()
	}
}

func TestReserveAheadAndRunningOut(t *testing.T) {
	s := &sequence{asks: make(chan struct{}, 100)}
	h := open(t, hub.LocalOptions{Reserve: s.reserve, Block: 10})
	<-s.asks
	pub := func() error {
		_, err := h.Publish(t.Context(), "a", hubtest.Event(0))
		return err
	}
	for range 5 {
		if err := pub(); err != nil {
			t.Fatal(err)
		}
	}
	<-s.asks // half of the block is used: the next is there before it is needed
	s.mu.Lock()
	s.fail = errors.New("disk is full")
	s.mu.Unlock()
	var err error
	for range 10 + 5 + 1 {
		if err = pub(); err != nil {
			break
		}
	}
	if !errs.Is(err, errs.Unavailable) || !errs.Is(h.Check(t.Context()), errs.Unavailable) {
		t.Fatalf("out of ids: publish %v, check %v", err, h.Check(t.Context()))
	}
	s.mu.Lock()
	s.fail = nil
	s.mu.Unlock()
	for deadline := time.Now().Add(hubtest.Patience); pub() != nil; { // mends itself
		if time.Now().After(deadline) {
			t.Fatal("did not recover when the store did")
		}
		<-s.asks
	}
}

func TestNewLocalNeedsItsFirstBlock(t *testing.T) {
	s := &sequence{fail: errors.New("locked")}
	if _, err := hub.NewLocal(t.Context(), hub.LocalOptions{Reserve: s.reserve}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("got %v, want errs.Unavailable", err)
	}
}

func TestCloseDeliversTheQueueFirst(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := &sequence{}
	h := open(t, hub.LocalOptions{Reserve: s.reserve})
	sub, err := h.Subscribe(t.Context(), "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if _, err := h.Publish(t.Context(), "a", hubtest.Event(n)); err != nil {
			t.Fatal(err)
		}
	}
	h.Close()
	h.Close()
	for n := range 3 {
		if _, err := sub.Next(t.Context()); err != nil {
			t.Fatalf("event %d after close: %v", n, err)
		}
	}
	if _, err := sub.Next(t.Context()); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Next: %v, want ErrClosed", err)
	}
	if _, err := h.Publish(t.Context(), "a", hubtest.Event(0)); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Publish: %v, want ErrClosed", err)
	}
	if _, err := h.Subscribe(t.Context(), "a", nil); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Subscribe: %v, want ErrClosed", err)
	}
	if err := h.Check(t.Context()); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Check: %v, want ErrClosed", err)
	}
}

// A forgotten stream must never make a gap look recovered: the property is checked against
// a full history of what was published, over random traffic, sweeps and positions.
func TestForgottenStreamsHideNoGap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	now := time.UnixMilli(1_700_000_000_000)
	h := open(t, hub.LocalOptions{
		Epoch: "e", Ring: 8, IdleStreams: 9, IdleAfter: time.Minute, TotalBytes: 40_000,
		Now: func() time.Time { return now },
	})
	history := map[string][]int64{}
	recovered, refused := 0, 0
	for step := range 20_000 {
		name := fmt.Sprint("s", rnd.IntN(12))
		now = now.Add(time.Duration(rnd.IntN(2000)) * time.Millisecond)
		if rnd.IntN(2) == 0 {
			id, err := h.Publish(t.Context(), name, hubtest.Event(step))
			if err != nil {
				t.Fatal(err)
			}
			history[name] = append(history[name], id)
			continue
		}
		ids := history[name]
		if len(ids) == 0 {
			continue
		}
		at := max(0, len(ids)-1-rnd.IntN(5))
		sub, err := h.Subscribe(t.Context(), name, &hub.Position{After: ids[at], Epoch: "e"})
		if err != nil {
			t.Fatal(err)
		}
		if !sub.Recovered() {
			refused++
			sub.Close()
			continue
		}
		recovered++
		for _, want := range ids[at+1:] {
			if m, err := sub.Next(t.Context()); err != nil || m.ID != want {
				t.Fatalf("step %d: got %d, %v, want %d", step, m.ID, err, want)
			}
		}
		sub.Close()
	}
	if recovered < 1000 || refused < 1000 {
		t.Errorf("recovered %d, refused %d: the test does not reach both", recovered, refused)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	ev := event.Event{Type: event.MailReceived, Payload: []byte(`{"x":"` + string(make([]byte, 4000)) + `"}`)}
	// The clock moves, for streams are forgotten at most once in a second of it.
	now := time.Now().Add(time.Minute)
	h := open(t, hub.LocalOptions{TotalBytes: 1 << 20, Now: func() time.Time { now = now.Add(time.Millisecond * 20); return now }})
	for i := range 5000 {
		if _, err := h.Publish(t.Context(), fmt.Sprint("email:events:", i), ev); err != nil {
			t.Fatal(err)
		}
		if b := hub.KeptBytes(h); b > 3<<20 {
			t.Fatalf("after %d streams %d bytes are kept, the bound is 1 MiB", i, b)
		}
	}
}

func TestSubscriptionsDoNotLeak(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := open(t, hub.LocalOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 200 {
		sub, err := h.Subscribe(ctx, fmt.Sprint("s", i%7), nil)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for {
				if _, err := sub.Next(context.Background()); err != nil {
					return
				}
			}
		})
	}
	cancel()
	wg.Wait()
	h.Close()
}

func BenchmarkPublishDeliver(b *testing.B) {
	for _, subs := range []int{1, 100} {
		b.Run(fmt.Sprintf("subscribers=%d", subs), func(b *testing.B) {
			h := open(b, hub.LocalOptions{})
			var wg sync.WaitGroup
			for range subs {
				sub, err := h.Subscribe(b.Context(), "a", nil)
				if err != nil {
					b.Fatal(err)
				}
				wg.Go(func() {
					defer sub.Close()
					for n := 0; n < b.N; n++ {
						if _, err := sub.Next(context.Background()); err != nil {
							return // ErrSlow: the publisher does not wait
						}
					}
				})
			}
			ev := hubtest.Event(1)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, err := h.Publish(b.Context(), "a", ev); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			h.Close()
			wg.Wait()
		})
	}
}
