package game

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"uniqverse/internal/api"
	"uniqverse/internal/errs"
	"uniqverse/internal/event"
	"uniqverse/internal/web"
)

type submitIn struct {
	UserID userID  `json:"user_id,omitempty" doc:"who played; the caller when a user leaves it out"`
	Score  float64 `json:"score" web:"required" doc:"any number; whole numbers are exact up to 2^53"`
	Season string  `json:"season" web:"required"`
	Mode   string  `json:"mode" web:"required"`
}

// Check cleans the names.
func (in *submitIn) Check() error {
	in.Score += 0 // -0 becomes 0
	return cleanNames(named{"season", &in.Season}, named{"mode", &in.Mode})
}

// boardUpdated is the payload of game.leaderboard.updated.
type boardUpdated struct {
	Season string  `json:"season"`
	Mode   string  `json:"mode"`
	UserID string  `json:"user_id"`
	Score  float64 `json:"score"`
}

func (s *Service) submit(c *web.Call, tx Tx, in submitIn) (api.GameSubmitted, error) {
	user, err := s.player(c, in.UserID)
	if err != nil {
		return api.GameSubmitted{}, err
	}
	best, improved, err := tx.Submit(in.Season, in.Mode, user, in.Score)
	if err != nil {
		return api.GameSubmitted{}, err
	}
	if improved {
		ev, err := c.Event(event.GameLeaderboardUpdated, boardUpdated{Season: in.Season, Mode: in.Mode, UserID: user, Score: best})
		if err != nil {
			return api.GameSubmitted{}, errs.Wrap(errs.Internal, err, "the score could not be told")
		}
		tx.Emit(event.StreamGame, ev)
	}
	return api.GameSubmitted{OK: true, UserID: user, Season: in.Season, Mode: in.Mode, Best: best, Improved: improved}, nil
}

type boardIn struct {
	Season string `path:"season"`
	Mode   string `path:"mode"`
	Limit  int    `json:"limit,omitempty" doc:"how many, 1 to 200; 50 when left out" min:"1" max:"200"`
	Offset int    `json:"offset,omitempty" doc:"rows to skip" min:"0" max:"1000000"`
}

func (in boardIn) size() int {
	if in.Limit == 0 {
		return 50
	}
	return in.Limit
}

func (s *Service) board(c *web.Call, in boardIn) ([]api.GameRank, error) {
	out := []api.GameRank{}
	b, ok, err := s.store.Board(c.Context(), in.Season, in.Mode)
	if err != nil || !ok {
		return out, err
	}
	rows, err := s.store.Ranks(c.Context(), b, in.size(), in.Offset)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		out = append(out, api.GameRank{UserID: r.UserID, Score: r.Score, Rank: r.Rank})
	}
	if next := in.Offset + len(out); int64(next) < b.Players && len(out) > 0 {
		q := url.Values{"limit": {strconv.Itoa(in.size())}, "offset": {strconv.Itoa(next)}}
		c.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, c.URL("/leaderboards/"+url.PathEscape(in.Season)+"/"+url.PathEscape(in.Mode)), q.Encode()))
	}
	return out, nil
}

func (s *Service) seasons(c *web.Call, _ web.None) (api.GameSeasons, error) {
	boards, err := s.store.Boards(c.Context())
	if err != nil {
		return api.GameSeasons{}, err
	}
	return api.GameSeasons{Seasons: seasonsOf(boards)}, nil
}

// seasonsOf groups boards by season, in the order in which the seasons appear.
func seasonsOf(boards []Board) []api.GameSeason {
	out := []api.GameSeason{}
	at := map[string]int{}
	for _, b := range boards {
		i, ok := at[b.Season]
		if !ok {
			i = len(out)
			at[b.Season] = i
			out = append(out, api.GameSeason{ID: b.Season})
		}
		out[i].Modes = append(out[i].Modes, b.Mode)
	}
	for _, s := range out {
		slices.Sort(s.Modes)
	}
	return out
}

type boardsIn struct {
	Season string `json:"season,omitempty" doc:"the newest when left out"`
	Mode   string `json:"mode,omitempty" doc:"the newest of the season when left out"`
	Limit  int    `json:"limit,omitempty" doc:"how many, 1 to 200; 50 when left out" min:"1" max:"200"`
	Offset int    `json:"offset,omitempty" doc:"rows to skip" min:"0" max:"1000000"`
}

// boardList is what /leaderboards answers to programs: what its page shows to people.
type boardList struct {
	Seasons []api.GameSeason `json:"seasons"`
	Season  string           `json:"season"` // "" when there is no such board
	Mode    string           `json:"mode"`
	Players int64            `json:"players"`
	Rows    []api.GameRank   `json:"rows"`
}

func (s *Service) boards(c *web.Call, in boardsIn) (boardList, error) {
	boards, err := s.store.Boards(c.Context())
	if err != nil {
		return boardList{}, err
	}
	out := boardList{Seasons: seasonsOf(boards), Rows: []api.GameRank{}}
	b, ok := pick(boards, in.Season, in.Mode)
	if !ok {
		return out, nil
	}
	out.Season, out.Mode, out.Players = b.Season, b.Mode, b.Players
	rows, err := s.store.Ranks(c.Context(), b, boardIn{Limit: in.Limit}.size(), in.Offset)
	for _, r := range rows {
		out.Rows = append(out.Rows, api.GameRank{UserID: r.UserID, Score: r.Score, Rank: r.Rank})
	}
	return out, err
}
