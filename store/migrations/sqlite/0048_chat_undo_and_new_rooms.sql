-- What a decision about a case is taken back with: the role that a ban took, and for a week the files of a line that was removed.

ALTER TABLE chat_cases ADD COLUMN was_role TEXT NOT NULL DEFAULT '';

CREATE TABLE chat_files_kept (
    id         INTEGER PRIMARY KEY,
    message_id INTEGER NOT NULL REFERENCES chat_messages (id),
    room_id    INTEGER NOT NULL REFERENCES chat_rooms (id),
    owner      TEXT    NOT NULL,
    position   INTEGER NOT NULL,
    file       TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    type       TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    width      INTEGER NOT NULL,
    height     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    until      INTEGER NOT NULL            -- when they are removed
) STRICT;

CREATE INDEX chat_files_kept_message ON chat_files_kept (message_id);
CREATE INDEX chat_files_kept_until ON chat_files_kept (until);

-- Webhooks of all rooms hear of new rooms, which are no events of a room's log: those with a higher id than these.

ALTER TABLE chat_webhook_feed ADD COLUMN room INTEGER NOT NULL DEFAULT 0;
UPDATE chat_webhook_feed SET room = COALESCE((SELECT MAX(id) FROM chat_rooms), 0);
ALTER TABLE chat_webhooks ADD COLUMN since_room INTEGER NOT NULL DEFAULT 0;
UPDATE chat_webhooks SET since_room = COALESCE((SELECT MAX(id) FROM chat_rooms), 0);
