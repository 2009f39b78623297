-- Mail. A message's bytes and envelope are in email_raw, once; each mailbox that got it has a
-- row in email_messages, with all that a list shows.

CREATE TABLE email_mailboxes (
	id         INTEGER PRIMARY KEY,
	user_name  TEXT NOT NULL UNIQUE,          -- local part, in lower case
	made_by    TEXT NOT NULL,                 -- mail, provision
	created_at INTEGER NOT NULL,
	messages   INTEGER NOT NULL DEFAULT 0,    -- kept with each change, so that no list has to count
	unread     INTEGER NOT NULL DEFAULT 0,
	bytes      INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE email_aliases (
	alias  TEXT NOT NULL,                     -- local part, or * for the catch-all
	target TEXT NOT NULL,                     -- local part of a mailbox
	PRIMARY KEY (alias, target)
) STRICT;

CREATE TABLE email_raw (
	id           INTEGER PRIMARY KEY,
	envelope_id  TEXT NOT NULL,
	sha256       BLOB NOT NULL,
	size         INTEGER NOT NULL,
	body         BLOB,                        -- up to 256 KB; larger ones are in a file
	file         TEXT,
	prepended    BLOB NOT NULL,               -- the fields that our edge put before the body
	mode         TEXT NOT NULL,
	reverse_path TEXT NOT NULL,
	recipients   TEXT NOT NULL,               -- JSON list
	helo         TEXT NOT NULL,
	remote_ip    TEXT NOT NULL,
	tls          TEXT NOT NULL,
	auth_user    TEXT NOT NULL,
	received_at  INTEGER NOT NULL,
	message_id   TEXT NOT NULL,
	traceparent  TEXT NOT NULL,
	auth         TEXT NOT NULL,               -- JSON: what the sender's checks found
	faults       TEXT NOT NULL,               -- JSON list
	spam_reasons TEXT NOT NULL,               -- JSON list
	CHECK ((body IS NULL) <> (file IS NULL))
) STRICT;

CREATE UNIQUE INDEX email_raw_file ON email_raw (file) WHERE file IS NOT NULL;
CREATE INDEX email_raw_message_id ON email_raw (message_id, received_at) WHERE message_id <> '';

CREATE TABLE email_messages (
	id           INTEGER PRIMARY KEY,
	mailbox_id   INTEGER NOT NULL,
	raw_id       INTEGER NOT NULL,
	recipient    TEXT NOT NULL,
	subject      TEXT NOT NULL,
	from_text    TEXT NOT NULL,
	from_name    TEXT NOT NULL,
	from_address TEXT NOT NULL,
	to_text      TEXT NOT NULL,
	sent_at      INTEGER NOT NULL,            -- of the header; 0 when it has none
	received_at  INTEGER NOT NULL,
	snippet      TEXT NOT NULL,
	message_id   TEXT NOT NULL,
	size         INTEGER NOT NULL,
	attachments  INTEGER NOT NULL,
	flags        TEXT NOT NULL,               -- JSON list
	spam_score   REAL NOT NULL,
	spf          TEXT NOT NULL,
	dkim         TEXT NOT NULL,
	dmarc        TEXT NOT NULL,
	unread       INTEGER NOT NULL,
	starred      INTEGER NOT NULL DEFAULT 0,
	labels       TEXT NOT NULL DEFAULT '[]'   -- JSON list; email_labels holds the same for looking up
) STRICT;

-- A list is read in the order of one of these and stops after its page: no sort, no count.
CREATE INDEX email_messages_list ON email_messages (mailbox_id, id);
CREATE INDEX email_messages_unread ON email_messages (mailbox_id, id) WHERE unread = 1;
CREATE INDEX email_messages_starred ON email_messages (mailbox_id, id) WHERE starred = 1;
CREATE INDEX email_messages_raw ON email_messages (raw_id, mailbox_id);

CREATE TABLE email_labels (
	mailbox_id INTEGER NOT NULL,
	label      TEXT NOT NULL,
	message_id INTEGER NOT NULL,
	PRIMARY KEY (mailbox_id, label, message_id)
) STRICT;
