// Package hubtest is the conformance suite of package hub: what every implementation must do,
// as its doc comments say it. It tests nothing of how an implementation does it.
package hubtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/event"
)

// Patience is how long a test waits for something that must happen.
const Patience = 20 * time.Second

// Overflow is how many events surely overflow a subscriber that does not read. A hub
// under test must keep at least 64 events of a stream and fewer than this.
const Overflow = 3000

// Run checks a hub; open returns a new, empty one and registers its own clean-up.
func Run(t *testing.T, open func(t *testing.T) hub.Hub) {
	tests := []struct {
		name string
		run  func(t *testing.T, h hub.Hub)
	}{
		{"ids grow and are delivered in order", testOrder},
		{"an event arrives whole", testWhole},
		{"several events at once", testBatch},
		{"nil position gets only what is new", testOnlyNew},
		{"position zero gets the oldest kept", testFromZero},
		{"position replays exactly what came after", testReplayExact},
		{"wrong epoch is not recovered", testWrongEpoch},
		{"position of a lost future is not recovered", testFuture},
		{"position older than what is kept is not recovered", testTooOld},
		{"not recovered gets only what is new", testNeverAPart},
		{"ephemeral events are live only", testEphemeral},
		{"streams do not mix", testStreams},
		{"64 publishers, every subscriber sees one order", testConcurrent},
		{"resuming at random places loses and repeats nothing", testResume},
		{"a slow subscriber is told and blocks nobody", testSlow},
		{"ends with its context", testContext},
		{"next ends with its own context and goes on", testNextContext},
		{"close is final and may be repeated", testClose},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

// Event returns a small event whose payload is {"n":n}.
func Event(n int) event.Event {
	return event.Event{
		Type: event.ChatMessageCreated, Payload: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)),
		At: time.UnixMilli(1_700_000_000_000 + int64(n)),
	}
}

func number(t *testing.T, m hub.Message) int {
	t.Helper()
	var v struct {
		N     *int   `json:"n"`
		ID    int64  `json:"id"`
		Epoch string `json:"epoch"`
	}
	if err := json.Unmarshal(m.Data, &v); err != nil || v.N == nil {
		t.Fatalf("message %d: %v in %s", m.ID, err, m.Data)
	}
	if v.ID != m.ID {
		t.Fatalf("data says id %d, message %d", v.ID, m.ID)
	}
	return *v.N
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	return ctx
}

func publish(t *testing.T, h hub.Hub, stream string, from, to int) (ids []int64) {
	t.Helper()
	for n := from; n < to; n++ {
		id, err := h.Publish(t.Context(), stream, Event(n))
		if err != nil {
			t.Fatalf("publish %d: %v", n, err)
		}
		ids = append(ids, id)
	}
	return ids
}

func subscribe(t *testing.T, h hub.Hub, stream string, from *hub.Position) hub.Subscription {
	t.Helper()
	s, err := h.Subscribe(t.Context(), stream, from)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// expect reads the events from..to and nothing else between them.
func expect(t *testing.T, s hub.Subscription, from, to int) (last int64) {
	t.Helper()
	ctx := within(t)
	for n := from; n < to; n++ {
		m, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for %d: %v", n, err)
		}
		if got := number(t, m); got != n {
			t.Fatalf("got event %d, want %d", got, n)
		}
		if m.ID <= last {
			t.Fatalf("id %d after %d", m.ID, last)
		}
		last = m.ID
	}
	return last
}

func testOrder(t *testing.T, h hub.Hub) {
	s := subscribe(t, h, "a", nil)
	ids := publish(t, h, "a", 0, 50)
	for i := 1; i < len(ids); i++ {
		if ids[i] <= ids[i-1] {
			t.Fatalf("id %d after %d", ids[i], ids[i-1])
		}
	}
	if last := expect(t, s, 0, 50); last != ids[49] {
		t.Errorf("last id delivered %d, published %d", last, ids[49])
	}
}

func testWhole(t *testing.T, h hub.Hub) {
	s := subscribe(t, h, "a", nil)
	ev := Event(7)
	ev.Room, ev.Seq, ev.User, ev.Trace = 17, 3, "pilot", event.NewTrace()
	id, err := h.Publish(t.Context(), "a", ev)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Next(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if want := string(event.Encode(ev, id, h.Epoch())); string(m.Data) != want {
		t.Errorf("data\n%s, want\n%s", m.Data, want)
	}
	if m.Stream != "a" || m.ID != id || m.Type != ev.Type || m.Room != 17 || m.Seq != 3 || m.User != "pilot" || !m.At.Equal(ev.At) {
		t.Errorf("message %+v does not carry the event", m)
	}
}

func testBatch(t *testing.T, h hub.Hub) {
	s := subscribe(t, h, "a", nil)
	id, err := h.Publish(t.Context(), "a", Event(0), Event(1), Event(2))
	if err != nil {
		t.Fatal(err)
	}
	if last := expect(t, s, 0, 3); last != id {
		t.Errorf("Publish returned %d, the last event has %d", id, last)
	}
}

func testOnlyNew(t *testing.T, h hub.Hub) {
	publish(t, h, "a", 0, 5)
	s := subscribe(t, h, "a", nil)
	if !s.Recovered() {
		t.Error("nothing was asked for, but Recovered is false")
	}
	publish(t, h, "a", 5, 8)
	expect(t, s, 5, 8)
}

func testFromZero(t *testing.T, h hub.Hub) {
	empty := subscribe(t, h, "empty", &hub.Position{})
	publish(t, h, "a", 0, 5)
	s := subscribe(t, h, "a", &hub.Position{Epoch: h.Epoch()})
	if !s.Recovered() || !empty.Recovered() {
		t.Error("the oldest kept is always to be had, but Recovered is false")
	}
	expect(t, s, 0, 5)
	publish(t, h, "empty", 0, 2)
	expect(t, empty, 0, 2)
}

func testReplayExact(t *testing.T, h hub.Hub) {
	ids := publish(t, h, "a", 0, 40)
	for _, epoch := range []string{h.Epoch(), ""} {
		for i, id := range ids {
			s := subscribe(t, h, "a", &hub.Position{After: id, Epoch: epoch})
			if !s.Recovered() {
				t.Fatalf("event %d is kept but Recovered is false", i)
			}
			expect(t, s, i+1, 40)
			s.Close()
		}
	}
	// At the head: nothing, then what comes.
	s := subscribe(t, h, "a", &hub.Position{After: ids[39], Epoch: h.Epoch()})
	publish(t, h, "a", 40, 42)
	expect(t, s, 40, 42)
}

func testWrongEpoch(t *testing.T, h hub.Hub) {
	ids := publish(t, h, "a", 0, 5)
	for _, after := range []int64{0, ids[2], ids[4]} {
		s := subscribe(t, h, "a", &hub.Position{After: after, Epoch: h.Epoch() + "x"})
		if s.Recovered() {
			t.Errorf("after %d in another epoch: Recovered is true", after)
		}
	}
}

func testFuture(t *testing.T, h hub.Hub) {
	ids := publish(t, h, "a", 0, 5)
	s := subscribe(t, h, "a", &hub.Position{After: ids[4] + 1000, Epoch: h.Epoch()})
	if s.Recovered() {
		t.Error("an id that was never given out: Recovered is true")
	}
	publish(t, h, "a", 5, 7)
	expect(t, s, 5, 7)
}

func testTooOld(t *testing.T, h hub.Hub) {
	ids := publish(t, h, "a", 0, Overflow)
	s := subscribe(t, h, "a", &hub.Position{After: ids[0], Epoch: h.Epoch()})
	if s.Recovered() {
		t.Errorf("%d events later the first is still kept, or a gap is hidden", Overflow)
	}
	// From zero there is no promise to break: the oldest kept, without a gap from there on.
	z := subscribe(t, h, "a", &hub.Position{})
	m, err := z.Next(within(t))
	if err != nil || !z.Recovered() {
		t.Fatalf("oldest kept: %v, Recovered %v", err, z.Recovered())
	}
	expect(t, z, number(t, m)+1, Overflow)
}

func testNeverAPart(t *testing.T, h hub.Hub) {
	publish(t, h, "a", 0, 20)
	s := subscribe(t, h, "a", &hub.Position{After: 1, Epoch: "another"})
	publish(t, h, "a", 20, 23)
	expect(t, s, 20, 23)
}

func testEphemeral(t *testing.T, h hub.Hub) {
	live := subscribe(t, h, "a", nil)
	ids := publish(t, h, "a", 0, 2)
	ev := Event(2)
	ev.Ephemeral = true
	id, err := h.Publish(t.Context(), "a", ev)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, h, "a", 3, 5)
	if id <= ids[1] {
		t.Errorf("id %d of an ephemeral event after %d", id, ids[1])
	}
	expect(t, live, 0, 5)
	s := subscribe(t, h, "a", &hub.Position{After: ids[0], Epoch: h.Epoch()})
	if !s.Recovered() {
		t.Error("Recovered is false")
	}
	expect(t, s, 1, 2)
	expect(t, s, 3, 5)
	// A position may be the id of an ephemeral event, for that is what a subscriber saw last.
	s = subscribe(t, h, "a", &hub.Position{After: id, Epoch: h.Epoch()})
	if !s.Recovered() {
		t.Error("after an ephemeral event: Recovered is false")
	}
	expect(t, s, 3, 5)
}

func testStreams(t *testing.T, h hub.Hub) {
	a, b := subscribe(t, h, "a", nil), subscribe(t, h, "b", nil)
	for n := range 10 {
		publish(t, h, "a", n, n+1)
		publish(t, h, "b", 100+n, 101+n)
	}
	expect(t, a, 0, 10)
	expect(t, b, 100, 110)
}

func testConcurrent(t *testing.T, h hub.Hub) {
	const publishers, each, readers = 64, 20, 8
	subs := make([]hub.Subscription, readers)
	for i := range subs {
		subs[i] = subscribe(t, h, "a", nil)
	}
	orders := make([][]int, readers)
	var wg sync.WaitGroup
	ctx := within(t)
	errc := make(chan error, publishers+readers)
	for i, s := range subs {
		wg.Go(func() { orders[i] = readAll(ctx, h, s, publishers*each, errc) })
	}
	for p := range publishers {
		wg.Go(func() {
			for n := range each {
				if _, err := h.Publish(ctx, "a", Event(p*each+n)); err != nil {
					errc <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errc:
		t.Fatal(err)
	default:
	}
	next := make([]int, publishers)
	for _, n := range orders[0] {
		if n%each != next[n/each] {
			t.Fatalf("publisher %d: event %d out of its order", n/each, n%each)
		}
		next[n/each]++
	}
	for i := range orders {
		for k, n := range orders[i] {
			if orders[0][k] != n {
				t.Fatalf("subscribers 0 and %d disagree at place %d", i, k)
			}
		}
	}
}

// readAll reads want events and resumes where it is told that it was too slow.
func readAll(ctx context.Context, h hub.Hub, s hub.Subscription, want int, errc chan<- error) (got []int) {
	var last int64
	for len(got) < want {
		m, err := s.Next(ctx)
		if errors.Is(err, hub.ErrSlow) {
			if s, err = h.Subscribe(ctx, "a", &hub.Position{After: last, Epoch: h.Epoch()}); err == nil && !s.Recovered() {
				err = errors.New("could not resume after ErrSlow")
			}
			if err == nil {
				continue
			}
		}
		if err == nil && m.ID <= last {
			err = fmt.Errorf("id %d after %d", m.ID, last)
		}
		var v struct{ N int }
		if err == nil {
			err = json.Unmarshal(m.Data, &v)
		}
		if err != nil {
			errc <- err
			return got
		}
		last = m.ID
		got = append(got, v.N)
	}
	s.Close()
	return got
}

func testResume(t *testing.T, h hub.Hub) {
	const total = 600
	rnd := rand.New(rand.NewPCG(1, 2))
	ctx := within(t)
	pub := make(chan error, 1)
	go func() {
		for n := range total {
			if _, err := h.Publish(ctx, "a", Event(n)); err != nil {
				pub <- err
				return
			}
		}
		pub <- nil
	}()
	from := &hub.Position{Epoch: h.Epoch()}
	want := 0
	for want < total {
		s, err := h.Subscribe(ctx, "a", from)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Recovered() {
			t.Fatalf("could not resume at %d", want)
		}
		for range rnd.IntN(40) {
			if want == total {
				break
			}
			m, err := s.Next(ctx)
			if errors.Is(err, hub.ErrSlow) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if n := number(t, m); n != want {
				t.Fatalf("got %d, want %d", n, want)
			}
			want++
			from.After = m.ID
		}
		s.Close()
	}
	if err := <-pub; err != nil {
		t.Fatal(err)
	}
}

func testSlow(t *testing.T, h hub.Hub) {
	slow := subscribe(t, h, "a", nil)
	first := publish(t, h, "a", 0, 1)[0]
	m, err := slow.Next(within(t))
	if err != nil || m.ID != first {
		t.Fatalf("first event: %v", err)
	}
	// Nobody reads; publishing returns all the same.
	publish(t, h, "a", 1, Overflow)
	next := 1
	for ctx := within(t); ; next++ {
		m, err := slow.Next(ctx)
		if errors.Is(err, hub.ErrSlow) {
			break
		}
		if err != nil {
			t.Fatalf("got %v, want ErrSlow", err)
		}
		if n := number(t, m); n != next {
			t.Fatalf("a hidden gap: got %d, want %d", n, next)
		}
	}
	if next == Overflow {
		t.Fatal("the queue is not bounded")
	}
	if _, err := slow.Next(within(t)); !errors.Is(err, hub.ErrSlow) {
		t.Errorf("after ErrSlow: %v, want ErrSlow again", err)
	}
	again := subscribe(t, h, "a", &hub.Position{After: first, Epoch: h.Epoch()})
	if next == 1 && again.Recovered() {
		expect(t, again, 1, Overflow)
	}
}

func testContext(t *testing.T, h hub.Hub) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := h.Subscribe(ctx, "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := make(chan error, 1)
	go func() {
		_, err := s.Next(context.Background())
		got <- err
	}()
	cancel()
	select {
	case err := <-got:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Next: %v, want context.Canceled", err)
		}
	case <-time.After(Patience):
		t.Fatal("Next did not end with the subscription's context")
	}
	if _, err := h.Subscribe(ctx, "a", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Subscribe with an ended context: %v", err)
	}
}

func testNextContext(t *testing.T, h hub.Hub) {
	s := subscribe(t, h, "a", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next: %v, want context.Canceled", err)
	}
	publish(t, h, "a", 0, 3)
	expect(t, s, 0, 3)
}

func testClose(t *testing.T, h hub.Hub) {
	s := subscribe(t, h, "a", nil)
	got := make(chan error, 1)
	go func() {
		_, err := s.Next(context.Background())
		got <- err
	}()
	s.Close()
	s.Close()
	select {
	case err := <-got:
		if !errors.Is(err, hub.ErrClosed) {
			t.Errorf("Next during Close: %v, want ErrClosed", err)
		}
	case <-time.After(Patience):
		t.Fatal("Next did not end with Close")
	}
	if _, err := s.Next(within(t)); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Next after Close: %v, want ErrClosed", err)
	}
	if err := h.Check(t.Context()); err != nil {
		t.Errorf("Check of a working hub: %v", err)
	}
}
