-- Addresses at which other programs post lines into a room. Times are unix milliseconds.

CREATE TABLE chat_hooks (
    id         INTEGER PRIMARY KEY,
    room_id    INTEGER NOT NULL REFERENCES chat_rooms (id),
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,    -- SHA-256 of the token, which is shown once and kept nowhere
    made_by    INTEGER NOT NULL,           -- user_id, 0 for a service
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL            -- to the minute; 0 for never
) STRICT;

CREATE UNIQUE INDEX chat_hooks_name ON chat_hooks (room_id, name);
