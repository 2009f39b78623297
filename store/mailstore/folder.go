package mailstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"uniqverse/internal/errs"
	"uniqverse/services/email/mailbox"
	"uniqverse/store"
)

const folderColumns = `id, mailbox_id, parent_id, name, role, position, subscribed, messages, unread, created_modseq, modseq, counts_modseq`

func scanFolder(row store.RowScanner) (mailbox.Folder, error) {
	var f mailbox.Folder
	err := row.Scan(&f.ID, &f.MailboxID, &f.Parent, &f.Name, &f.Role, &f.Position, &f.Subscribed, &f.Messages, &f.Unread, &f.CreatedModseq, &f.Modseq, &f.CountsModseq)
	return f, missing(err, "folder")
}

const foldersQuery = `SELECT ` + folderColumns + ` FROM email_folders WHERE mailbox_id = $1 ORDER BY position, name, id`

// Folders returns the folders of a mailbox in the order of position and name.
func (s Store) Folders(ctx context.Context, box int64) ([]mailbox.Folder, error) {
	rows, err := s.db.Query(ctx, foldersQuery, box)
	return store.CollectRows(rows, err, scanFolder)
}

// Folders returns the folders of a mailbox as the transaction sees them.
func (tx txn) Folders(box int64) ([]mailbox.Folder, error) {
	rows, err := tx.Query(foldersQuery, box)
	return store.CollectRows(rows, err, scanFolder)
}

const folderByID = `SELECT ` + folderColumns + ` FROM email_folders WHERE id = $1`

// FolderByID returns a folder, or errs.NotFound.
func (s Store) FolderByID(ctx context.Context, id int64) (mailbox.Folder, error) {
	return scanFolder(s.db.QueryRow(ctx, folderByID, id))
}

// FolderByID returns a folder as the transaction sees it, or errs.NotFound.
func (tx txn) FolderByID(id int64) (mailbox.Folder, error) {
	return scanFolder(tx.QueryRow(folderByID, id))
}

// FolderByRole returns the mailbox's folder of a role, or errs.NotFound.
func (tx txn) FolderByRole(box int64, role string) (mailbox.Folder, error) {
	return scanFolder(tx.QueryRow(`SELECT `+folderColumns+` FROM email_folders WHERE mailbox_id = $1 AND role = $2 AND role <> ''`, box, role))
}

// MailboxUser returns the local part of a mailbox, or errs.NotFound.
func (tx txn) MailboxUser(box int64) (user string, err error) {
	err = tx.QueryRow(`SELECT user_name FROM email_mailboxes WHERE id = $1`, box).Scan(&user)
	return user, missing(err, "mailbox")
}

// change takes the mailbox's next modseq.
func (tx txn) change(box int64) (modseq int64, err error) {
	err = tx.QueryRow(`UPDATE email_mailboxes SET modseq = modseq + 1 WHERE id = $1 RETURNING modseq`, box).Scan(&modseq)
	return modseq, missing(err, "mailbox")
}

// AddFolder makes a folder and returns it with its id.
func (tx txn) AddFolder(f mailbox.Folder) (mailbox.Folder, error) {
	modseq, err := tx.change(f.MailboxID)
	if err != nil {
		return f, err
	}
	return tx.insertFolder(f, modseq)
}

func (tx txn) insertFolder(f mailbox.Folder, modseq int64) (mailbox.Folder, error) {
	f.CreatedModseq, f.Modseq, f.CountsModseq = modseq, modseq, modseq
	err := tx.QueryRow(`INSERT INTO email_folders (mailbox_id, parent_id, name, role, position, subscribed, created_modseq, modseq, counts_modseq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7) RETURNING id`, f.MailboxID, f.Parent, f.Name, f.Role, f.Position, asInt(f.Subscribed), modseq).Scan(&f.ID)
	return f, folderTaken(store.Failed(err))
}

func folderTaken(err error) error {
	if errs.Is(err, errs.Conflict) {
		return errs.New(errs.Conflict, "there is a folder of this name already; choose another name")
	}
	return err
}

// SaveFolder writes name, parent, position and subscription.
func (tx txn) SaveFolder(f mailbox.Folder) error {
	modseq, err := tx.change(f.MailboxID)
	if err != nil {
		return err
	}
	return folderTaken(oneRow(tx.Exec(`UPDATE email_folders SET name = $1, parent_id = $2, position = $3, subscribed = $4, modseq = $5 WHERE id = $6`,
		f.Name, f.Parent, f.Position, asInt(f.Subscribed), modseq, f.ID)))
}

// RemoveFolder removes a folder that holds no messages and no folders.
func (tx txn) RemoveFolder(f mailbox.Folder) error {
	modseq, err := tx.change(f.MailboxID)
	if err != nil {
		return err
	}
	if err := oneRow(tx.Exec(`DELETE FROM email_folders WHERE id = $1`, f.ID)); err != nil {
		return err
	}
	return tx.gone(f.MailboxID, "folder", modseq, f.ID, 0)
}

// gone notes that something is not there any more.
func (tx txn) gone(box int64, kind string, modseq, id, thread int64) error {
	_, err := tx.Exec(`INSERT INTO email_gone (mailbox_id, kind, modseq, object_id, thread_id, at) VALUES ($1, $2, $3, $4, $5, $6)`,
		box, kind, modseq, id, thread, tx.Now().UnixMilli())
	return err
}

// InFolder returns messages of a folder, at most most of them.
func (tx txn) InFolder(folder int64, most int) ([]mailbox.Message, error) {
	rows, err := tx.Query(`SELECT `+messageColumns+`, user_name FROM email_placed p JOIN email_messages ON email_messages.id = p.message_id
		JOIN email_mailboxes ON email_mailboxes.id = mailbox_id WHERE p.folder_id = $1 ORDER BY p.received_at, p.message_id LIMIT $2`, folder, most)
	return store.CollectRows(rows, err, scanMessageByID)
}

// Thread returns the messages of a thread, the first that came first.
func (s Store) Thread(ctx context.Context, box, thread int64) ([]mailbox.Message, error) {
	rows, err := s.db.Query(ctx, `SELECT `+messageColumns+`, user_name FROM email_messages JOIN email_mailboxes ON email_mailboxes.id = mailbox_id
		WHERE mailbox_id = $1 AND thread_id = $2 ORDER BY received_at, email_messages.id LIMIT 1000`, box, thread)
	return store.CollectRows(rows, err, scanMessageByID)
}

// maxNames bounds how many authors of a thread are told.
const maxNames = 20

// Conversations counts the messages of threads, leaving out what lies in one of the folders without alone.
func (s Store) Conversations(ctx context.Context, box int64, threads, without []int64) (map[int64]mailbox.Conversation, error) {
	out := map[int64]mailbox.Conversation{}
	if len(threads) == 0 {
		return out, nil
	}
	args := []any{box}
	list := func(n int, text func(i int) any) string {
		var b strings.Builder
		for i := range n {
			args = append(args, text(i))
			b.WriteString(", $" + strconv.Itoa(len(args)))
		}
		return strings.TrimPrefix(b.String(), ", ")
	}
	query := `SELECT thread_id, unread, starred, CASE WHEN from_name <> '' THEN from_name ELSE from_address END FROM email_messages
		WHERE mailbox_id = $1 AND thread_id IN (` + list(len(threads), func(i int) any { return threads[i] }) + `)`
	if len(without) > 0 {
		query += ` AND folders NOT IN (` + list(len(without), func(i int) any { return idList(without[i : i+1]) }) + `)`
	}
	rows, err := s.db.Query(ctx, query+` ORDER BY thread_id, received_at, id`, args...)
	_, err = store.CollectRows(rows, err, func(r store.RowScanner) (struct{}, error) {
		var (
			thread          int64
			unread, starred int
			name            string
		)
		if err := r.Scan(&thread, &unread, &starred, &name); err != nil {
			return struct{}{}, err
		}
		c := out[thread]
		c.Messages, c.Unread, c.Starred = c.Messages+1, c.Unread+unread, c.Starred+starred
		if len(c.Names) < maxNames && !slices.Contains(c.Names, name) {
			c.Names = append(c.Names, name)
		}
		out[thread] = c
		return struct{}{}, nil
	})
	return out, err
}

// idList writes ids as they are stored: sorted, each once.
func idList(ids []int64) string {
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	return jsonList(slices.Compact(sorted))
}

// put adds a message to a folder and counts it there.
func (tx txn) put(m mailbox.Message, folder, modseq int64) error {
	if _, err := tx.Exec(`INSERT INTO email_placed (folder_id, received_at, message_id) VALUES ($1, $2, $3)`, folder, unixMS(m.Received), m.ID); err != nil {
		return err
	}
	return oneRow(tx.Exec(`UPDATE email_folders SET messages = messages + 1, unread = unread + $1, counts_modseq = $2 WHERE id = $3 AND mailbox_id = $4`,
		asInt(m.Unread), modseq, folder, m.MailboxID))
}

// take takes a message out of a folder.
func (tx txn) take(m mailbox.Message, folder, modseq int64) error {
	if err := oneRow(tx.Exec(`DELETE FROM email_placed WHERE folder_id = $1 AND received_at = $2 AND message_id = $3`, folder, unixMS(m.Received), m.ID)); err != nil {
		return err
	}
	return oneRow(tx.Exec(`UPDATE email_folders SET messages = messages - 1, unread = unread - $1, counts_modseq = $2 WHERE id = $3`, asInt(m.Unread), modseq, folder))
}

// Place puts a message into exactly these folders and returns it as it is now.
func (tx txn) Place(m mailbox.Message, folders []int64) (mailbox.Message, error) {
	if len(folders) == 0 {
		return m, errs.New(errs.Invalid, "a message lies in one folder at least")
	}
	modseq, err := tx.change(m.MailboxID)
	if err != nil {
		return m, err
	}
	for _, f := range m.Folders {
		if !slices.Contains(folders, f) {
			if err := tx.take(m, f, modseq); err != nil {
				return m, err
			}
		}
	}
	for i, f := range folders {
		if !slices.Contains(m.Folders, f) && !slices.Contains(folders[:i], f) {
			if err := tx.put(m, f, modseq); err != nil {
				return m, err
			}
		}
	}
	if err := tx.spamMoved(m.ID, m.MailboxID, m.Folders, folders); err != nil {
		return m, err
	}
	text := idList(folders)
	m.Modseq = modseq
	if err := json.Unmarshal([]byte(text), &m.Folders); err != nil {
		return m, err
	}
	return m, oneRow(tx.Exec(`UPDATE email_messages SET folders = $1, modseq = $2 WHERE id = $3`, text, modseq, m.ID))
}

// SetKeywords replaces the keywords.
func (tx txn) SetKeywords(m mailbox.Message, keywords []string) error {
	modseq, err := tx.change(m.MailboxID)
	if err != nil {
		return err
	}
	return oneRow(tx.Exec(`UPDATE email_messages SET keywords = $1, modseq = $2 WHERE id = $3`, jsonList(keywords), modseq, m.ID))
}

// RemoveMessage takes a message out of its mailbox for good, and its bytes with the last row that needs them.
func (tx txn) RemoveMessage(m mailbox.Message) (file string, err error) {
	var modseq int64
	err = tx.QueryRow(`UPDATE email_mailboxes SET modseq = modseq + 1, messages = messages - 1, unread = unread - $1, bytes = bytes - $2 WHERE id = $3 RETURNING modseq`,
		asInt(m.Unread), m.Size, m.MailboxID).Scan(&modseq)
	if err != nil {
		return "", missing(err, "mailbox")
	}
	for _, f := range m.Folders {
		if err := tx.take(m, f, modseq); err != nil {
			return "", err
		}
	}
	for _, l := range m.Labels {
		if _, err := tx.Exec(`DELETE FROM email_labels WHERE mailbox_id = $1 AND label = $2 AND message_id = $3`, m.MailboxID, l, m.ID); err != nil {
			return "", err
		}
	}
	if err := oneRow(tx.Exec(`DELETE FROM email_messages WHERE id = $1`, m.ID)); err != nil {
		return "", err
	}
	if err := tx.spamForget(m.ID); err != nil {
		return "", err
	}
	if err := tx.gone(m.MailboxID, "message", modseq, m.ID, m.ThreadID); err != nil {
		return "", err
	}
	if err := tx.forgetWords(m.ID); err != nil {
		return "", err
	}
	if err := tx.forgetThread(m.MailboxID, m.ThreadID); err != nil {
		return "", err
	}
	return tx.dropRaw(m.RawID)
}

// forgetThread forgets the Message-IDs of a thread that has no message left: what answers it later begins a new one.
func (tx txn) forgetThread(box, thread int64) error {
	_, err := tx.Exec(`DELETE FROM email_refs WHERE mailbox_id = $1 AND thread_id = $2
		AND NOT EXISTS (SELECT 1 FROM email_messages WHERE mailbox_id = $1 AND thread_id = $2)`, box, thread)
	return err
}

// dropRaw removes a message's bytes unless a mailbox or an entry of the queue refers to them; file is the name of
// theirs, if they had one.
func (tx txn) dropRaw(raw int64) (file string, err error) {
	var name sql.NullString
	err = tx.QueryRow(`DELETE FROM email_raw WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM email_messages WHERE raw_id = $1)
		AND NOT EXISTS (SELECT 1 FROM email_queue WHERE raw_id = $1) RETURNING file`, raw).Scan(&name)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", store.Failed(err)
	}
	return name.String, nil
}

// ThreadOf returns the thread that one of the Message-IDs belongs to, with this subject; 0 for none.
func (tx txn) ThreadOf(box int64, refs []string, subject string) (thread int64, err error) {
	args := []any{box, subject}
	var marks []string
	for _, r := range refs {
		args = append(args, r)
		marks = append(marks, "$"+strconv.Itoa(len(args)))
	}
	if len(marks) == 0 {
		return 0, nil
	}
	err = tx.QueryRow(`SELECT COALESCE(MIN(thread_id), 0) FROM email_refs WHERE mailbox_id = $1 AND subject = $2 AND ref IN (`+strings.Join(marks, ", ")+`)`, args...).Scan(&thread)
	return thread, store.Failed(err)
}

// KeepRefs notes that these Message-IDs belong to a thread.
func (tx txn) KeepRefs(box, thread int64, refs []string, subject string) error {
	for _, r := range refs {
		if _, err := tx.Exec(`INSERT INTO email_refs (mailbox_id, ref, subject, thread_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, box, r, subject, thread); err != nil {
			return err
		}
	}
	return nil
}
