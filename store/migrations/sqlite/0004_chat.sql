-- Rooms, their lines, and the log of what happened in them. Times are unix milliseconds.

CREATE TABLE chat_rooms (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    kind       TEXT    NOT NULL CHECK (kind IN ('global', 'guild', 'party', 'dm', 'support')),
    head       INTEGER NOT NULL,           -- seq of the newest event, 0 for none
    created_by INTEGER NOT NULL,           -- user_id, 0 for a service
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX chat_rooms_kind ON chat_rooms (kind, id);

CREATE TABLE chat_messages (
    id         INTEGER PRIMARY KEY,
    room_id    INTEGER NOT NULL REFERENCES chat_rooms (id),
    seq        INTEGER NOT NULL,
    user_id    INTEGER NOT NULL,
    handle     TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    flags      TEXT    NOT NULL,           -- a JSON object
    created_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX chat_messages_room ON chat_messages (room_id, id);

-- What was sent with an Idempotency-Key, kept for good: a repeat never makes a second line.
CREATE TABLE chat_sent (
    caller     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    print      TEXT    NOT NULL,           -- hash of the parameters
    message_id INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;

-- The log: every event of a room in the order of its seq, from which readers catch up.
CREATE TABLE chat_events (
    place    INTEGER PRIMARY KEY,          -- in the order of commits of all rooms
    room_id  INTEGER NOT NULL REFERENCES chat_rooms (id),
    seq      INTEGER NOT NULL,
    type     TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    payload  TEXT    NOT NULL,             -- a JSON object
    trace    TEXT    NOT NULL,             -- JSON, '' for none
    event_id INTEGER                       -- that the hub gave; NULL until it is known
) STRICT;

CREATE UNIQUE INDEX chat_events_room ON chat_events (room_id, seq);
CREATE INDEX chat_events_unpublished ON chat_events (place) WHERE event_id IS NULL;
