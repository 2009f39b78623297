// Package reportstore is the tables of services/email/dmarcreport: DMARC's aggregate reports of others, and the counts for ours.
// It holds their SQL and no rule of them; what else the mail service has is in package mailstore, which it embeds.
package reportstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"uniqverse/internal/web"
	"uniqverse/services/email/dmarcreport"
	"uniqverse/store"
	"uniqverse/store/mailstore"
)

// Store is the store of DMARC reports.
type Store struct {
	mailstore.Store
	db *store.DB
}

var _ dmarcreport.Store = Store{}

// New returns the reports' tables of the database.
func New(db *store.DB) Store { return Store{mailstore.New(db), db} }

// AddReport keeps a report, unless it is known.
func (s Store) AddReport(ctx context.Context, r dmarcreport.Report) (added bool, err error) {
	sources, err := json.Marshal(r.Rows)
	if err != nil {
		return false, err
	}
	err = s.db.Write(ctx, nil, func(tx *store.Tx) error {
		res, err := tx.Exec(`INSERT INTO email_dmarc_reports (org, report_id, domain, begin_at, end_at, received_at, messages, passed, sources) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT DO NOTHING`, r.Org, r.ReportID, r.Domain, r.Begin.UnixMilli(), r.End.UnixMilli(), r.Received.UnixMilli(), r.Messages, r.Passed, string(sources))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if added = n > 0; err != nil || !added {
			return err
		}
		_, err = tx.Exec(`DELETE FROM email_dmarc_reports WHERE id <= (SELECT id FROM email_dmarc_reports ORDER BY id DESC LIMIT 1 OFFSET $1)`, dmarcreport.MaxReports)
		return err
	})
	return added, err
}

// DMARCReports returns a page of reports, newest first.
func (s Store) DMARCReports(ctx context.Context, p web.Paging) ([]dmarcreport.Report, error) {
	const columns = `id, org, report_id, domain, begin_at, end_at, received_at, messages, passed, sources`
	text := `SELECT ` + columns + ` FROM email_dmarc_reports WHERE id < $1 AND id > $2 ORDER BY id DESC LIMIT $3 OFFSET $4`
	if p.After != 0 && p.Before == 0 { // the rows nearest to it
		text = `SELECT ` + columns + ` FROM (SELECT ` + columns + ` FROM email_dmarc_reports WHERE id < $1 AND id > $2 ORDER BY id LIMIT $3 OFFSET $4) ORDER BY id DESC`
	}
	rows, err := s.db.Query(ctx, text, store.Below(p.Before), p.After, p.Size(), p.Offset)
	return store.CollectRows(rows, err, func(row store.RowScanner) (r dmarcreport.Report, err error) {
		var (
			begin, end, received int64
			sources              string
		)
		if err := row.Scan(&r.ID, &r.Org, &r.ReportID, &r.Domain, &begin, &end, &received, &r.Messages, &r.Passed, &sources); err != nil {
			return r, err
		}
		r.Begin, r.End, r.Received = time.UnixMilli(begin).UTC(), time.UnixMilli(end).UTC(), time.UnixMilli(received).UTC()
		if err := json.Unmarshal([]byte(sources), &r.Rows); err != nil {
			return r, fmt.Errorf("DMARC report %d: %w", r.ID, err)
		}
		return r, nil
	})
}

// DMARCDays sums up the days since then, oldest first.
func (s Store) DMARCDays(ctx context.Context, since time.Time) ([]dmarcreport.Day, error) {
	rows, err := s.db.Query(ctx, `SELECT begin_at / 86400000 * 86400000 AS day, SUM(messages), SUM(passed) FROM email_dmarc_reports WHERE begin_at >= $1 GROUP BY day ORDER BY day LIMIT 400`, since.UnixMilli())
	return store.CollectRows(rows, err, func(row store.RowScanner) (d dmarcreport.Day, err error) {
		var day int64
		err = row.Scan(&day, &d.Messages, &d.Passed)
		d.Day = time.UnixMilli(day).UTC()
		return d, err
	})
}

// CountDMARC adds to the counts.
func (s Store) CountDMARC(ctx context.Context, seen map[dmarcreport.Key]int64) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		for k, n := range seen {
			text, err := json.Marshal(k)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO email_dmarc_counts (domain, day, seen, count) VALUES ($1, $2, $3, $4) ON CONFLICT (domain, day, seen) DO UPDATE SET count = count + excluded.count`,
				k.Domain, k.Day*1000, string(text), n); err != nil {
				return err
			}
		}
		return nil
	})
}

// DMARCDue returns a domain with counts of a day before this one.
func (s Store) DMARCDue(ctx context.Context, today int64) (domain string, day int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT domain, day FROM email_dmarc_counts WHERE day < $1 ORDER BY day, domain LIMIT 1`, today*1000).Scan(&domain, &day)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, nil
	}
	return domain, day / 1000, store.Failed(err)
}

// DMARCCounts returns the counts of a domain and a day.
func (s Store) DMARCCounts(ctx context.Context, domain string, day int64, most int) (map[dmarcreport.Key]int64, error) {
	type pair struct {
		text string
		n    int64
	}
	rows, err := s.db.Query(ctx, `SELECT seen, count FROM email_dmarc_counts WHERE domain = $1 AND day = $2 ORDER BY seen LIMIT $3`, domain, day*1000, most)
	list, err := store.CollectRows(rows, err, func(r store.RowScanner) (p pair, err error) { return p, r.Scan(&p.text, &p.n) })
	out := map[dmarcreport.Key]int64{}
	for _, p := range list {
		var k dmarcreport.Key
		if err := json.Unmarshal([]byte(p.text), &k); err != nil {
			return nil, fmt.Errorf("DMARC counts of %s: %w", domain, err)
		}
		out[k] += p.n
	}
	return out, err
}

// DropDMARC forgets the counts of a domain and a day.
func (s Store) DropDMARC(ctx context.Context, domain string, day int64) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM email_dmarc_counts WHERE domain = $1 AND day = $2`, domain, day*1000)
		return err
	})
}
