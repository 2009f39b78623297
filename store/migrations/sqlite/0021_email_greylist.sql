-- Who tried to send here and who passed: keys of package smtpd/policy.

CREATE TABLE email_greylist (
	key      TEXT PRIMARY KEY,
	first_at INTEGER NOT NULL,                -- of the attempts that count
	last_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX email_greylist_last ON email_greylist (last_at);
