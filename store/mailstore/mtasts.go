package mailstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"uniqverse/services/email/mtasts"
	"uniqverse/store"
)

var _ mtasts.Cache = Store{}

// STSPolicy returns the policy of a domain that was saved; a zero one when there is none.
func (s Store) STSPolicy(ctx context.Context, domain string) (p mtasts.Policy, err error) {
	var (
		mx           string
		age, expires int64
	)
	err = s.db.QueryRow(ctx, `SELECT policy_id, mode, mx, max_age, expires_at FROM email_mtasts WHERE domain = $1`, domain).Scan(&p.ID, &p.Mode, &mx, &age, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return mtasts.Policy{}, nil
	}
	if err != nil {
		return p, store.Failed(err)
	}
	if err := json.Unmarshal([]byte(mx), &p.MX); err != nil {
		return p, fmt.Errorf("MTA-STS policy of %s: %w", domain, err)
	}
	p.MaxAge, p.Expires = time.Duration(age)*time.Second, timeOf(expires)
	return p, nil
}

// SaveSTSPolicy keeps a policy until it expires.
func (s Store) SaveSTSPolicy(ctx context.Context, domain string, p mtasts.Policy) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM email_mtasts WHERE expires_at < $1`, tx.Now().UnixMilli()); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO email_mtasts (domain, policy_id, mode, mx, max_age, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (domain) DO UPDATE SET policy_id = excluded.policy_id, mode = excluded.mode, mx = excluded.mx, max_age = excluded.max_age, expires_at = excluded.expires_at`,
			domain, p.ID, string(p.Mode), jsonList(p.MX), int64(p.MaxAge/time.Second), unixMS(p.Expires))
		return err
	})
}
