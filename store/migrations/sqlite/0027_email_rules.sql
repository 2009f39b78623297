-- What people want done with their mail as it comes.

CREATE TABLE email_rules (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	mailbox_id  INTEGER NOT NULL,
	position    INTEGER NOT NULL,             -- rules are asked from the lowest
	name        TEXT NOT NULL,
	enabled     INTEGER NOT NULL,
	any_holds   INTEGER NOT NULL,             -- one condition is enough
	conditions  TEXT NOT NULL,                -- JSON list
	actions     TEXT NOT NULL,                -- JSON list
	hits        INTEGER NOT NULL DEFAULT 0,
	last_hit_at INTEGER NOT NULL DEFAULT 0,
	created_at  INTEGER NOT NULL,
	updated_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX email_rules_mailbox ON email_rules (mailbox_id, position, id);

-- What rules did to a message.
CREATE TABLE email_rule_hits (
	message_id INTEGER NOT NULL,
	place      INTEGER NOT NULL,              -- in the order in which they held
	rule_id    INTEGER NOT NULL,
	name       TEXT NOT NULL,                 -- of the rule, then
	actions    TEXT NOT NULL,                 -- JSON list
	at         INTEGER NOT NULL,
	PRIMARY KEY (message_id, place)
) STRICT, WITHOUT ROWID;

-- Rules that work through mail that is there already.
CREATE TABLE email_rule_runs (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	mailbox_id INTEGER NOT NULL,
	folder_id  INTEGER NOT NULL,              -- 0: all but Junk, Trash and Drafts
	rule_id    INTEGER NOT NULL,              -- 0: all that are enabled
	state      TEXT NOT NULL,                 -- running, done, stopped, failed
	upto       INTEGER NOT NULL,              -- messages up to this id
	next_id    INTEGER NOT NULL,              -- the last that was looked at, going down; 0 before the first
	looked     INTEGER NOT NULL,
	changed    INTEGER NOT NULL,
	total      INTEGER NOT NULL,
	error      TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX email_rule_runs_running ON email_rule_runs (mailbox_id) WHERE state = 'running';
CREATE INDEX email_rule_runs_mailbox ON email_rule_runs (mailbox_id, id);

CREATE TABLE email_vacations (
	mailbox_id INTEGER PRIMARY KEY,
	enabled    INTEGER NOT NULL,
	from_at    INTEGER NOT NULL,              -- 0: always
	to_at      INTEGER NOT NULL,              -- 0: for ever
	subject    TEXT NOT NULL,
	text       TEXT NOT NULL,
	html       TEXT NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT;

-- Who was answered when.
CREATE TABLE email_vacation_answers (
	mailbox_id INTEGER NOT NULL,
	sender     TEXT NOT NULL,                 -- lower case
	at         INTEGER NOT NULL,
	PRIMARY KEY (mailbox_id, sender)
) STRICT, WITHOUT ROWID;

CREATE INDEX email_vacation_answers_at ON email_vacation_answers (mailbox_id, at);
