package game

import "time"

// Board is one season's ranking in one mode.
type Board struct {
	ID           int64
	Season, Mode string
	Players      int64
	UpdatedAt    time.Time
}

// Ranked is one player's row on a board.
type Ranked struct {
	UserID string
	Score  float64
	Rank   int64 // from 1
	At     time.Time
}

// pick returns the board that season and mode name among boards; where one of them is "", the
// first that fits, so that with both "" it is the newest.
func pick(boards []Board, season, mode string) (Board, bool) {
	for _, b := range boards {
		if (season == "" || b.Season == season) && (mode == "" || b.Mode == mode) {
			return b, true
		}
	}
	return Board{}, false
}
