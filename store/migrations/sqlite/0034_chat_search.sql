-- The words of lines, for the search. It is fed from the rooms' logs, behind the commits: everything up to place in
-- chat_fts_cursor is in it. It keeps no text of its own.

CREATE VIRTUAL TABLE chat_fts USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2');

CREATE TABLE chat_fts_cursor (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    place INTEGER NOT NULL                  -- of chat_events
) STRICT;

INSERT INTO chat_fts_cursor (id, place) VALUES (1, 0);
