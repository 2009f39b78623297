-- What domains promise about TLS (MTA-STS): a policy holds until it expires, whatever is asked and answered meanwhile.

CREATE TABLE email_mtasts (
	domain     TEXT NOT NULL PRIMARY KEY,     -- in ASCII
	policy_id  TEXT NOT NULL,
	mode       TEXT NOT NULL CHECK (mode IN ('none', 'testing', 'enforce')),
	mx         TEXT NOT NULL,                 -- JSON list
	max_age    INTEGER NOT NULL,              -- seconds
	expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX email_mtasts_expires ON email_mtasts (expires_at);
