-- What somebody chose for their mailbox's pages: the signature, and whose pictures are always shown ('pictures:address').
CREATE TABLE email_prefs (
	mailbox_id INTEGER NOT NULL,
	name       TEXT NOT NULL,
	value      TEXT NOT NULL,
	PRIMARY KEY (mailbox_id, name)
) STRICT, WITHOUT ROWID;
