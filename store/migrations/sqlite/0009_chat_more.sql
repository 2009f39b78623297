-- Who is in a room and as what, who may not be, and what moderators did. Times are unix milliseconds.

ALTER TABLE chat_rooms ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE chat_rooms ADD COLUMN slow_mode_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chat_rooms ADD COLUMN archived_at INTEGER NOT NULL DEFAULT 0; -- 0 for a room in use
ALTER TABLE chat_rooms ADD COLUMN people TEXT;                            -- whose direct room it is, '1 2'; NULL for others

CREATE UNIQUE INDEX chat_rooms_people ON chat_rooms (people) WHERE people IS NOT NULL;

-- Whom an event is for: '' everybody who may read chat, else the people of its room.
ALTER TABLE chat_events ADD COLUMN audience TEXT NOT NULL DEFAULT '';

CREATE TABLE chat_members (
    room_id    INTEGER NOT NULL REFERENCES chat_rooms (id),
    user_id    INTEGER NOT NULL,
    handle     TEXT    NOT NULL,
    role       TEXT    NOT NULL CHECK (role IN ('owner', 'moderator', 'member', 'guest')),
    joined_seq INTEGER NOT NULL,           -- what came up to it is not shown to them
    joined_at  INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX chat_members_user ON chat_members (user_id, room_id);

INSERT INTO chat_members (room_id, user_id, handle, role, joined_seq, joined_at)
    SELECT id, created_by, '', 'owner', 0, created_at FROM chat_rooms WHERE created_by > 0;

CREATE TABLE chat_sanctions (
    room_id INTEGER NOT NULL REFERENCES chat_rooms (id),
    user_id INTEGER NOT NULL,
    kind    TEXT    NOT NULL CHECK (kind IN ('ban', 'mute')),
    until   INTEGER NOT NULL,              -- 0 for good
    PRIMARY KEY (room_id, user_id, kind)
) STRICT, WITHOUT ROWID;

-- What moderators did, kept for good.
CREATE TABLE chat_actions (
    id         INTEGER PRIMARY KEY,
    room_id    INTEGER NOT NULL REFERENCES chat_rooms (id),
    action     TEXT    NOT NULL,
    user_id    INTEGER NOT NULL,           -- to whom
    handle     TEXT    NOT NULL,
    until      INTEGER NOT NULL,           -- 0 where it has no end
    reason     TEXT    NOT NULL,
    by_id      INTEGER NOT NULL,           -- 0 for a service
    by_handle  TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX chat_actions_room ON chat_actions (room_id, id);

-- What can be done with a line after it was said.
ALTER TABLE chat_messages ADD COLUMN reply_to INTEGER NOT NULL DEFAULT 0;   -- id of a line of the same room
ALTER TABLE chat_messages ADD COLUMN edited_at INTEGER NOT NULL DEFAULT 0;  -- 0 for never
ALTER TABLE chat_messages ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0; -- 0 for never
ALTER TABLE chat_messages ADD COLUMN reactions INTEGER NOT NULL DEFAULT 0;  -- how many rows of chat_reactions it has
ALTER TABLE chat_messages ADD COLUMN mentions TEXT NOT NULL DEFAULT '';     -- JSON list of user_ids, '' for none

CREATE UNIQUE INDEX chat_messages_seq ON chat_messages (room_id, seq);

-- The texts that a line had before.
CREATE TABLE chat_versions (
    message_id INTEGER NOT NULL REFERENCES chat_messages (id),
    n          INTEGER NOT NULL,           -- 1, 2, 3 …
    text       TEXT    NOT NULL,
    at         INTEGER NOT NULL,           -- when it was written
    PRIMARY KEY (message_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE chat_reactions (
    message_id INTEGER NOT NULL REFERENCES chat_messages (id),
    emoji      TEXT    NOT NULL,
    user_id    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (message_id, emoji, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE chat_mentions (
    user_id INTEGER NOT NULL,              -- who is mentioned
    room_id INTEGER NOT NULL,
    seq     INTEGER NOT NULL,              -- of the line
    PRIMARY KEY (user_id, room_id, seq)
) STRICT, WITHOUT ROWID;

-- How far somebody has read.
CREATE TABLE chat_reads (
    user_id INTEGER NOT NULL,
    room_id INTEGER NOT NULL REFERENCES chat_rooms (id),
    seq     INTEGER NOT NULL,
    PRIMARY KEY (user_id, room_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE chat_reports (
    id         INTEGER PRIMARY KEY,
    room_id    INTEGER NOT NULL REFERENCES chat_rooms (id),
    message_id INTEGER NOT NULL REFERENCES chat_messages (id),
    user_id    INTEGER NOT NULL,           -- who reports
    handle     TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX chat_reports_once ON chat_reports (message_id, user_id);
CREATE INDEX chat_reports_room ON chat_reports (room_id, id);

-- When somebody last spoke in a room with slow mode.
CREATE TABLE chat_pace (
    room_id INTEGER NOT NULL REFERENCES chat_rooms (id),
    user_id INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;
