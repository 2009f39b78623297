package chatstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"uniqverse/internal/event"
	"uniqverse/services/chat"
	"uniqverse/services/chat/search"
	"uniqverse/store"
)

// Search is the store of services/chat/search.
type Search struct{ db *store.DB }

// NewSearch returns the index of the lines.
func NewSearch(db *store.DB) Search { return Search{db} }

var _ search.Store = Search{}

const indexNext = `SELECT place, type, COALESCE(json_extract(payload, '$.message_id'), 0) FROM chat_events
	WHERE place > (SELECT place FROM chat_fts_cursor) ORDER BY place LIMIT $1`

const textsOf = `SELECT m.id, m.text FROM json_each($1) AS j CROSS JOIN chat_messages m ON m.id = j.value WHERE m.deleted_at = 0 AND m.text <> '' ORDER BY j.key`

// indexLines adds lines, pairs of id and text in a list of JSON, to the index. It is one statement for all: each INSERT … SELECT opens a savepoint
// of its own, and at each of those FTS5 writes all that it has gathered into a segment, and then merges segments.
const indexLines = `INSERT INTO chat_fts (rowid, text) SELECT j.value ->> 0, j.value ->> 1 FROM json_each($1) AS j ORDER BY j.key`

// Index brings up to limit further events into the index and returns how many those were.
func (s Search) Index(ctx context.Context, limit int) (n int, err error) {
	var behind bool
	if err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM chat_events WHERE place > (SELECT place FROM chat_fts_cursor)) OR EXISTS (SELECT 1 FROM chat_fts_again)`).Scan(&behind); err != nil || !behind {
		return 0, store.Failed(err) // a writer that has nothing to do is left alone
	}
	err = s.db.Write(ctx, nil, func(tx *store.Tx) error {
		rows, err := tx.Query(indexNext, limit)
		changed := map[int64]bool{} // lines; true where the index may have them
		var order []int64
		var last int64
		_, err = store.CollectRows(rows, err, func(row store.RowScanner) (struct{}, error) {
			var typ string
			var line int64
			if err := row.Scan(&last, &typ, &line); err != nil {
				return struct{}{}, err
			}
			n++
			switch typ {
			case event.ChatMessageCreated, event.ChatMessageEdited, event.ChatMessageDeleted:
				if _, known := changed[line]; !known {
					order = append(order, line)
				}
				changed[line] = changed[line] || typ != event.ChatMessageCreated
			}
			return struct{}{}, nil
		})
		if err != nil {
			return err
		}
		if n > 0 {
			if _, err := tx.Exec(`UPDATE chat_fts_cursor SET place = $1`, last); err != nil {
				return err
			}
		}
		again, err := txn{tx}.again(limit)
		if err != nil {
			return err
		}
		for _, line := range again {
			if _, known := changed[line]; !known {
				order = append(order, line)
			}
			changed[line] = true
		}
		n = max(n, len(again))
		slices.Sort(order) // the index takes rising ids the fastest
		for _, line := range order {
			if changed[line] {
				if _, err := tx.Exec(`DELETE FROM chat_fts WHERE rowid = $1`, line); err != nil {
					return err
				}
			}
		}
		return txn{tx}.index(order)
	})
	return n, err
}

// again takes lines off the list of those that go into the index once more.
func (tx txn) again(limit int) ([]int64, error) {
	rows, err := tx.Query(`DELETE FROM chat_fts_again WHERE id IN (SELECT id FROM chat_fts_again ORDER BY id LIMIT $1) RETURNING id`, limit)
	return store.CollectRows(rows, err, func(row store.RowScanner) (id int64, err error) {
		err = row.Scan(&id)
		return id, err
	})
}

// index adds lines that are not in the index.
func (tx txn) index(lines []int64) error {
	ids, err := json.Marshal(lines)
	if err != nil || len(lines) == 0 {
		return err
	}
	rows, err := tx.Query(textsOf, string(ids))
	texts, err := store.CollectRows(rows, err, func(row store.RowScanner) ([2]any, error) {
		var id int64
		var text string
		err := row.Scan(&id, &text)
		return [2]any{id, search.Indexed(text)}, err
	})
	if err != nil || len(texts) == 0 {
		return err
	}
	raw, err := json.Marshal(texts)
	if err != nil {
		return err
	}
	_, err = tx.Exec(indexLines, string(raw))
	return err
}

// Search returns lines that a viewer may read, newest first.
func (s Search) Search(ctx context.Context, v chat.Viewer, q search.Query, room, before int64, now time.Time, limit int) ([]search.Found, error) {
	query, args := searchQuery(v, q, room, before, now, limit)
	rows, err := s.db.Query(ctx, query, args...)
	return store.CollectRows(rows, err, func(row store.RowScanner) (f search.Found, err error) {
		f.Line, err = scanMessage(wider{row, []any{&f.RoomName, &f.RoomKind}})
		return f, err
	})
}

// wider scans further columns behind those that a scan knows.
type wider struct {
	row  store.RowScanner
	more []any
}

func (w wider) Scan(dest ...any) error { return w.row.Scan(append(dest, w.more...)...) }

func searchQuery(v chat.Viewer, q search.Query, room, before int64, now time.Time, limit int) (string, []any) {
	args := append(viewerArgs(v), now.UnixMilli(), store.Below(before), limit)
	arg := func(a any) string {
		args = append(args, a)
		return fmt.Sprintf("$%d", len(args))
	}
	from := `(SELECT message_id AS line FROM chat_attachments WHERE message_id < $5 GROUP BY message_id ORDER BY message_id DESC) AS f JOIN chat_messages m ON m.id = f.line`
	where, order := ``, `f.line`
	if match := q.Match(); match != "" {
		from = `chat_fts AS f CROSS JOIN chat_messages m ON m.id = f.rowid`
		where, order = ` AND chat_fts MATCH `+arg(match)+` AND f.rowid < $5`, `f.rowid`
	}
	if q.Files {
		where += ` AND m.files > 0`
	}
	if room != 0 {
		where += ` AND m.room_id = ` + arg(room)
	}
	if q.In != "" {
		where += ` AND r.name = ` + arg(q.In) + ` COLLATE NOCASE`
	}
	if q.From != "" {
		where += ` AND m.handle = ` + arg(q.From) + ` COLLATE NOCASE`
	}
	if !q.Before.IsZero() {
		where += ` AND m.created_at < ` + arg(q.Before.UnixMilli())
	}
	if !q.After.IsZero() {
		where += ` AND m.created_at >= ` + arg(q.After.UnixMilli())
	}
	return `SELECT ` + prefixed(messageColumns) + `, r.name, r.kind FROM ` + from + ` JOIN chat_rooms r ON r.id = m.room_id
		WHERE m.deleted_at = 0 AND m.hidden = 0 AND ` + visible + ` AND ` + unbanned + ` AND ` + sinceJoined +
		where + ` ORDER BY ` + order + ` DESC LIMIT $6`, args
}

// sinceJoined leaves out what a viewer ($1 user, $2 all) does not see of a room: the lines from before they came.
const sinceJoined = `($2 = 1 OR m.seq > COALESCE((SELECT j.joined_seq FROM chat_members j WHERE j.room_id = r.id AND j.user_id = $1), 0))`

// unbanned leaves out the rooms from which a viewer ($1 user, $2 all) is banned at $4.
const unbanned = `($2 = 1 OR NOT EXISTS (SELECT 1 FROM chat_sanctions b WHERE b.room_id = r.id AND b.user_id = $1 AND b.kind = 'ban' AND (b.until = 0 OR b.until > $4)))`
