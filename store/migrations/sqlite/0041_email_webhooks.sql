-- Addresses of other programs that are told of mail. Times are unix milliseconds. A delivery is written in the transaction of
-- what it tells of.

CREATE TABLE email_webhooks (
	id            INTEGER PRIMARY KEY AUTOINCREMENT,
	user_name     TEXT    NOT NULL,           -- local part of the mailbox; '' for all
	url           TEXT    NOT NULL,
	secret        TEXT    NOT NULL,           -- whsec_…, with which deliveries are signed
	events        TEXT    NOT NULL,           -- types with a space before, between and behind; '' for all
	created_at    INTEGER NOT NULL,
	enabled       INTEGER NOT NULL,
	reason        TEXT    NOT NULL,           -- why it is not
	failures      INTEGER NOT NULL,           -- in a row
	failing_since INTEGER NOT NULL,           -- 0 while the last delivery succeeded
	wait_until    INTEGER NOT NULL            -- nothing is sent before
) STRICT;

CREATE INDEX email_webhooks_user ON email_webhooks (user_name, id);

CREATE TABLE email_deliveries (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	webhook_id INTEGER NOT NULL REFERENCES email_webhooks (id) ON DELETE CASCADE,
	message_id TEXT    NOT NULL,              -- the header webhook-id: the same at every attempt
	type       TEXT    NOT NULL,
	body       TEXT    NOT NULL,
	state      TEXT    NOT NULL CHECK (state IN ('waiting', 'delivered', 'dropped')),
	attempts   INTEGER NOT NULL DEFAULT 0,
	due_at     INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	done_at    INTEGER NOT NULL DEFAULT 0     -- 0 while it waits
) STRICT;

CREATE INDEX email_deliveries_waiting ON email_deliveries (webhook_id, id) WHERE state = 'waiting';
CREATE INDEX email_deliveries_webhook ON email_deliveries (webhook_id, id);
CREATE INDEX email_deliveries_done ON email_deliveries (done_at) WHERE state <> 'waiting';

CREATE TABLE email_attempts (
	delivery_id INTEGER NOT NULL REFERENCES email_deliveries (id) ON DELETE CASCADE,
	n           INTEGER NOT NULL,             -- 1, 2, 3 …
	at          INTEGER NOT NULL,
	status      INTEGER NOT NULL,             -- that was answered; 0 for no answer
	ms          INTEGER NOT NULL,
	error       TEXT    NOT NULL,
	PRIMARY KEY (delivery_id, n)
) STRICT, WITHOUT ROWID;
