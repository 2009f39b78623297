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
