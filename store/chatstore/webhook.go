package chatstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat/webhooks"
	"uniqverse/store"
)

// Webhooks is the store of services/chat/webhooks.
type Webhooks struct{ db *store.DB }

// NewWebhooks returns the tables of outgoing webhooks.
func NewWebhooks(db *store.DB) Webhooks { return Webhooks{db} }

var (
	_ webhooks.Store = Webhooks{}
	_ webhooks.Tx    = webhookTxn{}
)

type webhookTxn struct{ txn }

// Update runs fn in one durable transaction.
func (s Webhooks) Update(ctx context.Context, once *web.Once, fn func(webhooks.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *store.Tx) error { return fn(webhookTxn{txn{tx}}) })
}

const webhookColumns = `id, room_id, url, secret, events, made_by, created_at, enabled, reason, since, failures, failing_since, wait_until, since_room FROM chat_webhooks`

func scanWebhook(row store.RowScanner) (w webhooks.Webhook, err error) {
	var events string
	var wait int64
	err = row.Scan(&w.ID, &w.RoomID, &w.URL, &w.Secret, &events, &w.MadeBy, &w.CreatedAt, &w.Enabled, &w.Reason, &w.Since, &w.Failures, &w.FailingSince, &wait, &w.SinceRoom)
	w.Events = strings.Fields(events)
	if wait > 0 {
		w.WaitUntil = time.UnixMilli(wait)
	}
	return w, err
}

func oneWebhook(row store.RowScanner) (webhooks.Webhook, error) {
	w, err := scanWebhook(row)
	if errors.Is(err, sql.ErrNoRows) {
		return w, errs.New(errs.NotFound, "there is no such webhook")
	}
	return w, store.Failed(err)
}

// Webhook returns the webhook with the id, or errs.NotFound.
func (s Webhooks) Webhook(ctx context.Context, id int64) (webhooks.Webhook, error) {
	return oneWebhook(s.db.QueryRow(ctx, `SELECT `+webhookColumns+` WHERE id = $1`, id))
}

// Webhooks returns the webhooks of a room (0 for those of all), the newest first.
func (s Webhooks) Webhooks(ctx context.Context, room int64, p web.Paging, limit int) ([]webhooks.Webhook, error) {
	rows, err := s.db.Query(ctx, `SELECT `+webhookColumns+` WHERE room_id = $1 AND id < $2 AND id > $3 ORDER BY id DESC LIMIT $4 OFFSET $5`,
		room, store.Below(p.Before), p.After, limit, p.Offset)
	return store.CollectRows(rows, err, scanWebhook)
}

// Enabled returns all webhooks that are enabled.
func (s Webhooks) Enabled(ctx context.Context) ([]webhooks.Webhook, error) {
	rows, err := s.db.Query(ctx, `SELECT `+webhookColumns+` WHERE enabled = 1 ORDER BY id`)
	return store.CollectRows(rows, err, scanWebhook)
}

// Behind returns events after the cursor in the order of commits, up to the first whose id is not known.
func (s Webhooks) Behind(ctx context.Context, limit int) ([]webhooks.Event, error) {
	rows, err := s.db.Query(ctx, `SELECT `+eventColumns+`, (SELECT r.kind = 'dm' FROM chat_rooms r WHERE r.id = e.room_id) FROM chat_events e
		WHERE place > (SELECT f.place FROM chat_webhook_feed f) ORDER BY place LIMIT $1`, limit)
	all, err := store.CollectRows(rows, err, func(row store.RowScanner) (ev webhooks.Event, err error) {
		ev.Logged, err = scanEvent(alsoScan{row, &ev.Direct})
		return ev, err
	})
	for i := range all {
		if all[i].ID == 0 {
			return all[:i], err
		}
	}
	return all, err
}

// NewRooms returns rooms after the cursor of rooms, in the order in which they were made.
func (s Webhooks) NewRooms(ctx context.Context, limit int) ([]webhooks.NewRoom, error) {
	rows, err := s.db.Query(ctx, `SELECT id, name, kind, created_by, created_at FROM chat_rooms WHERE id > (SELECT room FROM chat_webhook_feed) ORDER BY id LIMIT $1`, limit)
	return store.CollectRows(rows, err, func(row store.RowScanner) (r webhooks.NewRoom, err error) {
		err = row.Scan(&r.ID, &r.Name, &r.Kind, &r.CreatedBy, &r.CreatedAt)
		return r, err
	})
}

// alsoScan scans one column more than it is asked for.
type alsoScan struct {
	store.RowScanner
	more any
}

// Scan implements store.RowScanner.
func (a alsoScan) Scan(into ...any) error { return a.RowScanner.Scan(append(into, a.more)...) }

// Waits returns how many deliveries of a webhook wait.
func (s Webhooks) Waits(ctx context.Context, webhook int64) (n int, err error) {
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM chat_deliveries WHERE webhook_id = $1 AND state = 'waiting'`, webhook).Scan(&n)
	return n, store.Failed(err)
}

const deliveryColumns = `id, webhook_id, message_id, type, room_id, seq, body, state, attempts, due_at, created_at, done_at FROM chat_deliveries`

func scanDelivery(row store.RowScanner) (d webhooks.Delivery, err error) {
	err = row.Scan(&d.ID, &d.Webhook, &d.MessageID, &d.Type, &d.RoomID, &d.Seq, &d.Body, &d.State, &d.Tries, &d.DueAt, &d.CreatedAt, &d.DoneAt)
	d.Attempts = []webhooks.Attempt{}
	return d, err
}

// Due returns the first waiting deliveries of a webhook whose time has come, in the order of the events.
func (s Webhooks) Due(ctx context.Context, webhook int64, now time.Time, limit int) ([]webhooks.Delivery, error) {
	rows, err := s.db.Query(ctx, `SELECT `+deliveryColumns+` WHERE webhook_id = $1 AND state = 'waiting' AND due_at <= $2 ORDER BY id LIMIT $3`, webhook, now.UnixMilli(), limit)
	return store.CollectRows(rows, err, scanDelivery)
}

// Deliveries returns a webhook's deliveries with their attempts, the newest first.
func (s Webhooks) Deliveries(ctx context.Context, webhook int64, p web.Paging, limit int) ([]webhooks.Delivery, error) {
	rows, err := s.db.Query(ctx, `SELECT `+deliveryColumns+` WHERE webhook_id = $1 AND id < $2 AND id > $3 ORDER BY id DESC LIMIT $4 OFFSET $5`,
		webhook, store.Below(p.Before), p.After, limit, p.Offset)
	ds, err := store.CollectRows(rows, err, scanDelivery)
	if err != nil || len(ds) == 0 {
		return ds, err
	}
	at := map[int64]int{}
	for i, d := range ds {
		at[d.ID] = i
	}
	rows, err = s.db.Query(ctx, `SELECT a.delivery_id, a.n, a.at, a.status, a.ms, a.error FROM chat_attempts a JOIN chat_deliveries d ON d.id = a.delivery_id
		WHERE d.webhook_id = $1 AND d.id >= $2 AND d.id <= $3 ORDER BY a.delivery_id, a.n`, webhook, ds[len(ds)-1].ID, ds[0].ID)
	_, err = store.CollectRows(rows, err, func(row store.RowScanner) (struct{}, error) {
		var id int64
		var a webhooks.Attempt
		err := row.Scan(&id, &a.N, &a.At, &a.Status, &a.MS, &a.Error)
		if i, ok := at[id]; ok {
			ds[i].Attempts = append(ds[i].Attempts, a)
		}
		return struct{}{}, err
	})
	return ds, err
}

// CountWebhooks returns how many webhooks a room has, or (0) all rooms together.
func (tx webhookTxn) CountWebhooks(room int64) (n int, err error) {
	err = tx.QueryRow(`SELECT COUNT(*) FROM chat_webhooks WHERE room_id = $1`, room).Scan(&n)
	return n, store.Failed(err)
}

// Webhook returns the webhook with the id, or errs.NotFound.
func (tx webhookTxn) Webhook(id int64) (webhooks.Webhook, error) {
	return oneWebhook(tx.QueryRow(`SELECT `+webhookColumns+` WHERE id = $1`, id))
}

const newestRoom = `COALESCE((SELECT MAX(id) FROM chat_rooms), 0)`

// here is the place of the newest event; where no webhook listened, the cursor stands there from now on.
func (tx webhookTxn) here() (place int64, err error) {
	if err := tx.QueryRow(`SELECT COALESCE(MAX(place), 0) FROM chat_events`).Scan(&place); err != nil {
		return 0, store.Failed(err)
	}
	_, err = tx.Exec(`UPDATE chat_webhook_feed SET place = MAX(place, $1), room = `+newestRoom+` WHERE NOT EXISTS (SELECT 1 FROM chat_webhooks WHERE enabled = 1)`, place)
	return place, err
}

// AddWebhook stores a webhook, which hears what is committed from now on, and returns its id.
func (tx webhookTxn) AddWebhook(w webhooks.Webhook) (id int64, err error) {
	if w.Since, err = tx.here(); err != nil {
		return 0, err
	}
	err = tx.QueryRow(`INSERT INTO chat_webhooks (room_id, url, secret, events, made_by, created_at, enabled, reason, since, failures, failing_since, wait_until, since_room)
		VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, 0, 0, 0, `+newestRoom+`) RETURNING id`,
		w.RoomID, w.URL, w.Secret, strings.Join(w.Events, " "), w.MadeBy, int64(w.CreatedAt), w.Enabled, w.Since).Scan(&id)
	return id, store.Failed(err)
}

// SaveWebhook stores a webhook; one that is enabled anew hears what is committed from now on.
func (tx webhookTxn) SaveWebhook(w webhooks.Webhook, anew bool) (err error) {
	if anew {
		if w.Since, err = tx.here(); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE chat_webhooks SET since_room = `+newestRoom+` WHERE id = $1`, w.ID); err != nil {
			return err
		}
	}
	wait := int64(0)
	if !w.WaitUntil.IsZero() {
		wait = w.WaitUntil.UnixMilli()
	}
	_, err = tx.Exec(`UPDATE chat_webhooks SET url = $2, events = $3, enabled = $4, reason = $5, since = $6, failures = $7, failing_since = $8, wait_until = $9 WHERE id = $1`,
		w.ID, w.URL, strings.Join(w.Events, " "), w.Enabled, w.Reason, w.Since, w.Failures, int64(w.FailingSince), wait)
	return err
}

// DropWebhook removes a webhook with its deliveries.
func (tx webhookTxn) DropWebhook(id int64) error {
	for _, statement := range []string{`DELETE FROM chat_attempts WHERE delivery_id IN (SELECT id FROM chat_deliveries WHERE webhook_id = $1)`,
		`DELETE FROM chat_deliveries WHERE webhook_id = $1`, `DELETE FROM chat_webhooks WHERE id = $1`} {
		if _, err := tx.Exec(statement, id); err != nil {
			return err
		}
	}
	return nil
}

// Queue stores deliveries and moves the cursor.
func (tx webhookTxn) Queue(all []webhooks.Delivery, place int64) error {
	if err := tx.queue(all); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE chat_webhook_feed SET place = $1`, place)
	return err
}

// QueueRooms stores deliveries and moves the cursor of rooms.
func (tx webhookTxn) QueueRooms(all []webhooks.Delivery, room int64) error {
	if err := tx.queue(all); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE chat_webhook_feed SET room = $1`, room)
	return err
}

func (tx webhookTxn) queue(all []webhooks.Delivery) error {
	for _, d := range all {
		if _, err := tx.Exec(`INSERT INTO chat_deliveries (webhook_id, message_id, type, room_id, seq, body, state, attempts, due_at, created_at, done_at)
			SELECT $1, $2, $3, $4, $5, $6, $7, 0, $8, $9, 0 WHERE EXISTS (SELECT 1 FROM chat_webhooks WHERE id = $1)`,
			d.Webhook, d.MessageID, d.Type, d.RoomID, d.Seq, d.Body, d.State, int64(d.DueAt), int64(d.CreatedAt)); err != nil {
			return err
		}
	}
	return nil
}

// Attempted stores an attempt and what came of it.
func (tx webhookTxn) Attempted(d webhooks.Delivery, a webhooks.Attempt) error {
	if _, err := tx.Exec(`UPDATE chat_deliveries SET state = $2, attempts = $3, due_at = $4, done_at = $5 WHERE id = $1`,
		d.ID, d.State, d.Tries, int64(d.DueAt), int64(d.DoneAt)); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO chat_attempts (delivery_id, n, at, status, ms, error) SELECT $1, $2, $3, $4, $5, $6 WHERE EXISTS (SELECT 1 FROM chat_deliveries WHERE id = $1)`,
		d.ID, a.N, int64(a.At), a.Status, a.MS, a.Error)
	return err
}

// Delivery returns a delivery of a webhook, or errs.NotFound.
func (tx webhookTxn) Delivery(webhook, id int64) (webhooks.Delivery, error) {
	d, err := scanDelivery(tx.QueryRow(`SELECT `+deliveryColumns+` WHERE webhook_id = $1 AND id = $2`, webhook, id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, errs.New(errs.NotFound, "there is no such delivery; they are kept for a week")
	}
	return d, store.Failed(err)
}

// Again makes a delivery wait, due at once, and its webhook with it.
func (tx webhookTxn) Again(d webhooks.Delivery) error {
	if _, err := tx.Exec(`UPDATE chat_deliveries SET state = $2, due_at = $3, done_at = 0 WHERE id = $1`, d.ID, d.State, int64(d.DueAt)); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE chat_webhooks SET wait_until = 0 WHERE id = $1`, d.Webhook)
	return err
}

// Forget removes deliveries that were done before the time, at most limit, and returns how many.
func (tx webhookTxn) Forget(before time.Time, limit int) (int, error) {
	const old = `SELECT id FROM chat_deliveries WHERE state <> 'waiting' AND done_at < $1 ORDER BY done_at LIMIT $2`
	if _, err := tx.Exec(`DELETE FROM chat_attempts WHERE delivery_id IN (`+old+`)`, before.UnixMilli(), limit); err != nil {
		return 0, err
	}
	r, err := tx.Exec(`DELETE FROM chat_deliveries WHERE id IN (`+old+`)`, before.UnixMilli(), limit)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	return int(n), err
}
