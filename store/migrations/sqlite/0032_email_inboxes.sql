-- Inboxes for tests. Each is an account that belongs to whoever made it, with a mailbox of its own.

ALTER TABLE auth_users ADD COLUMN owner INTEGER NOT NULL DEFAULT 0; -- the user whose account it is; 0 for people
CREATE INDEX auth_users_owner ON auth_users (owner) WHERE owner <> 0;

CREATE TABLE email_inboxes (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	user_name  TEXT NOT NULL UNIQUE,          -- local part of its address, and its own name below the domain
	account    INTEGER NOT NULL,              -- auth_users.id
	owner      TEXT NOT NULL,                 -- local part of who made it
	note       TEXT NOT NULL,
	outbound   INTEGER NOT NULL DEFAULT 0,    -- it gets all mail that would leave this host
	max_age    INTEGER NOT NULL,              -- seconds
	max_count  INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	removed    INTEGER NOT NULL DEFAULT 0     -- nobody but its owner gets the name again
) STRICT;

CREATE INDEX email_inboxes_owner ON email_inboxes (owner, id) WHERE removed = 0;
CREATE UNIQUE INDEX email_inboxes_outbound ON email_inboxes (outbound) WHERE outbound = 1;
