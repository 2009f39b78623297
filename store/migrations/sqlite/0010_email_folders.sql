-- Folders, threads, keywords, and what changed since when. Each change of a mailbox takes its next modseq; a row
-- carries that of its last change, and a row that is gone leaves a note with its own.

ALTER TABLE email_mailboxes ADD COLUMN modseq INTEGER NOT NULL DEFAULT 1;    -- of the newest change
ALTER TABLE email_mailboxes ADD COLUMN kept_from INTEGER NOT NULL DEFAULT 0; -- what went up to it is forgotten

CREATE TABLE email_folders (
	id             INTEGER PRIMARY KEY AUTOINCREMENT,
	mailbox_id     INTEGER NOT NULL,
	parent_id      INTEGER NOT NULL DEFAULT 0,     -- 0 at the top
	name           TEXT NOT NULL,
	role           TEXT NOT NULL DEFAULT '',       -- inbox, drafts, sent, archive, junk, trash; '' for people's own
	position       INTEGER NOT NULL DEFAULT 0,     -- among its siblings
	subscribed     INTEGER NOT NULL DEFAULT 1,
	messages       INTEGER NOT NULL DEFAULT 0,
	unread         INTEGER NOT NULL DEFAULT 0,
	created_modseq INTEGER NOT NULL,
	modseq         INTEGER NOT NULL,               -- of name, parent, position, subscription
	counts_modseq  INTEGER NOT NULL,               -- of what is in it
	UNIQUE (mailbox_id, parent_id, name)
) STRICT;

CREATE UNIQUE INDEX email_folders_role ON email_folders (mailbox_id, role) WHERE role <> '';

INSERT INTO email_folders (mailbox_id, name, role, position, created_modseq, modseq, counts_modseq)
	SELECT m.id, f.column1, f.column2, f.column3, 1, 1, 1 FROM email_mailboxes m,
		(VALUES ('Inbox', 'inbox', 1), ('Drafts', 'drafts', 2), ('Sent', 'sent', 3), ('Archive', 'archive', 4), ('Junk', 'junk', 5), ('Trash', 'trash', 6)) f
	ORDER BY m.id, f.column3;

-- The same table as before, with what is new in it, and with ids that are never given twice.
CREATE TABLE email_messages_new (
	id             INTEGER PRIMARY KEY AUTOINCREMENT,
	mailbox_id     INTEGER NOT NULL,
	raw_id         INTEGER NOT NULL,
	recipient      TEXT NOT NULL,
	subject        TEXT NOT NULL,
	from_text      TEXT NOT NULL,
	from_name      TEXT NOT NULL,
	from_address   TEXT NOT NULL,
	to_text        TEXT NOT NULL,
	sent_at        INTEGER NOT NULL,            -- of the header; 0 when it has none
	received_at    INTEGER NOT NULL,
	snippet        TEXT NOT NULL,
	message_id     TEXT NOT NULL,
	size           INTEGER NOT NULL,
	attachments    INTEGER NOT NULL,
	flags          TEXT NOT NULL,               -- JSON list
	spam_score     REAL NOT NULL,
	spf            TEXT NOT NULL,
	dkim           TEXT NOT NULL,
	dmarc          TEXT NOT NULL,
	unread         INTEGER NOT NULL,
	starred        INTEGER NOT NULL DEFAULT 0,
	labels         TEXT NOT NULL DEFAULT '[]',  -- JSON list; email_labels holds the same for looking up
	keywords       TEXT NOT NULL DEFAULT '[]',  -- JSON list of what programs mark ($answered, $draft, …)
	folders        TEXT NOT NULL DEFAULT '[]',  -- JSON list of ids; email_placed holds the same for looking up
	thread_id      INTEGER NOT NULL,            -- the modseq with which the first message of its thread came
	created_modseq INTEGER NOT NULL,
	modseq         INTEGER NOT NULL
) STRICT;

INSERT INTO email_messages_new
	SELECT e.id, mailbox_id, raw_id, recipient, subject, from_text, from_name, from_address, to_text, sent_at, received_at, snippet, message_id, size, attachments,
		flags, spam_score, spf, dkim, dmarc, unread, starred, labels, '[]',
		(SELECT '[' || f.id || ']' FROM email_folders f WHERE f.mailbox_id = e.mailbox_id AND f.role = CASE WHEN EXISTS
			(SELECT 1 FROM email_labels l WHERE l.mailbox_id = e.mailbox_id AND l.message_id = e.id AND l.label = 'sent') THEN 'sent' ELSE 'inbox' END),
		e.id, 1, 1
	FROM email_messages e ORDER BY e.id;

-- A message from before is a thread of its own, under its id: the modseqs to come lie above.
UPDATE email_mailboxes SET modseq = 1 + COALESCE((SELECT MAX(id) FROM email_messages WHERE mailbox_id = email_mailboxes.id), 0);

DROP TABLE email_messages;
ALTER TABLE email_messages_new RENAME TO email_messages;

CREATE INDEX email_messages_list ON email_messages (mailbox_id, id);
CREATE INDEX email_messages_unread ON email_messages (mailbox_id, id) WHERE unread = 1;
CREATE INDEX email_messages_starred ON email_messages (mailbox_id, id) WHERE starred = 1;
CREATE INDEX email_messages_raw ON email_messages (raw_id, mailbox_id);
CREATE INDEX email_messages_thread ON email_messages (mailbox_id, thread_id, id);
CREATE INDEX email_messages_modseq ON email_messages (mailbox_id, modseq);

-- So are the ids of stored bytes, which others know them by.
CREATE TABLE email_raw_new (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
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

INSERT INTO email_raw_new SELECT id, envelope_id, sha256, size, body, file, prepended, mode, reverse_path, recipients, helo, remote_ip, tls, auth_user, received_at,
	message_id, traceparent, auth, faults, spam_reasons FROM email_raw ORDER BY id;
DROP TABLE email_raw;
ALTER TABLE email_raw_new RENAME TO email_raw;
CREATE UNIQUE INDEX email_raw_file ON email_raw (file) WHERE file IS NOT NULL;
CREATE INDEX email_raw_message_id ON email_raw (message_id, received_at) WHERE message_id <> '';

-- Which messages are in which folder, in the order in which a folder is read.
CREATE TABLE email_placed (
	folder_id   INTEGER NOT NULL,
	received_at INTEGER NOT NULL,
	message_id  INTEGER NOT NULL,
	PRIMARY KEY (folder_id, received_at, message_id)
) STRICT, WITHOUT ROWID;

INSERT INTO email_placed SELECT CAST(SUBSTR(folders, 2, LENGTH(folders) - 2) AS INTEGER), received_at, id FROM email_messages;

UPDATE email_folders SET
	messages = (SELECT COUNT(*) FROM email_placed p WHERE p.folder_id = email_folders.id),
	unread = (SELECT COUNT(*) FROM email_placed p JOIN email_messages e ON e.id = p.message_id WHERE p.folder_id = email_folders.id AND e.unread = 1);

-- Which thread speaks of a Message-ID: a reply finds the message that it answers, and an answered one that comes
-- late finds its replies.
CREATE TABLE email_refs (
	mailbox_id INTEGER NOT NULL,
	ref        TEXT NOT NULL,                 -- a Message-ID without <>
	subject    TEXT NOT NULL,                 -- without "Re:" and the like
	thread_id  INTEGER NOT NULL,
	PRIMARY KEY (mailbox_id, ref, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX email_refs_thread ON email_refs (mailbox_id, thread_id);

-- What is gone.
CREATE TABLE email_gone (
	mailbox_id INTEGER NOT NULL,
	kind       TEXT NOT NULL,                 -- message or folder
	modseq     INTEGER NOT NULL,
	object_id  INTEGER NOT NULL,
	thread_id  INTEGER NOT NULL,              -- of a message
	at         INTEGER NOT NULL,
	PRIMARY KEY (mailbox_id, kind, modseq, object_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX email_gone_age ON email_gone (at);
