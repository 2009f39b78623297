// Package chaosstore is the table of services/email/chaos: the rules by which mail fails on purpose. It holds their SQL and no rule of
// them; package store says what is promised.
package chaosstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/chaos"
	"uniqverse/store"
)

// Store is the store of chaos rules.
type Store struct{ db *store.DB }

// New returns the table of chaos rules of the database.
func New(db *store.DB) Store { return Store{db} }

var (
	_ chaos.Store = Store{}
	_ chaos.Tx    = chaosTx{}
)

type chaosTx struct{ *store.Tx }

// Update runs fn in one durable transaction.
func (s Store) Update(ctx context.Context, once *web.Once, fn func(chaos.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *store.Tx) error { return fn(chaosTx{tx}) })
}

const chaosColumns = `id, pattern, stage, effect, code, enhanced, text, delay_ms, per_minute, probability, enabled, note, hits, last_hit_at, created_at`

func scanChaos(row store.RowScanner) (chaos.Rule, error) {
	var r chaos.Rule
	var delay, last, created int64
	err := row.Scan(&r.ID, &r.Pattern, &r.Stage, &r.Effect, &r.Code, &r.Enhanced, &r.Text, &delay, &r.PerMinute, &r.Probability, &r.Enabled, &r.Note, &r.Hits, &last, &created)
	r.Delay, r.LastHit, r.Created = time.Duration(delay)*time.Millisecond, timeOf(last), timeOf(created)
	return r, missing(err)
}

// ChaosRules returns all rules, the first made first.
func (s Store) ChaosRules(ctx context.Context) ([]chaos.Rule, error) {
	rows, err := s.db.Query(ctx, `SELECT `+chaosColumns+` FROM email_chaos ORDER BY id`)
	return store.CollectRows(rows, err, scanChaos)
}

// ChaosRule returns a rule, or errs.NotFound.
func (tx chaosTx) ChaosRule(id int64) (chaos.Rule, error) {
	return scanChaos(tx.QueryRow(`SELECT `+chaosColumns+` FROM email_chaos WHERE id = $1`, id))
}

// AddChaosRule stores a rule and returns it with its id.
func (tx chaosTx) AddChaosRule(r chaos.Rule) (chaos.Rule, error) {
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM email_chaos`).Scan(&n); err != nil {
		return r, store.Failed(err)
	}
	if n >= chaos.MaxRules {
		return r, errs.New(errs.Conflict, "there are %d chaos rules, as many as there may be; remove one first", n)
	}
	err := tx.QueryRow(`INSERT INTO email_chaos (pattern, stage, effect, code, enhanced, text, delay_ms, per_minute, probability, enabled, note, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id`, r.Pattern, r.Stage, r.Effect, r.Code, r.Enhanced, r.Text, r.Delay.Milliseconds(), r.PerMinute,
		r.Probability, r.Enabled, r.Note, unixMS(r.Created)).Scan(&r.ID)
	return r, store.Failed(err)
}

// SaveChaosRule writes whether a rule strikes, and how often.
func (tx chaosTx) SaveChaosRule(r chaos.Rule) error {
	return oneRow(tx.Exec(`UPDATE email_chaos SET probability = $1, enabled = $2 WHERE id = $3`, r.Probability, r.Enabled, r.ID))
}

// RemoveChaosRule removes a rule.
func (tx chaosTx) RemoveChaosRule(id int64) error {
	return oneRow(tx.Exec(`DELETE FROM email_chaos WHERE id = $1`, id))
}

// HitChaosRule adds to how often a rule struck.
func (tx chaosTx) HitChaosRule(id, hits int64, last time.Time) error {
	return oneRow(tx.Exec(`UPDATE email_chaos SET hits = hits + $1, last_hit_at = MAX(last_hit_at, $2) WHERE id = $3`, hits, unixMS(last), id))
}

// missing turns an absent row into errs.NotFound.
func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errs.New(errs.NotFound, "there is no such chaos rule")
	}
	return store.Failed(err)
}

// timeOf turns unix milliseconds into a time; 0 is the zero time.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// unixMS turns a time into unix milliseconds; the zero time is 0.
func unixMS(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// oneRow makes a change that met no row errs.NotFound.
func oneRow(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return missing(sql.ErrNoRows)
	}
	return nil
}
