package chatstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/store"
)

const messageColumns = `id, room_id, seq, user_id, handle, text, flags, created_at, reply_to, edited_at, deleted_at, reactions, mentions, files, hidden`

func scanMessage(row store.RowScanner) (chat.Line, error) {
	var m chat.Line
	var flags, mentions string
	var deleted int64
	if err := row.Scan(&m.ID, &m.RoomID, &m.Seq, &m.UserID, &m.Handle, &m.Text, &flags, &m.CreatedAt, &m.ReplyTo, &m.EditedAt, &deleted, &m.Reacted, &mentions, &m.Files, &m.Hidden); err != nil {
		return m, err
	}
	m.Flags, m.Deleted = json.RawMessage(flags), deleted != 0
	if mentions != "" {
		if err := json.Unmarshal([]byte(mentions), &m.Mentions); err != nil {
			return m, fmt.Errorf("read the mentions of line %d: %w", m.ID, err)
		}
	}
	return m, nil
}

// oneMessage is scanMessage for a single row; none is errs.NotFound.
func oneMessage(row store.RowScanner) (chat.Line, error) {
	m, err := scanMessage(row)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Line{}, errs.New(errs.NotFound, "there is no such line in this room")
	}
	return m, store.Failed(err)
}

// Messages returns lines of a room with a seq above since, newest first; a row that only keeps its id (retention) is none. With After alone they are those that follow it at once.
func (s Store) Messages(ctx context.Context, room, since int64, p web.Paging, limit int) ([]chat.Line, error) {
	forward := p.After > 0 && p.Before == 0
	rows, err := s.db.Query(ctx, messagesQuery(forward), room, store.Below(p.Before), p.After, limit, p.Offset, since)
	out, err := store.CollectRows(rows, err, scanMessage)
	if forward {
		slices.Reverse(out)
	}
	return out, err
}

func messagesQuery(forward bool) string {
	query := `SELECT ` + messageColumns + ` FROM chat_messages WHERE room_id = $1 AND id < $2 AND id > $3 AND seq > $6 AND handle <> ''`
	if forward {
		return query + ` ORDER BY id LIMIT $4 OFFSET $5`
	}
	return query + ` ORDER BY id DESC LIMIT $4 OFFSET $5`
}

const followingQuery = `SELECT ` + messageColumns + ` FROM chat_messages WHERE room_id = $1 AND seq > $2 AND handle <> '' ORDER BY seq LIMIT $3`

// Following returns the lines of a room that follow a seq at once, newest first.
func (s Store) Following(ctx context.Context, room, seq int64, limit int) ([]chat.Line, error) {
	rows, err := s.db.Query(ctx, followingQuery, room, seq, limit)
	out, err := store.CollectRows(rows, err, scanMessage)
	slices.Reverse(out)
	return out, err
}

// Mentioning returns the lines that mention the viewer, newest first.
func (s Search) Mentioning(ctx context.Context, v chat.Viewer, now time.Time, before int64, limit int) ([]chat.Line, error) {
	rows, err := s.db.Query(ctx, `SELECT `+prefixed(messageColumns)+` FROM chat_mentions n JOIN chat_messages m ON m.room_id = n.room_id AND m.seq = n.seq JOIN chat_rooms r ON r.id = n.room_id
		WHERE n.user_id = $1 AND m.id < $5 AND m.deleted_at = 0 AND m.hidden = 0 AND `+visible+` AND `+unbanned+` AND `+sinceJoined+` ORDER BY m.id DESC LIMIT $6`,
		append(viewerArgs(v), now.UnixMilli(), store.Below(before), limit)...)
	return store.CollectRows(rows, err, scanMessage)
}

// prefixed are the columns of lines as m's.
func prefixed(columns string) string { return `m.` + strings.ReplaceAll(columns, `, `, `, m.`) }

const messageQuery = `SELECT ` + messageColumns + ` FROM chat_messages WHERE room_id = $1 AND id = $2`

// Message returns a line of the room, or errs.NotFound.
func (s Store) Message(ctx context.Context, room, id int64) (chat.Line, error) {
	return oneMessage(s.db.QueryRow(ctx, messageQuery, room, id))
}

// Message returns a line of the room, or errs.NotFound.
func (tx txn) Message(room, id int64) (chat.Line, error) {
	return oneMessage(tx.QueryRow(messageQuery, room, id))
}

// Reactions returns the reactions to lines by the lines' ids, in the order in which they were first given.
func (s Store) Reactions(ctx context.Context, user int64, ids []int64) (map[int64][]api.ChatReaction, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	args := []any{user}
	marks := make([]string, len(ids))
	for i, id := range ids {
		args = append(args, id)
		marks[i] = fmt.Sprintf("$%d", i+2)
	}
	rows, err := s.db.Query(ctx, `SELECT message_id, emoji, COUNT(*), MAX(CASE WHEN user_id = $1 THEN 1 ELSE 0 END) FROM chat_reactions
		WHERE message_id IN (`+strings.Join(marks, ", ")+`) GROUP BY message_id, emoji ORDER BY message_id, MIN(at), emoji`, args...)
	out := map[int64][]api.ChatReaction{}
	_, err = store.CollectRows(rows, err, func(row store.RowScanner) (struct{}, error) {
		var id int64
		var r api.ChatReaction
		err := row.Scan(&id, &r.Emoji, &r.Count, &r.Mine)
		out[id] = append(out[id], r)
		return struct{}{}, err
	})
	return out, err
}

// Versions returns the texts that a line had before, the oldest first.
func (s Store) Versions(ctx context.Context, message int64) ([]api.ChatVersion, error) {
	rows, err := s.db.Query(ctx, `SELECT text, at FROM chat_versions WHERE message_id = $1 ORDER BY n`, message)
	return store.CollectRows(rows, err, func(row store.RowScanner) (v api.ChatVersion, err error) {
		err = row.Scan(&v.Text, &v.At)
		return v, err
	})
}

// unreadMost is the most that is counted in one room.
const unreadMost = 100

// Unread returns the rooms that the viewer is a member of or has read in, with what they have not read.
func (s Store) Unread(ctx context.Context, v chat.Viewer, limit int) ([]api.ChatUnread, error) {
	const seen = `COALESCE(d.seq, j.joined_seq, 0)`
	rows, err := s.db.Query(ctx, `SELECT r.id, r.name, r.kind, r.head, `+seen+`,
		(SELECT COUNT(*) FROM (SELECT 1 FROM chat_messages l WHERE l.room_id = r.id AND l.seq > `+seen+` AND l.user_id <> $1 AND l.deleted_at = 0 AND l.hidden = 0 LIMIT $5) AS c),
		(SELECT COUNT(*) FROM (SELECT 1 FROM chat_mentions n WHERE n.user_id = $1 AND n.room_id = r.id AND n.seq > `+seen+` LIMIT $5) AS c),
		COALESCE((SELECT o.level FROM chat_notify o WHERE o.user_id = $1 AND o.room_id = r.id), 'all')
		FROM (SELECT room_id FROM chat_members WHERE user_id = $1 UNION SELECT room_id FROM chat_reads WHERE user_id = $1) AS k
		JOIN chat_rooms r ON r.id = k.room_id
		LEFT JOIN chat_reads d ON d.room_id = r.id AND d.user_id = $1
		LEFT JOIN chat_members j ON j.room_id = r.id AND j.user_id = $1
		WHERE `+visible+` ORDER BY r.id LIMIT $4`, append(viewerArgs(v), limit, unreadMost)...)
	return store.CollectRows(rows, err, func(row store.RowScanner) (u api.ChatUnread, err error) {
		err = row.Scan(&u.RoomID, &u.Name, &u.Kind, &u.Seq, &u.ReadSeq, &u.Unread, &u.Mentions, &u.Notify)
		return u, err
	})
}

// Reports returns what was reported in a room, the newest first.
func (s Store) Reports(ctx context.Context, room int64, p web.Paging, limit int) ([]api.ChatReport, error) {
	rows, err := s.db.Query(ctx, `SELECT id, message_id, user_id, handle, reason, created_at FROM chat_reports
		WHERE room_id = $1 AND id < $2 AND id > $3 ORDER BY id DESC LIMIT $4 OFFSET $5`, room, store.Below(p.Before), p.After, limit, p.Offset)
	return store.CollectRows(rows, err, func(row store.RowScanner) (r api.ChatReport, err error) {
		err = row.Scan(&r.ID, &r.MessageID, &r.UserID, &r.Handle, &r.Reason, &r.CreatedAt)
		return r, err
	})
}

// AddMessage stores a line and returns its id.
func (tx txn) AddMessage(m chat.Line) (int64, error) {
	mentions, err := encodeMentions(m.Mentions)
	if err != nil {
		return 0, err
	}
	return tx.Insert(`INSERT INTO chat_messages (room_id, seq, user_id, handle, text, flags, created_at, reply_to, mentions, hidden) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		m.RoomID, m.Seq, m.UserID, m.Handle, m.Text, string(m.Flags), int64(m.CreatedAt), m.ReplyTo, mentions, flag(m.Hidden))
}

func encodeMentions(users []int64) (string, error) {
	if len(users) == 0 {
		return "", nil
	}
	b, err := json.Marshal(users)
	return string(b), err
}

// EditMessage gives a line another text and keeps the one that it had, written at was.
func (tx txn) EditMessage(m chat.Line, before string, was api.Time) error {
	_, err := tx.Exec(`INSERT INTO chat_versions (message_id, n, text, at) SELECT $1, COALESCE(MAX(n), 0) + 1, $2, $3 FROM chat_versions WHERE message_id = $1`, m.ID, before, int64(was))
	if err != nil {
		return err
	}
	mentions, err := encodeMentions(m.Mentions)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE chat_messages SET text = $2, edited_at = $3, mentions = $4, flags = $5, hidden = $6 WHERE id = $1`,
		m.ID, m.Text, int64(m.EditedAt), mentions, string(m.Flags), flag(m.Hidden))
	return err
}

// NoteEdit remembers where the log tells of an edit.
func (tx txn) NoteEdit(message, seq int64) error {
	_, err := tx.Exec(`INSERT INTO chat_edits (message_id, seq) VALUES ($1, $2)`, message, seq)
	return err
}

// redact sets what is left of an event that told of a line that is gone.
const redact = `UPDATE chat_events SET payload = json_set(json_remove(payload, '$.attachments', '$.mentions'), '$.text', '', '$.deleted', json('true')) WHERE room_id = $1 AND `

// silence takes a line's texts out of its room's log.
func (tx txn) silence(room, message, seq int64) error {
	if _, err := tx.Exec(redact+`seq = $2`, room, seq); err != nil {
		return err
	}
	_, err := tx.Exec(redact+`seq IN (SELECT seq FROM chat_edits WHERE message_id = $2)`, room, message)
	return err
}

// DeleteMessage marks a line as taken away and its files as gone, and takes its texts out of the log.
func (tx txn) DeleteMessage(m api.ChatMessage) error {
	if _, err := tx.Exec(`UPDATE chat_messages SET deleted_at = $2 WHERE id = $1`, m.ID, tx.Now().UnixMilli()); err != nil {
		return err
	}
	if err := tx.silence(m.RoomID, m.ID, m.Seq); err != nil {
		return err
	}
	if err := tx.unpin(m.ID); err != nil {
		return err
	}
	if err := tx.detach(m.ID); err != nil {
		return err
	}
	return tx.Mention(m.RoomID, m.Seq, m.Mentions, nil)
}

// Mention replaces whom the line with the seq mentions.
func (tx txn) Mention(room, seq int64, before, users []int64) error {
	for _, user := range before {
		if _, err := tx.Exec(`DELETE FROM chat_mentions WHERE user_id = $1 AND room_id = $2 AND seq = $3`, user, room, seq); err != nil {
			return err
		}
	}
	for _, user := range users {
		if _, err := tx.Exec(`INSERT INTO chat_mentions (user_id, room_id, seq) VALUES ($1, $2, $3)`, user, room, seq); err != nil {
			return err
		}
	}
	return nil
}

// HideLine leaves a line to its author and moderators, and takes its texts out of the log.
func (tx txn) HideLine(l chat.Line) error {
	if _, err := tx.Exec(`UPDATE chat_messages SET hidden = 1, flags = $2 WHERE id = $1`, l.ID, string(l.Flags)); err != nil {
		return err
	}
	if err := tx.silence(l.RoomID, l.ID, l.Seq); err != nil {
		return err
	}
	return tx.Mention(l.RoomID, l.Seq, l.Mentions, nil)
}

// ShowLine gives a line back that was taken away or hidden, with the files that were put aside.
func (tx txn) ShowLine(m api.ChatMessage) error {
	if err := tx.giveBack(m.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE chat_messages SET deleted_at = 0, hidden = 0, flags = '{}', files = (SELECT COUNT(*) FROM chat_attachments a WHERE a.message_id = chat_messages.id) WHERE id = $1`, m.ID); err != nil {
		return err
	}
	return tx.Mention(m.RoomID, m.Seq, m.Mentions, m.Mentions)
}

// React adds a reaction, or takes it away, and returns how many of its emoji the line has then, how many
// different ones, and whether anything changed.
func (tx txn) React(message, user int64, emoji string, on bool) (count, kinds int, changed bool, err error) {
	var r sql.Result
	step := int64(1)
	if on {
		r, err = tx.Exec(`INSERT INTO chat_reactions (message_id, emoji, user_id, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, message, emoji, user, tx.Now().UnixMilli())
	} else {
		r, err = tx.Exec(`DELETE FROM chat_reactions WHERE message_id = $1 AND emoji = $2 AND user_id = $3`, message, emoji, user)
		step = -1
	}
	if err != nil {
		return 0, 0, false, err
	}
	n, err := r.RowsAffected()
	if err != nil {
		return 0, 0, false, err
	}
	if n > 0 {
		if _, err := tx.Exec(`UPDATE chat_messages SET reactions = reactions + $2 WHERE id = $1`, message, step); err != nil {
			return 0, 0, false, err
		}
	}
	err = tx.QueryRow(`SELECT COALESCE(SUM(CASE WHEN emoji = $2 THEN 1 ELSE 0 END), 0), COUNT(DISTINCT emoji) FROM chat_reactions WHERE message_id = $1`, message, emoji).Scan(&count, &kinds)
	return count, kinds, n > 0, store.Failed(err)
}

// AddReport stores that somebody reports a line; errs.Conflict when they did before.
func (tx txn) AddReport(room int64, r api.ChatReport) (int64, error) {
	var id int64
	err := tx.QueryRow(`INSERT INTO chat_reports (room_id, message_id, user_id, handle, reason, created_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
		room, r.MessageID, r.UserID, r.Handle, r.Reason, int64(r.CreatedAt)).Scan(&id)
	return id, store.Failed(err)
}

// SetRead moves how far somebody has read, never back, and returns how far that is.
func (tx txn) SetRead(room, user, seq int64) (int64, error) {
	err := tx.QueryRow(`INSERT INTO chat_reads (user_id, room_id, seq) VALUES ($1, $2, $3)
		ON CONFLICT (user_id, room_id) DO UPDATE SET seq = CASE WHEN excluded.seq > chat_reads.seq THEN excluded.seq ELSE chat_reads.seq END RETURNING seq`, user, room, seq).Scan(&seq)
	return seq, store.Failed(err)
}

// Pace returns when somebody last spoke in a room with slow mode, in unix ms, 0 for never, and notes that they do now.
func (tx txn) Pace(room, user int64) (int64, error) {
	var last int64
	err := tx.QueryRow(`SELECT at FROM chat_pace WHERE room_id = $1 AND user_id = $2`, room, user).Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, store.Failed(err)
	}
	_, err = tx.Exec(`INSERT INTO chat_pace (room_id, user_id, at) VALUES ($1, $2, $3) ON CONFLICT (room_id, user_id) DO UPDATE SET at = excluded.at`, room, user, tx.Now().UnixMilli())
	return last, err
}
