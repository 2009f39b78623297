package mailstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/queue"
	"uniqverse/store"
)

var (
	_ queue.Store[email.Tx] = Store{}
	_ queue.Tx              = txn{}
)

const queueColumns = `id, queue_id, raw_id, message_id, user_name, reverse_path, recipient, domain, state, reason, attempts, next_at, lease_until, delayed,
	last_reply, host, created_at, updated_at`

func scanQueueEntry(row store.RowScanner) (queue.Entry, error) {
	var (
		e                             queue.Entry
		next, lease, created, updated int64
	)
	err := row.Scan(&e.ID, &e.QueueID, &e.RawID, &e.MessageID, &e.User, &e.ReversePath, &e.Recipient, &e.Domain, &e.State, &e.Reason, &e.Attempts, &next, &lease,
		&e.Delayed, &e.LastReply, &e.Host, &created, &updated)
	e.NextAt, e.LeaseUntil, e.Created, e.Updated = timeOf(next), timeOf(lease), timeOf(created), timeOf(updated)
	return e, missing(err, "mail in the queue")
}

// dueQuery finds what is due at $1, at most $2, without the domains after them; nextDueQuery when the next one is. Both
// walk one index in its order and stop: with a hundred thousand entries due, a claim reads the few that it takes.
const (
	dueQuery     = `SELECT ` + queueColumns + ` FROM email_queue WHERE due_at <= $1 AND domain NOT IN ($3, $4, $5, $6) ORDER BY due_at, id LIMIT $2`
	nextDueQuery = `SELECT due_at FROM email_queue WHERE due_at IS NOT NULL AND domain NOT IN ($1, $2, $3, $4) ORDER BY due_at, id LIMIT 1`
)

// dueAt is what an entry's due_at is.
func dueAt(e queue.Entry) any {
	switch e.State {
	case queue.Queued:
		return unixMS(e.NextAt)
	case queue.Sending:
		return unixMS(e.LeaseUntil)
	}
	return nil
}

// fullMost is how many domains a query about the queue can leave out: as many as can have all their attempts running.
const fullMost = queue.Workers / queue.PerDomain

// fullDomains returns the parameters of a query that leaves domains out.
func fullDomains(args []any, full []string) []any {
	for i := range fullMost {
		if i < len(full) {
			args = append(args, full[i])
		} else {
			args = append(args, "")
		}
	}
	return args
}

// Claim durably hands out entries that are due. See queue.Store.
func (s Store) Claim(ctx context.Context, now, lease time.Time, most int, busy map[string]int) ([]queue.Entry, error) {
	var claimed []queue.Entry
	err := s.db.Write(ctx, nil, func(tx *store.Tx) error {
		claimed = nil
		running := map[string]int{}
		var full []string
		for d, n := range busy {
			if running[d] = n; n >= queue.PerDomain {
				full = append(full, d)
			}
		}
		// More than are wanted: those of one domain beyond its share are passed over.
		args := fullDomains([]any{now.UnixMilli(), most * 8}, full)
		rows, err := tx.Query(dueQuery, args...)
		due, err := store.CollectRows(rows, err, scanQueueEntry)
		if err != nil {
			return err
		}
		for _, e := range due {
			if len(claimed) == most {
				break
			}
			if running[e.Domain] >= queue.PerDomain {
				continue
			}
			running[e.Domain]++
			e.State, e.LeaseUntil, e.Attempts, e.Updated = queue.Sending, lease.Truncate(time.Millisecond), e.Attempts+1, now
			if _, err := tx.Exec(`UPDATE email_queue SET state = 'sending', lease_until = $1, due_at = $1, attempts = $2, updated_at = $3 WHERE id = $4`,
				e.LeaseUntil.UnixMilli(), e.Attempts, now.UnixMilli(), e.ID); err != nil {
				return err
			}
			claimed = append(claimed, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// NextDue returns when the next entry is due; zero when none waits.
func (s Store) NextDue(ctx context.Context, full []string) (time.Time, error) {
	var at int64
	err := s.db.QueryRow(ctx, nextDueQuery, fullDomains(nil, full)...).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return timeOf(at), store.Failed(err)
}

// Entries returns a page of the queue, newest first; state "" means all.
func (s Store) Entries(ctx context.Context, state queue.State, p web.Paging) ([]queue.Entry, error) {
	w := pageQuery{table: "email_queue"}
	if state != "" {
		w.where("state = %", string(state))
	}
	rows, err := s.db.Query(ctx, w.query(queueColumns, p), w.args...)
	return store.CollectRows(rows, err, scanQueueEntry)
}

// Counts returns how many entries there are in each state.
func (s Store) Counts(ctx context.Context) (map[queue.State]int64, error) {
	type pair struct {
		state queue.State
		n     int64
	}
	rows, err := s.db.Query(ctx, `SELECT state, COUNT(*) FROM email_queue GROUP BY state`)
	pairs, err := store.CollectRows(rows, err, func(r store.RowScanner) (p pair, err error) { return p, r.Scan(&p.state, &p.n) })
	out := map[queue.State]int64{}
	for _, p := range pairs {
		out[p.state] = p.n
	}
	return out, err
}

// ReleaseHeld queues what is held for this reason, and returns how many that were.
func (s Store) ReleaseHeld(ctx context.Context, reason string) (n int64, err error) {
	err = s.db.Write(ctx, nil, func(tx *store.Tx) error {
		now := tx.Now().UnixMilli()
		res, err := tx.Exec(`UPDATE email_queue SET state = 'queued', reason = '', next_at = $1, due_at = $1, updated_at = $1 WHERE state = 'held' AND reason = $2`, now, reason)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

// Enqueue adds an entry and returns its id.
func (tx txn) Enqueue(e queue.Entry) (id int64, err error) {
	now := tx.Now().UnixMilli()
	err = tx.QueryRow(`INSERT INTO email_queue (queue_id, raw_id, message_id, user_name, reverse_path, recipient, domain, state, reason, attempts, next_at, lease_until,
		due_at, delayed, last_reply, host, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 0, $11, 0, '', '', $12, $13) RETURNING id`,
		e.QueueID, e.RawID, e.MessageID, e.User, e.ReversePath, e.Recipient, e.Domain, string(e.State), e.Reason, unixMS(e.NextAt), dueAt(e), now, now).Scan(&id)
	return id, store.Failed(err)
}

// EntryByID returns an entry, or errs.NotFound.
func (tx txn) EntryByID(id int64) (queue.Entry, error) {
	return scanQueueEntry(tx.QueryRow(`SELECT `+queueColumns+` FROM email_queue WHERE id = $1`, id))
}

// SaveEntry writes an entry that was read as was. When it is not as it was any more: errs.Conflict.
func (tx txn) SaveEntry(was, e queue.Entry) error {
	res, err := tx.Exec(`UPDATE email_queue SET state = $1, reason = $2, attempts = $3, next_at = $4, lease_until = $5, delayed = $6, last_reply = $7, host = $8, updated_at = $9, due_at = $10
		WHERE id = $11 AND state = $12 AND lease_until = $13 AND attempts = $14`,
		string(e.State), e.Reason, e.Attempts, unixMS(e.NextAt), unixMS(e.LeaseUntil), asInt(e.Delayed), e.LastReply, e.Host, tx.Now().UnixMilli(), dueAt(e),
		e.ID, string(was.State), unixMS(was.LeaseUntil), was.Attempts)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errs.New(errs.Conflict, "this mail was changed in the meantime; look at it again")
	}
	return nil
}

// EnqueuedSince counts the entries of a sender since then.
func (tx txn) EnqueuedSince(user string, since time.Time) (n int, err error) {
	err = tx.QueryRow(`SELECT COUNT(*) FROM email_queue WHERE user_name = $1 AND created_at > $2`, user, since.UnixMilli()).Scan(&n)
	return n, store.Failed(err)
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
