// Package hookstore is the tables of services/email/webhooks. It holds SQL and no rule; package store says what is promised. What waits is
// written by package mailstore, in the transaction of what it tells of.
package hookstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/internal/webhook"
	"uniqverse/services/email/webhooks"
	"uniqverse/store"
)

// Store is the store of services/email/webhooks.
type Store struct{ db *store.DB }

// New returns the tables of the database.
func New(db *store.DB) Store { return Store{db} }

var (
	_ webhooks.Store = Store{}
	_ webhooks.Tx    = txn{}
)

type txn struct{ *store.Tx }

// Update runs fn in one durable transaction.
func (s Store) Update(ctx context.Context, once *web.Once, fn func(webhooks.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *store.Tx) error { return fn(txn{tx}) })
}

const webhookColumns = `id, user_name, url, secret, events, created_at, enabled, reason, failures, failing_since, wait_until FROM email_webhooks`

func scanWebhook(row store.RowScanner) (w webhooks.Webhook, err error) {
	var events string
	var wait int64
	err = row.Scan(&w.ID, &w.User, &w.URL, &w.Secret, &events, &w.CreatedAt, &w.Enabled, &w.Reason, &w.Failures, &w.FailingSince, &wait)
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
func (s Store) Webhook(ctx context.Context, id int64) (webhooks.Webhook, error) {
	return oneWebhook(s.db.QueryRow(ctx, `SELECT `+webhookColumns+` WHERE id = $1`, id))
}

// Webhooks returns the webhooks of a mailbox ("" for those of all), the newest first.
func (s Store) Webhooks(ctx context.Context, user string, p web.Paging, limit int) ([]webhooks.Webhook, error) {
	rows, err := s.db.Query(ctx, `SELECT `+webhookColumns+` WHERE user_name = $1 AND id < $2 AND id > $3 ORDER BY id DESC LIMIT $4 OFFSET $5`,
		user, store.Below(p.Before), p.After, limit, p.Offset)
	return store.CollectRows(rows, err, scanWebhook)
}

// Enabled returns all webhooks that are enabled.
func (s Store) Enabled(ctx context.Context) ([]webhooks.Webhook, error) {
	rows, err := s.db.Query(ctx, `SELECT `+webhookColumns+` WHERE enabled = 1 ORDER BY id`)
	return store.CollectRows(rows, err, scanWebhook)
}

// Waits returns how many deliveries of a webhook wait.
func (s Store) Waits(ctx context.Context, webhook int64) (n int, err error) {
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM email_deliveries WHERE webhook_id = $1 AND state = 'waiting'`, webhook).Scan(&n)
	return n, store.Failed(err)
}

const deliveryColumns = `id, webhook_id, message_id, type, body, state, attempts, due_at, created_at, done_at FROM email_deliveries`

func scanDelivery(row store.RowScanner) (d webhooks.Delivery, err error) {
	err = row.Scan(&d.ID, &d.Webhook, &d.MessageID, &d.Type, &d.Body, &d.State, &d.Tries, &d.DueAt, &d.CreatedAt, &d.DoneAt)
	d.Attempts = []webhook.Attempt{}
	return d, err
}

// Due returns the first waiting deliveries of a webhook whose time has come, the oldest first.
func (s Store) Due(ctx context.Context, webhook int64, now time.Time, limit int) ([]webhooks.Delivery, error) {
	rows, err := s.db.Query(ctx, `SELECT `+deliveryColumns+` WHERE webhook_id = $1 AND state = 'waiting' AND due_at <= $2 ORDER BY id LIMIT $3`, webhook, now.UnixMilli(), limit)
	return store.CollectRows(rows, err, scanDelivery)
}

// Deliveries returns a webhook's deliveries with their attempts, the newest first.
func (s Store) Deliveries(ctx context.Context, hook int64, p web.Paging, limit int) ([]webhooks.Delivery, error) {
	rows, err := s.db.Query(ctx, `SELECT `+deliveryColumns+` WHERE webhook_id = $1 AND id < $2 AND id > $3 ORDER BY id DESC LIMIT $4 OFFSET $5`,
		hook, store.Below(p.Before), p.After, limit, p.Offset)
	ds, err := store.CollectRows(rows, err, scanDelivery)
	if err != nil || len(ds) == 0 {
		return ds, err
	}
	at := map[int64]int{}
	for i, d := range ds {
		at[d.ID] = i
	}
	rows, err = s.db.Query(ctx, `SELECT a.delivery_id, a.n, a.at, a.status, a.ms, a.error FROM email_attempts a JOIN email_deliveries d ON d.id = a.delivery_id
		WHERE d.webhook_id = $1 AND d.id >= $2 AND d.id <= $3 ORDER BY a.delivery_id, a.n`, hook, ds[len(ds)-1].ID, ds[0].ID)
	_, err = store.CollectRows(rows, err, func(row store.RowScanner) (struct{}, error) {
		var id int64
		var a webhook.Attempt
		err := row.Scan(&id, &a.N, &a.At, &a.Status, &a.MS, &a.Error)
		if i, ok := at[id]; ok {
			ds[i].Attempts = append(ds[i].Attempts, a)
		}
		return struct{}{}, err
	})
	return ds, err
}

// CountWebhooks returns how many webhooks a mailbox has, or ("") all together.
func (tx txn) CountWebhooks(user string) (n int, err error) {
	err = tx.QueryRow(`SELECT COUNT(*) FROM email_webhooks WHERE user_name = $1`, user).Scan(&n)
	return n, store.Failed(err)
}

// Webhook returns the webhook with the id, or errs.NotFound.
func (tx txn) Webhook(id int64) (webhooks.Webhook, error) {
	return oneWebhook(tx.QueryRow(`SELECT `+webhookColumns+` WHERE id = $1`, id))
}

// AddWebhook stores a webhook, which hears of what is committed from now on, and returns its id.
func (tx txn) AddWebhook(w webhooks.Webhook) (id int64, err error) {
	err = tx.QueryRow(`INSERT INTO email_webhooks (user_name, url, secret, events, created_at, enabled, reason, failures, failing_since, wait_until)
		VALUES ($1, $2, $3, $4, $5, $6, '', 0, 0, 0) RETURNING id`, w.User, w.URL, w.Secret, joined(w.Events), int64(w.CreatedAt), w.Enabled).Scan(&id)
	return id, store.Failed(err)
}

// joined writes types with a space before, between and behind; none is "".
func joined(types []string) string {
	if len(types) == 0 {
		return ""
	}
	return " " + strings.Join(types, " ") + " "
}

// SaveWebhook stores a webhook.
func (tx txn) SaveWebhook(w webhooks.Webhook) error {
	wait := int64(0)
	if !w.WaitUntil.IsZero() {
		wait = w.WaitUntil.UnixMilli()
	}
	_, err := tx.Exec(`UPDATE email_webhooks SET url = $2, events = $3, enabled = $4, reason = $5, failures = $6, failing_since = $7, wait_until = $8 WHERE id = $1`,
		w.ID, w.URL, joined(w.Events), w.Enabled, w.Reason, w.Failures, int64(w.FailingSince), wait)
	return err
}

// DropWebhook removes a webhook with its deliveries.
func (tx txn) DropWebhook(id int64) error {
	for _, statement := range []string{`DELETE FROM email_attempts WHERE delivery_id IN (SELECT id FROM email_deliveries WHERE webhook_id = $1)`,
		`DELETE FROM email_deliveries WHERE webhook_id = $1`, `DELETE FROM email_webhooks WHERE id = $1`} {
		if _, err := tx.Exec(statement, id); err != nil {
			return err
		}
	}
	return nil
}

// Attempted stores an attempt and what came of it.
func (tx txn) Attempted(d webhooks.Delivery, a webhook.Attempt) error {
	if _, err := tx.Exec(`UPDATE email_deliveries SET state = $2, attempts = $3, due_at = $4, done_at = $5 WHERE id = $1`,
		d.ID, d.State, d.Tries, int64(d.DueAt), int64(d.DoneAt)); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO email_attempts (delivery_id, n, at, status, ms, error) SELECT $1, $2, $3, $4, $5, $6 WHERE EXISTS (SELECT 1 FROM email_deliveries WHERE id = $1)`,
		d.ID, a.N, int64(a.At), a.Status, a.MS, a.Error)
	return err
}

// Delivery returns a delivery of a webhook, or errs.NotFound.
func (tx txn) Delivery(webhook, id int64) (webhooks.Delivery, error) {
	d, err := scanDelivery(tx.QueryRow(`SELECT `+deliveryColumns+` WHERE webhook_id = $1 AND id = $2`, webhook, id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, errs.New(errs.NotFound, "there is no such delivery; they are kept for a week")
	}
	return d, store.Failed(err)
}

// Again makes a delivery wait, due at once, and its webhook with it.
func (tx txn) Again(d webhooks.Delivery) error {
	if _, err := tx.Exec(`UPDATE email_deliveries SET state = $2, due_at = $3, done_at = 0 WHERE id = $1`, d.ID, d.State, int64(d.DueAt)); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE email_webhooks SET wait_until = 0 WHERE id = $1`, d.Webhook)
	return err
}

// Forget removes deliveries that were done before the time, at most limit, and returns how many.
func (tx txn) Forget(before time.Time, limit int) (int, error) {
	const old = `SELECT id FROM email_deliveries WHERE state <> 'waiting' AND done_at < $1 ORDER BY done_at LIMIT $2`
	if _, err := tx.Exec(`DELETE FROM email_attempts WHERE delivery_id IN (`+old+`)`, before.UnixMilli(), limit); err != nil {
		return 0, err
	}
	r, err := tx.Exec(`DELETE FROM email_deliveries WHERE id IN (`+old+`)`, before.UnixMilli(), limit)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	return int(n), err
}
