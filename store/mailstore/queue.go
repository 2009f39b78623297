package mailstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/store"
)

var (
	_ queue.Store[mailbox.Tx] = Store{}
	_ queue.Tx                = txn{}
)

const queueColumns = `id, queue_id, raw_id, message_id, user_name, reverse_path, recipient, domain, state, reason, attempts, next_at, lease_until, delayed,
	last_reply, host, created_at, updated_at, since, not_before, notify, orcpt, ret, envid, require_tls`

func scanQueueEntry(row store.RowScanner) (queue.Entry, error) {
	var (
		e                                               queue.Entry
		next, lease, created, updated, since, notBefore int64
	)
	err := row.Scan(&e.ID, &e.QueueID, &e.RawID, &e.MessageID, &e.User, &e.ReversePath, &e.Recipient, &e.Domain, &e.State, &e.Reason, &e.Attempts, &next, &lease,
		&e.Delayed, &e.LastReply, &e.Host, &created, &updated, &since, &notBefore, &e.Notify, &e.ORCPT, &e.Return, &e.EnvelopeID, &e.RequireTLS)
	e.Since, e.NotBefore = timeOf(since), timeOf(notBefore)
	e.NextAt, e.LeaseUntil, e.Created, e.Updated = timeOf(next), timeOf(lease), timeOf(created), timeOf(updated)
	return e, missing(err, "mail in the queue")
}

// The same for one domain alone; its own index has the entries that wait.
const (
	dueOnlyQuery     = `SELECT ` + queueColumns + ` FROM email_queue WHERE due_at <= $1 AND domain = $3 ORDER BY due_at, id LIMIT $2`
	nextDueOnlyQuery = `SELECT due_at FROM email_queue WHERE due_at IS NOT NULL AND domain = $1 ORDER BY due_at, id LIMIT 1`
)

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
func (s Store) Claim(ctx context.Context, w queue.Want) ([]queue.Entry, error) {
	var claimed []queue.Entry
	err := s.db.Write(ctx, nil, func(tx *store.Tx) error {
		c := claim{txn: txn{tx}, Want: w, running: map[string]int{}, domains: map[string]queue.Domain{}, probed: map[string]bool{}}
		var full []string
		for d, n := range w.Busy {
			if c.running[d] = n; n >= queue.PerDomain {
				full = append(full, d)
			}
		}
		// More than are wanted: those of one domain beyond its share are passed over.
		text, args := dueQuery, fullDomains([]any{w.Now.UnixMilli(), w.Most * 8}, full)
		if w.Only != "" {
			text, args = dueOnlyQuery, []any{w.Now.UnixMilli(), w.Most * 8, w.Only}
		}
		rows, err := tx.Query(text, args...)
		due, err := store.CollectRows(rows, err, scanQueueEntry)
		if err != nil {
			return err
		}
		for _, e := range due {
			if len(c.out) == w.Most {
				break
			}
			if err := c.take(e); err != nil {
				return err
			}
		}
		claimed = c.out
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// claim is one transaction of Claim.
type claim struct {
	txn
	queue.Want
	running map[string]int
	domains map[string]queue.Domain
	probed  map[string]bool // domains in trouble that got their one entry
	out     []queue.Entry
}

// putOffMost is how many entries of a domain a claim puts off besides the ones that it met.
const putOffMost = 500

// take hands an entry out, passes it over, or puts it off because of its domain.
func (c *claim) take(e queue.Entry) error {
	d, known := c.domains[e.Domain]
	if !known {
		var err error
		if d, err = c.DomainState(e.Domain); err != nil {
			return err
		}
		c.domains[e.Domain] = d
	}
	if d.Blocked(c.Now) && !(d.Paused.IsZero() && e.Expired(c.Now)) {
		return c.putOff(e, d)
	}
	if c.running[e.Domain] >= queue.PerDomain {
		return nil
	}
	if d.Failures > 0 && !d.RetryAt.IsZero() {
		// Whether its hosts answer again is tried with one entry; until that is known the others wait.
		d.RetryAt = c.Now.Add(queue.Lease)
		c.domains[e.Domain] = d
		if err := c.SaveDomain(d); err != nil {
			return err
		}
	}
	c.running[e.Domain]++
	e.State, e.LeaseUntil, e.Attempts, e.Updated = queue.Sending, c.Lease.Truncate(time.Millisecond), e.Attempts+1, c.Now
	c.out = append(c.out, e)
	_, err := c.Exec(`UPDATE email_queue SET state = 'sending', lease_until = $1, due_at = $1, attempts = $2, updated_at = $3 WHERE id = $4`,
		e.LeaseUntil.UnixMilli(), e.Attempts, c.Now.UnixMilli(), e.ID)
	return err
}

// putOff takes an entry out of what is due, and some more of its domain the first time. What is backed off is due again a
// little after the domain is, each at a time of its own; what is paused when it is resumed. An entry whose lease is over waits
// as a queued one, so that whoever held it cannot write a result any more.
func (c *claim) putOff(e queue.Entry, d queue.Domain) error {
	more := 0
	if !c.probed[d.Name] {
		c.probed[d.Name], more = true, putOffMost
	}
	const spread = `$1 + (id * 7919) % 60000`
	at, args := `NULL`, []any{0, 0}
	if d.Paused.IsZero() {
		at, args = `min(`+spread+`, CASE since WHEN 0 THEN `+spread+` ELSE since + $2 END)`, []any{d.RetryAt.UnixMilli(), queue.MaxAge.Milliseconds()}
	}
	set := `UPDATE email_queue SET due_at = ` + at + `, state = 'queued', lease_until = 0 WHERE $1 >= 0 AND $2 >= 0 AND `
	if _, err := c.Exec(set+`id = $3`, append(args, e.ID)...); err != nil || more == 0 {
		return err
	}
	_, err := c.Exec(set+`id IN (SELECT id FROM email_queue WHERE domain = $3 AND state = 'queued' AND due_at <= $4 LIMIT $5)`, append(args, d.Name, c.Now.UnixMilli(), more)...)
	return err
}

// NextDue returns when the next entry is due; zero when none waits.
func (s Store) NextDue(ctx context.Context, full []string, only string) (time.Time, error) {
	var at int64
	text, args := nextDueQuery, fullDomains(nil, full)
	if only != "" {
		text, args = nextDueOnlyQuery, []any{only}
		if slices.Contains(full, only) {
			return time.Time{}, nil
		}
	}
	err := s.db.QueryRow(ctx, text, args...).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return timeOf(at), store.Failed(err)
}

// Entries returns a page of the queue, newest first.
func (s Store) Entries(ctx context.Context, f queue.Filter, p web.Paging) ([]queue.Entry, error) {
	w := pageQuery{table: "email_queue"}
	for _, c := range []struct{ cond, value string }{{"domain = %", f.Domain}, {"state = %", string(f.State)}, {"recipient = %", f.Recipient}, {"queue_id = %", f.QueueID}, {"user_name = %", f.User}} {
		if c.value != "" {
			w.where(c.cond, c.value)
		}
	}
	if f.Raw != 0 {
		w.where("raw_id = %", f.Raw)
	}
	if !f.Waiting.IsZero() {
		w.where("not_before > % AND attempts = 0 AND state IN ('queued', 'held')", f.Waiting.UnixMilli())
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
		res, err := tx.Exec(`UPDATE email_queue SET state = 'queued', reason = '', next_at = max($1, not_before), due_at = max($1, not_before), since = max($1, not_before),
			updated_at = $1 WHERE state = 'held' AND reason = $2`, now, reason)
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
		due_at, delayed, last_reply, host, created_at, updated_at, since, not_before, notify, orcpt, ret, envid, require_tls)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 0, $11, 0, '', '', $12, $12, $13, $14, $15, $16, $17, $18, $19) RETURNING id`,
		e.QueueID, e.RawID, e.MessageID, e.User, e.ReversePath, e.Recipient, e.Domain, string(e.State), e.Reason, unixMS(e.NextAt), dueAt(e), now,
		unixMS(e.Since), unixMS(e.NotBefore), e.Notify, e.ORCPT, e.Return, e.EnvelopeID, asInt(e.RequireTLS)).Scan(&id)
	return id, store.Failed(err)
}

// EntryByID returns an entry, or errs.NotFound.
func (tx txn) EntryByID(id int64) (queue.Entry, error) {
	return scanQueueEntry(tx.QueryRow(`SELECT `+queueColumns+` FROM email_queue WHERE id = $1`, id))
}

// EntriesOf returns the entries of one message, oldest first.
func (tx txn) EntriesOf(queueID string) ([]queue.Entry, error) {
	rows, err := tx.Query(`SELECT `+queueColumns+` FROM email_queue WHERE queue_id = $1 ORDER BY id`, queueID)
	return store.CollectRows(rows, err, scanQueueEntry)
}

// SaveEntry writes an entry that was read as was. When it is not as it was any more: errs.Conflict.
func (tx txn) SaveEntry(was, e queue.Entry) error {
	res, err := tx.Exec(`UPDATE email_queue SET state = $1, reason = $2, attempts = $3, next_at = $4, lease_until = $5, delayed = $6, last_reply = $7, host = $8, updated_at = $9, due_at = $10,
		recipient = $15, domain = $16, orcpt = $17, since = $18, finished_at = CASE WHEN $1 IN ('sent', 'bounced', 'dropped') THEN $9 END WHERE id = $11 AND state = $12 AND lease_until = $13 AND attempts = $14`,
		string(e.State), e.Reason, e.Attempts, unixMS(e.NextAt), unixMS(e.LeaseUntil), asInt(e.Delayed), e.LastReply, e.Host, tx.Now().UnixMilli(), dueAt(e),
		e.ID, string(was.State), unixMS(was.LeaseUntil), was.Attempts, e.Recipient, e.Domain, e.ORCPT, unixMS(e.Since))
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
