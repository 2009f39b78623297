-- What is learnt from people's moves to and from Junk. Mailbox 0 stands for everybody: there, ham and spam count
-- mailboxes instead of messages.

CREATE TABLE email_spam_boxes (
	mailbox_id INTEGER PRIMARY KEY,
	ham        INTEGER NOT NULL DEFAULT 0,    -- messages that were counted
	spam       INTEGER NOT NULL DEFAULT 0,
	words      INTEGER NOT NULL DEFAULT 0,    -- rows in email_spam_words
	listed     INTEGER NOT NULL DEFAULT 0,    -- rows in email_spam_list
	junk_at    REAL NOT NULL DEFAULT 0        -- the mailbox's own threshold; 0 for the installation's
) STRICT;

CREATE TABLE email_spam_words (
	mailbox_id INTEGER NOT NULL,
	word       TEXT NOT NULL,
	ham        INTEGER NOT NULL,
	spam       INTEGER NOT NULL,
	seen_at    INTEGER NOT NULL,
	PRIMARY KEY (mailbox_id, word)
) STRICT, WITHOUT ROWID;

-- Senders by what was verified: from:address, domain:name, spf:name, ip:network.
CREATE TABLE email_spam_sources (
	source     TEXT NOT NULL,
	mailbox_id INTEGER NOT NULL,
	ham        INTEGER NOT NULL DEFAULT 0,    -- messages that were moved out of Junk or kept
	spam       INTEGER NOT NULL DEFAULT 0,    -- moved to Junk
	seen       INTEGER NOT NULL DEFAULT 0,    -- delivered
	junk       INTEGER NOT NULL DEFAULT 0,    -- of those: judged junk
	first_at   INTEGER NOT NULL,
	last_at    INTEGER NOT NULL,
	PRIMARY KEY (source, mailbox_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX email_spam_sources_age ON email_spam_sources (last_at) WHERE ham = 0 AND spam = 0;

-- What a message is to its owner (want), and what of that is counted (trained): 1 spam, -1 ham, 0 neither.
CREATE TABLE email_spam_marks (
	message_id INTEGER PRIMARY KEY,
	mailbox_id INTEGER NOT NULL,
	raw_id     INTEGER NOT NULL,
	want       INTEGER NOT NULL,
	trained    INTEGER NOT NULL,
	auto       INTEGER NOT NULL,              -- not said by the owner: read and kept
	at         INTEGER NOT NULL
) STRICT;

CREATE INDEX email_spam_marks_pending ON email_spam_marks (at, message_id) WHERE want <> trained;

CREATE TABLE email_spam_list (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	mailbox_id INTEGER NOT NULL,
	sender     TEXT NOT NULL,                 -- an address or a domain, lower case, the domain in ASCII
	allow      INTEGER NOT NULL,              -- 0 blocks
	note       TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	UNIQUE (mailbox_id, sender)
) STRICT;

-- The reasons that only one mailbox had; those that all share are in email_raw.
CREATE TABLE email_spam_verdicts (
	message_id INTEGER PRIMARY KEY,
	mailbox_id INTEGER NOT NULL,
	reasons    TEXT NOT NULL                  -- JSON list
) STRICT;
