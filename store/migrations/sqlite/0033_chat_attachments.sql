-- Files that were put into rooms. Their bytes lie in the data folder, under the name in file. Times are unix milliseconds.

CREATE TABLE chat_attachments (
    id         INTEGER PRIMARY KEY,
    room_id    INTEGER NOT NULL REFERENCES chat_rooms (id),
    owner      TEXT    NOT NULL,           -- whose it is until it goes with a line: '<server>/<address>'
    message_id INTEGER REFERENCES chat_messages (id), -- NULL until it goes with a line
    position   INTEGER NOT NULL,           -- among those of its line, from 0
    file       TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    type       TEXT    NOT NULL,           -- as the bytes look, not as somebody said
    size       INTEGER NOT NULL,
    width      INTEGER NOT NULL,           -- of a picture that pages show, 0 for all else
    height     INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX chat_attachments_message ON chat_attachments (message_id, position) WHERE message_id IS NOT NULL;
CREATE INDEX chat_attachments_owner ON chat_attachments (owner) WHERE message_id IS NULL;
CREATE INDEX chat_attachments_loose ON chat_attachments (created_at) WHERE message_id IS NULL;
CREATE INDEX chat_attachments_room ON chat_attachments (room_id, message_id);

ALTER TABLE chat_messages ADD COLUMN files INTEGER NOT NULL DEFAULT 0; -- how many rows of chat_attachments it has

-- Files that no row needs any more, until they are gone from the disk.
CREATE TABLE chat_files_gone (
    file TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
