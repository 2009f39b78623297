package chatstore

import (
	"context"
	"database/sql"
	"errors"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat/hooks"
	"uniqverse/store"
)

// Hooks is the store of services/chat/hooks.
type Hooks struct{ db *store.DB }

// NewHooks returns the table of incoming hooks.
func NewHooks(db *store.DB) Hooks { return Hooks{db} }

var (
	_ hooks.Store = Hooks{}
	_ hooks.Tx    = txn{}
)

// Update runs fn in one durable transaction.
func (s Hooks) Update(ctx context.Context, once *web.Once, fn func(hooks.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *store.Tx) error { return fn(txn{tx}) })
}

const hookColumns = `id, room_id, name, made_by, created_at, used_at FROM chat_hooks`

func scanHook(row store.RowScanner) (h hooks.Hook, err error) {
	err = row.Scan(&h.ID, &h.RoomID, &h.Name, &h.MadeBy, &h.CreatedAt, &h.UsedAt)
	return h, err
}

func noHook() error { return errs.New(errs.NotFound, "there is no such hook") }

// HookByHash returns the hook whose token has the hash, or errs.NotFound.
func (s Hooks) HookByHash(ctx context.Context, hash []byte) (hooks.Hook, error) {
	h, err := scanHook(s.db.QueryRow(ctx, `SELECT `+hookColumns+` WHERE hash = $1`, hash))
	if errors.Is(err, sql.ErrNoRows) {
		return h, noHook()
	}
	return h, store.Failed(err)
}

// Hooks returns the hooks of a room, the newest first.
func (s Hooks) Hooks(ctx context.Context, room int64, p web.Paging, limit int) ([]hooks.Hook, error) {
	rows, err := s.db.Query(ctx, `SELECT `+hookColumns+` WHERE room_id = $1 AND id < $2 AND id > $3 ORDER BY id DESC LIMIT $4 OFFSET $5`,
		room, store.Below(p.Before), p.After, limit, p.Offset)
	return store.CollectRows(rows, err, scanHook)
}

// CountHooks returns how many hooks a room has.
func (tx txn) CountHooks(room int64) (int, error) {
	var n int
	err := tx.QueryRow(`SELECT COUNT(*) FROM chat_hooks WHERE room_id = $1`, room).Scan(&n)
	return n, store.Failed(err)
}

// AddHook stores a hook and returns its id; errs.Conflict when the room has one with the name.
func (tx txn) AddHook(h hooks.Hook, hash []byte) (int64, error) {
	var id int64
	err := tx.QueryRow(`INSERT INTO chat_hooks (room_id, name, hash, made_by, created_at, used_at) VALUES ($1, $2, $3, $4, $5, 0)
		ON CONFLICT (room_id, name) DO NOTHING RETURNING id`, h.RoomID, h.Name, hash, h.MadeBy, int64(h.CreatedAt)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errs.New(errs.Conflict, "the room has a hook with this name")
	}
	return id, store.Failed(err)
}

// DropHook removes a hook of a room, or errs.NotFound.
func (tx txn) DropHook(room, id int64) error {
	r, err := tx.Exec(`DELETE FROM chat_hooks WHERE room_id = $1 AND id = $2`, room, id)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, noHook())
	}
	return nil
}

// HookUsed notes when a hook was used.
func (tx txn) HookUsed(id, at int64) error {
	_, err := tx.Exec(`UPDATE chat_hooks SET used_at = $2 WHERE id = $1`, id, at)
	return err
}
