// Package statstore is what services/email/stats counts. It holds the SQL of that and no rule of it; what else the mail service
// has is in package mailstore, which it embeds. Nothing is counted by reading messages: totals are kept with each mailbox and
// folder, and days are ranges of the index that folders are read by.
package statstore

import (
	"context"
	"time"

	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/stats"
	"uniqverse/store"
	"uniqverse/store/mailstore"
)

// Store is the store of the figures.
type Store struct {
	mailstore.Store
	db *store.DB
}

var _ stats.Store = Store{}

// New returns the figures of the database.
func New(db *store.DB) Store { return Store{mailstore.New(db), db} }

// Sums adds up all mailboxes.
func (s Store) Sums(ctx context.Context) (sum stats.Sums, err error) {
	err = s.db.QueryRow(ctx, `SELECT COUNT(*), COALESCE(SUM(messages), 0), COALESCE(SUM(unread), 0), COALESCE(SUM(bytes), 0) FROM email_mailboxes`).
		Scan(&sum.Mailboxes, &sum.Messages, &sum.Unread, &sum.Bytes)
	return sum, store.Failed(err)
}

// FoldersByRole adds up the folders of a role; people's own, which have none, come last.
func (s Store) FoldersByRole(ctx context.Context) ([]mailbox.Folder, error) {
	rows, err := s.db.Query(ctx, `SELECT role, CASE role WHEN '' THEN 'Own folders' ELSE MIN(name) END, SUM(messages), SUM(unread) FROM email_folders
		GROUP BY role ORDER BY role = '', MIN(position), role`)
	return store.CollectRows(rows, err, func(r store.RowScanner) (f mailbox.Folder, err error) {
		return f, r.Scan(&f.Role, &f.Name, &f.Messages, &f.Unread)
	})
}

// A range of a folder is counted in its index alone, one for each day; a folder to which nothing came is one look.
const (
	came = `WITH RECURSIVE days (day, start) AS (SELECT 0, $1 UNION ALL SELECT day + 1, start + 86400000 FROM days WHERE day + 1 < $2)
		SELECT day, kind, SUM(n) FROM (
			SELECT day, CASE f.role WHEN 'sent' THEN 'sent' WHEN 'junk' THEN 'junk' ELSE 'received' END AS kind,
				(SELECT COUNT(*) FROM email_placed p WHERE p.folder_id = f.id AND p.received_at >= start AND p.received_at < start + 86400000) AS n
			FROM email_folders f CROSS JOIN days
			WHERE f.role <> 'drafts' AND EXISTS (SELECT 1 FROM email_placed p WHERE p.folder_id = f.id AND p.received_at >= $1)`
	cameTo  = came + ` AND f.mailbox_id = $3) GROUP BY day, kind`
	cameAll = came + `) GROUP BY day, kind`
)

// Came counts what lies in folders by the day on which it came.
func (s Store) Came(ctx context.Context, box int64, from time.Time, days int) ([]stats.Count, error) {
	query, params := cameAll, []any{from.UnixMilli(), days}
	if box != 0 {
		query, params = cameTo, append(params, box)
	}
	return s.counts(ctx, query, params...)
}

// Refused counts what is in the journal of refusals.
func (s Store) Refused(ctx context.Context, user string, from time.Time) ([]stats.Count, error) {
	const rows = `SELECT (at - $1) / 86400000, 'refused', COUNT(*) FROM email_refusals WHERE at >= $1`
	if user == "" {
		return s.counts(ctx, rows+` GROUP BY 1`, from.UnixMilli())
	}
	return s.counts(ctx, rows+` AND mailbox = $2 GROUP BY 1`, from.UnixMilli(), user)
}

func (s Store) counts(ctx context.Context, query string, params ...any) ([]stats.Count, error) {
	rows, err := s.db.Query(ctx, query, params...)
	return store.CollectRows(rows, err, func(r store.RowScanner) (n stats.Count, err error) { return n, r.Scan(&n.Day, &n.Kind, &n.N) })
}
