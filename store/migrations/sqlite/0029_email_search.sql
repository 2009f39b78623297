-- The words of every message, for searching. The index is fed behind the commits, in the order of the messages' ids, up to the
-- one in email_search_done; it holds no text, only where words stand. tags are words of our own: whose mailbox, which flags.

CREATE VIRTUAL TABLE email_search USING fts5(tags, subject, sender, recipients, body, files,
	content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2");

CREATE TABLE email_search_done (
	id         INTEGER PRIMARY KEY CHECK (id = 1),
	message_id INTEGER NOT NULL
) STRICT;

INSERT INTO email_search_done VALUES (1, 0);
