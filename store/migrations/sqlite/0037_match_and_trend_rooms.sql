-- What the game has to tell chat, until chat has it; the rooms of matches; and the rooms of trends. Times are unix milliseconds.

CREATE TABLE game_chat (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- chat knows an entry by it: never given twice
    match_id   INTEGER NOT NULL,           -- 0 for a notice
    kind       TEXT    NOT NULL CHECK (kind IN ('open', 'line', 'end', 'notice')),
    room       TEXT    NOT NULL,           -- name of a notice's room, '' for the match's
    text       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE game_match_rooms (
    match_id INTEGER PRIMARY KEY REFERENCES game_matches (id),
    room_id  INTEGER NOT NULL,             -- in chat
    ended_at INTEGER NOT NULL              -- 0 while the match goes on
) STRICT;

CREATE TABLE chat_trends (
    slug       TEXT    PRIMARY KEY,
    room_id    INTEGER NOT NULL REFERENCES chat_rooms (id),
    created_at INTEGER NOT NULL,           -- the room
    told_at    INTEGER NOT NULL            -- when the room heard of it last
) STRICT, WITHOUT ROWID;

CREATE INDEX chat_trends_created ON chat_trends (created_at);
