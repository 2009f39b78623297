-- What rooms can be set to, pins, requests to come in, and how long lines are kept. Times are unix milliseconds.

ALTER TABLE chat_rooms ADD COLUMN retention_days INTEGER;                 -- 0 for ever; NULL as its kind has it
ALTER TABLE chat_rooms ADD COLUMN horizon INTEGER NOT NULL DEFAULT 0;     -- seq up to which its log was removed
ALTER TABLE chat_rooms ADD COLUMN perm TEXT NOT NULL DEFAULT '';          -- JSON, what differs from its kind; '' for nothing
ALTER TABLE chat_rooms ADD COLUMN moderation TEXT NOT NULL DEFAULT '';    -- JSON, '' for the usual
ALTER TABLE chat_rooms ADD COLUMN emptied_at INTEGER NOT NULL DEFAULT 0;  -- when its last member left, 0 while there is one
ALTER TABLE chat_rooms ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0;  -- 0 while it is there

-- Where in its room's log a line's edits are, so that their texts can go with the line.
CREATE TABLE chat_edits (
    message_id INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    PRIMARY KEY (message_id, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO chat_edits (message_id, seq)
    SELECT json_extract(payload, '$.message_id'), seq FROM chat_events WHERE type = 'chat.message.edited';

CREATE TABLE chat_pins (
    room_id    INTEGER NOT NULL REFERENCES chat_rooms (id),
    message_id INTEGER NOT NULL REFERENCES chat_messages (id),
    by_id      INTEGER NOT NULL,           -- 0 for a service
    by_handle  TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (room_id, message_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX chat_pins_message ON chat_pins (message_id);

CREATE TABLE chat_notify (
    user_id INTEGER NOT NULL,
    room_id INTEGER NOT NULL REFERENCES chat_rooms (id),
    level   TEXT    NOT NULL CHECK (level IN ('all', 'mentions', 'none')),
    PRIMARY KEY (user_id, room_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE chat_requests (
    room_id    INTEGER NOT NULL REFERENCES chat_rooms (id),
    user_id    INTEGER NOT NULL,
    handle     TEXT    NOT NULL,
    words      TEXT    NOT NULL,           -- what they say to it
    created_at INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;

-- What was deleted before there was this: its text goes from the log too.
UPDATE chat_events SET payload = json_set(json_remove(payload, '$.attachments', '$.mentions'), '$.text', '', '$.deleted', json('true'))
    WHERE EXISTS (SELECT 1 FROM chat_messages m WHERE m.room_id = chat_events.room_id AND m.seq = chat_events.seq AND m.deleted_at > 0)
       OR EXISTS (SELECT 1 FROM chat_edits e JOIN chat_messages m ON m.id = e.message_id WHERE e.seq = chat_events.seq AND m.room_id = chat_events.room_id AND m.deleted_at > 0);
