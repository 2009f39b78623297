package chatstore

import (
	"context"
	"database/sql"
	"errors"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat/people"
	"uniqverse/services/chat/pins"
	"uniqverse/services/chat/requests"
	"uniqverse/store"
)

// Pins is the store of services/chat/pins.
type Pins struct{ db *store.DB }

// NewPins returns what rooms hold up.
func NewPins(db *store.DB) Pins { return Pins{db} }

// Requests is the store of services/chat/requests.
type Requests struct{ db *store.DB }

// NewRequests returns who asks to come into rooms.
func NewRequests(db *store.DB) Requests { return Requests{db} }

var (
	_ pins.Store     = Pins{}
	_ pins.Tx        = txn{}
	_ requests.Store = Requests{}
	_ requests.Tx    = txn{}
)

// Update runs fn in one durable transaction.
func (s Pins) Update(ctx context.Context, once *web.Once, fn func(pins.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *store.Tx) error { return fn(txn{tx}) })
}

// Pins returns what a room holds up, the last pinned first.
func (s Pins) Pins(ctx context.Context, room, since int64) ([]pins.Pin, error) {
	rows, err := s.db.Query(ctx, `SELECT `+prefixed(messageColumns)+`, p.by_id, p.by_handle, p.at FROM chat_pins p JOIN chat_messages m ON m.id = p.message_id
		WHERE p.room_id = $1 AND m.seq > $2 AND m.deleted_at = 0 AND m.hidden = 0 ORDER BY p.at DESC, m.id DESC`, room, since)
	return store.CollectRows(rows, err, func(row store.RowScanner) (p pins.Pin, err error) {
		p.Line, err = scanMessage(wider{row, []any{&p.By.ID, &p.By.Handle, &p.At}})
		return p, err
	})
}

// Pinned returns how many lines the room holds up, and whether this is one of them.
func (tx txn) Pinned(room, message int64) (n int, is bool, err error) {
	err = tx.QueryRow(`SELECT COUNT(*), COALESCE(MAX(message_id = $2), 0) FROM chat_pins WHERE room_id = $1`, room, message).Scan(&n, &is)
	return n, is, store.Failed(err)
}

// Pin holds a line up.
func (tx txn) Pin(room, message int64, by people.Person) error {
	_, err := tx.Exec(`INSERT INTO chat_pins (room_id, message_id, by_id, by_handle, at) VALUES ($1, $2, $3, $4, $5)`, room, message, by.ID, by.Handle, tx.Now().UnixMilli())
	return err
}

// Unpin holds a line up no more.
func (tx txn) Unpin(_, message int64) error { return tx.unpin(message) }

func (tx txn) unpin(message int64) error {
	_, err := tx.Exec(`DELETE FROM chat_pins WHERE message_id = $1`, message)
	return err
}

// Update runs fn in one durable transaction.
func (s Requests) Update(ctx context.Context, once *web.Once, fn func(requests.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *store.Tx) error { return fn(txn{tx}) })
}

const requestColumns = `user_id, handle, words, created_at FROM chat_requests`

func scanRequest(row store.RowScanner) (r api.ChatRequest, err error) {
	err = row.Scan(&r.UserID, &r.Handle, &r.Text, &r.CreatedAt)
	return r, err
}

// Requests returns who asks to come into a room, the oldest first.
func (s Requests) Requests(ctx context.Context, room int64) ([]api.ChatRequest, error) {
	rows, err := s.db.Query(ctx, `SELECT `+requestColumns+` WHERE room_id = $1 ORDER BY created_at, user_id`, room)
	return store.CollectRows(rows, err, scanRequest)
}

// Request returns what somebody asked, or errs.NotFound.
func (tx txn) Request(room, user int64) (api.ChatRequest, error) {
	r, err := scanRequest(tx.QueryRow(`SELECT `+requestColumns+` WHERE room_id = $1 AND user_id = $2`, room, user))
	if errors.Is(err, sql.ErrNoRows) {
		return r, errs.New(errs.NotFound, "nobody with this user_id asks to come in")
	}
	return r, store.Failed(err)
}

// AddRequest stores a request, or its new words, and returns how many wait.
func (tx txn) AddRequest(room int64, r api.ChatRequest) (waiting int, err error) {
	_, err = tx.Exec(`INSERT INTO chat_requests (room_id, user_id, handle, words, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (room_id, user_id) DO UPDATE SET words = excluded.words`, room, r.UserID, r.Handle, r.Text, int64(r.CreatedAt))
	if err == nil {
		err = store.Failed(tx.QueryRow(`SELECT COUNT(*) FROM chat_requests WHERE room_id = $1`, room).Scan(&waiting))
	}
	return waiting, err
}

// DropRequest removes a request.
func (tx txn) DropRequest(room, user int64) error {
	_, err := tx.Exec(`DELETE FROM chat_requests WHERE room_id = $1 AND user_id = $2`, room, user)
	return err
}

// SetNotify stores of what in a room somebody wants to hear.
func (tx txn) SetNotify(room, user int64, level string) error {
	_, err := tx.Exec(`INSERT INTO chat_notify (user_id, room_id, level) VALUES ($1, $2, $3) ON CONFLICT (user_id, room_id) DO UPDATE SET level = excluded.level`, user, room, level)
	return err
}
