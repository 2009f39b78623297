-- Mail on its way to other hosts: a row for each recipient, and the addresses that get none.

CREATE TABLE email_queue (
	id           INTEGER PRIMARY KEY,
	queue_id     TEXT NOT NULL,               -- of the message: its recipients share it
	raw_id       INTEGER NOT NULL,
	message_id   INTEGER NOT NULL,            -- the sender's copy, 0 for none
	user_name    TEXT NOT NULL,               -- local part of the sender's mailbox
	reverse_path TEXT NOT NULL,
	recipient    TEXT NOT NULL,
	domain       TEXT NOT NULL,               -- lower case, ASCII
	state        TEXT NOT NULL CHECK (state IN ('queued', 'held', 'sending', 'sent', 'bounced', 'dropped')),
	reason       TEXT NOT NULL,
	attempts     INTEGER NOT NULL,
	next_at      INTEGER NOT NULL,
	lease_until  INTEGER NOT NULL,            -- 0 unless sending
	due_at       INTEGER,                     -- next_at where it is queued, lease_until where it is being sent, else NULL
	delayed      INTEGER NOT NULL,
	last_reply   TEXT NOT NULL,
	host         TEXT NOT NULL,
	created_at   INTEGER NOT NULL,
	updated_at   INTEGER NOT NULL
) STRICT;

-- What is due is found in its order, with its domain, whatever else there is in the table.
CREATE INDEX email_queue_due ON email_queue (due_at, id, domain) WHERE due_at IS NOT NULL;
CREATE INDEX email_queue_state ON email_queue (state, id);
CREATE INDEX email_queue_user ON email_queue (user_name, created_at);

CREATE TABLE email_suppressions (
	id         INTEGER PRIMARY KEY,
	address    TEXT NOT NULL UNIQUE,          -- lower case, the domain in ASCII
	reason     TEXT NOT NULL,
	created_at INTEGER NOT NULL
) STRICT;
