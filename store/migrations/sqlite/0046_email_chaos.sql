-- Rules by which mail fails on purpose.

CREATE TABLE email_chaos (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	pattern     TEXT NOT NULL,
	stage       TEXT NOT NULL,
	effect      TEXT NOT NULL,
	code        INTEGER NOT NULL,
	enhanced    TEXT NOT NULL,
	text        TEXT NOT NULL,
	delay_ms    INTEGER NOT NULL,
	per_minute  INTEGER NOT NULL,
	probability INTEGER NOT NULL,
	enabled     INTEGER NOT NULL,
	note        TEXT NOT NULL,
	hits        INTEGER NOT NULL DEFAULT 0,
	last_hit_at INTEGER NOT NULL DEFAULT 0,
	created_at  INTEGER NOT NULL
) STRICT;
