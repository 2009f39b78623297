// Package chatstore is the tables of services/chat: rooms, who is in them, what was said, and the
// log of each room. It holds the SQL of chat and no rule of it; package store says what is promised.
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
	"uniqverse/internal/event"
	"uniqverse/internal/web"
	"uniqverse/services/chat"
	"uniqverse/services/chat/live"
	"uniqverse/store"
)

// Store is the store of services/chat: rooms, lines, and the log of each room.
type Store struct{ db *store.DB }

// New returns the chat tables of the database.
func New(db *store.DB) Store { return Store{db} }

var (
	_ chat.Store = Store{}
	_ chat.Tx    = txn{}
)

type txn struct{ *store.Tx }

// likeEscape makes a text mean itself in LIKE … ESCAPE '!'.
var likeEscape = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// Update runs fn in one durable transaction.
func (s Store) Update(ctx context.Context, once *web.Once, fn func(chat.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *store.Tx) error { return fn(txn{tx}) })
}

const roomColumns = `r.id, r.name, r.kind, r.head, r.created_by, r.created_at, r.topic, r.slow_mode_s, r.archived_at, COALESCE(r.people, ''),
	r.deleted_at, r.horizon, COALESCE(r.retention_days, -1), r.perm, r.moderation`

func roomFields(r *chat.Room) []any {
	return []any{&r.ID, &r.Name, &r.Kind, &r.Head, &r.CreatedBy, &r.CreatedAt, &r.Topic, &r.SlowMode, &r.ArchivedAt, &r.People, &r.DeletedAt, &r.Horizon, &r.Retention, asJSON{&r.Perm}, asJSON{&r.Moderation}}
}

// asJSON scans a text of JSON into what it points to; "" and "{}" leave that as it is.
type asJSON struct{ to any }

// Scan implements sql.Scanner.
func (j asJSON) Scan(from any) error {
	text, ok := from.(string)
	if !ok {
		return fmt.Errorf("scan %T as JSON", from)
	}
	if text == "" || text == "{}" { // what most rooms have
		return nil
	}
	return json.Unmarshal([]byte(text), j.to)
}

func scanRoom(row store.RowScanner) (chat.Room, error) {
	var r chat.Room
	err := row.Scan(roomFields(&r)...)
	return r, err
}

// oneRoom is scanRoom for a single row; none is errs.NotFound.
func oneRoom(row store.RowScanner) (chat.Room, error) {
	r, err := scanRoom(row)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Room{}, noRoom()
	}
	return r, store.Failed(err)
}

// oneRoom is oneRoom with the newest event that the transaction knows of.
func (tx txn) oneRoom(row store.RowScanner) (chat.Room, error) {
	r, err := oneRoom(row)
	if err != nil {
		return r, err
	}
	return tx.withHead(r), nil
}

func noRoom() error { return errs.New(errs.NotFound, "Room not found") }

func noMember() error { return errs.New(errs.NotFound, "they are no member of this room") }

func apiTime(ms int64) api.Time { return api.Time(ms) }

// Room returns the room with the id, or errs.NotFound.
func (s Store) Room(ctx context.Context, id int64) (chat.Room, error) {
	return oneRoom(s.db.QueryRow(ctx, `SELECT `+roomColumns+` FROM chat_rooms r WHERE r.id = $1`, id))
}

// Rooms returns the rooms that the filter and the viewer leave, in the order of their ids.
func (s Store) Rooms(ctx context.Context, v chat.Viewer, f chat.RoomFilter, p web.Paging, limit int) ([]chat.Room, error) {
	query := `SELECT ` + roomColumns + ` FROM chat_rooms r WHERE ` + visible + ` AND r.id < $4 AND r.id > $5`
	args := append(viewerArgs(v), store.Below(p.Before), p.After, limit, p.Offset)
	if f.Kind != "" {
		args = append(args, f.Kind)
		query += fmt.Sprintf(` AND r.kind = $%d`, len(args))
	}
	if f.Name != "" {
		args = append(args, "%"+likeEscape.Replace(strings.ToLower(f.Name))+"%")
		query += fmt.Sprintf(` AND LOWER(r.name) LIKE $%d ESCAPE '!'`, len(args))
	}
	if f.Mine {
		query += ` AND EXISTS (SELECT 1 FROM chat_members o WHERE o.room_id = r.id AND o.user_id = $1)`
	}
	back := p.Before > 0 && p.After == 0
	if back { // the rooms just before one
		query += ` ORDER BY r.id DESC LIMIT $6 OFFSET $7`
	} else {
		query += ` ORDER BY r.id LIMIT $6 OFFSET $7`
	}
	rows, err := s.db.Query(ctx, query, args...)
	out, err := store.CollectRows(rows, err, scanRoom)
	if back {
		slices.Reverse(out)
	}
	return out, err
}

const rowColumns = roomColumns + `, COALESCE(m.handle, ''), COALESCE(CASE WHEN m.deleted_at = 0 AND m.hidden = 0 THEN SUBSTR(m.text, 1, 200) ELSE '' END, ''), COALESCE(m.created_at, 0)`

// lastLine joins a room's last line, unless it is from before the viewer came, or they are banned at $4.
const lastLine = ` LEFT JOIN chat_messages m ON m.id = (SELECT MAX(l.id) FROM chat_messages l WHERE l.room_id = r.id)
	AND ($2 = 1 OR m.seq > COALESCE((SELECT j.joined_seq FROM chat_members j WHERE j.room_id = r.id AND j.user_id = $1), 0)) AND ` + unbanned

func scanRoomRow(row store.RowScanner) (chat.RoomRow, error) {
	var r chat.RoomRow
	var at api.Time
	err := row.Scan(append(roomFields(&r.Room), &r.LastHandle, &r.LastText, &at)...)
	r.LastAt = at.Time()
	return r, err
}

// RecentRooms returns the rooms of the last two thousand events, the last used first, and then the newest
// others: of those that the viewer may find.
func (s Store) RecentRooms(ctx context.Context, v chat.Viewer, now time.Time, limit int) ([]chat.RoomRow, error) {
	args := append(viewerArgs(v), now.UnixMilli(), limit)
	rows, err := s.db.Query(ctx, `SELECT `+rowColumns+` FROM (SELECT e.room_id AS room_id, MAX(e.place) AS place
		FROM (SELECT room_id, place FROM chat_events ORDER BY place DESC LIMIT 2000) AS e GROUP BY e.room_id) AS u
		JOIN chat_rooms r ON r.id = u.room_id`+lastLine+` WHERE `+visible+` ORDER BY u.place DESC LIMIT $5`, args...)
	out, err := store.CollectRows(rows, err, scanRoomRow)
	if err != nil || len(out) >= limit {
		return out, err
	}
	rows, err = s.db.Query(ctx, `SELECT `+rowColumns+` FROM chat_rooms r`+lastLine+` WHERE `+visible+` ORDER BY r.id DESC LIMIT $5`, args...)
	newest, err := store.CollectRows(rows, err, scanRoomRow)
	for _, r := range newest {
		if len(out) < limit && !slices.ContainsFunc(out, func(o chat.RoomRow) bool { return o.ID == r.ID }) {
			out = append(out, r)
		}
	}
	return out, err
}

// Totals returns how many rooms the viewer may find, and how many events their logs hold.
func (s Store) Totals(ctx context.Context, v chat.Viewer) (rooms, lines int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT COUNT(*), COALESCE(SUM(r.head), 0) FROM chat_rooms r WHERE `+visible, viewerArgs(v)...).Scan(&rooms, &lines)
	return rooms, lines, store.Failed(err)
}

const eventColumns = `place, room_id, seq, type, at, payload, trace, audience, COALESCE(event_id, 0)`

func scanEvent(row store.RowScanner) (live.Logged, error) {
	var l live.Logged
	var at int64
	var payload, trace string
	if err := row.Scan(&l.Place, &l.Room, &l.Seq, &l.Type, &at, &payload, &trace, &l.User, &l.ID); err != nil {
		return l, err
	}
	l.At, l.Payload = time.UnixMilli(at).UTC(), json.RawMessage(payload)
	if trace != "" {
		var t struct {
			ID   string      `json:"id"`
			Hops []event.Hop `json:"hops"`
		}
		if err := json.Unmarshal([]byte(trace), &t); err != nil {
			return l, fmt.Errorf("read the trace of event %d of room %d: %w", l.Seq, l.Room, err)
		}
		l.Trace = &event.Trace{ID: t.ID, Hops: t.Hops}
	}
	return l, nil
}

// Events returns the room's log with after < seq <= upTo, in the order of seq.
func (s Store) Events(ctx context.Context, room, after, upTo int64, limit int) ([]live.Logged, error) {
	rows, err := s.db.Query(ctx, `SELECT `+eventColumns+` FROM chat_events WHERE room_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`, room, after, upTo, limit)
	return store.CollectRows(rows, err, scanEvent)
}

// Unpublished returns events without an id, in the order of commits, those with a place above after.
func (s Store) Unpublished(ctx context.Context, after int64, limit int) ([]live.Logged, error) {
	rows, err := s.db.Query(ctx, `SELECT `+eventColumns+` FROM chat_events WHERE event_id IS NULL AND place > $1 ORDER BY place LIMIT $2`, after, limit)
	return store.CollectRows(rows, err, scanEvent)
}

// Newest returns the place of the newest event of all rooms, 0 for none.
func (s Store) Newest(ctx context.Context) (int64, error) {
	var place int64
	err := s.db.QueryRow(ctx, `SELECT COALESCE(MAX(place), 0) FROM chat_events`).Scan(&place)
	return place, store.Failed(err)
}

// LastPublished returns the highest seq of the room whose event has an id, 0 for none.
func (s Store) LastPublished(ctx context.Context, room int64) (int64, error) {
	var seq int64
	err := s.db.QueryRow(ctx, `SELECT seq FROM chat_events WHERE room_id = $1 AND event_id IS NOT NULL ORDER BY seq DESC LIMIT 1`, room).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return seq, store.Failed(err)
}

// SavePublished writes down the ids of published events; an event keeps the first that it got. What lies in a row, as
// nearly everything does where one room is busy, is written together.
func (s Store) SavePublished(ctx context.Context, ids []live.Published) error {
	return s.db.Write(ctx, nil, func(tx *store.Tx) error {
		for len(ids) > 0 {
			first, n := ids[0], int64(1)
			for n < int64(len(ids)) && ids[n] == (live.Published{Room: first.Room, Seq: first.Seq + n, ID: first.ID + n}) {
				n++
			}
			ids = ids[n:]
			if _, err := tx.Exec(`UPDATE chat_events SET event_id = seq + $1 WHERE room_id = $2 AND seq >= $3 AND seq < $4 AND event_id IS NULL`, first.ID-first.Seq, first.Room, first.Seq, first.Seq+n); err != nil {
				return err
			}
		}
		return nil
	})
}

// RoomByName returns the room with exactly this name, or errs.NotFound.
func (tx txn) RoomByName(name string) (chat.Room, error) {
	return tx.oneRoom(tx.QueryRow(`SELECT `+roomColumns+` FROM chat_rooms r WHERE r.name = $1`, name))
}

// Room returns the room with the id, or errs.NotFound.
func (tx txn) Room(id int64) (chat.Room, error) {
	return tx.oneRoom(tx.QueryRow(`SELECT `+roomColumns+` FROM chat_rooms r WHERE r.id = $1`, id))
}

// RoomOf returns the direct room of these people, or errs.NotFound.
func (tx txn) RoomOf(people string) (chat.Room, error) {
	return tx.oneRoom(tx.QueryRow(`SELECT `+roomColumns+` FROM chat_rooms r WHERE r.people = $1`, people))
}

// AddRoom stores a room and returns it with its id.
func (tx txn) AddRoom(r chat.Room) (chat.Room, error) {
	people := any(nil)
	if r.People != "" {
		people = r.People
	}
	err := tx.QueryRow(`INSERT INTO chat_rooms (name, kind, head, created_by, created_at, people, emptied_at) VALUES ($1, $2, 0, $3, $4, $5, $4) RETURNING id`,
		r.Name, r.Kind, r.CreatedBy, int64(r.CreatedAt), people).Scan(&r.ID)
	return r, store.Failed(err)
}

// SaveRoom stores the settings of a room.
func (tx txn) SaveRoom(r chat.Room) error {
	tx.memory().touch(tx.Tx, r.ID)
	perm, err := json.Marshal(r.Perm)
	if err != nil {
		return err
	}
	moderation, err := json.Marshal(r.Moderation)
	if err != nil {
		return err
	}
	if r.DeletedAt != 0 {
		r.Name = fmt.Sprintf("%d\x1f%s", r.ID, r.Name) // a control character is in no name that somebody may give
		_, err = tx.Exec(`UPDATE chat_rooms SET people = NULL WHERE id = $1`, r.ID)
	}
	if err == nil {
		_, err = tx.Exec(`UPDATE chat_rooms SET topic = $2, slow_mode_s = $3, archived_at = $4, name = $5, retention_days = NULLIF($6, -1), perm = $7, moderation = $8, deleted_at = $9 WHERE id = $1`,
			r.ID, r.Topic, r.SlowMode, int64(r.ArchivedAt), r.Name, r.Retention, string(perm), string(moderation), int64(r.DeletedAt))
	}
	return err
}

// NextSeq takes the next seq of the room, or errs.NotFound.
func (tx txn) NextSeq(room int64) (int64, error) {
	m := tx.memory()
	head, known := m.newest(room)
	if !known {
		err := tx.QueryRow(`SELECT head FROM chat_rooms WHERE id = $1`, room).Scan(&head)
		if errors.Is(err, sql.ErrNoRows) {
			return 0, noRoom()
		}
		if err != nil {
			return 0, store.Failed(err)
		}
	}
	m.grow(tx.Tx, room, head+1)
	return head + 1, nil
}

// Log writes an event into its room's log and emits it.
func (tx txn) Log(ev event.Event) error {
	trace := ""
	if ev.Trace != nil {
		b, err := json.Marshal(ev.Trace)
		if err != nil {
			return fmt.Errorf("encode the trace of an event: %w", err)
		}
		trace = string(b)
	}
	if _, err := tx.Exec(`INSERT INTO chat_events (room_id, seq, type, at, payload, trace, audience) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		ev.Room, ev.Seq, ev.Type, ev.At.UnixMilli(), string(ev.Payload), trace, ev.User); err != nil {
		return err
	}
	tx.Emit(event.StreamChat, ev)
	return nil
}

// Sent returns what the caller sent with the key, and whether there is anything.
func (tx txn) Sent(key chat.SendKey) (chat.Sent, bool, error) {
	var s chat.Sent
	err := tx.QueryRow(`SELECT message_id, seq, print FROM chat_sent WHERE caller = $1 AND key = $2`, key.Caller, key.Key).Scan(&s.ID, &s.Seq, &s.Print)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Sent{}, false, nil
	}
	return s, err == nil, store.Failed(err)
}

// KeepSent remembers for good what was sent with the key.
func (tx txn) KeepSent(key chat.SendKey, s chat.Sent) error {
	_, err := tx.Exec(`INSERT INTO chat_sent (caller, key, print, message_id, seq) VALUES ($1, $2, $3, $4, $5)`, key.Caller, key.Key, s.Print, s.ID, s.Seq)
	return err
}
