// Package jmapstore is the tables of services/email/jmap, beside those of mail (package mailstore) and in the same transactions: heads of
// messages, uploads, identities, submissions, and the queries over messages. It holds SQL and no rule; package store says
// what is promised.
package jmapstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/services/email/jmap/record"
	"uniqverse/services/email/mailbox"
	"uniqverse/services/email/queue"
	"uniqverse/store"
	"uniqverse/store/mailstore"
)

// Store is the store of JMAP.
type Store struct {
	mailstore.Store
	db *store.DB
}

// New returns the JMAP tables of the database.
func New(db *store.DB) Store { return Store{mailstore.New(db), db} }

var (
	_ record.Store = Store{}
	_ record.Tx    = txn{}
)

type txn struct{ mailstore.Tx }

// UpdateJMAP runs fn in one durable transaction.
func (s Store) UpdateJMAP(ctx context.Context, fn func(record.Tx) error) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error { return fn(txn{mailstore.In(tx)}) })
}

// Within is what a transaction over the mail can do beside.
func (s Store) Within(tx mailbox.Tx) (record.Tx, error) {
	mail, ok := tx.(mailstore.Tx)
	if !ok {
		return nil, errs.New(errs.Internal, "the transaction is not one of the mail tables")
	}
	return txn{mail}, nil
}

// userOf returns the local part of a mailbox.
func (s Store) userOf(ctx context.Context, box int64) (user string, err error) {
	err = s.db.QueryRow(ctx, `SELECT user_name FROM email_mailboxes WHERE id = $1`, box).Scan(&user)
	return user, missing(err, "mailbox")
}

// missing turns an absent row into errs.NotFound.
func missing(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errs.New(errs.NotFound, "there is no such %s", what)
	}
	return store.Failed(err)
}

// oneRow makes an update that met no row errs.NotFound.
func oneRow(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return errs.New(errs.NotFound, "there is no such object")
	}
	return nil
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

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// jsonList writes a list as JSON; none is [].
func jsonList(list []string) string {
	b, err := json.Marshal(list)
	if err != nil || list == nil {
		return "[]"
	}
	return string(b)
}

// MailboxByID returns a mailbox, or errs.NotFound.
func (s Store) MailboxByID(ctx context.Context, id int64) (mailbox.Mailbox, error) {
	return mailstore.ScanMailbox(s.db.QueryRow(ctx, `SELECT `+mailstore.MailboxColumns+` FROM email_mailboxes WHERE id = $1`, id))
}

// statesQuery reads where each kind of thing stands; every part is the end of an index.
const statesQuery = `SELECT kept_from,
	MAX(COALESCE((SELECT MAX(modseq) FROM email_messages WHERE mailbox_id = $1), 0), COALESCE((SELECT MAX(modseq) FROM email_gone WHERE mailbox_id = $1 AND kind = 'message'), 0), kept_from),
	MAX(COALESCE((SELECT MAX(MAX(modseq), MAX(counts_modseq)) FROM email_folders WHERE mailbox_id = $1), 0), COALESCE((SELECT MAX(modseq) FROM email_gone WHERE mailbox_id = $1 AND kind = 'folder'), 0), kept_from),
	MAX(COALESCE((SELECT MAX(modseq) FROM email_jmap_identities WHERE mailbox_id = $1), 0), COALESCE((SELECT MAX(modseq) FROM email_gone WHERE mailbox_id = $1 AND kind = 'identity'), 0), kept_from),
	MAX(COALESCE((SELECT MAX(modseq) FROM email_jmap_submissions WHERE mailbox_id = $1), 0), COALESCE((SELECT MAX(modseq) FROM email_gone WHERE mailbox_id = $1 AND kind = 'submission'), 0), kept_from),
	COALESCE((SELECT updated_at FROM email_vacations WHERE mailbox_id = $1), 0),
	MAX(COALESCE((SELECT MAX(created_modseq) FROM email_messages WHERE mailbox_id = $1), 0), COALESCE((SELECT MAX(modseq) FROM email_gone WHERE mailbox_id = $1 AND kind = 'message'), 0), kept_from),
	COALESCE((SELECT MAX(created_modseq) FROM email_messages WHERE mailbox_id = $1), 0)
	FROM email_mailboxes WHERE id = $1`

func scanStates(row store.RowScanner) (record.States, error) {
	var st record.States
	err := row.Scan(&st.KeptFrom, &st.Message, &st.Folder, &st.Identity, &st.Submission, &st.Vacation, &st.Thread, &st.Arrived)
	return st, missing(err, "mailbox")
}

// States returns the points at which each kind of thing of a mailbox changed last.
func (s Store) States(ctx context.Context, box int64) (record.States, error) {
	return scanStates(s.db.QueryRow(ctx, statesQuery, box))
}

// StatesNow returns the states as the transaction sees them.
func (tx txn) StatesNow(box int64) (record.States, error) {
	return scanStates(tx.QueryRow(statesQuery, box))
}

// changedQuery is what of a kind is there and changed after $2: id, thread, made, changed, counts.
func changedQuery(kind string) string {
	switch kind {
	case record.KindMessage:
		return `SELECT id, thread_id, created_modseq, modseq, 0 FROM email_messages WHERE mailbox_id = $1 AND modseq > $2 LIMIT $3`
	case record.KindFolder:
		return `SELECT id, 0, created_modseq, modseq, counts_modseq FROM email_folders WHERE mailbox_id = $1 AND (modseq > $2 OR counts_modseq > $2) LIMIT $3`
	case record.KindIdentity:
		return `SELECT id, 0, created_modseq, modseq, 0 FROM email_jmap_identities WHERE mailbox_id = $1 AND modseq > $2 LIMIT $3`
	}
	return `SELECT id, 0, created_modseq, modseq, 0 FROM email_jmap_submissions WHERE mailbox_id = $1 AND modseq > $2 LIMIT $3`
}

// ChangedSince returns what of a kind changed after a point.
func (s Store) ChangedSince(ctx context.Context, box int64, kind string, since int64, most int) ([]record.Changed, error) {
	scan := func(gone bool) func(store.RowScanner) (record.Changed, error) {
		return func(r store.RowScanner) (c record.Changed, err error) {
			c.Gone = gone
			return c, r.Scan(&c.ID, &c.Thread, &c.Created, &c.At, &c.Counts)
		}
	}
	rows, err := s.db.Query(ctx, changedQuery(kind), box, since, most)
	there, err := store.CollectRows(rows, err, scan(false))
	if err != nil {
		return nil, err
	}
	rows, err = s.db.Query(ctx, `SELECT object_id, thread_id, 0, modseq, 0 FROM email_gone WHERE mailbox_id = $1 AND kind = $2 AND modseq > $3 LIMIT $4`, box, kind, since, most)
	gone, err := store.CollectRows(rows, err, scan(true))
	return append(there, gone...), err
}

// HasRaw reports whether a mailbox has a message with these bytes.
func (s Store) HasRaw(ctx context.Context, box, raw int64) (has bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM email_messages WHERE raw_id = $1 AND mailbox_id = $2)`, raw, box).Scan(&has)
	return has, store.Failed(err)
}

// MessagesOfRaw returns the messages of a mailbox that have these bytes.
func (s Store) MessagesOfRaw(ctx context.Context, box, raw int64) ([]mailbox.Message, error) {
	rows, err := s.db.Query(ctx, `SELECT `+mailstore.MessageColumns+` FROM email_messages WHERE raw_id = $1 AND mailbox_id = $2 ORDER BY id`, raw, box)
	return store.CollectRows(rows, err, mailstore.ScanMessage)
}

// marks writes so many parameters, from a number on: "$3, $4".
func marks(from, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "$" + strconv.Itoa(from+i)
	}
	return strings.Join(list, ", ")
}

// inBatches calls fn with at most 200 ids at a time, padded to a few sizes so that the statements stay prepared.
func inBatches(ids []int64, fn func(args []any) error) error {
	for len(ids) > 0 {
		n := min(len(ids), 200)
		part := ids[:n]
		ids = ids[n:]
		size := 1
		for size < n {
			size *= 4
		}
		args := make([]any, 0, size)
		for i := range min(size, 256) {
			args = append(args, part[min(i, n-1)])
		}
		if err := fn(args); err != nil {
			return err
		}
	}
	return nil
}

// MessagesByID returns those of the messages that the mailbox has.
func (s Store) MessagesByID(ctx context.Context, box int64, ids []int64) ([]mailbox.Message, error) {
	user, err := s.userOf(ctx, box)
	if err != nil {
		return nil, err
	}
	var out []mailbox.Message
	err = inBatches(ids, func(args []any) error {
		rows, err := s.db.Query(ctx, `SELECT `+mailstore.MessageColumns+` FROM email_messages WHERE mailbox_id = $1 AND id IN (`+marks(2, len(args))+`)`, append([]any{box}, args...)...)
		list, err := store.CollectRows(rows, err, mailstore.ScanMessage)
		out = append(out, list...)
		return err
	})
	for i := range out {
		out[i].User = user
	}
	return out, err
}

// ThreadMembers returns the messages of each thread, the first that came first.
func (s Store) ThreadMembers(ctx context.Context, box int64, threads []int64) (map[int64][]int64, error) {
	out := map[int64][]int64{}
	err := inBatches(threads, func(args []any) error {
		rows, err := s.db.Query(ctx, `SELECT thread_id, id FROM email_messages WHERE mailbox_id = $1 AND thread_id IN (`+marks(2, len(args))+`) ORDER BY received_at, id`, append([]any{box}, args...)...)
		_, err = store.CollectRows(rows, err, func(r store.RowScanner) (struct{}, error) {
			var thread, id int64
			err := r.Scan(&thread, &id)
			out[thread] = append(out[thread], id)
			return struct{}{}, err
		})
		return err
	})
	return out, err
}

// Heads returns those of the heads that are kept.
func (s Store) Heads(ctx context.Context, raws []int64) (map[int64]record.Head, error) {
	out := map[int64]record.Head{}
	err := inBatches(raws, func(args []any) error {
		rows, err := s.db.Query(ctx, `SELECT raw_id, size, shown FROM email_jmap_heads WHERE raw_id IN (`+marks(1, len(args))+`)`, args...)
		_, err = store.CollectRows(rows, err, func(r store.RowScanner) (struct{}, error) {
			var h record.Head
			var shown string
			err := r.Scan(&h.RawID, &h.Size, &shown)
			h.Shown = json.RawMessage(shown)
			out[h.RawID] = h
			return struct{}{}, err
		})
		return err
	})
	return out, err
}

// Headless returns the bytes of a mailbox whose heads are not kept yet.
func (s Store) Headless(ctx context.Context, box int64, most int) ([]int64, error) {
	rows, err := s.db.Query(ctx, `SELECT DISTINCT raw_id FROM email_messages WHERE mailbox_id = $1 AND NOT EXISTS (SELECT 1 FROM email_jmap_heads h WHERE h.raw_id = email_messages.raw_id) LIMIT $2`, box, most)
	return store.CollectRows(rows, err, func(r store.RowScanner) (id int64, err error) { return id, r.Scan(&id) })
}

// KeepHeads keeps heads of messages that are still there.
func (tx txn) KeepHeads(heads []record.Head) error {
	for _, h := range heads {
		_, err := tx.Exec(`INSERT INTO email_jmap_heads (raw_id, size, shown, from_text, to_text, cc_text, bcc_text, subject, sort_from, sort_to, base_subject, fields)
			SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 WHERE EXISTS (SELECT 1 FROM email_raw WHERE id = $1) ON CONFLICT DO NOTHING`,
			h.RawID, h.Size, string(h.Shown), h.From, h.To, h.Cc, h.Bcc, h.Subject, h.SortFrom, h.SortTo, h.BaseSubject, h.Fields)
		if err != nil {
			return err
		}
	}
	return nil
}

// ThreadCounts counts the threads of every folder.
func (s Store) ThreadCounts(ctx context.Context, box int64) (map[int64]record.ThreadCount, error) {
	out := map[int64]record.ThreadCount{}
	// An unread message in the trash alone makes no thread unread elsewhere, and one elsewhere none in the trash.
	rows, err := s.db.Query(ctx, `WITH bin AS (SELECT id FROM email_folders WHERE mailbox_id = $1 AND role = 'trash'),
		fresh AS (SELECT DISTINCT thread_id, EXISTS (SELECT 1 FROM email_placed p WHERE p.folder_id = (SELECT id FROM bin) AND p.received_at = m.received_at AND p.message_id = m.id) AS inside,
			m.folders <> '[' || (SELECT id FROM bin) || ']' AS outside FROM email_messages m WHERE m.mailbox_id = $1 AND m.unread = 1 AND m.keywords NOT LIKE '%"$draft"%')
		SELECT f.id, COUNT(DISTINCT e.thread_id),
			COUNT(DISTINCT CASE WHEN EXISTS (SELECT 1 FROM fresh WHERE fresh.thread_id = e.thread_id AND CASE WHEN f.id = (SELECT id FROM bin) THEN fresh.inside ELSE fresh.outside END) THEN e.thread_id END),
			COALESCE(SUM(e.unread = 1 AND e.keywords LIKE '%"$draft"%'), 0)
		FROM email_folders f JOIN email_placed p ON p.folder_id = f.id JOIN email_messages e ON e.id = p.message_id WHERE f.mailbox_id = $1 GROUP BY f.id`, box)
	_, err = store.CollectRows(rows, err, func(r store.RowScanner) (struct{}, error) {
		var id int64
		var c record.ThreadCount
		err := r.Scan(&id, &c.Threads, &c.UnreadThreads, &c.UnreadDrafts)
		out[id] = c
		return struct{}{}, err
	})
	return out, err
}

// SetRole gives a folder a role, or takes it away.
func (tx txn) SetRole(f mailbox.Folder, role string) error {
	modseq, err := tx.Change(f.MailboxID)
	if err != nil {
		return err
	}
	err = oneRow(tx.Exec(`UPDATE email_folders SET role = $1, modseq = $2 WHERE id = $3`, role, modseq, f.ID))
	if errs.Is(err, errs.Conflict) {
		return errs.New(errs.Conflict, "another folder has this role already")
	}
	return err
}

// QueuedOf returns the entries of the queue that one message made.
func (s Store) QueuedOf(ctx context.Context, queueID string) ([]queue.Entry, error) {
	rows, err := s.db.Query(ctx, `SELECT `+mailstore.EntryColumns+` FROM email_queue WHERE queue_id = $1 ORDER BY id`, queueID)
	return store.CollectRows(rows, err, mailstore.ScanEntry)
}

// SweepJMAP removes what has expired, and notes of what is gone that are older than notesBefore.
func (tx txn) SweepJMAP(now, notesBefore time.Time) (files []string, err error) {
	rows, err := tx.Query(`DELETE FROM email_jmap_blobs WHERE id IN (SELECT id FROM email_jmap_blobs WHERE expires_at < $1 LIMIT 500) RETURNING COALESCE(file, '')`, now.UnixMilli())
	files, err = store.CollectRows(rows, err, func(r store.RowScanner) (name string, err error) { return name, r.Scan(&name) })
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(`UPDATE email_mailboxes SET kept_from = MAX(kept_from, old.upto) FROM (SELECT mailbox_id, MAX(modseq) AS upto FROM email_gone WHERE at < $1 GROUP BY mailbox_id) AS old
		WHERE old.mailbox_id = email_mailboxes.id`, notesBefore.UnixMilli())
	if err != nil {
		return files, err
	}
	_, err = tx.Exec(`DELETE FROM email_gone WHERE at < $1`, notesBefore.UnixMilli())
	return files, err
}

// rawJSON reads a JSON value of a column.
func rawJSON(text string) json.RawMessage { return json.RawMessage(text) }

// listOf reads a list of a column.
func listOf(what string, id int64, texts ...string) ([][]string, error) {
	out := make([][]string, len(texts))
	for i, t := range texts {
		if err := json.Unmarshal([]byte(t), &out[i]); err != nil {
			return nil, fmt.Errorf("%s %d: a list cannot be read: %w", what, id, errors.Join(err))
		}
	}
	return out, nil
}
