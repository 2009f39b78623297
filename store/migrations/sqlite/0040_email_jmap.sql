-- What JMAP keeps beside the mail. Identities and submissions take their points from the mailbox's counter
-- (email_mailboxes.modseq), and leave notes in email_gone when they go, as messages and folders do.

CREATE INDEX email_messages_created ON email_messages (mailbox_id, created_modseq);

-- What lists show of a message, derived from its bytes when it is first asked for.
CREATE TABLE email_jmap_heads (
	raw_id       INTEGER PRIMARY KEY,
	size         INTEGER NOT NULL,            -- bytes, with the fields that this server put before it
	shown        TEXT NOT NULL,               -- JSON object
	from_text    TEXT NOT NULL,               -- in lower case, as what follows
	to_text      TEXT NOT NULL,
	cc_text      TEXT NOT NULL,
	bcc_text     TEXT NOT NULL,
	subject      TEXT NOT NULL,
	sort_from    TEXT NOT NULL,
	sort_to      TEXT NOT NULL,
	base_subject TEXT NOT NULL,
	fields       TEXT NOT NULL
) STRICT;

CREATE TRIGGER email_jmap_heads_gone AFTER DELETE ON email_raw BEGIN
	DELETE FROM email_jmap_heads WHERE raw_id = OLD.id;
END;

CREATE TABLE email_jmap_blobs (
	id         TEXT PRIMARY KEY,              -- random
	mailbox_id INTEGER NOT NULL,
	type       TEXT NOT NULL,
	size       INTEGER NOT NULL,
	data       BLOB,                          -- NULL when file is set
	file       TEXT,
	expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX email_jmap_blobs_age ON email_jmap_blobs (expires_at);
CREATE INDEX email_jmap_blobs_mailbox ON email_jmap_blobs (mailbox_id);
CREATE INDEX email_jmap_blobs_file ON email_jmap_blobs (file) WHERE file IS NOT NULL;

CREATE TABLE email_jmap_identities (
	id             INTEGER PRIMARY KEY AUTOINCREMENT,
	mailbox_id     INTEGER NOT NULL,
	name           TEXT NOT NULL,
	email          TEXT NOT NULL,
	reply_to       TEXT NOT NULL,             -- JSON list of addresses, or null
	bcc            TEXT NOT NULL,
	text_signature TEXT NOT NULL,
	html_signature TEXT NOT NULL,
	fixed          INTEGER NOT NULL,          -- the mailbox's own address: it stays
	created_modseq INTEGER NOT NULL,
	modseq         INTEGER NOT NULL
) STRICT;

CREATE INDEX email_jmap_identities_mailbox ON email_jmap_identities (mailbox_id);
CREATE UNIQUE INDEX email_jmap_identities_fixed ON email_jmap_identities (mailbox_id) WHERE fixed = 1;

CREATE TABLE email_jmap_submissions (
	id             INTEGER PRIMARY KEY AUTOINCREMENT,
	mailbox_id     INTEGER NOT NULL,
	identity_id    INTEGER NOT NULL,
	message_id     INTEGER NOT NULL,
	thread_id      INTEGER NOT NULL,
	envelope       TEXT NOT NULL,             -- JSON
	send_at        INTEGER NOT NULL,
	undo           TEXT NOT NULL,             -- pending, final, canceled
	queue_id       TEXT NOT NULL,
	recipients     TEXT NOT NULL,             -- JSON list
	local          TEXT NOT NULL,             -- JSON list: those that are here
	created_modseq INTEGER NOT NULL,
	modseq         INTEGER NOT NULL
) STRICT;

CREATE INDEX email_jmap_submissions_mailbox ON email_jmap_submissions (mailbox_id);
