package mailstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/queue"
	"uniqverse/store"
)

const attemptColumns = `entry_id, attempt, began_at, ended_at, verdict, host, tls, reply`

func scanAttempt(row store.RowScanner) (a queue.Attempt, err error) {
	var began, ended int64
	err = row.Scan(&a.EntryID, &a.Number, &began, &ended, &a.Verdict, &a.Host, &a.TLS, &a.Reply)
	a.Began, a.Ended = timeOf(began), timeOf(ended)
	return a, err
}

// EntryAttempts returns an entry, or errs.NotFound, and its attempts, oldest first.
func (s Store) EntryAttempts(ctx context.Context, id int64) (queue.Entry, []queue.Attempt, error) {
	e, err := scanQueueEntry(s.db.QueryRow(ctx, `SELECT `+queueColumns+` FROM email_queue WHERE id = $1`, id))
	if err != nil {
		return e, nil, err
	}
	rows, err := s.db.Query(ctx, `SELECT `+attemptColumns+` FROM email_queue_attempts WHERE entry_id = $1 ORDER BY id`, id)
	list, err := store.CollectRows(rows, err, scanAttempt)
	return e, list, err
}

// AddAttempt keeps how an attempt of an entry went.
func (tx txn) AddAttempt(a queue.Attempt) error {
	_, err := tx.Exec(`INSERT INTO email_queue_attempts (`+attemptColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		a.EntryID, a.Number, unixMS(a.Began), unixMS(a.Ended), a.Verdict, a.Host, a.TLS, a.Reply)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`DELETE FROM email_queue_attempts WHERE id = (SELECT id FROM email_queue_attempts WHERE entry_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)`, a.EntryID, queue.MaxKept)
	return err
}

const domainColumns = `domain, paused_at, reason, failures, retry_at, last_reply, updated_at`

func scanDomain(row store.RowScanner) (d queue.Domain, err error) {
	var paused, retry, updated int64
	err = row.Scan(&d.Name, &paused, &d.Reason, &d.Failures, &retry, &d.LastReply, &updated)
	d.Paused, d.RetryAt, d.Updated = timeOf(paused), timeOf(retry), timeOf(updated)
	return d, err
}

const domainQuery = `SELECT ` + domainColumns + ` FROM email_queue_domains WHERE domain = $1`

// domainState reads what is known of a domain; a row that is not there is nothing known.
func domainState(row store.RowScanner, name string) (queue.Domain, error) {
	d, err := scanDomain(row)
	if errors.Is(err, sql.ErrNoRows) {
		return queue.Domain{Name: name}, nil
	}
	return d, store.Failed(err)
}

// DomainState returns what is known of a domain.
func (s Store) DomainState(ctx context.Context, name string) (queue.Domain, error) {
	return domainState(s.db.QueryRow(ctx, domainQuery, name), name)
}

// DomainState returns what is known of a domain.
func (tx txn) DomainState(name string) (queue.Domain, error) {
	return domainState(tx.QueryRow(domainQuery, name), name)
}

// Domains returns those that are paused or in trouble, in alphabetical order.
func (s Store) Domains(ctx context.Context) ([]queue.Domain, error) {
	rows, err := s.db.Query(ctx, `SELECT `+domainColumns+` FROM email_queue_domains ORDER BY domain LIMIT 1000`)
	return store.CollectRows(rows, err, scanDomain)
}

// SaveDomain writes what is known of a domain, or forgets it.
func (tx txn) SaveDomain(d queue.Domain) error {
	if d.Paused.IsZero() && d.Failures == 0 {
		_, err := tx.Exec(`DELETE FROM email_queue_domains WHERE domain = $1`, d.Name)
		return err
	}
	_, err := tx.Exec(`INSERT INTO email_queue_domains (`+domainColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (domain) DO UPDATE SET
		paused_at = excluded.paused_at, reason = excluded.reason, failures = excluded.failures, retry_at = excluded.retry_at, last_reply = excluded.last_reply, updated_at = excluded.updated_at`,
		d.Name, unixMS(d.Paused), d.Reason, d.Failures, unixMS(d.RetryAt), d.LastReply, unixMS(d.Updated))
	return err
}

// Advance lets entries of a domain that were put off be due when they are due by themselves.
func (tx txn) Advance(domain string, most int) error {
	if domain == queue.AllDomains { // which puts nothing off
		return nil
	}
	_, err := tx.Exec(`UPDATE email_queue SET due_at = next_at WHERE id IN
		(SELECT id FROM email_queue WHERE domain = $1 AND state = 'queued' AND (due_at IS NULL OR due_at > next_at) ORDER BY id LIMIT $2)`, domain, most)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE email_queue SET due_at = max(next_at, $3 + (id * 7919) % 60000) WHERE id IN
		(SELECT id FROM email_queue WHERE domain = $1 AND state = 'queued' AND due_at IS NULL LIMIT $2)`, domain, -1, tx.Now().UnixMilli())
	return err
}

const ruleQuery = `SELECT id, pattern, redirect, created_at FROM email_queue_rules ORDER BY id`

func scanRule(row store.RowScanner) (r queue.Rule, err error) {
	var at int64
	err = row.Scan(&r.ID, &r.Pattern, &r.Redirect, &at)
	r.Created = timeOf(at)
	return r, err
}

// Rules returns what is released although everything is held, oldest first.
func (s Store) Rules(ctx context.Context) ([]queue.Rule, error) {
	rows, err := s.db.Query(ctx, ruleQuery)
	return store.CollectRows(rows, err, scanRule)
}

// Rules returns what is released although everything is held, oldest first.
func (tx txn) Rules() ([]queue.Rule, error) {
	rows, err := tx.Query(ruleQuery)
	return store.CollectRows(rows, err, scanRule)
}

// AddRule adds a rule, or changes the one with its pattern.
func (tx txn) AddRule(r queue.Rule) (id int64, err error) {
	err = tx.QueryRow(`INSERT INTO email_queue_rules (pattern, redirect, created_at) VALUES ($1, $2, $3) ON CONFLICT (pattern) DO UPDATE SET redirect = excluded.redirect RETURNING id`,
		r.Pattern, r.Redirect, unixMS(r.Created)).Scan(&id)
	return id, store.Failed(err)
}

// DropRule removes a rule, or fails with errs.NotFound.
func (tx txn) DropRule(id int64) error {
	res, err := tx.Exec(`DELETE FROM email_queue_rules WHERE id = $1`, id)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errs.New(errs.NotFound, "there is no such rule")
	}
	return nil
}

// Recover queues what is being sent, and notes that its attempts were cut off.
func (s Store) Recover(ctx context.Context) (n int64, err error) {
	err = s.db.Write(ctx, nil, func(tx *store.Tx) error {
		now := tx.Now().UnixMilli()
		if _, err := tx.Exec(`INSERT INTO email_queue_attempts (`+attemptColumns+`) SELECT id, attempts, updated_at, max($1, updated_at), 'stopped', '', '', $2 FROM email_queue WHERE state = 'sending'`,
			now, "the process ended in the middle of this attempt"); err != nil {
			return err
		}
		res, err := tx.Exec(`UPDATE email_queue SET state = 'queued', lease_until = 0, next_at = $1, due_at = $1, updated_at = $1 WHERE state = 'sending'`, now)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

// The finished entries that are removed: those before a time, and those beyond the newest so many. Both walk the index of
// what is finished.
const (
	retireQuery = `SELECT id, raw_id FROM email_queue WHERE finished_at < $1 ORDER BY finished_at, id LIMIT $2`
	beyondQuery = `SELECT finished_at FROM email_queue WHERE finished_at IS NOT NULL ORDER BY finished_at DESC, id DESC LIMIT 1 OFFSET $1`
)

// retireMost is how many entries one transaction removes.
const retireMost = 500

// Retire removes finished entries, and bodies that nothing refers to any more. See queue.Store.
func (s Store) Retire(ctx context.Context, before time.Time, keep int) (entries int, files []string, err error) {
	err = s.db.Write(ctx, nil, func(tx *store.Tx) error {
		entries, files = 0, nil
		limit := before.UnixMilli()
		var beyond int64
		switch err := tx.QueryRow(beyondQuery, keep).Scan(&beyond); {
		case err == nil:
			limit = max(limit, beyond+1)
		case !errors.Is(err, sql.ErrNoRows):
			return store.Failed(err)
		}
		type pair struct{ id, raw int64 }
		rows, err := tx.Query(retireQuery, limit, retireMost)
		gone, err := store.CollectRows(rows, err, func(r store.RowScanner) (p pair, err error) { return p, r.Scan(&p.id, &p.raw) })
		if err != nil {
			return err
		}
		for _, p := range gone {
			if _, err := tx.Exec(`DELETE FROM email_queue_attempts WHERE entry_id = $1`, p.id); err != nil {
				return err
			}
			if _, err := tx.Exec(`DELETE FROM email_queue WHERE id = $1`, p.id); err != nil {
				return err
			}
			file, err := txn{tx}.dropRaw(p.raw)
			if err != nil {
				return err
			}
			if file != "" {
				files = append(files, file)
			}
		}
		entries = len(gone)
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	return entries, files, nil
}

// Suppressions returns a page of the suppression list, newest first.
func (s Store) Suppressions(ctx context.Context, p web.Paging) ([]queue.Suppression, error) {
	w := pageQuery{table: "email_suppressions"}
	rows, err := s.db.Query(ctx, w.query(`id, address, reason, created_at`, p), w.args...)
	return store.CollectRows(rows, err, scanSuppression)
}

func scanSuppression(row store.RowScanner) (queue.Suppression, error) {
	var (
		s  queue.Suppression
		at int64
	)
	err := row.Scan(&s.ID, &s.Address, &s.Reason, &at)
	s.Created = timeOf(at)
	return s, missing(err, "address on the suppression list")
}

// SuppressionOf returns why mail to an address is refused, or errs.NotFound.
func (s Store) SuppressionOf(ctx context.Context, address string) (queue.Suppression, error) {
	return scanSuppression(s.db.QueryRow(ctx, `SELECT id, address, reason, created_at FROM email_suppressions WHERE address = $1`, address))
}

// Suppress puts an address on the list, or changes its entry there.
func (tx txn) Suppress(s queue.Suppression) error {
	_, err := tx.Exec(`INSERT INTO email_suppressions (address, reason, created_at) VALUES ($1, $2, $3)
		ON CONFLICT (address) DO UPDATE SET reason = excluded.reason`, s.Address, s.Reason, s.Created.UnixMilli())
	return err
}

// Unsuppress takes an address off the list; one that is not there is no error.
func (tx txn) Unsuppress(address string) error {
	_, err := tx.Exec(`DELETE FROM email_suppressions WHERE address = $1`, address)
	return err
}
