package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"uniqverse/internal/api"
	"uniqverse/internal/web"
	"uniqverse/services/game"
	"uniqverse/services/game/matchmaking"
)

// Game is the store of services/game. What is written is in game_tx.go.
type Game struct{ db *DB }

// NewGame returns the game's store.
func NewGame(db *DB) Game { return Game{db} }

var _ game.Store = Game{}

// Update implements game.Store.
func (s Game) Update(ctx context.Context, once *web.Once, fn func(game.Tx) error) error {
	return s.db.Write(ctx, once, func(tx *Tx) error { return fn(gameTx{tx}) })
}

const gameTickets = `SELECT id, user_id, mmr, mode, region, party_id, queued_at FROM game_tickets
	WHERE ($1 = '' OR mode = $1) AND ($2 = '' OR region = $2) ORDER BY id`

// Tickets implements game.Store.
func (s Game) Tickets(ctx context.Context, mode, region string) ([]matchmaking.Ticket, error) {
	return gameRows(scanTicket)(s.db.Query(ctx, gameTickets, mode, region))
}

func scanTicket(row RowScanner) (t matchmaking.Ticket, err error) {
	var at int64
	err = row.Scan(&t.ID, &t.UserID, &t.MMR, &t.Mode, &t.Region, &t.PartyID, &at)
	t.QueuedAt = time.UnixMilli(at)
	return t, err
}

// Queues implements game.Store.
func (s Game) Queues(ctx context.Context, limit int) ([]game.Queue, error) {
	return gameRows(func(row RowScanner) (q game.Queue, err error) {
		var at int64
		err = row.Scan(&q.Mode, &q.Region, &q.Waiting, &at)
		q.Since = time.UnixMilli(at)
		return q, err
	})(s.db.Query(ctx, `SELECT mode, region, count(*), min(queued_at) FROM game_tickets GROUP BY mode, region ORDER BY count(*) DESC, mode, region LIMIT $1`, limit))
}

// Board implements game.Store.
func (s Game) Board(ctx context.Context, season, mode string) (game.Board, bool, error) {
	return oneOf(scanBoard(s.db.QueryRow(ctx, `SELECT id, season, mode, players, updated_at FROM game_boards WHERE season = $1 AND mode = $2`, season, mode)))
}

// Boards implements game.Store.
func (s Game) Boards(ctx context.Context) ([]game.Board, error) {
	return gameRows(scanBoard)(s.db.Query(ctx, `SELECT id, season, mode, players, updated_at FROM game_boards ORDER BY id DESC`))
}

func scanBoard(row RowScanner) (b game.Board, err error) {
	var at int64
	err = row.Scan(&b.ID, &b.Season, &b.Mode, &b.Players, &at)
	b.UpdatedAt = time.UnixMilli(at)
	return b, err
}

// Ranks implements game.Store. The second half of a board is read from its end: what is
// skipped costs time, and nobody's page is further than half of the board from one of the ends.
func (s Game) Ranks(ctx context.Context, b game.Board, limit, offset int) ([]game.Ranked, error) {
	query := `SELECT user_id, score, at FROM game_scores WHERE board_id = $1 ORDER BY score DESC, id LIMIT $2 OFFSET $3`
	fromEnd := int64(offset) > b.Players/2
	if fromEnd { // the number of players is read by the same statement, so that no row shifts
		query = `SELECT user_id, score, at FROM game_scores WHERE board_id = $1 ORDER BY score, id DESC
			LIMIT (SELECT CASE WHEN players - $3 < 0 THEN 0 WHEN players - $3 < $2 THEN players - $3 ELSE $2 END FROM game_boards WHERE id = $1)
			OFFSET (SELECT CASE WHEN players - $3 < $2 THEN 0 ELSE players - $3 - $2 END FROM game_boards WHERE id = $1)`
	}
	rows, err := gameRows(scanRanked)(s.db.Query(ctx, query, b.ID, limit, offset))
	if fromEnd {
		slices.Reverse(rows)
	}
	for i := range rows {
		rows[i].Rank = int64(offset + i + 1)
	}
	return rows, err
}

func scanRanked(row RowScanner) (r game.Ranked, err error) {
	var at int64
	err = row.Scan(&r.UserID, &r.Score, &at)
	r.At = time.UnixMilli(at)
	return r, err
}

// RankOf implements game.Store.
func (s Game) RankOf(ctx context.Context, board int64, user string) (r game.Ranked, ok bool, err error) {
	var id, at int64
	_, ok, err = oneOf(id, s.db.QueryRow(ctx, `SELECT id, user_id, score, at FROM game_scores WHERE board_id = $1 AND user_id = $2`, board, user).Scan(&id, &r.UserID, &r.Score, &at))
	if err != nil || !ok {
		return r, ok, err
	}
	r.At = time.UnixMilli(at)
	// Two counts along the index; one with OR would look at every row.
	err = s.db.QueryRow(ctx, `SELECT 1 + (SELECT count(*) FROM game_scores WHERE board_id = $1 AND score > $2)
		+ (SELECT count(*) FROM game_scores WHERE board_id = $1 AND score = $2 AND id < $3)`, board, r.Score, id).Scan(&r.Rank)
	return r, true, dbError(err)
}

const gameItems = `SELECT sku, qty FROM game_items WHERE user_id = $1 ORDER BY sku`

func scanItem(row RowScanner) (i api.GameItem, err error) {
	err = row.Scan(&i.SKU, &i.Qty)
	return i, err
}

// Items implements game.Store.
func (s Game) Items(ctx context.Context, user string) (items []api.GameItem, known bool, err error) {
	items, err = gameRows(scanItem)(s.db.Query(ctx, gameItems, user))
	return items, len(items) > 0, err // things are never taken away: who is known has some
}

// Telemetry implements game.Store.
func (s Game) Telemetry(ctx context.Context, q game.TelemetryQuery) ([]api.GameTelemetry, error) {
	query := `SELECT id, event, ts, user_id, payload, received_at FROM game_telemetry WHERE id < $1 AND id > $2`
	args := []any{Below(q.Before), q.After}
	// Only what is asked for is in the text, so that the right index is taken.
	if q.Event != "" {
		args = append(args, q.Event)
		query += ` AND event = $` + strconv.Itoa(len(args))
	}
	if q.UserID != "" {
		args = append(args, q.UserID)
		query += ` AND user_id = $` + strconv.Itoa(len(args))
	}
	order := ` ORDER BY id DESC`
	forward := q.After > 0 && q.Before == 0 // the rows just after one, not the newest of all
	if forward {
		order = ` ORDER BY id`
	}
	n := len(args)
	args = append(args, q.Size(), q.Offset)
	query += order + ` LIMIT $` + strconv.Itoa(n+1) + ` OFFSET $` + strconv.Itoa(n+2)
	evs, err := gameRows(scanTelemetry)(s.db.Query(ctx, query, args...))
	if forward {
		slices.Reverse(evs)
	}
	return evs, err
}

func scanTelemetry(row RowScanner) (t api.GameTelemetry, err error) {
	var ts int64
	var payload string
	err = row.Scan(&t.ID, &t.Event, &ts, &t.UserID, &payload, &t.ReceivedAt)
	t.TS, t.Payload = float64(ts)/1000, json.RawMessage(payload)
	return t, err
}

// Totals implements game.Store.
func (s Game) Totals(ctx context.Context) (t game.Totals, err error) {
	err = s.db.QueryRow(ctx, `SELECT (SELECT count(*) FROM game_tickets), (SELECT coalesce(max(id), 0) FROM game_matches),
		(SELECT coalesce(sum(players), 0) FROM game_boards), (SELECT coalesce(max(id), 0) FROM game_telemetry)`).
		Scan(&t.Waiting, &t.Matches, &t.Ranked, &t.Telemetry)
	return t, dbError(err)
}

// gameRows is CollectRows as a function of what a query returns.
func gameRows[T any](scan func(RowScanner) (T, error)) func(*sql.Rows, error) ([]T, error) {
	return func(rows *sql.Rows, err error) ([]T, error) { return CollectRows(rows, err, scan) }
}

// oneOf turns "no rows" into false.
func oneOf[T any](v T, err error) (T, bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return v, false, nil
	}
	return v, err == nil, dbError(err)
}
