// Package refusalstore is what services/email/refusals reads and changes: the journal of refused mail, which is in package
// mailstore, and whom the greylist put off. It holds SQL and no rule of it; who waits how long is decided in smtpd/policy.
package refusalstore

import (
	"context"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/services/email/refusals"
	"uniqverse/store"
	"uniqverse/store/mailstore"
)

// Store is the store of refusals.
type Store struct {
	mailstore.Store
	db *store.DB
}

var _ refusals.Store = Store{}

// New returns the refusals of the database.
func New(db *store.DB) Store { return Store{mailstore.New(db), db} }

// Greylisted returns who tried since a time, and whose network was not let in since. The attempts are "try NETWORK FROM TO".
func (s Store) Greylisted(ctx context.Context, since time.Time, most int) ([]refusals.Waiting, error) {
	rows, err := s.db.Query(ctx, `SELECT substr(key, 5), first_at, last_at FROM email_greylist g WHERE last_at >= $1 AND key LIKE 'try %' AND first_at > 0
		AND NOT EXISTS (SELECT 1 FROM email_greylist t WHERE t.key = 'net ' || substr(g.key, 5, instr(substr(g.key, 5), ' ') - 1)) ORDER BY last_at DESC LIMIT $2`, since.UnixMilli(), most)
	return store.CollectRows(rows, err, func(r store.RowScanner) (w refusals.Waiting, err error) {
		var key string
		var first, last int64
		err = r.Scan(&key, &first, &last)
		w.Network, key, _ = strings.Cut(key, " ")
		at := strings.LastIndexByte(key, ' ') // a recipient that is quoted may hold spaces; the list shows such a one amiss
		w.From, w.To = key[:max(at, 0)], key[at+1:]
		w.First, w.Last = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
		return w, err
	})
}

// GreylistRelease makes an attempt one that waited long enough.
func (s Store) GreylistRelease(ctx context.Context, w refusals.Waiting) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		res, err := tx.Exec(`UPDATE email_greylist SET first_at = 0 WHERE key = $1`, "try "+w.Network+" "+w.From+" "+w.To)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return errs.New(errs.NotFound, "the greylist puts off nobody like that; they may have come again")
	})
}
