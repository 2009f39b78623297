package mailstore

import (
	"context"
	"strconv"
	"time"

	"uniqverse/services/email/refusals"
	"uniqverse/smtpd/policy"
	"uniqverse/store"
)

var _ policy.GreylistStore = Store{}

const refusalColumns = `id, at, mailbox, sender, recipient, mode, peer, helo, user_name, verb, message, code, enhanced, text, rule, detail`

// AddRefusals writes rows of the journal of refused mail.
func (s Store) AddRefusals(ctx context.Context, rows []refusals.Refusal) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		for _, r := range rows {
			_, err := tx.Exec(`INSERT INTO email_refusals (at, mailbox, sender, recipient, mode, peer, helo, user_name, verb, message, code, enhanced, text, rule, detail)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
				unixMS(r.At), r.Mailbox, r.Sender, r.Recipient, r.Mode, r.Peer, r.HELO, r.User, r.Verb, r.Message, r.Code, r.Enhanced, r.Text, r.Rule, r.Detail)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Refusals returns a page of the journal, newest first.
func (s Store) Refusals(ctx context.Context, f refusals.Filter) ([]refusals.Refusal, error) {
	w := pageQuery{table: "email_refusals"}
	if f.Mailbox != "" {
		w.where("mailbox = %", f.Mailbox)
	}
	if f.Rule != "" {
		w.where("rule = %", f.Rule)
	}
	switch {
	case f.Address == "-":
		w.conds = append(w.conds, "sender = ''")
	case f.Address != "":
		w.where("(sender = % OR recipient = $"+strconv.Itoa(len(w.args)+1)+")", f.Address)
	}
	rows, err := s.db.Query(ctx, w.query(refusalColumns, f.Paging), w.args...)
	return store.CollectRows(rows, err, func(row store.RowScanner) (r refusals.Refusal, err error) {
		var at int64
		err = row.Scan(&r.ID, &at, &r.Mailbox, &r.Sender, &r.Recipient, &r.Mode, &r.Peer, &r.HELO, &r.User, &r.Verb, &r.Message, &r.Code, &r.Enhanced, &r.Text, &r.Rule, &r.Detail)
		r.At = timeOf(at)
		return r, err
	})
}

// SweepRefusals removes old rows of the journal, and the oldest beyond most.
func (s Store) SweepRefusals(ctx context.Context, before time.Time, most int) (removed int64, err error) {
	err = s.db.Write(ctx, nil, func(tx *store.Tx) error {
		res, err := tx.Exec(`DELETE FROM email_refusals WHERE at < $1 OR id <= (SELECT COALESCE(MAX(id), 0) - $2 FROM email_refusals)`, unixMS(before), most)
		if err != nil {
			return err
		}
		removed, err = res.RowsAffected()
		return err
	})
	return removed, err
}

// GreylistMeet notes attempts. See policy.GreylistStore.
func (s Store) GreylistMeet(ctx context.Context, keys []string, now, since time.Time) (first []time.Time, err error) {
	err = s.db.Write(ctx, nil, func(tx *store.Tx) error {
		first = first[:0]
		for _, key := range keys {
			var at int64
			err := tx.QueryRow(`INSERT INTO email_greylist (key, first_at, last_at) VALUES ($1, $2, $2)
				ON CONFLICT (key) DO UPDATE SET first_at = CASE WHEN email_greylist.last_at < $3 THEN excluded.first_at ELSE email_greylist.first_at END, last_at = excluded.last_at
				RETURNING first_at`, key, now.UnixMilli(), since.UnixMilli()).Scan(&at)
			if err != nil {
				return store.Failed(err)
			}
			first = append(first, time.UnixMilli(at))
		}
		return nil
	})
	return first, err
}

// GreylistTrusts reports whether one of the keys was trusted at since or later.
func (s Store) GreylistTrusts(ctx context.Context, keys []string, since time.Time) (known bool, err error) {
	for _, key := range keys {
		err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM email_greylist WHERE key = $1 AND last_at >= $2)`, key, since.UnixMilli()).Scan(&known)
		if err != nil || known {
			return known, store.Failed(err)
		}
	}
	return false, nil
}

// GreylistTrust notes that the keys are trusted now.
func (s Store) GreylistTrust(ctx context.Context, keys []string, now time.Time) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		for _, key := range keys {
			_, err := tx.Exec(`INSERT INTO email_greylist (key, first_at, last_at) VALUES ($1, $2, $2) ON CONFLICT (key) DO UPDATE SET last_at = excluded.last_at`, key, now.UnixMilli())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// GreylistSweep forgets attempts from before tried, senders that were trusted before trusted, and of the rest the
// longest unseen beyond most.
func (s Store) GreylistSweep(ctx context.Context, tried, trusted time.Time, most int) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM email_greylist WHERE last_at < $1 OR last_at < $2 AND key LIKE 'try %'`, unixMS(trusted), unixMS(tried))
		if err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM email_greylist WHERE key IN (SELECT key FROM email_greylist ORDER BY last_at DESC LIMIT 1000000 OFFSET $1)`, most)
		return err
	})
}
