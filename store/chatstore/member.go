package chatstore

import (
	"context"
	"database/sql"
	"errors"

	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/store"
)

// visible is the rooms that a viewer ($1 user, $2 all, $3 desk) may find.
const visible = `r.deleted_at = 0 AND (r.kind = 'global' OR $2 = 1 OR ($3 = 1 AND r.kind = 'support') OR EXISTS (SELECT 1 FROM chat_members v WHERE v.room_id = r.id AND v.user_id = $1))`

func viewerArgs(v chat.Viewer) []any { return []any{v.User, flag(v.All), flag(v.Desk)} }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

const standingQuery = `SELECT 'role', role, joined_seq FROM chat_members WHERE room_id = $1 AND user_id = $2
	UNION ALL SELECT 'sanction', kind, until FROM chat_sanctions WHERE room_id = $1 AND user_id = $2`

// standing puts the rows of standingQuery together.
func standing(rows *sql.Rows, err error) (st chat.Standing, _ error) {
	_, err = store.CollectRows(rows, err, func(row store.RowScanner) (struct{}, error) {
		var what, word string
		var n int64
		if err := row.Scan(&what, &word, &n); err != nil {
			return struct{}{}, err
		}
		put(&st, what, word, n)
		return struct{}{}, nil
	})
	return st, err
}

// put adds a row to a standing.
func put(st *chat.Standing, what, word string, n int64) {
	switch {
	case what == "role":
		st.Role, st.Since = word, n
	case word == "ban":
		st.Ban = chat.Sanction{On: true, Until: apiTime(n)}
	default:
		st.Mute = chat.Sanction{On: true, Until: apiTime(n)}
	}
}

// peopleQuery reads the standings of everybody in a room ($1).
const peopleQuery = `SELECT user_id, 'role', role, joined_seq FROM chat_members WHERE room_id = $1
	UNION ALL SELECT user_id, 'sanction', kind, until FROM chat_sanctions WHERE room_id = $1 LIMIT $2`

// Standing returns a user's place in a room; user 0 has none.
func (s Store) Standing(ctx context.Context, room, user int64) (chat.Standing, error) {
	if user == 0 {
		return chat.Standing{}, nil
	}
	return standing(s.db.Query(ctx, standingQuery, room, user))
}

// Standing returns a user's place in a room; user 0 has none.
func (tx txn) Standing(room, user int64) (chat.Standing, error) {
	if user == 0 {
		return chat.Standing{}, nil
	}
	if _, st, ok := tx.memory().entry(room, user); ok {
		return st, nil
	}
	return standing(tx.Query(standingQuery, room, user))
}

// entryQuery reads a room ($1) with a user's ($2) standing in it: one statement for what every line asks. -1 is no sanction; user 0 has
// rows nowhere.
const entryQuery = `SELECT ` + roomColumns + `, COALESCE(m.role, ''), COALESCE(m.joined_seq, 0), COALESCE(b.until, -1), COALESCE(u.until, -1) FROM chat_rooms r
	LEFT JOIN chat_members m ON m.room_id = r.id AND m.user_id = $2 AND $2 <> 0
	LEFT JOIN chat_sanctions b ON b.room_id = r.id AND b.user_id = $2 AND b.kind = 'ban' AND $2 <> 0
	LEFT JOIN chat_sanctions u ON u.room_id = r.id AND u.user_id = $2 AND u.kind = 'mute' AND $2 <> 0
	WHERE r.id = $1`

func scanEntry(row store.RowScanner) (r chat.Room, st chat.Standing, err error) {
	var ban, mute int64
	err = row.Scan(append(roomFields(&r), &st.Role, &st.Since, &ban, &mute)...)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Room{}, chat.Standing{}, noRoom()
	}
	sanction := func(until int64) chat.Sanction {
		if until < 0 {
			return chat.Sanction{}
		}
		return chat.Sanction{On: true, Until: apiTime(until)}
	}
	st.Ban, st.Mute = sanction(ban), sanction(mute)
	return r, st, store.Failed(err)
}

// Entry returns a room with a user's standing in it, or errs.NotFound; user 0 has no standing.
func (s Store) Entry(ctx context.Context, room, user int64) (chat.Room, chat.Standing, error) {
	m := memoryOf(s.db)
	if r, st, ok := m.entry(room, user); ok {
		return r, st, nil
	}
	return m.read(ctx, s.db, room, user)
}

// Entry returns a room with a user's standing in it, or errs.NotFound; user 0 has no standing.
func (tx txn) Entry(room, user int64) (chat.Room, chat.Standing, error) {
	r, st, ok := tx.memory().entry(room, user)
	if !ok {
		var err error
		if r, st, err = scanEntry(tx.QueryRow(entryQuery, room, user)); err != nil {
			return r, st, err
		}
	}
	return tx.withHead(r), st, nil
}

// withHead gives a room the newest event that the transaction knows of.
func (tx txn) withHead(r chat.Room) chat.Room {
	if head, ok := tx.memory().newest(r.ID); ok {
		r.Head = head
	}
	return r
}

const memberColumns = `m.room_id, m.user_id, m.handle, m.role, m.joined_seq, m.joined_at`

func scanMember(row store.RowScanner) (chat.Member, error) {
	var m chat.Member
	err := row.Scan(&m.Room, &m.UserID, &m.Handle, &m.Role, &m.Since, &m.JoinedAt)
	return m, err
}

// Members returns the members of a room in the order of their ids, and who of them is muted at the time.
func (s Store) Members(ctx context.Context, room, now int64, p web.Paging, limit int) ([]chat.Member, error) {
	rows, err := s.db.Query(ctx, `SELECT `+memberColumns+`, COALESCE(c.until, 0), COALESCE(c.room_id, 0) > 0 FROM chat_members m
		LEFT JOIN chat_sanctions c ON c.room_id = m.room_id AND c.user_id = m.user_id AND c.kind = 'mute' AND (c.until = 0 OR c.until > $2)
		WHERE m.room_id = $1 AND m.user_id < $3 AND m.user_id > $4 ORDER BY m.user_id LIMIT $5 OFFSET $6`, room, now, store.Below(p.Before), p.After, limit, p.Offset)
	return store.CollectRows(rows, err, func(row store.RowScanner) (m chat.Member, err error) {
		err = row.Scan(&m.Room, &m.UserID, &m.Handle, &m.Role, &m.Since, &m.JoinedAt, &m.MutedUntil, &m.Muted)
		return m, err
	})
}

// Member returns a member of the room, or errs.NotFound.
func (tx txn) Member(room, user int64) (chat.Member, error) {
	return oneMember(tx.QueryRow(`SELECT `+memberColumns+` FROM chat_members m WHERE m.room_id = $1 AND m.user_id = $2`, room, user))
}

// Heir returns who becomes the owner when there is none: the highest in rank, the longest here. None is errs.NotFound.
func (tx txn) Heir(room int64) (chat.Member, error) {
	return oneMember(tx.QueryRow(`SELECT `+memberColumns+` FROM chat_members m WHERE m.room_id = $1
		ORDER BY CASE m.role WHEN 'owner' THEN 0 WHEN 'moderator' THEN 1 WHEN 'member' THEN 2 ELSE 3 END, m.joined_at, m.user_id LIMIT 1`, room))
}

func oneMember(row store.RowScanner) (chat.Member, error) {
	m, err := scanMember(row)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Member{}, noMember()
	}
	return m, store.Failed(err)
}

// PutMember stores a member, or the new role of one.
func (tx txn) PutMember(m chat.Member) error {
	tx.memory().touch(tx.Tx, seat{m.Room, m.UserID})
	_, err := tx.Exec(`INSERT INTO chat_members (room_id, user_id, handle, role, joined_seq, joined_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (room_id, user_id) DO UPDATE SET handle = excluded.handle, role = excluded.role`, m.Room, m.UserID, m.Handle, m.Role, m.Since, int64(m.JoinedAt))
	if err == nil {
		_, err = tx.Exec(`UPDATE chat_rooms SET emptied_at = 0 WHERE id = $1 AND emptied_at > 0`, m.Room)
	}
	if err == nil {
		_, err = tx.Exec(`DELETE FROM chat_requests WHERE room_id = $1 AND user_id = $2`, m.Room, m.UserID)
	}
	return err
}

// RemoveMember takes a member out; one who is none already is no error.
func (tx txn) RemoveMember(room, user int64) error {
	tx.memory().touch(tx.Tx, seat{room, user})
	_, err := tx.Exec(`DELETE FROM chat_members WHERE room_id = $1 AND user_id = $2`, room, user)
	if err == nil {
		_, err = tx.Exec(`UPDATE chat_rooms SET emptied_at = $2 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM chat_members m WHERE m.room_id = $1)`, room, tx.Now().UnixMilli())
	}
	return err
}

// PutSanction stores a sanction, "ban" or "mute"; one that is not On is lifted.
func (tx txn) PutSanction(room, user int64, kind string, s chat.Sanction) error {
	tx.memory().touch(tx.Tx, seat{room, user})
	if !s.On {
		_, err := tx.Exec(`DELETE FROM chat_sanctions WHERE room_id = $1 AND user_id = $2 AND kind = $3`, room, user, kind)
		return err
	}
	_, err := tx.Exec(`INSERT INTO chat_sanctions (room_id, user_id, kind, until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (room_id, user_id, kind) DO UPDATE SET until = excluded.until`, room, user, kind, int64(s.Until))
	return err
}

// AddAction writes down what a moderator did and returns its id.
func (tx txn) AddAction(a chat.Action) (int64, error) {
	var id int64
	err := tx.QueryRow(`INSERT INTO chat_actions (room_id, action, user_id, handle, until, reason, by_id, by_handle, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`,
		a.Room, a.Action, a.UserID, a.Handle, int64(a.Until), a.Reason, a.ByID, a.ByHandle, int64(a.CreatedAt)).Scan(&id)
	return id, store.Failed(err)
}

// Actions returns what moderators did in a room, the newest first.
func (s Store) Actions(ctx context.Context, room int64, p web.Paging, limit int) ([]chat.Action, error) {
	rows, err := s.db.Query(ctx, `SELECT id, room_id, action, user_id, handle, until, reason, by_id, by_handle, created_at FROM chat_actions
		WHERE room_id = $1 AND id < $2 AND id > $3 ORDER BY id DESC LIMIT $4 OFFSET $5`, room, store.Below(p.Before), p.After, limit, p.Offset)
	return store.CollectRows(rows, err, func(row store.RowScanner) (a chat.Action, err error) {
		err = row.Scan(&a.ID, &a.Room, &a.Action, &a.UserID, &a.Handle, &a.Until, &a.Reason, &a.ByID, &a.ByHandle, &a.CreatedAt)
		return a, err
	})
}
