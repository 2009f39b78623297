// Package peers counts what each address on the network does: how many connections it has open, and
// how many it made, how many sign-ins failed and how many messages it began within the minute.
//
// It sets no limit; whoever asks compares. An IPv6 peer owns a /64, so that is what is
// counted there. The counts are of this process alone and end with it.
//
// A Table is safe for concurrent use, and holds at most maxKept addresses that have nothing open.
package peers

import (
	"net/netip"
	"sync"
	"time"
)

// maxKept is how many addresses are remembered; beyond it those with nothing open are forgotten.
const maxKept = 8192

// Table is the counts. Make it with New.
type Table struct {
	now func() time.Time

	mu sync.Mutex // guards by
	by map[netip.Prefix]*use
}

// use is what one address does.
type use struct {
	open     int
	minute   time.Time // that the counts below belong to
	connects int
	failures int
	messages int
}

// New returns an empty table; now says which minute it is.
func New(now func() time.Time) *Table { return &Table{now: now, by: make(map[netip.Prefix]*use)} }

// Connect counts a new connection and returns how many the address had open before it and how
// many it made this minute, this one included. The connection is open only after Opened.
func (t *Table) Connect(ip netip.Addr) (open, connects int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.of(ip)
	u.connects++
	return u.open, u.connects
}

// Opened says that a connection was let in.
func (t *Table) Opened(ip netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of(ip).open++
}

// Closed says that a connection which was let in is over.
func (t *Table) Closed(ip netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of(ip).open--
}

// Failed counts a sign-in that failed.
func (t *Table) Failed(ip netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of(ip).failures++
}

// Failures returns how many sign-ins failed this minute.
func (t *Table) Failures(ip netip.Addr) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.of(ip).failures
}

// Message counts a message that is begun and returns how many that makes this minute.
func (t *Table) Message(ip netip.Addr) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.of(ip)
	u.messages++
	return u.messages
}

// of returns the counts of an address for the current minute. The caller holds mu.
func (t *Table) of(ip netip.Addr) *use {
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	key, _ := ip.Prefix(bits)
	minute := t.now().Truncate(time.Minute)
	u := t.by[key]
	if u == nil {
		if len(t.by) >= maxKept {
			t.makeRoom(minute)
		}
		u = &use{}
		t.by[key] = u
	}
	if !u.minute.Equal(minute) {
		u.minute, u.connects, u.failures, u.messages = minute, 0, 0, 0
	}
	return u
}

// makeRoom forgets addresses with nothing open: those of earlier minutes first, and when
// those are too few, whichever the map yields; a flood of addresses gains a fresh count by it, but
// no memory.
func (t *Table) makeRoom(minute time.Time) {
	for k, u := range t.by {
		if u.open == 0 && u.minute.Before(minute) {
			delete(t.by, k)
		}
	}
	for k, u := range t.by {
		if len(t.by) < maxKept*7/8 {
			return
		}
		if u.open == 0 {
			delete(t.by, k)
		}
	}
}
