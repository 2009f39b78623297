-- Addresses that people made for themselves. Where an open one leads to is in email_aliases; a closed one, and one that
-- was removed, stays here, so that nobody else gets its mail.

CREATE TABLE email_addresses (
	local      TEXT PRIMARY KEY,              -- local part, in lower case
	mailbox_id INTEGER NOT NULL,              -- whose it is
	kind       TEXT NOT NULL CHECK (kind IN ('alias', 'masked')),
	note       TEXT NOT NULL,
	enabled    INTEGER NOT NULL,
	removed    INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL,
	messages   INTEGER NOT NULL DEFAULT 0,    -- that came through it
	spam       INTEGER NOT NULL DEFAULT 0,    -- of those: the ones that were judged junk
	last_at    INTEGER NOT NULL DEFAULT 0     -- when the last came
) STRICT, WITHOUT ROWID;

CREATE INDEX email_addresses_mailbox ON email_addresses (mailbox_id, created_at);
