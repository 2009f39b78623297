package chatstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/services/chat/trends"
	"uniqverse/store"
)

// Trends is the store of services/chat/trends.
type Trends struct{ db *store.DB }

// NewTrends returns the rooms of trends.
func NewTrends(db *store.DB) Trends { return Trends{db} }

var _ trends.Store = Trends{}

const trendColumns = `t.slug, t.room_id, t.created_at, t.told_at, r.archived_at > 0, r.deleted_at > 0,
	COALESCE((SELECT l.created_at FROM chat_messages l WHERE l.room_id = t.room_id AND l.user_id > 0 ORDER BY l.id DESC LIMIT 1), 0)
	FROM chat_trends t JOIN chat_rooms r ON r.id = t.room_id`

func scanTrend(row store.RowScanner) (t trends.Room, err error) {
	var created, told, last api.Time
	err = row.Scan(&t.Slug, &t.Room, &created, &told, &t.Archived, &t.Deleted, &last)
	t.CreatedAt, t.ToldAt, t.LastAt = created.Time(), told.Time(), last.Time()
	return t, err
}

// Trend returns the room of a slug, or errs.NotFound.
func (s Trends) Trend(ctx context.Context, slug string) (trends.Room, error) {
	t, err := scanTrend(s.db.QueryRow(ctx, `SELECT `+trendColumns+` WHERE t.slug = $1`, slug))
	if errors.Is(err, sql.ErrNoRows) {
		return t, errs.New(errs.NotFound, "this was no trend yet")
	}
	return t, store.Failed(err)
}

// Made returns how many rooms were made since a time.
func (s Trends) Made(ctx context.Context, since time.Time) (n int, err error) {
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM chat_trends WHERE created_at > $1`, since.UnixMilli()).Scan(&n)
	return n, store.Failed(err)
}

// KeepTrend stores the room of a slug and that it heard of it now.
func (s Trends) KeepTrend(ctx context.Context, slug string, room int64) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO chat_trends (slug, room_id, created_at, told_at) VALUES ($1, $2, $3, $3) ON CONFLICT (slug) DO UPDATE SET told_at = excluded.told_at`,
			slug, room, tx.Now().UnixMilli())
		return err
	})
}

// Quiet returns rooms that are open, and that were last told of and last spoken in before the time.
func (s Trends) Quiet(ctx context.Context, before time.Time, limit int) ([]trends.Room, error) {
	rows, err := s.db.Query(ctx, `SELECT `+trendColumns+` WHERE r.archived_at = 0 AND r.deleted_at = 0 AND t.told_at < $1
		AND NOT EXISTS (SELECT 1 FROM chat_messages m WHERE m.room_id = t.room_id AND m.user_id > 0 AND m.created_at >= $1) LIMIT $2`, before.UnixMilli(), limit)
	return store.CollectRows(rows, err, scanTrend)
}
