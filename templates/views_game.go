package templates

import "time"

// GameHomeView is the game's start page.
type GameHomeView struct {
	Counts    []Count
	Queues    []QueueRow
	Season    string
	Mode      string
	Top       []BoardRow // the best of Season and Mode, about 5
	Recent    []TickerLine
	EventsURL string // SSE as Link.Href, or a WebSocket when the path starts with /ws/ ("/ws/events"); "" is not live
}

// QueueRow is one matchmaking queue.
type QueueRow struct {
	Mode, Region string
	Waiting      int
	Oldest       time.Duration // how long its first player has waited
}

// LeaderboardView is one board, GET /leaderboards?season=&mode=.
type LeaderboardView struct {
	Seasons   []Tab
	Modes     []Tab
	Season    string // "" when there is no board at all
	Mode      string
	Rows      []BoardRow // in order of rank
	You       *BoardRow  // the user's own row when it is not among Rows; nil is none
	Players   int
	Pager     Pager
	Submit    string // the command that submits a score, shown in the empty state
	EventsURL string // as GameHomeView: game.leaderboard.updated refreshes the board
}

// BoardRow is one player on a board.
type BoardRow struct {
	Rank   int
	UserID string
	Name   string // "" shows UserID
	Score  float64
	At     time.Time // zero is not shown
	You    bool
}

// Who returns the name to show.
func (b BoardRow) Who() string { return firstOf(b.Name, b.UserID) }
