package mailstore

import (
	"context"
	"database/sql"
	"errors"

	"uniqverse/internal/errs"
	"uniqverse/services/email/mailbox"
	"uniqverse/store"
)

// Pref returns a choice of a mailbox's owner; "" when none was made.
func (s Store) Pref(ctx context.Context, box int64, name string) (value string, err error) {
	err = s.db.QueryRow(ctx, `SELECT value FROM email_prefs WHERE mailbox_id = $1 AND name = $2`, box, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, store.Failed(err)
}

// SetPref stores a choice; "" removes it.
func (tx txn) SetPref(box int64, name, value string) error {
	if value == "" {
		_, err := tx.Exec(`DELETE FROM email_prefs WHERE mailbox_id = $1 AND name = $2`, box, name)
		return err
	}
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM email_prefs WHERE mailbox_id = $1 AND name <> $2`, box, name).Scan(&n); err != nil {
		return store.Failed(err)
	}
	if n >= mailbox.MaxPrefs {
		return errs.New(errs.Conflict, "a mailbox keeps at most %d choices; take one back first", mailbox.MaxPrefs)
	}
	_, err := tx.Exec(`INSERT INTO email_prefs (mailbox_id, name, value) VALUES ($1, $2, $3) ON CONFLICT (mailbox_id, name) DO UPDATE SET value = excluded.value`, box, name, value)
	return err
}
