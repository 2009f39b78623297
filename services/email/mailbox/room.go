package mailbox

import (
	"sync"
	"time"
)

// How long a mailbox with much room is not asked again, and how many are remembered.
const (
	roomTime = time.Second
	maxRooms = 4000
)

// Room remembers for a second which mailboxes are less than half full: whether one is full need not be asked of the store for each
// of many mails. What decides is the transaction that stores a message. Make one with NewRoom; it is safe for concurrent use.
type Room struct {
	quota int64
	mu    sync.Mutex           // guards since
	since map[string]time.Time // by user: when there was room
}

// NewRoom returns a Room for mailboxes of so many bytes.
func NewRoom(quota int64) *Room { return &Room{quota: quota, since: map[string]time.Time{}} }

// Has reports whether a user's mailbox had much room a moment ago.
func (r *Room) Has(user string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.since[user]
	age := now.Sub(at)
	return known && age >= 0 && age < roomTime
}

// Saw notes how full a user's mailbox is.
func (r *Room) Saw(user string, bytes int64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes >= r.quota/2 {
		delete(r.since, user)
		return
	}
	if len(r.since) >= maxRooms {
		clear(r.since)
	}
	r.since[user] = now
}
