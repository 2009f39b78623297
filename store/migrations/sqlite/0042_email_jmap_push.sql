-- Addresses that mail programs are told at when something changes (RFC 8620 section 7.2). Times are unix milliseconds.

CREATE TABLE email_jmap_push (
	id         TEXT    PRIMARY KEY,           -- random
	mailbox_id INTEGER NOT NULL REFERENCES email_mailboxes (id) ON DELETE CASCADE,
	credential TEXT    NOT NULL,              -- a hash of the app password that it was made with; '' for sessions and tokens
	device     TEXT    NOT NULL,
	url        TEXT    NOT NULL,
	p256dh     BLOB    NOT NULL,              -- public key of the device; empty for none
	auth       BLOB    NOT NULL,
	code       TEXT    NOT NULL,              -- what the address has to tell the device
	verified   INTEGER NOT NULL,              -- it did
	expires_at INTEGER NOT NULL,
	types      TEXT    NOT NULL,              -- JSON list, or null for all
	told       TEXT    NOT NULL               -- JSON object: the states that were told last
) STRICT;

CREATE INDEX email_jmap_push_mailbox ON email_jmap_push (mailbox_id);
