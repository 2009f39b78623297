-- The queue: what a sender asked of the reports (RFC 3461), mail that waits for its time, how each attempt went,
-- domains that are paused or do not answer, and what is released although everything is held.

ALTER TABLE email_queue ADD COLUMN since INTEGER NOT NULL DEFAULT 0;         -- when it began to wait for delivery
ALTER TABLE email_queue ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;    -- 0 unless it was scheduled
ALTER TABLE email_queue ADD COLUMN notify TEXT NOT NULL DEFAULT '';          -- NEVER, or a list of SUCCESS, FAILURE, DELAY
ALTER TABLE email_queue ADD COLUMN orcpt TEXT NOT NULL DEFAULT '';           -- type;address, as it was given
ALTER TABLE email_queue ADD COLUMN ret TEXT NOT NULL DEFAULT '';             -- FULL or HDRS
ALTER TABLE email_queue ADD COLUMN envid TEXT NOT NULL DEFAULT '';
ALTER TABLE email_queue ADD COLUMN require_tls INTEGER NOT NULL DEFAULT 0;   -- RFC 8689
ALTER TABLE email_queue ADD COLUMN finished_at INTEGER;                       -- NULL unless it is sent, bounced or dropped
UPDATE email_queue SET since = created_at, finished_at = CASE WHEN state IN ('sent', 'bounced', 'dropped') THEN updated_at END;

-- Lists and actions by domain; what belongs to one message; what refers to a body; what is finished, oldest first.
CREATE INDEX email_queue_domain ON email_queue (domain, id);
CREATE INDEX email_queue_domain_due ON email_queue (domain, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX email_queue_message ON email_queue (queue_id);
CREATE INDEX email_queue_raw ON email_queue (raw_id);
CREATE INDEX email_queue_finished ON email_queue (finished_at, id) WHERE finished_at IS NOT NULL;

CREATE TABLE email_queue_attempts (
	id       INTEGER PRIMARY KEY,
	entry_id INTEGER NOT NULL,
	attempt  INTEGER NOT NULL,                -- from 1
	began_at INTEGER NOT NULL,
	ended_at INTEGER NOT NULL,
	verdict  TEXT NOT NULL,                   -- delivered, later, refused, stopped
	host     TEXT NOT NULL,
	tls      TEXT NOT NULL,                   -- version, and whether the certificate was verified; '' without
	reply    TEXT NOT NULL
) STRICT;

CREATE INDEX email_queue_attempts_entry ON email_queue_attempts (entry_id, id);

-- A domain without a row is neither paused nor in trouble. "*" is everything that leaves this host.
CREATE TABLE email_queue_domains (
	domain     TEXT NOT NULL PRIMARY KEY,
	paused_at  INTEGER NOT NULL,              -- 0 unless a person paused it
	reason     TEXT NOT NULL,
	failures   INTEGER NOT NULL,              -- in a row, of its hosts to answer at all
	retry_at   INTEGER NOT NULL,              -- 0 unless it is backed off
	last_reply TEXT NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE email_queue_rules (
	id         INTEGER PRIMARY KEY,
	pattern    TEXT NOT NULL UNIQUE,          -- address, domain, or *.domain
	redirect   TEXT NOT NULL,                 -- where it goes instead, '' to its recipient
	created_at INTEGER NOT NULL
) STRICT;
