package chatstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat/attachment"
	"uniqverse/store"
)

// Attachments is the store of services/chat/attachment.
type Attachments struct{ db *store.DB }

// NewAttachments returns the tables of attachments.
func NewAttachments(db *store.DB) Attachments { return Attachments{db} }

var (
	_ attachment.Store = Attachments{}
	_ attachment.Tx    = txn{}
)

// Update runs fn in one durable transaction.
func (s Attachments) Update(ctx context.Context, once *web.Once, fn func(attachment.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *store.Tx) error { return fn(txn{tx}) })
}

const attachmentColumns = `a.id, a.room_id, a.owner, COALESCE(a.message_id, 0), COALESCE(m.seq, 0), a.file, a.name, a.type, a.size, a.width, a.height, a.created_at, COALESCE(m.hidden, 0)
	FROM chat_attachments a LEFT JOIN chat_messages m ON m.id = a.message_id`

func scanAttachment(row store.RowScanner) (a attachment.Attachment, err error) {
	err = row.Scan(&a.ID, &a.Room, &a.Owner, &a.Message, &a.Seq, &a.File, &a.Name, &a.Type, &a.Size, &a.Width, &a.Height, &a.CreatedAt, &a.Hidden)
	return a, err
}

// Attachment returns a file of the room, or errs.NotFound.
func (s Attachments) Attachment(ctx context.Context, room, id int64) (attachment.Attachment, error) {
	a, err := scanAttachment(s.db.QueryRow(ctx, `SELECT `+attachmentColumns+` WHERE a.id = $1 AND a.room_id = $2`, id, room))
	if errors.Is(err, sql.ErrNoRows) {
		return a, errs.New(errs.NotFound, "there is no such file in this room")
	}
	return a, store.Failed(err)
}

const looseQuery = `SELECT COUNT(*), COALESCE(SUM(size), 0) FROM chat_attachments WHERE owner = $1 AND message_id IS NULL`

// Loose returns how much of an owner's no line took yet.
func (s Attachments) Loose(ctx context.Context, owner string) (files int, bytes int64, err error) {
	err = s.db.QueryRow(ctx, looseQuery, owner).Scan(&files, &bytes)
	return files, bytes, store.Failed(err)
}

// Loose returns how much of an owner's no line took yet.
func (tx txn) Loose(owner string) (files int, bytes int64, err error) {
	err = tx.QueryRow(looseQuery, owner).Scan(&files, &bytes)
	return files, bytes, store.Failed(err)
}

// Stale returns what no line took and is from before the time.
func (s Attachments) Stale(ctx context.Context, before time.Time, limit int) ([]attachment.Attachment, error) {
	rows, err := s.db.Query(ctx, `SELECT `+attachmentColumns+` WHERE a.message_id IS NULL AND a.created_at < $1 ORDER BY a.created_at LIMIT $2`, before.UnixMilli(), limit)
	return store.CollectRows(rows, err, scanAttachment)
}

// FilesGone returns files that no row needs any more.
func (s Attachments) FilesGone(ctx context.Context, limit int) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT file FROM chat_files_gone LIMIT $1`, limit)
	return store.CollectRows(rows, err, func(row store.RowScanner) (file string, err error) {
		err = row.Scan(&file)
		return file, err
	})
}

// HasFile reports whether the file is in one of the two tables.
func (s Attachments) HasFile(ctx context.Context, file string) (has bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM chat_attachments WHERE file = $1) OR EXISTS (SELECT 1 FROM chat_files_kept WHERE file = $1) OR EXISTS (SELECT 1 FROM chat_files_gone WHERE file = $1)`, file).Scan(&has)
	return has, store.Failed(err)
}

// AddAttachment stores a file that no line took yet, and returns its id.
func (tx txn) AddAttachment(a attachment.Attachment) (int64, error) {
	var id int64
	err := tx.QueryRow(`INSERT INTO chat_attachments (room_id, owner, position, file, name, type, size, width, height, created_at) VALUES ($1, $2, 0, $3, $4, $5, $6, $7, $8, $9) RETURNING id`,
		a.Room, a.Owner, a.File, a.Name, a.Type, a.Size, a.Width, a.Height, int64(a.CreatedAt)).Scan(&id)
	return id, store.Failed(err)
}

// DropAttachment removes a file that no line took; false when there is none.
func (tx txn) DropAttachment(id int64) (bool, error) {
	var file string
	err := tx.QueryRow(`DELETE FROM chat_attachments WHERE id = $1 AND message_id IS NULL RETURNING file`, id).Scan(&file)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, store.Failed(err)
	}
	_, err = tx.Exec(`INSERT INTO chat_files_gone (file) VALUES ($1)`, file)
	return true, err
}

// FileRemoved takes a file off the list of those that are gone.
func (tx txn) FileRemoved(file string) error {
	_, err := tx.Exec(`DELETE FROM chat_files_gone WHERE file = $1`, file)
	return err
}

// Attach gives files of the owner to a line of their room, in this order.
func (tx txn) Attach(m api.ChatMessage, owner string, files []int64) ([]api.ChatAttachment, error) {
	var out []api.ChatAttachment
	for i, id := range files {
		a := api.ChatAttachment{ID: id}
		err := tx.QueryRow(`UPDATE chat_attachments SET message_id = $1, position = $2 WHERE id = $3 AND room_id = $4 AND owner = $5 AND message_id IS NULL
			RETURNING name, type, size, width, height`, m.ID, i, id, m.RoomID, owner).Scan(&a.Name, &a.Type, &a.Size, &a.Width, &a.Height)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, errs.BadField("attachments", "has %d, which is no file that you uploaded to this room and that no line took yet", id)
		}
		if err != nil {
			return nil, store.Failed(err)
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, nil
	}
	_, err := tx.Exec(`UPDATE chat_messages SET files = $2 WHERE id = $1`, m.ID, len(out))
	return out, err
}

// detach removes the files of a line, but for those that were put aside.
func (tx txn) detach(message int64) error {
	if _, err := tx.Exec(`INSERT INTO chat_files_gone (file) SELECT file FROM chat_attachments WHERE message_id = $1`, message); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM chat_attachments WHERE message_id = $1`, message)
	return err
}

// discard removes all files of a line.
func (tx txn) discard(message int64) error {
	if err := tx.giveBack(message); err != nil {
		return err
	}
	return tx.detach(message)
}

const keptColumns = `message_id, room_id, owner, position, file, name, type, size, width, height, created_at`

// KeepFiles puts the files of a line that is about to be taken away aside, until a time: nobody sees them.
func (tx txn) KeepFiles(message int64, until time.Time) error {
	if _, err := tx.Exec(`INSERT INTO chat_files_kept (`+keptColumns+`, until) SELECT `+keptColumns+`, $2 FROM chat_attachments WHERE message_id = $1`, message, until.UnixMilli()); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM chat_attachments WHERE message_id = $1`, message)
	return err
}

// giveBack gives a line the files again that were put aside.
func (tx txn) giveBack(message int64) error {
	if _, err := tx.Exec(`INSERT INTO chat_attachments (`+keptColumns+`) SELECT `+keptColumns+` FROM chat_files_kept WHERE message_id = $1`, message); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM chat_files_kept WHERE message_id = $1`, message)
	return err
}

// DropKept names the files as gone that were put aside for long enough.
func (tx txn) DropKept() error {
	if _, err := tx.Exec(`INSERT INTO chat_files_gone (file) SELECT file FROM chat_files_kept WHERE until <= $1`, tx.Now().UnixMilli()); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM chat_files_kept WHERE until <= $1`, tx.Now().UnixMilli())
	return err
}

// KeptOver reports whether some were.
func (s Attachments) KeptOver(ctx context.Context, now time.Time) (over bool, err error) {
	err = s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM chat_files_kept WHERE until <= $1)`, now.UnixMilli()).Scan(&over)
	return over, store.Failed(err)
}

// Attachments returns the files of lines by the lines' ids, each in the order in which they were given.
func (s Store) Attachments(ctx context.Context, ids []int64) (map[int64][]api.ChatAttachment, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	marks, args := list(ids, 1)
	rows, err := s.db.Query(ctx, `SELECT message_id, id, name, type, size, width, height FROM chat_attachments
		WHERE message_id IN (`+marks+`) ORDER BY message_id, position`, args...)
	out := map[int64][]api.ChatAttachment{}
	_, err = store.CollectRows(rows, err, func(row store.RowScanner) (struct{}, error) {
		var line int64
		var a api.ChatAttachment
		err := row.Scan(&line, &a.ID, &a.Name, &a.Type, &a.Size, &a.Width, &a.Height)
		out[line] = append(out[line], a)
		return struct{}{}, err
	})
	return out, err
}

// list returns the parameters of IN (…) for ids, the first of which is $first.
func list(ids []int64, first int) (marks string, args []any) {
	all := make([]string, len(ids))
	for i, id := range ids {
		args = append(args, id)
		all[i] = fmt.Sprintf("$%d", first+i)
	}
	return strings.Join(all, ", "), args
}
