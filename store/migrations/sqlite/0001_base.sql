-- What the store itself keeps. Table groups of the services come in files of their own.

-- "UNIQ" in the file's header: how the program knows its own files.
PRAGMA application_id = 1431193937;

CREATE TABLE meta (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;

-- Answers to requests with an Idempotency-Key, written with the effect and kept for 72 hours.
CREATE TABLE web_once (
	caller      TEXT NOT NULL,
	key         TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	status      INTEGER NOT NULL,
	body        BLOB NOT NULL,
	location    TEXT NOT NULL,
	created_at  INTEGER NOT NULL,
	PRIMARY KEY (caller, key)
) STRICT;

CREATE INDEX web_once_age ON web_once (created_at);
