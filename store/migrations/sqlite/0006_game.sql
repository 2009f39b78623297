-- The game: who waits, who met whom, boards, things and telemetry.

-- One ticket for each waiting player. Ids grow in the order of queueing and are never reused.
CREATE TABLE game_tickets (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	user_id   TEXT NOT NULL UNIQUE,
	mmr       REAL NOT NULL,
	mode      TEXT NOT NULL,
	region    TEXT NOT NULL,
	party_id  TEXT NOT NULL,
	queued_at INTEGER NOT NULL
) STRICT;

CREATE INDEX game_tickets_queue ON game_tickets (mode, region, queued_at);

CREATE TABLE game_matches (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	mode       TEXT NOT NULL,
	region     TEXT NOT NULL,
	gap        REAL NOT NULL,
	created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE game_match_players (
	match_id INTEGER NOT NULL REFERENCES game_matches (id),
	user_id  TEXT NOT NULL,
	team     INTEGER NOT NULL,
	mmr      REAL NOT NULL,
	PRIMARY KEY (match_id, user_id)
) STRICT;

CREATE INDEX game_match_players_user ON game_match_players (user_id, match_id);

CREATE TABLE game_boards (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	season     TEXT NOT NULL,
	mode       TEXT NOT NULL,
	players    INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	UNIQUE (season, mode)
) STRICT;

-- The best score of each player. A better one is a new row with a new, higher id, so that of
-- equal scores the lower id was reached first.
CREATE TABLE game_scores (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	board_id INTEGER NOT NULL REFERENCES game_boards (id),
	user_id  TEXT NOT NULL,
	score    REAL NOT NULL,
	at       INTEGER NOT NULL,
	UNIQUE (board_id, user_id)
) STRICT;

-- Holds all that a page of a board shows: even a deep page never touches the table.
CREATE INDEX game_scores_order ON game_scores (board_id, score DESC, id, user_id, at);

-- What players own. Nothing is taken away, so a player without a row is new and has the
-- starter pack alone.
CREATE TABLE game_items (
	user_id TEXT NOT NULL,
	sku     TEXT NOT NULL,
	qty     INTEGER NOT NULL CHECK (qty > 0),
	PRIMARY KEY (user_id, sku)
) STRICT, WITHOUT ROWID;

CREATE TABLE game_telemetry (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	event       TEXT NOT NULL,
	ts          INTEGER NOT NULL,
	user_id     TEXT NOT NULL,
	payload     TEXT NOT NULL,
	received_at INTEGER NOT NULL
) STRICT;

CREATE INDEX game_telemetry_event ON game_telemetry (event, id);
CREATE INDEX game_telemetry_user ON game_telemetry (user_id, id);
