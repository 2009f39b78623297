// Package kept is answers of the store that are asked for again and again and hardly ever change, in memory: where an address leads, what
// a mailbox wants done with its mail.
//
// It is exact. A statement that changes what the answers rest on is told by its text (Note) inside its transaction: from then until that is over
// nothing is answered from memory, and what somebody read meanwhile is not kept. So an answer is never older than what was stored
// when it was asked for. It is no cache for rows, and it outlives no process. One change takes all answers back: it is for what changes by a
// person's hand.
//
// Everything is safe for concurrent use. Answers are shared: nobody may change one.
package kept

import (
	"sync"

	"uniqverse/store"
)

// most is how many answers are kept; with one more all are forgotten. mostTexts is the same for what is known of statements.
const (
	most      = 4000
	mostTexts = 1000
)

// memory is the answers of one group beside a database.
type memory struct {
	mu       sync.Mutex // guards all
	answers  map[question]any
	changing int   // transactions under way that change something
	changes  int64 // begun and ended
	texts    map[string]bool
}

// question is what was asked.
type question struct{ kind, key string }

func newMemory() any { return &memory{answers: map[question]any{}, texts: map[string]bool{}} }

// Answer returns the answer to a question of a group, from memory where it is there, and else what read says. Errors are not kept.
func Answer[T any](db *store.DB, group any, kind, key string, read func() (T, error)) (T, error) {
	m := db.Beside(group, newMemory).(*memory)
	q := question{kind, key}
	m.mu.Lock()
	a, ok := m.answers[q]
	since := m.changes
	m.mu.Unlock()
	if ok {
		return a.(T), nil
	}
	v, err := read()
	if err == nil {
		m.keep(q, v, since)
	}
	return v, err
}

// keep keeps what was read, unless something may have changed since the change of that number.
func (m *memory) keep(q question, v any, since int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changing > 0 || m.changes != since {
		return
	}
	if len(m.answers) >= most {
		clear(m.answers)
	}
	m.answers[q] = v
}

// Note takes the answers of a group back when a statement, that is about to run in the transaction, changes what they rest on. changes
// says so of a text; it is asked once.
func Note(tx *store.Tx, group any, text string, changes func(text string) bool) {
	m := tx.Beside(group, newMemory).(*memory)
	m.mu.Lock()
	defer m.mu.Unlock()
	does, known := m.texts[text]
	if !known {
		if does = changes(text); len(m.texts) < mostTexts {
			m.texts[text] = does
		}
	}
	if !does {
		return
	}
	clear(m.answers)
	m.changing++
	m.changes++
	tx.AtEnd(func(bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.changing--
		m.changes++
	})
}
