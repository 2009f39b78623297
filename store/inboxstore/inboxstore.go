// Package inboxstore is the table of services/email/inboxes, beside those of mail (package mailstore) and of accounts, and in the
// same transactions. It holds SQL and no rule; package store says what is promised.
package inboxstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"uniqverse/internal/auth"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email"
	"uniqverse/services/email/inboxes"
	"uniqverse/services/email/mailbox"
	"uniqverse/store"
	"uniqverse/store/mailstore"
)

// Store is the store of inboxes for tests.
type Store struct {
	db    *store.DB
	below string // "." and the mail domain
}

// New returns the table of the database; domain is the mail domain in ASCII and lower case.
func New(db *store.DB, domain string) Store { return Store{db, "." + domain} }

var (
	_ inboxes.Store = Store{}
	_ inboxes.Tx    = txn{}
	_ email.Sandbox = Store{}
)

type txn struct {
	mailstore.Tx
	accounts auth.Tx
}

// Accounts is the accounts as the transaction sees them.
func (tx txn) Accounts() auth.Tx { return tx.accounts }

// Update runs fn in one durable transaction.
func (s Store) Update(ctx context.Context, once *web.Once, fn func(inboxes.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *store.Tx) error { return fn(txn{mailstore.In(tx), store.AuthIn(tx)}) })
}

const columns = `i.id, i.user_name, i.account, i.owner, i.note, i.outbound, i.max_age, i.max_count, i.created_at, i.removed,
	COALESCE(b.id, 0), COALESCE(b.messages, 0), COALESCE(b.unread, 0), COALESCE(b.bytes, 0)`

const from = ` FROM email_inboxes i LEFT JOIN email_mailboxes b ON b.user_name = i.user_name`

func scan(row store.RowScanner) (in inboxes.Inbox, err error) {
	var age, created int64
	err = row.Scan(&in.ID, &in.User, &in.Account, &in.Owner, &in.Note, &in.Outbound, &age, &in.MaxCount, &created, &in.Removed, &in.Mailbox, &in.Messages, &in.Unread, &in.Bytes)
	in.MaxAge, in.Created = time.Duration(age)*time.Second, time.UnixMilli(created).UTC()
	if errors.Is(err, sql.ErrNoRows) {
		return in, errs.New(errs.NotFound, "there is no such inbox")
	}
	return in, store.Failed(err)
}

// Inboxes returns a page of the inboxes of an owner, or ("") of everybody, newest first.
func (s Store) Inboxes(ctx context.Context, owner string, p web.Paging) ([]inboxes.Inbox, error) {
	query := `SELECT ` + columns + from + ` WHERE i.removed = 0 AND ($1 = '' OR i.owner = $1) AND ($2 = 0 OR i.id < $2) AND i.id > $3 ORDER BY i.id DESC LIMIT $4 OFFSET $5`
	if p.After != 0 && p.Before == 0 {
		query = `SELECT * FROM (SELECT ` + columns + from + ` WHERE i.removed = 0 AND ($1 = '' OR i.owner = $1) AND ($2 = 0 OR i.id < $2) AND i.id > $3 ORDER BY i.id LIMIT $4 OFFSET $5) ORDER BY 1 DESC`
	}
	rows, err := s.db.Query(ctx, query, owner, p.Before, p.After, p.Size(), p.Offset)
	return store.CollectRows(rows, err, scan)
}

// InboxByID returns an inbox that was not removed.
func (s Store) InboxByID(ctx context.Context, id int64) (inboxes.Inbox, error) {
	return scan(s.db.QueryRow(ctx, `SELECT `+columns+from+` WHERE i.id = $1 AND i.removed = 0`, id))
}

// Filled returns some inboxes that hold more, or older mail, than they may, and removed ones that hold any.
func (s Store) Filled(ctx context.Context, now time.Time, most int) ([]inboxes.Inbox, error) {
	rows, err := s.db.Query(ctx, `SELECT `+columns+from+` WHERE b.messages > 0 AND (i.removed = 1 OR b.messages > i.max_count OR
		(SELECT m.received_at FROM email_messages m WHERE m.mailbox_id = b.id ORDER BY m.id LIMIT 1) < $1 - i.max_age * 1000) LIMIT $2`, now.UnixMilli(), most)
	return store.CollectRows(rows, err, scan)
}

// InboxByID returns an inbox that was not removed.
func (tx txn) InboxByID(id int64) (inboxes.Inbox, error) {
	return scan(tx.QueryRow(`SELECT `+columns+from+` WHERE i.id = $1 AND i.removed = 0`, id))
}

// InboxByName returns an inbox, also a removed one.
func (tx txn) InboxByName(user string) (inboxes.Inbox, error) {
	return scan(tx.QueryRow(`SELECT `+columns+from+` WHERE i.user_name = $1`, user))
}

// CountInboxes returns how many inboxes an owner has.
func (tx txn) CountInboxes(owner string) (n int, err error) {
	err = tx.QueryRow(`SELECT COUNT(*) FROM email_inboxes WHERE owner = $1 AND removed = 0`, owner).Scan(&n)
	return n, store.Failed(err)
}

// SaveInbox writes an inbox and returns it as it is then; ID 0 makes one. A second one for all outbound mail is errs.Conflict.
func (tx txn) SaveInbox(in inboxes.Inbox) (inboxes.Inbox, error) {
	if in.ID == 0 {
		if err := tx.QueryRow(`INSERT INTO email_inboxes (user_name, account, owner, note, outbound, max_age, max_count, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
			in.User, in.Account, in.Owner, in.Note, in.Outbound, int64(in.MaxAge/time.Second), in.MaxCount, in.Created.UnixMilli()).Scan(&in.ID); err != nil {
			return in, store.Failed(err)
		}
	} else if _, err := tx.Exec(`UPDATE email_inboxes SET note = $2, outbound = $3, max_age = $4, max_count = $5, removed = $6 WHERE id = $1`,
		in.ID, in.Note, in.Outbound, int64(in.MaxAge/time.Second), in.MaxCount, in.Removed); err != nil {
		return in, err
	}
	return scan(tx.QueryRow(`SELECT `+columns+from+` WHERE i.id = $1`, in.ID))
}

// Oldest returns the oldest messages of an inbox that are too many or too old at a time, at most most of them.
func (tx txn) Oldest(in inboxes.Inbox, now time.Time, most int) ([]mailbox.Message, error) {
	keep := in.MaxCount
	if in.Removed {
		keep = 0
	}
	rows, err := tx.Query(`SELECT `+mailstore.MessageColumns+` FROM email_messages WHERE mailbox_id = $1 AND (received_at < $2 OR
		id <= COALESCE((SELECT id FROM email_messages WHERE mailbox_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $3), 0)) ORDER BY id LIMIT $4`,
		in.Mailbox, now.Add(-in.MaxAge).UnixMilli(), keep, most)
	list, err := store.CollectRows(rows, err, mailstore.ScanMessage)
	for i := range list {
		list[i].User = in.User
	}
	return list, err
}

// IsInbox implements email.Sandbox.
func (s Store) IsInbox(ctx context.Context, user string) (yes bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM email_inboxes WHERE user_name = $1 AND removed = 0)`, user).Scan(&yes)
	return yes, store.Failed(err)
}

// InboxAt implements email.Sandbox: every inbox has a domain of its own, its name before the mail domain.
func (s Store) InboxAt(ctx context.Context, domain string) (string, error) {
	label, ok := strings.CutSuffix(domain, s.below)
	if !ok || label == "" || strings.Contains(label, ".") {
		return "", nil
	}
	yes, err := s.IsInbox(ctx, label)
	if !yes {
		label = ""
	}
	return label, err
}

// Catcher implements email.Sandbox: an inbox's own mail comes back to it, and an inbox for all outbound mail gets that of everybody.
func (s Store) Catcher(tx mailbox.Tx, user string) (catcher string, err error) {
	t, ok := tx.(mailstore.Tx)
	if !ok {
		return "", errs.New(errs.Internal, "the transaction is not one of the mail tables")
	}
	err = t.QueryRow(`SELECT user_name FROM email_inboxes WHERE removed = 0 AND user_name = $1 UNION ALL SELECT user_name FROM email_inboxes WHERE removed = 0 AND outbound = 1 LIMIT 1`, user).Scan(&catcher)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return catcher, store.Failed(err)
}
