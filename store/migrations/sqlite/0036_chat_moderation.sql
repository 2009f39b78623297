-- The rules that lines are held against, the queue of what moderators shall look at, and what is to be asked again.
-- Times are unix milliseconds.

ALTER TABLE chat_messages ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0; -- 1 for a line that only its author and moderators see

CREATE TABLE chat_rules (
    id         INTEGER PRIMARY KEY,
    room_id    INTEGER NOT NULL,           -- 0 for all rooms
    rule       TEXT    NOT NULL,           -- a JSON object
    by_id      INTEGER NOT NULL,
    by_handle  TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX chat_rules_room ON chat_rules (room_id, id);

-- Who changed which rule, kept for good.
CREATE TABLE chat_rule_log (
    id         INTEGER PRIMARY KEY,
    rule_id    INTEGER NOT NULL,
    room_id    INTEGER NOT NULL,
    action     TEXT    NOT NULL CHECK (action IN ('create', 'change', 'delete')),
    rule       TEXT    NOT NULL,           -- as it was then, JSON
    by_id      INTEGER NOT NULL,
    by_handle  TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX chat_rule_log_room ON chat_rule_log (room_id, id);

CREATE TABLE chat_cases (
    id         INTEGER PRIMARY KEY,
    room_id    INTEGER NOT NULL REFERENCES chat_rooms (id),
    message_id INTEGER NOT NULL,           -- 0 for a line that was refused
    seq        INTEGER NOT NULL,           -- of the line, 0 for one that was refused
    user_id    INTEGER NOT NULL,           -- who said it
    handle     TEXT    NOT NULL,
    text       TEXT    NOT NULL,           -- as it was when the case was opened
    source     TEXT    NOT NULL CHECK (source IN ('rule', 'report', 'engine')),
    reason     TEXT    NOT NULL,
    reports    INTEGER NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('open', 'approve', 'remove', 'warn', 'timeout', 'ban')),
    was_hidden INTEGER NOT NULL,           -- the line was hidden when it was decided
    note       TEXT    NOT NULL,           -- of who decided
    by_id      INTEGER NOT NULL,
    by_handle  TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    decided_at INTEGER NOT NULL            -- 0 while it is open
) STRICT;

CREATE UNIQUE INDEX chat_cases_open ON chat_cases (message_id) WHERE state = 'open' AND message_id > 0;
CREATE INDEX chat_cases_state ON chat_cases (room_id, state, id);
CREATE INDEX chat_cases_message ON chat_cases (message_id) WHERE message_id > 0;

-- Lines that passed while the external engine did not answer.
CREATE TABLE chat_rechecks (
    message_id INTEGER PRIMARY KEY,
    room_id    INTEGER NOT NULL,
    tries      INTEGER NOT NULL,
    next_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX chat_rechecks_next ON chat_rechecks (next_at);
