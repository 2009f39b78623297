package mailstore

import (
	"context"

	"uniqverse/services/email/mailbox"
	"uniqverse/store"
	"uniqverse/store/kept"
)

// RouteOf returns where a local part leads as an alias; nowhere is no error.
func (s Store) RouteOf(ctx context.Context, local string) (mailbox.Route, error) {
	return kept.Answer(s.db, settings{}, "route", local, func() (mailbox.Route, error) { return s.routeOf(ctx, local) })
}

func (s Store) routeOf(ctx context.Context, local string) (r mailbox.Route, err error) {
	rows, err := s.db.Query(ctx, `SELECT target, 0, EXISTS (SELECT 1 FROM email_addresses WHERE local = $1) FROM email_aliases WHERE alias = $1
		UNION ALL SELECT '', 1, 1 FROM email_addresses WHERE local = $1 AND enabled = 0 ORDER BY 1`, local)
	_, err = store.CollectRows(rows, err, func(row store.RowScanner) (struct{}, error) {
		var (
			target string
			closed bool
		)
		err := row.Scan(&target, &closed, &r.Own)
		if closed {
			r.Closed = true
		} else {
			r.Targets = append(r.Targets, target)
		}
		return struct{}{}, err
	})
	return r, err
}

const addressColumns = `a.local, a.mailbox_id, b.user_name, a.kind, a.note, a.enabled, a.removed, a.created_at, a.messages, a.spam, a.last_at`

func scanAddress(row store.RowScanner) (a mailbox.Address, err error) {
	var created, last int64
	err = row.Scan(&a.Local, &a.Mailbox, &a.User, &a.Kind, &a.Note, &a.Enabled, &a.Removed, &created, &a.Messages, &a.Spam, &last)
	a.Created, a.Last = timeOf(created), timeOf(last)
	return a, missing(err, "address")
}

// AddressesOf returns a mailbox's addresses, newest first; removed ones are left out.
func (s Store) AddressesOf(ctx context.Context, box int64) ([]mailbox.Address, error) {
	rows, err := s.db.Query(ctx, `SELECT `+addressColumns+` FROM email_addresses a JOIN email_mailboxes b ON b.id = a.mailbox_id
		WHERE a.mailbox_id = $1 AND a.removed = 0 ORDER BY a.created_at DESC, a.local`, box)
	return store.CollectRows(rows, err, scanAddress)
}

// SharedWith returns the aliases of administrators that lead to a user, in alphabetical order.
func (s Store) SharedWith(ctx context.Context, user string) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT alias FROM email_aliases WHERE target = $1 AND alias NOT IN (SELECT local FROM email_addresses) ORDER BY alias LIMIT 200`, user)
	return store.CollectRows(rows, err, func(r store.RowScanner) (t string, err error) { return t, r.Scan(&t) })
}

// AddressByName returns an address, also a removed one, or errs.NotFound.
func (tx txn) AddressByName(local string) (mailbox.Address, error) {
	return scanAddress(tx.QueryRow(`SELECT `+addressColumns+` FROM email_addresses a JOIN email_mailboxes b ON b.id = a.mailbox_id WHERE a.local = $1`, local))
}

// SaveAddress writes an address, and lets it lead to its mailbox when it is enabled, and nowhere otherwise.
func (tx txn) SaveAddress(a mailbox.Address) error {
	if _, err := tx.Exec(`INSERT INTO email_addresses (local, mailbox_id, kind, note, enabled, removed, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (local) DO UPDATE SET mailbox_id = excluded.mailbox_id, kind = excluded.kind, note = excluded.note, enabled = excluded.enabled, removed = excluded.removed`,
		a.Local, a.Mailbox, a.Kind, a.Note, asInt(a.Enabled), asInt(a.Removed), unixMS(a.Created)); err != nil {
		return err
	}
	var targets []string
	if a.Enabled {
		targets = []string{a.User}
	}
	return tx.SetAlias(a.Local, targets)
}

// CountAddresses returns how many of a kind a mailbox has; removed ones are left out.
func (tx txn) CountAddresses(box int64, kind string) (n int, err error) {
	err = tx.QueryRow(`SELECT COUNT(*) FROM email_addresses WHERE mailbox_id = $1 AND kind = $2 AND removed = 0`, box, kind).Scan(&n)
	return n, store.Failed(err)
}

// NameTaken reports whether a local part is a mailbox's, or an alias.
func (tx txn) NameTaken(local string) (taken bool, err error) {
	err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM email_mailboxes WHERE user_name = $1) OR EXISTS (SELECT 1 FROM email_aliases WHERE alias = $1)`, local).Scan(&taken)
	return taken, store.Failed(err)
}

// Came counts a message that came through an address; one that nobody made is no error.
func (tx txn) Came(local string, junk bool) error {
	_, err := tx.Exec(`UPDATE email_addresses SET messages = messages + 1, spam = spam + $1, last_at = $2 WHERE local = $3`, asInt(junk), tx.Now().UnixMilli(), local)
	return err
}
