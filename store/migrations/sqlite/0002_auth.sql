-- Users, their app passwords and sessions, and the setup link. Hashes are SHA-256 (32 bytes);
-- passwords are argon2id in PHC form. Times are unix milliseconds, 0 for never.

CREATE TABLE auth_users (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,           -- local part of the address
    display    TEXT    NOT NULL DEFAULT '',
    roles      TEXT    NOT NULL,                  -- names with a space before, between and behind: ' user admin '
    password   TEXT    NOT NULL DEFAULT '',
    disabled   INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    generation INTEGER NOT NULL DEFAULT 0,        -- tokens of our own issue carry it
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE auth_app_passwords (
    id         INTEGER PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES auth_users (id),
    label      TEXT    NOT NULL,
    hash       BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (user_id, hash)
) STRICT;

CREATE TABLE auth_sessions (
    id         INTEGER PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES auth_users (id),
    hash       BLOB    NOT NULL UNIQUE,
    device     TEXT    NOT NULL,
    address    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX auth_sessions_user ON auth_sessions (user_id, seen_at DESC);

-- At most one row: the setup link that works.
CREATE TABLE auth_setup (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    hash BLOB NOT NULL
) STRICT;
