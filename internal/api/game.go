package api

// GameTicket is a player's place in the matchmaking queue, as enqueueing answers it.
type GameTicket struct {
	Queued        bool    `json:"queued"`         // always true
	AlreadyQueued bool    `json:"already_queued"` // the player was waiting; the place is kept unless mode, region or party changed
	UserID        string  `json:"user_id"`
	MMR           float64 `json:"mmr"`
	Mode          string  `json:"mode"`
	Region        string  `json:"region"`
	PartyID       string  `json:"party_id,omitempty"`
	QueuedAt      Time    `json:"queued_at"` // since when they wait
}

// GameDequeued tells whether a player was waiting and now is not.
type GameDequeued struct {
	Removed bool `json:"removed"`
}

// GameMatch is a match that was found, or that none was.
type GameMatch struct {
	Found   bool       `json:"found"`
	Players []string   `json:"players"`  // user ids, the side that waited longer first; empty when none was found
	Teams   [][]string `json:"teams"`    // two lists of user ids, or none
	MatchID *int64     `json:"match_id"` // null when none was found
	Mode    string     `json:"mode,omitempty"`
	Region  string     `json:"region,omitempty"`
}

// GameSubmitted is the answer to a score.
type GameSubmitted struct {
	OK       bool    `json:"ok"` // always true
	UserID   string  `json:"user_id"`
	Season   string  `json:"season"`
	Mode     string  `json:"mode"`
	Best     float64 `json:"best"`     // the player's best score now
	Improved bool    `json:"improved"` // it is this one
}

// GameRank is one row of a board. Ranks are 1, 2, 3 … without repeats: of equal scores the
// one that was reached first is ahead.
type GameRank struct {
	UserID string  `json:"user_id"`
	Score  float64 `json:"score"`
	Rank   int64   `json:"rank"`
}

// GameSeason is a season and the modes that have a board in it.
type GameSeason struct {
	ID    string   `json:"id"`
	Modes []string `json:"modes"`
}

// GameSeasons are all seasons, the one that began last first.
type GameSeasons struct {
	Seasons []GameSeason `json:"seasons"`
}

// GameItem is how many of a thing a player has.
type GameItem struct {
	SKU string `json:"sku"`
	Qty int64  `json:"qty"`
}

// GameInventory is what a player has, in the order of the skus.
type GameInventory struct {
	UserID string     `json:"user_id"`
	Items  []GameItem `json:"items"`
}

// GameAccepted is how many telemetry events were stored.
type GameAccepted struct {
	Accepted int `json:"accepted"`
}

// GameTelemetry is one stored telemetry event.
type GameTelemetry struct {
	ID         int64   `json:"id"`
	Event      string  `json:"event"`
	TS         float64 `json:"ts"`      // when it happened, in Unix seconds, as it was sent
	UserID     string  `json:"user_id"` // "" where none was sent
	Payload    any     `json:"payload"` // JSON as it was sent; null where none was
	ReceivedAt Time    `json:"received_at"`
}

// GameTelemetryList is one page of telemetry, newest first.
type GameTelemetryList struct {
	Events []GameTelemetry `json:"events"`
}

// GameSkill is a prediction and the model that made it.
type GameSkill struct {
	Skill float64 `json:"skill"`
	Model string  `json:"model"`
}

// GameBot is a judgement and the model that made it.
type GameBot struct {
	IsBot bool    `json:"is_bot"`
	Score float64 `json:"score"` // 0 to 1; 0.5 and more is a bot
	Model string  `json:"model"`
}

// GameMail is what the game's mail proxy answers: a page of a mailbox.
type GameMail struct {
	User     string         `json:"user"` // address of the mailbox
	Messages []EmailMessage `json:"messages"`
}

// GameSent is the answer to a posted input.
type GameSent struct {
	OK bool `json:"ok"` // always true
}
