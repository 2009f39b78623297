package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
)

// How long the answer to a repeated request is kept, and how old rows are taken away: a few
// at a time, so that no write waits for them.
const (
	onceKept  = 72 * time.Hour
	onceSweep = 10 * time.Minute
	onceChunk = 500
)

// recall fills once from an earlier request under the same caller and key.
func (tx *Tx) recall(once *web.Once) (found bool, err error) {
	var fingerprint, location string
	var status int
	var body []byte
	err = tx.QueryRow(`SELECT fingerprint, status, body, location FROM web_once WHERE caller = $1 AND key = $2`, once.Caller, once.Key).
		Scan(&fingerprint, &status, &body, &location)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, tx.note(err)
	}
	if fingerprint != once.Fingerprint {
		return false, errs.BadField("Idempotency-Key", "was used before for another request; use a new key for each new request")
	}
	once.Status, once.Body, once.Location, once.Replayed = status, body, location, true
	return true, nil
}

// remember stores the answer beside the effect.
func (tx *Tx) remember(once *web.Once) error {
	body := once.Body
	if body == nil {
		body = []byte{}
	}
	_, err := tx.Exec(`INSERT INTO web_once (caller, key, fingerprint, status, body, location, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		once.Caller, once.Key, once.Fingerprint, once.Status, body, once.Location, tx.now.UnixMilli())
	return err
}

// sweep takes answers away that were kept long enough, until ctx ends.
func (db *DB) sweep(ctx context.Context) {
	tick := time.NewTicker(onceSweep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := db.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			db.log.Warn("store: old answers to repeated requests could not be taken away", "err", err)
		}
	}
}

// sweepOnce deletes everything too old and returns how many rows that were.
func (db *DB) sweepOnce(ctx context.Context) (int64, error) {
	var all int64
	for {
		var n int64
		err := db.Write(ctx, nil, func(tx *Tx) error {
			r, err := tx.Exec(`DELETE FROM web_once WHERE (caller, key) IN (SELECT caller, key FROM web_once WHERE created_at < $1 ORDER BY created_at LIMIT $2)`,
				tx.now.Add(-onceKept).UnixMilli(), onceChunk)
			if err != nil {
				return err
			}
			n, err = r.RowsAffected()
			return err
		})
		all += n
		if err != nil || n < onceChunk {
			return all, err
		}
	}
}
