// Package live brings what happens in rooms to their sockets, and knows whose sockets those are.
//
// A Relay hears of events from the hub, hands them to the room's sockets and writes the ids that the hub
// gave into the room's log, so that a replay is, byte for byte, what a socket saw that was there.
// Seats are who sits in which room. The package decides nothing about who may listen, and opens no socket.
//
// Everything here is safe for concurrent use.
package live

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"uniqverse/hub"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/ws"
)

const (
	saveEvery = 200 * time.Millisecond // how long an id may be missing in the log
	saveBatch = 256                    // ids written in one transaction
	// LogPage is how many events are read from the log at once.
	LogPage = 200
)

// Log is what the relay asks of the store: the log of every room.
type Log interface {
	// Events returns the room's log in the order of seq, those with after < seq <= upTo.
	Events(ctx context.Context, room, after, upTo int64, limit int) ([]Logged, error)
	// LastPublished returns the highest seq of the room whose id is known, 0 for none.
	LastPublished(ctx context.Context, room int64) (int64, error)
	// Unpublished returns events of all rooms whose id is not known, in the order of commits:
	// those with Place above after.
	Unpublished(ctx context.Context, after int64, limit int) ([]Logged, error)
	// Newest returns the place of the newest event of all rooms, 0 for none.
	Newest(ctx context.Context) (int64, error)
	// SavePublished writes down the ids that the hub gave.
	SavePublished(ctx context.Context, ids []Published) error
}

// Logged is an event of a room as the log has it.
type Logged struct {
	event.Event
	Place int64 // in the order of commits of all rooms
	ID    int64 // that the hub gave; 0 while it is not known
	// Data is the whole event as it was told (event.Encode), where Relay.Events returned it: shared, not to be changed.
	Data []byte
}

// Published is the id that the hub gave to an event of a room.
type Published struct {
	Room, Seq, ID int64
}

// feed is one room's way from the hub to its sockets. It lives while somebody listens or ids are unsaved.
type feed struct {
	last   int64             // highest seq that the hub told of; -1 while nobody knows. All up to it were told when the relay is ready
	ids    map[int64]int64   // of events whose id is not in the log yet, by seq
	topics map[string]formed // by the name of the form; empty while nobody listens
	users  int               // sockets
	tail   tail

	learning chan struct{} // closed when whoever asks the store for last is done; nil while nobody does
}

// formed is a room in the frames of one form.
type formed struct {
	form  Form
	topic *ws.Topic
}

// Relay takes room events from the hub to the sockets and their ids into the log.
type Relay struct {
	store Log
	hub   hub.Hub
	edge  *ws.Edge
	log   *slog.Logger
	kick  chan struct{}     // there is something to save
	after func(event.Event) // is told of each event of a room after its sockets
	reads atomic.Int64      // of the log, for sockets
	first start

	saving sync.Mutex // held while ids are written, and while the log is searched for those that miss
	mu     sync.Mutex // guards everything below
	feeds  map[int64]*feed
	unsent []Published   // ids to write, in the order in which they came
	ready  chan struct{} // closed while the hub has told of all that the log holds
}

// start is the moment at which a relay was made: events up to newest are of a time before it, and sub tells of those
// after it. Without it, where the store or the hub did not answer, sub is nil.
type start struct {
	sub    hub.Subscription
	newest int64
}

// NewRelay returns a relay; after is told of each event of a room after its sockets. It listens from now on, so that
// what rooms take before Run begins is neither missed nor published twice.
func NewRelay(store Log, h hub.Hub, edge *ws.Edge, log *slog.Logger, after func(event.Event)) *Relay {
	r := &Relay{after: after, store: store, hub: h, edge: edge, log: log, kick: make(chan struct{}, 1), feeds: map[int64]*feed{}, ready: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	sub, err := h.Subscribe(context.Background(), event.StreamChat, nil)
	if err != nil {
		return r // Run asks again and says what is wrong
	}
	if r.first.newest, err = store.Newest(ctx); err != nil {
		sub.Close()
		return r
	}
	r.first.sub = sub
	return r
}

// Run relays until ctx ends or the hub is closed, and then writes down the ids that it knows.
func (r *Relay) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { r.saver(ctx) })
	err := r.listen(ctx)
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if e := r.save(last); e != nil {
		r.log.Warn("chat: the newest events will be published again at the next start", "err", e)
	}
	return err
}

// listen follows the hub until ctx ends. Where it cannot go on without a gap, at the start and
// after falling too far behind, the log says what is missing, and that is published again.
func (r *Relay) listen(ctx context.Context) error {
	var from *hub.Position
	begin := r.first
	for {
		sub, upTo, err := begin.sub, begin.newest, error(nil)
		if sub == nil {
			upTo = math.MaxInt64
			sub, err = r.hub.Subscribe(ctx, event.StreamChat, from)
		}
		begin.sub = nil
		if err == nil {
			if from == nil || !sub.Recovered() {
				from = nil
				err = r.repair(ctx, upTo)
			}
			if err == nil {
				r.setReady(true)
				err = r.follow(ctx, sub, &from)
			}
			sub.Close()
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, hub.ErrClosed):
			return nil
		case errors.Is(err, hub.ErrSlow):
			r.log.Warn("chat: fell behind the hub and catches up")
		default:
			r.log.Error("chat: rooms are not live until the store and the hub answer", "err", err)
			if !sleep(ctx, time.Second) {
				return nil
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// follow hands on what the hub says; from is kept at how far it came.
func (r *Relay) follow(ctx context.Context, sub hub.Subscription, from **hub.Position) error {
	for {
		m, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		if m.Room != 0 && m.Seq == 0 && m.Type == event.ChatPresence {
			r.passing(m)
		}
		r.heard(Logged{Event: m.Event, ID: m.ID, Data: m.Data})
		r.after(m.Event)
		*from = &hub.Position{After: m.ID, Epoch: r.hub.Epoch()}
	}
}

// repair publishes what the log holds up to a place and nobody heard of. The subscription has begun already, so
// what is committed meanwhile comes through it. Until repair is done no socket joins a room.
func (r *Relay) repair(ctx context.Context, upTo int64) error {
	r.setReady(false)
	var place int64
	for {
		rows, err := r.republish(ctx, place, upTo)
		if err != nil {
			return err
		}
		if len(rows) < LogPage || rows[len(rows)-1].Place >= upTo {
			return nil
		}
		place = rows[len(rows)-1].Place
	}
}

// republish publishes a page of events that have no id, those up to a place, and returns the page.
func (r *Relay) republish(ctx context.Context, place, upTo int64) ([]Logged, error) {
	r.saving.Lock() // nothing moves from memory into the log while the two are compared
	defer r.saving.Unlock()
	rows, err := r.store.Unpublished(ctx, place, LogPage)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.Place > upTo || r.idOf(row.Room, row.Seq) != 0 {
			continue
		}
		id, err := r.hub.Publish(ctx, event.StreamChat, row.Event)
		if err != nil {
			return nil, err
		}
		row.ID, row.Data = id, event.Encode(row.Event, id, r.hub.Epoch())
		r.heard(row) // now, so that it is known when the rooms open; the subscription hands it on
	}
	return rows, nil
}

// setReady opens the rooms to sockets, or shuts them.
func (r *Relay) setReady(ready bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.ready:
		if !ready {
			r.ready = make(chan struct{})
		}
	default:
		if ready {
			close(r.ready)
		}
	}
}

// heard hands one event of a room to its sockets and notes its id; one that came already is left out.
func (r *Relay) heard(l Logged) {
	room, seq, id, data := l.Room, l.Seq, l.ID, l.Data
	if room == 0 || seq == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.feeds[room]
	if f == nil {
		f = &feed{last: -1, ids: map[int64]int64{}, topics: map[string]formed{}}
		r.feeds[room] = f
	}
	if f.ids[seq] == 0 {
		f.ids[seq] = id
		r.unsent = append(r.unsent, Published{Room: room, Seq: seq, ID: id})
	}
	if seq > f.last {
		f.last = seq
		f.tail.add(l)
	}
	for _, t := range f.topics {
		t.topic.Publish(seq, t.form.frame(room, seq, data))
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// passing hands on what nobody keeps: that somebody comes, goes or types.
func (r *Relay) passing(m hub.Message) {
	var p Presence
	if json.Unmarshal(m.Payload, &p) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.feeds[m.Room]; f != nil {
		for _, t := range f.topics {
			if data := t.form.Passing(m.Room, p, m.Data); data != nil {
				t.topic.Publish(0, data)
			}
		}
	}
}

// saver writes ids into the log, many at a time, until ctx ends.
func (r *Relay) saver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.kick:
		}
		if !sleep(ctx, saveEvery) {
			return
		}
		if err := r.save(ctx); err != nil && ctx.Err() == nil {
			r.log.Warn("chat: ids of events could not be written; trying again", "err", err)
			select {
			case r.kick <- struct{}{}:
			default:
			}
		}
	}
}

// save writes all ids that are known into the log and then forgets them.
func (r *Relay) save(ctx context.Context) error {
	r.saving.Lock()
	defer r.saving.Unlock()
	for {
		r.mu.Lock()
		batch := append([]Published(nil), r.unsent[:min(saveBatch, len(r.unsent))]...)
		r.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		if err := r.store.SavePublished(ctx, batch); err != nil {
			return err
		}
		r.mu.Lock()
		r.unsent = r.unsent[len(batch):]
		if len(r.unsent) == 0 {
			r.unsent = nil
		}
		for _, p := range batch {
			if f := r.feeds[p.Room]; f != nil {
				delete(f.ids, p.Seq)
				r.dismiss(p.Room, f)
			}
		}
		r.mu.Unlock()
	}
}

// dismiss forgets a feed that nobody needs; r.mu is held.
func (r *Relay) dismiss(room int64, f *feed) {
	if f.users == 0 {
		f.tail.drop()
		clear(f.topics)
		if len(f.ids) == 0 {
			delete(r.feeds, room)
		}
	}
}

func (r *Relay) idOf(room, seq int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.feeds[room]; f != nil {
		return f.ids[seq]
	}
	return 0
}

// Join makes a room live for one more socket, in frames of the form; Leave must follow. It waits until the relay
// knows what the log holds, for at most five seconds.
func (r *Relay) Join(ctx context.Context, room int64, form Form) (*ws.Topic, error) {
	r.mu.Lock()
	ready := r.ready
	r.mu.Unlock()
	if err := open(ctx, ready); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.feeds[room]
	if f == nil {
		f = &feed{last: -1, ids: map[int64]int64{}, topics: map[string]formed{}}
		r.feeds[room] = f
	}
	f.users++ // from here on what the hub says of the room is noted
	for f.last < 0 {
		if err := r.learn(ctx, room, f); err != nil {
			f.users--
			r.dismiss(room, f)
			return nil, err
		}
	}
	t, ok := f.topics[form.Name]
	if !ok {
		t = formed{form, r.edge.NewTopic(ws.TopicOptions{Last: f.last})}
		f.topics[form.Name] = t
	}
	return t.topic, nil
}

// open waits until the rooms are.
func open(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready: // a timer that is not needed would keep the request in memory for a while
		return nil
	default:
	}
	wait, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	select {
	case <-ready:
		return nil
	case <-wait.Done():
		return &errs.Error{Kind: errs.Unavailable, Detail: "the rooms are not live yet; try again in a second", RetryAfter: time.Second}
	}
}

// learn finds out what a room's newest published event is: one of those who come at once asks the store, the others wait for
// it. r.mu is held, but not meanwhile.
func (r *Relay) learn(ctx context.Context, room int64, f *feed) error {
	if busy := f.learning; busy != nil {
		r.mu.Unlock()
		defer r.mu.Lock()
		select {
		case <-busy:
			return nil
		case <-ctx.Done():
			return errs.Wrap(errs.Unavailable, ctx.Err(), "the request was given up before the room was read")
		}
	}
	done := make(chan struct{})
	f.learning = done
	r.mu.Unlock()
	last, err := r.store.LastPublished(ctx, room)
	r.mu.Lock()
	f.learning = nil
	close(done)
	if err == nil && f.last < 0 {
		f.last = last
	}
	return err
}

// Leave ends what Join began.
func (r *Relay) Leave(room int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.feeds[room]; f != nil {
		f.users--
		r.dismiss(room, f)
	}
}

// read reads a part of a joined room's log, each event with the id under which it was published.
func (r *Relay) read(ctx context.Context, room, after, upTo int64, limit int) ([]Logged, error) {
	for range 3 { // an id that is in neither place was moved between the two looks
		r.reads.Add(1)
		rows, err := r.store.Events(ctx, room, after, upTo, limit)
		if err != nil {
			return nil, err
		}
		missing := false
		for i := range rows {
			if rows[i].ID == 0 {
				rows[i].ID = r.idOf(room, rows[i].Seq)
				missing = missing || rows[i].ID == 0
			}
			rows[i].Data = event.Encode(rows[i].Event, rows[i].ID, r.hub.Epoch())
		}
		if !missing {
			return rows, nil
		}
	}
	return nil, errs.New(errs.Internal, "the log of room %d lacks the ids of published events", room)
}
