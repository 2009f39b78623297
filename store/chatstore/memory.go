package chatstore

import (
	"context"
	"sync"

	"uniqverse/internal/errs"
	"uniqverse/services/chat"
	"uniqverse/store"
)

// What is kept in memory at most; beyond it all is forgotten and read again.
const (
	keptRooms     = 10_000
	keptStandings = 50_000
	keptOfRoom    = 10_000 // people of one room who are read together
)

// memory is rooms and who may do what in them, as the tables have it: every line, and every socket that opens, asks for
// it. It is exact. What changes a room, a member or a sanction says so (touch) inside its transaction: from then until that is over nothing is
// answered from here, and what somebody read meanwhile is not kept. So an answer is never older than what was
// stored when it was asked for. Nothing of it outlives the process.
type memory struct {
	mu        sync.Mutex // guards all
	rooms     map[int64]*kept
	heads     map[int64]int64         // of the rooms with events since the start: the newest seq that is stored
	next      map[int64]int64         // the same for the transaction under way, where it differs
	standings int                     // in all rooms
	changing  map[any]int             // transactions under way, by the room (int64) or the seat that they change
	changes   int64                   // begun and ended
	reading   map[int64]chan struct{} // rooms that somebody reads for all who ask; closed when that is over
}

// kept is one room.
type kept struct {
	room   chat.Room
	known  bool                    // that room is as it is stored
	people map[int64]chat.Standing // of those who are known
	all    bool                    // whoever is not in people has no standing, but for those in unsure
	many   bool                    // they are too many to be read together
	unsure map[int64]bool          // whose standing changed since all were read
}

// seat is a user's place in a room.
type seat struct{ room, user int64 }

type memoryKey struct{}

func newMemory() any {
	return &memory{rooms: map[int64]*kept{}, heads: map[int64]int64{}, next: map[int64]int64{}, changing: map[any]int{}, reading: map[int64]chan struct{}{}}
}

func memoryOf(db *store.DB) *memory { return db.Beside(memoryKey{}, newMemory).(*memory) }

func (tx txn) memory() *memory { return tx.Beside(memoryKey{}, newMemory).(*memory) }

// entry answers for a room with a user's standing in it; false when one of them is not known.
func (m *memory) entry(room, user int64) (chat.Room, chat.Standing, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.rooms[room]
	if k == nil || !k.known {
		return chat.Room{}, chat.Standing{}, false
	}
	st, ok := k.standing(user)
	return k.room, st, ok
}

func (k *kept) standing(user int64) (chat.Standing, bool) {
	if user == 0 {
		return chat.Standing{}, true
	}
	st, ok := k.people[user]
	return st, ok || k.all && !k.unsure[user]
}

// read reads a room with a user's standing in it, and as a rule that of everybody in the room: of a crowd that comes at once
// one reads, and the others find what they ask for.
func (m *memory) read(ctx context.Context, db *store.DB, room, user int64) (chat.Room, chat.Standing, error) {
	for range 3 {
		wait, mine := m.turn(room)
		if mine {
			defer m.over(room)
		}
		if wait != nil {
			select {
			case <-wait:
			case <-ctx.Done():
				return chat.Room{}, chat.Standing{}, errs.Wrap(errs.Unavailable, ctx.Err(), "the request was given up before the database was read")
			}
		}
		if r, st, ok := m.entry(room, user); ok { // who read before was just done
			return r, st, nil
		}
		if wait == nil {
			break
		}
	}
	since, many := m.begin(room)
	r, st, err := scanEntry(db.QueryRow(ctx, entryQuery, room, user))
	if err != nil {
		return r, st, err
	}
	people := map[int64]chat.Standing{}
	if !many {
		rows, err := db.Query(ctx, peopleQuery, room, keptOfRoom+1)
		n := 0
		_, err = store.CollectRows(rows, err, func(row store.RowScanner) (struct{}, error) {
			var id, value int64
			var what, word string
			n++
			err := row.Scan(&id, &what, &word, &value)
			st := people[id]
			put(&st, what, word, value)
			people[id] = st
			return struct{}{}, err
		})
		if many = err != nil || n > keptOfRoom; many {
			people = map[int64]chat.Standing{}
		}
	}
	if user != 0 {
		people[user] = st
	}
	m.keep(since, r, people, !many)
	return r, st, nil
}

// turn says whether the caller is to read a room for all, and else for whom they wait; neither where everybody reads for
// themselves, because the room's people are too many.
func (m *memory) turn(room int64) (wait chan struct{}, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.rooms[room]; k != nil && k.known && (k.many || k.all) {
		return nil, false
	}
	if wait = m.reading[room]; wait != nil {
		return wait, false
	}
	m.reading[room] = make(chan struct{})
	return nil, true
}

func (m *memory) over(room int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.reading[room])
	delete(m.reading, room)
}

// begin is asked before something is read that may be kept; alone says that the room's people are not to be read together.
func (m *memory) begin(room int64) (since int64, alone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.rooms[room]
	return m.changes, k != nil && (k.many || k.all)
}

// keep notes what was read after begin returned since, unless something changed meanwhile. people are all of the room
// when all is set; whoever was asked for and has no standing is among them with none.
func (m *memory) keep(since int64, room chat.Room, people map[int64]chat.Standing, all bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changes != since || len(m.changing) > 0 {
		return
	}
	if len(m.rooms) >= keptRooms || m.standings+len(people) > keptStandings {
		m.rooms, m.standings = map[int64]*kept{}, 0
	}
	k := m.rooms[room.ID]
	if k == nil {
		k = &kept{people: map[int64]chat.Standing{}}
		m.rooms[room.ID] = k
	}
	room.Head = max(room.Head, m.heads[room.ID])
	k.room, k.known = room, true
	m.standings -= len(k.people)
	for user, st := range people {
		k.people[user] = st
		delete(k.unsure, user)
	}
	m.standings += len(k.people)
	if all {
		k.all, k.unsure = true, nil
	}
	k.many = !k.all
}

// touch says that a transaction changes a room (int64) or what a seat may do.
func (m *memory) touch(tx *store.Tx, what any) {
	m.mu.Lock()
	m.changes++
	m.changing[what]++
	m.forget(what)
	m.mu.Unlock()
	tx.AtEnd(func(bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.changes++
		if m.changing[what]--; m.changing[what] == 0 {
			delete(m.changing, what)
		}
	})
}

// forget takes away what is kept; m.mu is held.
func (m *memory) forget(what any) {
	switch w := what.(type) {
	case int64:
		if k := m.rooms[w]; k != nil {
			k.known = false
		}
	case seat:
		k := m.rooms[w.room]
		if k == nil {
			return
		}
		if _, ok := k.people[w.user]; ok {
			delete(k.people, w.user)
			m.standings--
		}
		if k.all {
			if k.unsure == nil {
				k.unsure = map[int64]bool{}
			}
			k.unsure[w.user] = true
		}
	}
}

// newest returns the seq of a room's newest event as a transaction sees it, and whether it is known.
func (m *memory) newest(room int64) (int64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if head, ok := m.next[room]; ok {
		return head, true
	}
	head, ok := m.heads[room]
	return head, ok
}

// grow notes that a transaction gives a room a new newest event. The room's row gets it before the commit: once,
// however many events there are.
func (m *memory) grow(tx *store.Tx, room, head int64) {
	m.mu.Lock()
	before, had := m.next[room]
	m.next[room] = head
	m.mu.Unlock()
	tx.OnUndo(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.next[room] = before; !had {
			delete(m.next, room)
		}
	})
	tx.BeforeCommit(headKey(room), func(tx *store.Tx) error {
		m.mu.Lock()
		head, ok := m.next[room]
		m.mu.Unlock()
		if !ok {
			return nil
		}
		_, err := tx.Exec(`UPDATE chat_rooms SET head = $2 WHERE id = $1`, room, head)
		return err
	})
	tx.AtEnd(func(stored bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.next, room)
		if stored {
			m.grew(room, head)
		}
	})
}

// headKey is a room as the key of what is done before a commit.
type headKey int64

// grew notes the newest event that is stored; m.mu is held.
func (m *memory) grew(room, head int64) {
	if len(m.heads) >= keptRooms && m.heads[room] == 0 {
		m.rooms, m.heads, m.standings = map[int64]*kept{}, map[int64]int64{}, 0
		m.changes++ // what is being read now was read without this
	}
	m.heads[room] = max(head, m.heads[room])
	if k := m.rooms[room]; k != nil {
		k.room.Head = m.heads[room]
	}
}
