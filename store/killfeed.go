package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"uniqverse/internal/errs"
	"uniqverse/internal/web"
	"uniqverse/services/game/killfeed"
)

// Killfeed is the store of services/game/killfeed.
type Killfeed struct{ db *DB }

// NewKillfeed returns what the game has to tell chat.
func NewKillfeed(db *DB) Killfeed { return Killfeed{db} }

type killfeedTx struct{ *Tx }

var (
	_ killfeed.Store = Killfeed{}
	_ killfeed.Tx    = killfeedTx{}
)

// Update implements web.Transactor.
func (k Killfeed) Update(ctx context.Context, once *web.Once, fn func(killfeed.Tx) error) error {
	return k.db.Write(ctx, once, func(tx *Tx) error { return fn(killfeedTx{tx}) })
}

// Waiting implements killfeed.Store.
func (k Killfeed) Waiting(ctx context.Context, limit int) ([]killfeed.Entry, error) {
	rows, err := k.db.Query(ctx, `SELECT id, match_id, kind, room, text, created_at FROM game_chat ORDER BY id LIMIT $1`, limit)
	return CollectRows(rows, err, func(row RowScanner) (e killfeed.Entry, err error) {
		var at int64
		err = row.Scan(&e.ID, &e.Match, &e.Kind, &e.Room, &e.Text, &at)
		e.CreatedAt = time.UnixMilli(at)
		return e, err
	})
}

const matchQuery = `SELECT m.id, m.mode, m.region, COALESCE(r.room_id, 0), COALESCE(r.ended_at, 0) FROM game_matches m LEFT JOIN game_match_rooms r ON r.match_id = m.id WHERE m.id = $1`

const matchPlayers = `SELECT team, user_id FROM game_match_players WHERE match_id = $1 ORDER BY team, user_id`

func oneMatch(row RowScanner) (m killfeed.Match, err error) {
	err = row.Scan(&m.ID, &m.Mode, &m.Region, &m.Room, &m.EndedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return m, errs.New(errs.NotFound, "there is no such match")
	}
	return m, dbError(err)
}

func withPlayers(m killfeed.Match, rows *sql.Rows, err error) (killfeed.Match, error) {
	_, err = CollectRows(rows, err, func(row RowScanner) (struct{}, error) {
		var team int
		var player string
		err := row.Scan(&team, &player)
		for err == nil && len(m.Teams) <= team {
			m.Teams = append(m.Teams, nil)
		}
		if err == nil {
			m.Teams[team] = append(m.Teams[team], player)
		}
		return struct{}{}, err
	})
	return m, err
}

// Match implements killfeed.Store.
func (k Killfeed) Match(ctx context.Context, id int64) (killfeed.Match, error) {
	m, err := oneMatch(k.db.QueryRow(ctx, matchQuery, id))
	if err != nil {
		return m, err
	}
	rows, err := k.db.Query(ctx, matchPlayers, id)
	return withPlayers(m, rows, err)
}

// Match implements killfeed.Tx.
func (tx killfeedTx) Match(id int64) (killfeed.Match, error) {
	m, err := oneMatch(tx.QueryRow(matchQuery, id))
	if err != nil {
		return m, err
	}
	rows, err := tx.Query(matchPlayers, id)
	return withPlayers(m, rows, err)
}

const addGameChat = `INSERT INTO game_chat (match_id, kind, room, text, created_at) VALUES ($1, $2, $3, $4, $5)`

// AddEntry implements killfeed.Tx.
func (tx killfeedTx) AddEntry(e killfeed.Entry) error {
	_, err := tx.Exec(addGameChat, e.Match, e.Kind, e.Room, e.Text, e.CreatedAt.UnixMilli())
	return err
}

// DropEntry implements killfeed.Tx.
func (tx killfeedTx) DropEntry(id int64) error {
	_, err := tx.Exec(`DELETE FROM game_chat WHERE id = $1`, id)
	return err
}

// SetRoom implements killfeed.Tx.
func (tx killfeedTx) SetRoom(match, room int64) error {
	_, err := tx.Exec(`INSERT INTO game_match_rooms (match_id, room_id, ended_at) VALUES ($1, $2, 0) ON CONFLICT (match_id) DO UPDATE SET room_id = excluded.room_id`, match, room)
	return err
}

// SetEnded implements killfeed.Tx.
func (tx killfeedTx) SetEnded(match int64) error {
	_, err := tx.Exec(`INSERT INTO game_match_rooms (match_id, room_id, ended_at) VALUES ($1, 0, $2) ON CONFLICT (match_id) DO UPDATE SET ended_at = excluded.ended_at`, match, tx.Now().UnixMilli())
	return err
}
