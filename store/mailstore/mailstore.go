// Package mailstore is the tables of services/email: mailboxes, the messages in them, their bytes, and the
// queue of what leaves. It holds the SQL of mail and no rule of it; package store says what is promised.
package mailstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/email/mailbox"
	"uniqverse/store"
	"uniqverse/store/kept"
)

// Store is the store of the mail service.
type Store struct{ db *store.DB }

// New returns the mail tables of the database.
func New(db *store.DB) Store { return Store{db: db} }

var (
	_ mailbox.Store = Store{}
	_ mailbox.Tx    = txn{}
)

type txn struct{ *store.Tx }

// settings is the group of the answers that are kept in memory; see package kept.
type settings struct{}

// changesSettings reports whether a statement changes what decides about mail that arrives; figures do not.
func changesSettings(text string) bool {
	if strings.HasPrefix(text, "SELECT") || strings.HasPrefix(text, "UPDATE email_rules SET hits") || strings.HasPrefix(text, "UPDATE email_addresses SET messages") {
		return false
	}
	return slices.ContainsFunc([]string{"INTO email_mailboxes", "FROM email_mailboxes", "email_aliases", "email_addresses", "email_rules", "email_vacations", "email_spam_boxes", "email_spam_sources"},
		func(table string) bool { return strings.Contains(text, table) })
}

// Exec is that of store.Tx.
func (tx txn) Exec(query string, args ...any) (sql.Result, error) {
	kept.Note(tx.Tx, settings{}, query, changesSettings)
	return tx.Tx.Exec(query, args...)
}

// QueryRow is that of store.Tx.
func (tx txn) QueryRow(query string, args ...any) *sql.Row {
	kept.Note(tx.Tx, settings{}, query, changesSettings)
	return tx.Tx.QueryRow(query, args...)
}

// Update runs fn in one durable transaction.
func (s Store) Update(ctx context.Context, once *web.Once, fn func(mailbox.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *store.Tx) error { return fn(txn{tx}) })
}

// missing turns an absent row into errs.NotFound.
func missing(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errs.New(errs.NotFound, "there is no such %s", what)
	}
	return store.Failed(err)
}

// timeOf turns unix milliseconds into a time; 0 is the zero time.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// unixMS turns a time into unix milliseconds; the zero time is 0.
func unixMS(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// jsonList writes a list as JSON; none is [].
func jsonList[T any](list []T) string {
	if len(list) == 0 {
		return "[]"
	}
	b, err := json.Marshal(list)
	if err != nil {
		return "[]" // strings and numbers always encode
	}
	return string(b)
}

const mailboxColumns = `id, user_name, made_by, created_at, messages, unread, bytes, modseq, kept_from`

func scanMailbox(row store.RowScanner) (mailbox.Mailbox, error) {
	var (
		b       mailbox.Mailbox
		created int64
	)
	err := row.Scan(&b.ID, &b.User, &b.MadeBy, &created, &b.Messages, &b.Unread, &b.Bytes, &b.Modseq, &b.KeptFrom)
	b.Created = timeOf(created)
	return b, missing(err, "mailbox")
}

// MailboxByName returns the mailbox with the local part, or errs.NotFound.
func (s Store) MailboxByName(ctx context.Context, user string) (mailbox.Mailbox, error) {
	return scanMailbox(s.db.QueryRow(ctx, `SELECT `+mailboxColumns+` FROM email_mailboxes WHERE user_name = $1`, user))
}

// Mailboxes returns a page of mailboxes, newest first; user "" means everybody's.
func (s Store) Mailboxes(ctx context.Context, user string, p web.Paging) ([]mailbox.Mailbox, error) {
	w := pageQuery{table: "email_mailboxes"}
	if user != "" {
		w.where("user_name = %", user)
	}
	rows, err := s.db.Query(ctx, w.query(mailboxColumns, p), w.args...)
	return store.CollectRows(rows, err, scanMailbox)
}

// EnsureMailbox returns the mailbox with the local part, and makes it, with its standard folders, when there is none.
func (tx txn) EnsureMailbox(user, madeBy string) (mailbox.Mailbox, bool, error) {
	b, err := scanMailbox(tx.QueryRow(`SELECT `+mailboxColumns+` FROM email_mailboxes WHERE user_name = $1`, user))
	if err == nil && madeBy == "provision" && b.MadeBy != madeBy { // made on purpose from now on
		b.MadeBy = madeBy
		_, err = tx.Exec(`UPDATE email_mailboxes SET made_by = $1 WHERE id = $2`, madeBy, b.ID)
	}
	if !errs.Is(err, errs.NotFound) {
		return b, false, err
	}
	b, err = scanMailbox(tx.QueryRow(`INSERT INTO email_mailboxes (user_name, made_by, created_at) VALUES ($1, $2, $3) RETURNING `+mailboxColumns,
		user, madeBy, tx.Now().UnixMilli()))
	if err != nil {
		return b, true, err
	}
	for _, f := range mailbox.StandardFolders() {
		f.MailboxID = b.ID
		if _, err := tx.insertFolder(f, b.Modseq); err != nil {
			return b, true, err
		}
	}
	return b, true, nil
}

// AliasTargets returns the local parts that an alias leads to, in alphabetical order.
func (s Store) AliasTargets(ctx context.Context, alias string) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT target FROM email_aliases WHERE alias = $1 ORDER BY target`, alias)
	return store.CollectRows(rows, err, func(r store.RowScanner) (t string, err error) { return t, r.Scan(&t) })
}

// Aliases returns every alias, in alphabetical order.
func (s Store) Aliases(ctx context.Context) ([]mailbox.Alias, error) {
	type pair struct{ alias, target string }
	rows, err := s.db.Query(ctx, `SELECT alias, target FROM email_aliases ORDER BY alias, target`)
	pairs, err := store.CollectRows(rows, err, func(r store.RowScanner) (p pair, err error) { return p, r.Scan(&p.alias, &p.target) })
	var out []mailbox.Alias
	for _, p := range pairs {
		if n := len(out); n == 0 || out[n-1].Alias != p.alias {
			out = append(out, mailbox.Alias{Alias: p.alias})
		}
		last := &out[len(out)-1]
		last.Targets = append(last.Targets, p.target)
	}
	return out, err
}

// SetAlias replaces what an alias leads to; no targets removes it.
func (tx txn) SetAlias(alias string, targets []string) error {
	if _, err := tx.Exec(`DELETE FROM email_aliases WHERE alias = $1`, alias); err != nil {
		return err
	}
	for _, t := range targets {
		if _, err := tx.Exec(`INSERT INTO email_aliases (alias, target) VALUES ($1, $2)`, alias, t); err != nil {
			return err
		}
	}
	return nil
}

// pageQuery builds the query of a page: conditions, order and bounds. The texts are few, so
// they stay prepared; values never are part of them.
type pageQuery struct {
	table  string
	from   string // what stands after FROM, and the id that it is walked by; "" is the table and its id
	by     string
	unread int64 // a folder whose count says after how many there are no more; 0 is none
	conds  []string
	args   []any
}

// where adds a condition; % stands for the value.
func (w *pageQuery) where(cond string, value any) {
	w.args = append(w.args, value)
	w.conds = append(w.conds, strings.Replace(cond, "%", "$"+strconv.Itoa(len(w.args)), 1))
}

// query returns the rows newest first. With after alone they are the ones nearest to it.
func (w *pageQuery) query(columns string, p web.Paging) string {
	id := cmp.Or(w.by, w.table+".id")
	if p.Before != 0 {
		w.where(id+" < %", p.Before)
	}
	if p.After != 0 {
		w.where(id+" > %", p.After)
	}
	text := `SELECT ` + columns + ` FROM ` + cmp.Or(w.from, w.table)
	if len(w.conds) > 0 {
		text += ` WHERE ` + strings.Join(w.conds, ` AND `)
	}
	order := ` DESC`
	if p.After != 0 && p.Before == 0 {
		order = ` ASC`
	}
	w.args = append(w.args, p.Size(), p.Offset)
	n := len(w.args)
	limit := fmt.Sprintf("$%d", n-1)
	if w.unread != 0 {
		w.args = append(w.args, w.unread)
		limit = fmt.Sprintf("MIN($%d, MAX(0, COALESCE((SELECT unread FROM email_folders WHERE id = $%d), 0) - $%d))", n-1, n+1, n)
	}
	text += fmt.Sprintf(` ORDER BY %s%s LIMIT %s OFFSET $%d`, id, order, limit, n)
	if order == ` ASC` {
		return `SELECT ` + columns + ` FROM (` + text + `) AS ` + w.table + ` ORDER BY ` + w.table + `.id DESC`
	}
	return text
}
