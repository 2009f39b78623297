package chatstore

import (
	"context"
	"time"

	"uniqverse/internal/api"
	"uniqverse/services/chat"
	"uniqverse/services/chat/retention"
	"uniqverse/store"
)

// Retention is the store of services/chat/retention.
type Retention struct{ db *store.DB }

// NewRetention returns the rooms and how long they keep what was said.
func NewRetention(db *store.DB) Retention { return Retention{db} }

var _ retention.Store = Retention{}

// Kept returns rooms in the order of their ids, those after one. Rooms that keep everything are left out.
func (s Retention) Kept(ctx context.Context, after int64, limit int) ([]retention.Kept, error) {
	rows, err := s.db.Query(ctx, `SELECT `+roomColumns+`, r.emptied_at, COALESCE((SELECT e.at FROM chat_events e WHERE e.room_id = r.id AND e.seq > r.horizon ORDER BY e.seq LIMIT 1), 0)
		FROM chat_rooms r WHERE r.id > $1 AND (r.deleted_at > 0 AND r.horizon < r.head OR r.deleted_at = 0 AND (r.retention_days > 0 OR r.retention_days IS NULL AND r.kind IN ('global', 'party')))
		ORDER BY r.id LIMIT $2`, after, limit)
	return store.CollectRows(rows, err, func(row store.RowScanner) (k retention.Kept, err error) {
		var emptied, oldest api.Time
		err = row.Scan(append(roomFields(&k.Room), &emptied, &oldest)...)
		k.EmptiedAt, k.Oldest = emptied.Time(), oldest.Time()
		return k, err
	})
}

// TakeAway deletes a room in which nobody is, or that is archived.
func (s Retention) TakeAway(ctx context.Context, room int64) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		t := txn{tx}
		r, err := t.Room(room)
		if err != nil {
			return err
		}
		var inside bool
		if err := tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM chat_members WHERE room_id = $1)`, room).Scan(&inside); err != nil || inside && r.ArchivedAt == 0 {
			return store.Failed(err)
		}
		r.DeletedAt = api.TimeOf(tx.Now())
		return t.SaveRoom(r)
	})
}

// Expire removes up to limit of the oldest events of a room from before the time, with their lines.
func (s Retention) Expire(ctx context.Context, room int64, before time.Time, limit int) (n int, err error) {
	err = s.db.Write(ctx, nil, func(tx *store.Tx) error {
		n, err = txn{tx}.expire(room, before, limit)
		return err
	})
	return n, err
}

func (tx txn) expire(room int64, before time.Time, limit int) (int, error) {
	r, err := tx.Room(room)
	if err != nil {
		return 0, err
	}
	end, err := tx.oldest(r, before, limit)
	if err != nil || end == 0 {
		return 0, err
	}
	rows, err := tx.Query(`SELECT `+messageColumns+` FROM chat_messages WHERE room_id = $1 AND seq > $2 AND seq <= $3`, room, r.Horizon, end)
	lines, err := store.CollectRows(rows, err, scanMessage)
	if err != nil {
		return 0, err
	}
	gone := 0
	for _, l := range lines {
		blank, err := tx.forget(l)
		if err != nil {
			return 0, err
		}
		if !blank || l.Handle != "" {
			gone++
		}
	}
	horizon := min(end, r.Head-1) // the newest event holds the room's and the log's place
	if end == r.Head {
		if _, err := tx.Exec(redact+`seq = $2 AND type IN ('chat.message.created', 'chat.message.edited')`, room, end); err != nil {
			return 0, err
		}
	}
	if _, err := tx.Exec(`DELETE FROM chat_events WHERE room_id = $1 AND seq > $2 AND seq <= $3`, room, r.Horizon, horizon); err != nil {
		return 0, err
	}
	tx.memory().touch(tx.Tx, room)
	_, err = tx.Exec(`UPDATE chat_rooms SET horizon = $2 WHERE id = $1`, room, horizon)
	return gone + int(horizon-r.Horizon), err
}

// oldest returns the seq of the last of the room's oldest events that are all from before the time, 0 for none.
func (tx txn) oldest(r chat.Room, before time.Time, limit int) (int64, error) {
	rows, err := tx.Query(`SELECT seq, at FROM chat_events WHERE room_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`, r.ID, r.Horizon, limit)
	var end int64
	over := false
	_, err = store.CollectRows(rows, err, func(row store.RowScanner) (struct{}, error) {
		var seq, at int64
		err := row.Scan(&seq, &at)
		if over = over || at >= before.UnixMilli(); !over {
			end = seq
		}
		return struct{}{}, err
	})
	return end, err
}

// forget removes a line and everything about it. The row of the very last line stays without its words, so
// that its id, by which clients may still ask for it, is not given to another; blank says so.
func (tx txn) forget(l chat.Line) (blank bool, err error) {
	if err := tx.silence(l.RoomID, l.ID, l.Seq); err != nil {
		return false, err
	}
	if err := tx.Mention(l.RoomID, l.Seq, l.Mentions, nil); err != nil {
		return false, err
	}
	if err := tx.discard(l.ID); err != nil {
		return false, err
	}
	for _, statement := range []string{
		`DELETE FROM chat_fts WHERE rowid = $1`, `DELETE FROM chat_pins WHERE message_id = $1`, `DELETE FROM chat_edits WHERE message_id = $1`,
		`DELETE FROM chat_versions WHERE message_id = $1`, `DELETE FROM chat_reactions WHERE message_id = $1`, `DELETE FROM chat_reports WHERE message_id = $1`,
		`UPDATE chat_cases SET text = '' WHERE message_id = $1`, `DELETE FROM chat_rechecks WHERE message_id = $1`,
	} {
		if _, err := tx.Exec(statement, l.ID); err != nil {
			return false, err
		}
	}
	res, err := tx.Exec(`DELETE FROM chat_messages WHERE id = $1 AND id < (SELECT MAX(id) FROM chat_messages)`, l.ID)
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return false, err
	}
	_, err = tx.Exec(`UPDATE chat_messages SET text = '', user_id = 0, handle = '', deleted_at = $2, reactions = 0, files = 0, mentions = '' WHERE id = $1`, l.ID, tx.Now().UnixMilli())
	return true, err
}
