package store

import (
	"database/sql"
	"errors"

	"uniqverse/internal/api"
	"uniqverse/services/game"
	"uniqverse/services/game/killfeed"
	"uniqverse/services/game/matchmaking"
)

// gameTx is what the game changes inside one transaction.
type gameTx struct{ *Tx }

var _ game.Tx = gameTx{}

// Ticket implements game.Tx.
func (tx gameTx) Ticket(user string) (matchmaking.Ticket, bool, error) {
	return oneOf(scanTicket(tx.QueryRow(`SELECT id, user_id, mmr, mode, region, party_id, queued_at FROM game_tickets WHERE user_id = $1`, user)))
}

// AddTicket implements game.Tx.
func (tx gameTx) AddTicket(t matchmaking.Ticket) (id int64, err error) {
	err = tx.QueryRow(`INSERT INTO game_tickets (user_id, mmr, mode, region, party_id, queued_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
		t.UserID, t.MMR, t.Mode, t.Region, t.PartyID, t.QueuedAt.UnixMilli()).Scan(&id)
	return id, dbError(err)
}

// SetMMR implements game.Tx.
func (tx gameTx) SetMMR(ticket int64, mmr float64) error {
	_, err := tx.Exec(`UPDATE game_tickets SET mmr = $1 WHERE id = $2`, mmr, ticket)
	return err
}

// TakeTicket implements game.Tx.
func (tx gameTx) TakeTicket(ticket int64) (bool, error) {
	r, err := tx.Exec(`DELETE FROM game_tickets WHERE id = $1`, ticket)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// Tickets implements game.Tx.
func (tx gameTx) Tickets(mode, region string) ([]matchmaking.Ticket, error) {
	return gameRows(scanTicket)(tx.Query(gameTickets, mode, region))
}

// AddMatch implements game.Tx.
func (tx gameTx) AddMatch(m matchmaking.Match) (id int64, err error) {
	err = tx.QueryRow(`INSERT INTO game_matches (mode, region, gap, created_at) VALUES ($1, $2, $3, $4) RETURNING id`,
		m.Mode, m.Region, m.Gap, tx.Now().UnixMilli()).Scan(&id)
	if err != nil {
		return 0, dbError(err)
	}
	for team, tickets := range m.Teams {
		for _, t := range tickets {
			if _, err := tx.Exec(`INSERT INTO game_match_players (match_id, user_id, team, mmr) VALUES ($1, $2, $3, $4)`, id, t.UserID, team, t.MMR); err != nil {
				return 0, err
			}
		}
	}
	_, err = tx.Exec(addGameChat, id, killfeed.Open, "", "", tx.Now().UnixMilli()) // chat is told of the match with it
	return id, err
}

// Submit implements game.Tx. A better score is a new row: its id tells who was first.
func (tx gameTx) Submit(season, mode, user string, score float64) (best float64, improved bool, err error) {
	now := tx.Now().UnixMilli()
	var board int64
	err = tx.QueryRow(`SELECT id FROM game_boards WHERE season = $1 AND mode = $2`, season, mode).Scan(&board)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRow(`INSERT INTO game_boards (season, mode, players, updated_at) VALUES ($1, $2, 0, $3) RETURNING id`, season, mode, now).Scan(&board)
	}
	if err != nil {
		return 0, false, dbError(err)
	}
	var row int64
	err = tx.QueryRow(`SELECT id, score FROM game_scores WHERE board_id = $1 AND user_id = $2`, board, user).Scan(&row, &best)
	first := errors.Is(err, sql.ErrNoRows)
	switch {
	case err != nil && !first:
		return 0, false, dbError(err)
	case !first && score <= best:
		return best, false, nil
	case first:
		_, err = tx.Exec(`UPDATE game_boards SET players = players + 1, updated_at = $1 WHERE id = $2`, now, board)
	default:
		_, err = tx.Exec(`DELETE FROM game_scores WHERE id = $1`, row)
	}
	if err != nil {
		return 0, false, err
	}
	_, err = tx.Exec(`INSERT INTO game_scores (board_id, user_id, score, at) VALUES ($1, $2, $3, $4)`, board, user, score, now)
	return score, true, err
}

// Item implements game.Tx.
func (tx gameTx) Item(user, sku string) (qty int64, kinds int, err error) {
	err = tx.QueryRow(`SELECT coalesce(sum(CASE WHEN sku = $2 THEN qty END), 0), count(*) FROM game_items WHERE user_id = $1`, user, sku).Scan(&qty, &kinds)
	return qty, kinds, dbError(err)
}

// SetItem implements game.Tx.
func (tx gameTx) SetItem(user, sku string, qty int64) error {
	_, err := tx.Exec(`INSERT INTO game_items (user_id, sku, qty) VALUES ($1, $2, $3) ON CONFLICT (user_id, sku) DO UPDATE SET qty = excluded.qty`, user, sku, qty)
	return err
}

// Items implements game.Tx.
func (tx gameTx) Items(user string) ([]api.GameItem, error) {
	return gameRows(scanItem)(tx.Query(gameItems, user))
}

// AddTelemetry implements game.Tx.
func (tx gameTx) AddTelemetry(evs []game.TelemetryEvent) error {
	for _, e := range evs {
		if _, err := tx.Exec(`INSERT INTO game_telemetry (event, ts, user_id, payload, received_at) VALUES ($1, $2, $3, $4, $5)`,
			e.Event, e.At.UnixMilli(), e.UserID, e.Payload, tx.Now().UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}
