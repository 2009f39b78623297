package mailstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/services/email/mailbox"
	"uniqverse/store"
)

const messageColumns = `email_messages.id, email_messages.mailbox_id, email_messages.raw_id, email_messages.recipient, email_messages.subject,
	email_messages.from_text, email_messages.from_name, email_messages.from_address, email_messages.to_text, email_messages.sent_at,
	email_messages.received_at, email_messages.snippet, email_messages.message_id, email_messages.size, email_messages.attachments,
	email_messages.flags, email_messages.spam_score, email_messages.spf, email_messages.dkim, email_messages.dmarc, email_messages.unread,
	email_messages.starred, email_messages.labels, email_messages.keywords, email_messages.folders, email_messages.thread_id,
	email_messages.created_modseq, email_messages.modseq`

func scanMessage(row store.RowScanner) (mailbox.Message, error) {
	var (
		m                                mailbox.Message
		sent, received                   int64
		flags, labels, keywords, folders string
	)
	err := row.Scan(&m.ID, &m.MailboxID, &m.RawID, &m.Recipient, &m.Subject, &m.From, &m.FromName, &m.FromAddress, &m.To, &sent, &received, &m.Snippet,
		&m.MessageID, &m.Size, &m.Attachments, &flags, &m.SpamScore, &m.SPF, &m.DKIM, &m.DMARC, &m.Unread, &m.Starred, &labels,
		&keywords, &folders, &m.ThreadID, &m.CreatedModseq, &m.Modseq)
	if err != nil {
		return m, err
	}
	m.Date, m.Received = timeOf(sent), timeOf(received)
	if err := errors.Join(json.Unmarshal([]byte(flags), &m.Flags), json.Unmarshal([]byte(labels), &m.Labels), json.Unmarshal([]byte(keywords), &m.Keywords),
		json.Unmarshal([]byte(folders), &m.Folders)); err != nil {
		return m, fmt.Errorf("message %d: flags, labels, keywords or folders are not a list: %w", m.ID, err)
	}
	return m, nil
}

// listQuery is the statement behind Messages. The filters by state are constants in its text, so
// that the index of each is used.
func listQuery(box int64, f mailbox.Filter) (string, []any) {
	if !f.Query.Empty() {
		return searchQuery(box, f)
	}
	if f.Folder != 0 && f.Unread == nil && f.Starred == nil && f.Label == "" {
		return folderQuery(box, f)
	}
	w := pageQuery{table: "email_messages"}
	w.where("email_messages.mailbox_id = %", box)
	if f.Unread != nil {
		w.conds = append(w.conds, "unread = "+strconv.Itoa(asInt(*f.Unread)))
	}
	if f.Starred != nil {
		w.conds = append(w.conds, "starred = "+strconv.Itoa(asInt(*f.Starred)))
	}
	if f.Label != "" {
		w.from, w.by = "email_labels CROSS JOIN email_messages ON email_messages.id = email_labels.message_id", "email_labels.message_id"
		w.where("email_labels.mailbox_id = $1 AND label = %", f.Label)
	}
	if f.Folder != 0 {
		if f.Unread != nil && *f.Unread && f.Label == "" && f.Starred == nil {
			w.unread = f.Folder
		}
		w.where("EXISTS (SELECT 1 FROM email_placed p WHERE p.folder_id = % AND p.received_at = email_messages.received_at AND p.message_id = email_messages.id)", f.Folder)
	}
	text := w.query(messageColumns, f.Paging)
	return text, w.args
}

// folderQuery is a page of one folder in the order in which its messages arrived: mail that was brought in from
// elsewhere stands where its time is. Where the message of Before or After is gone, its neighbour stands for it.
func folderQuery(box int64, f mailbox.Filter) (string, []any) {
	w := pageQuery{}
	w.where("p.folder_id = %", f.Folder)
	const place = "COALESCE((SELECT received_at FROM email_messages WHERE mailbox_id = $1 AND id <= $2 ORDER BY id DESC LIMIT 1), 0), $2"
	at := func(id int64) string {
		w.args = append(w.args, box, id)
		n := len(w.args)
		return strings.NewReplacer("$1", "$"+strconv.Itoa(n-1), "$2", "$"+strconv.Itoa(n)).Replace(place)
	}
	if f.Before != 0 {
		w.conds = append(w.conds, "(p.received_at, p.message_id) < ("+at(f.Before)+")")
	}
	if f.After != 0 {
		w.conds = append(w.conds, "(p.received_at, p.message_id) > ("+at(f.After)+")")
	}
	from := "email_placed p"
	if f.Threads {
		from += " JOIN email_messages t ON t.id = p.message_id"
		w.where(`NOT EXISTS (SELECT 1 FROM email_messages o JOIN email_placed q ON q.folder_id = p.folder_id AND q.received_at = o.received_at AND q.message_id = o.id
			WHERE o.mailbox_id = % AND o.thread_id = t.thread_id AND (o.received_at, o.id) > (p.received_at, p.message_id))`, box)
	}
	order, turned := "DESC", f.After != 0 && f.Before == 0
	if turned {
		order = "ASC"
	}
	w.args = append(w.args, f.Size(), f.Offset)
	n := len(w.args)
	text := `SELECT p.received_at AS placed_at, p.message_id AS placed_id FROM ` + from + ` WHERE ` + strings.Join(w.conds, " AND ") +
		` ORDER BY p.received_at ` + order + `, p.message_id ` + order + ` LIMIT $` + strconv.Itoa(n-1) + ` OFFSET $` + strconv.Itoa(n)
	return `SELECT ` + messageColumns + ` FROM (` + text + `) JOIN email_messages ON email_messages.id = placed_id ORDER BY placed_at DESC, placed_id DESC`, w.args
}

// Messages returns a page of a mailbox, newest first.
func (s Store) Messages(ctx context.Context, box int64, f mailbox.Filter) ([]mailbox.Message, error) {
	user, err := s.userOf(ctx, box)
	if err != nil {
		return nil, err
	}
	text, args := listQuery(box, f)
	rows, err := s.db.Query(ctx, text, args...)
	out, err := store.CollectRows(rows, err, func(r store.RowScanner) (mailbox.Message, error) {
		m, err := scanMessage(r)
		m.User = user
		return m, err
	})
	if !f.Query.Empty() && f.After != 0 && f.Before == 0 {
		slices.Reverse(out) // read from the oldest on
	}
	return out, err
}

func (s Store) userOf(ctx context.Context, box int64) (user string, err error) {
	err = s.db.QueryRow(ctx, `SELECT user_name FROM email_mailboxes WHERE id = $1`, box).Scan(&user)
	return user, missing(err, "mailbox")
}

const messageByID = `SELECT ` + messageColumns + `, user_name FROM email_messages
	JOIN email_mailboxes ON email_mailboxes.id = mailbox_id WHERE email_messages.id = $1`

// withUser scans a message with its mailbox's name behind it.
type withUser struct {
	row  store.RowScanner
	user *string
}

func (w withUser) Scan(dest ...any) error { return w.row.Scan(append(dest, w.user)...) }

func scanMessageByID(row store.RowScanner) (mailbox.Message, error) {
	var user string
	m, err := scanMessage(withUser{row, &user})
	m.User = user
	return m, missing(err, "message")
}

// MessageByID returns a message, or errs.NotFound.
func (s Store) MessageByID(ctx context.Context, id int64) (mailbox.Message, error) {
	return scanMessageByID(s.db.QueryRow(ctx, messageByID, id))
}

// MessageByID returns a message as the transaction sees it, or errs.NotFound.
func (tx txn) MessageByID(id int64) (mailbox.Message, error) {
	return scanMessageByID(tx.QueryRow(messageByID, id))
}

// Neighbours returns the ids next to a message in its mailbox; 0 is none.
func (s Store) Neighbours(ctx context.Context, box, id int64) (newer, older int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT
		COALESCE((SELECT id FROM email_messages WHERE mailbox_id = $1 AND id > $2 ORDER BY id LIMIT 1), 0),
		COALESCE((SELECT id FROM email_messages WHERE mailbox_id = $1 AND id < $2 ORDER BY id DESC LIMIT 1), 0)`, box, id).Scan(&newer, &older)
	return newer, older, store.Failed(err)
}

// LabelCounts returns the labels in use in a mailbox, in alphabetical order.
func (s Store) LabelCounts(ctx context.Context, box int64) ([]mailbox.LabelCount, error) {
	rows, err := s.db.Query(ctx, `SELECT label, COUNT(*) FROM email_labels WHERE mailbox_id = $1 GROUP BY label ORDER BY label`, box)
	return store.CollectRows(rows, err, func(r store.RowScanner) (l mailbox.LabelCount, err error) { return l, r.Scan(&l.Label, &l.Count) })
}

// RawByID returns a stored message, with its body when that is in the row, or errs.NotFound.
func (s Store) RawByID(ctx context.Context, id int64) (mailbox.Raw, error) {
	var (
		r                                 mailbox.Raw
		file                              *string
		received                          int64
		recipients, auth, faults, reasons string
	)
	err := s.db.QueryRow(ctx, `SELECT id, envelope_id, sha256, size, body, file, prepended, mode, reverse_path, recipients, helo, remote_ip, tls, auth_user,
		received_at, message_id, traceparent, auth, faults, spam_reasons FROM email_raw WHERE id = $1`, id).
		Scan(&r.ID, &r.EnvelopeID, &r.SHA256, &r.Size, &r.Body, &file, &r.Prepended, &r.Mode, &r.ReversePath, &recipients, &r.HELO, &r.RemoteIP, &r.TLS, &r.AuthUser,
			&received, &r.MessageID, &r.Traceparent, &auth, &faults, &reasons)
	if err != nil {
		return r, missing(err, "message")
	}
	if file != nil {
		r.File = *file
	}
	r.Received, r.Auth = timeOf(received), json.RawMessage(auth)
	err = errors.Join(json.Unmarshal([]byte(recipients), &r.Recipients), json.Unmarshal([]byte(faults), &r.Faults), json.Unmarshal([]byte(reasons), &r.SpamReasons))
	if err != nil {
		return r, fmt.Errorf("stored message %d: a list cannot be read: %w", id, err)
	}
	return r, nil
}

// FileKnown reports whether a message is kept in the file of this name.
func (s Store) FileKnown(ctx context.Context, name string) (known bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM email_raw WHERE file = $1)`, name).Scan(&known)
	return known, store.Failed(err)
}

// Repeated reports whether the mailbox got the same message (Message-ID, envelope, bytes) since then.
func (tx txn) Repeated(box int64, r mailbox.Raw, since time.Time) (found bool, err error) {
	err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM email_raw JOIN email_messages ON email_messages.raw_id = email_raw.id AND email_messages.mailbox_id = $1
		WHERE email_raw.message_id = $2 AND email_raw.message_id <> '' AND email_raw.received_at >= $3 AND sha256 = $4 AND reverse_path = $5 AND recipients = $6)`,
		box, r.MessageID, since.UnixMilli(), r.SHA256, r.ReversePath, jsonList(r.Recipients)).Scan(&found)
	return found, store.Failed(err)
}

// AddRaw stores a message's bytes and envelope and returns its id.
func (tx txn) AddRaw(r mailbox.Raw) (id int64, err error) {
	var body, file any
	if file = r.File; r.File == "" {
		file = nil
		if body = r.Body; r.Body == nil {
			body = []byte{}
		}
	}
	prepended, auth := r.Prepended, string(r.Auth)
	if prepended == nil {
		prepended = []byte{}
	}
	if auth == "" {
		auth = "{}"
	}
	err = tx.QueryRow(`INSERT INTO email_raw (envelope_id, sha256, size, body, file, prepended, mode, reverse_path, recipients, helo, remote_ip, tls, auth_user,
		received_at, message_id, traceparent, auth, faults, spam_reasons, marks)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) RETURNING id`,
		r.EnvelopeID, r.SHA256, r.Size, body, file, prepended, r.Mode, r.ReversePath, jsonList(r.Recipients), r.HELO, r.RemoteIP, r.TLS, r.AuthUser,
		r.Received.UnixMilli(), r.MessageID, r.Traceparent, auth, jsonList(r.Faults), jsonList(r.SpamReasons), jsonList(r.Marks)).Scan(&id)
	return id, store.Failed(err)
}

// AddMessage stores a row of a mailbox and of its folders, counts it there, and returns it with id, thread and modseq.
func (tx txn) AddMessage(m mailbox.Message) (mailbox.Message, error) {
	if len(m.Folders) == 0 {
		return m, errs.New(errs.Invalid, "a message lies in one folder at least")
	}
	err := tx.QueryRow(`UPDATE email_mailboxes SET messages = messages + 1, unread = unread + $1, bytes = bytes + $2, modseq = modseq + 1 WHERE id = $3 RETURNING modseq`,
		asInt(m.Unread), m.Size, m.MailboxID).Scan(&m.Modseq)
	if err != nil {
		return m, missing(err, "mailbox")
	}
	m.CreatedModseq = m.Modseq
	if m.ThreadID == 0 {
		m.ThreadID = m.Modseq
	}
	err = tx.QueryRow(`INSERT INTO email_messages (mailbox_id, raw_id, recipient, subject, from_text, from_name, from_address, to_text, sent_at, received_at, snippet,
		message_id, size, attachments, flags, spam_score, spf, dkim, dmarc, unread, starred, labels, keywords, folders, first_folders, thread_id, created_modseq, modseq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $24, $25, $26, $26) RETURNING id`,
		m.MailboxID, m.RawID, m.Recipient, m.Subject, m.From, m.FromName, m.FromAddress, m.To, unixMS(m.Date), unixMS(m.Received), m.Snippet,
		m.MessageID, m.Size, m.Attachments, jsonList(m.Flags), m.SpamScore, m.SPF, m.DKIM, m.DMARC, asInt(m.Unread), asInt(m.Starred), jsonList(m.Labels),
		jsonList(m.Keywords), idList(m.Folders), m.ThreadID, m.Modseq).Scan(&m.ID)
	if err != nil {
		return m, store.Failed(err)
	}
	for _, l := range m.Labels {
		if _, err := tx.Exec(`INSERT INTO email_labels (mailbox_id, label, message_id) VALUES ($1, $2, $3)`, m.MailboxID, l, m.ID); err != nil {
			return m, err
		}
	}
	for i, f := range m.Folders {
		if slices.Contains(m.Folders[:i], f) {
			continue
		}
		if err := tx.put(m, f, m.Modseq); err != nil {
			return m, err
		}
	}
	return m, nil
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// SetUnread changes whether a message is unread, and the counts of its mailbox and folders with it; m is the
// row as this transaction read it.
func (tx txn) SetUnread(m mailbox.Message, unread bool) error {
	by := asInt(unread) - asInt(m.Unread)
	var modseq int64
	if err := tx.QueryRow(`UPDATE email_mailboxes SET unread = unread + $1, modseq = modseq + 1 WHERE id = $2 RETURNING modseq`, by, m.MailboxID).Scan(&modseq); err != nil {
		return missing(err, "mailbox")
	}
	if err := oneRow(tx.Exec(`UPDATE email_messages SET unread = $1, modseq = $2 WHERE id = $3`, asInt(unread), modseq, m.ID)); err != nil {
		return err
	}
	for _, f := range m.Folders {
		if err := oneRow(tx.Exec(`UPDATE email_folders SET unread = unread + $1, counts_modseq = $2 WHERE id = $3`, by, modseq, f)); err != nil {
			return err
		}
	}
	return nil
}

// SetStarred sets or removes the star.
func (tx txn) SetStarred(m mailbox.Message, starred bool) error {
	modseq, err := tx.change(m.MailboxID)
	if err != nil {
		return err
	}
	return oneRow(tx.Exec(`UPDATE email_messages SET starred = $1, modseq = $2 WHERE id = $3`, asInt(starred), modseq, m.ID))
}

// SetLabels replaces the labels.
func (tx txn) SetLabels(m mailbox.Message, labels []string) error {
	modseq, err := tx.change(m.MailboxID)
	if err != nil {
		return err
	}
	if err := oneRow(tx.Exec(`UPDATE email_messages SET labels = $1, modseq = $2 WHERE id = $3`, jsonList(labels), modseq, m.ID)); err != nil {
		return err
	}
	for _, l := range m.Labels {
		if _, err := tx.Exec(`DELETE FROM email_labels WHERE mailbox_id = $1 AND label = $2 AND message_id = $3`, m.MailboxID, l, m.ID); err != nil {
			return err
		}
	}
	for _, l := range labels {
		if _, err := tx.Exec(`INSERT INTO email_labels (mailbox_id, label, message_id) VALUES ($1, $2, $3)`, m.MailboxID, l, m.ID); err != nil {
			return err
		}
	}
	return nil
}

// oneRow makes an update that met no row errs.NotFound.
func oneRow(res interface{ RowsAffected() (int64, error) }, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return errs.New(errs.NotFound, "there is no such message")
	}
	return nil
}
