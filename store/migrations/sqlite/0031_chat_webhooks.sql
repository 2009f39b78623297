-- Addresses of other programs that are told of what happens in rooms. Times are unix milliseconds.

CREATE TABLE chat_webhooks (
    id            INTEGER PRIMARY KEY,
    room_id       INTEGER NOT NULL,           -- 0 for all rooms that are not direct
    url           TEXT    NOT NULL,
    secret        TEXT    NOT NULL,           -- whsec_…, with which deliveries are signed
    events        TEXT    NOT NULL,           -- types separated by spaces; '' for all
    made_by       INTEGER NOT NULL,           -- user_id, 0 for a service
    created_at    INTEGER NOT NULL,
    enabled       INTEGER NOT NULL,
    reason        TEXT    NOT NULL,           -- why it is not
    since         INTEGER NOT NULL,           -- hears of events with a higher place
    failures      INTEGER NOT NULL,           -- in a row
    failing_since INTEGER NOT NULL,           -- 0 while the last delivery succeeded
    wait_until    INTEGER NOT NULL            -- nothing is sent before
) STRICT;

CREATE INDEX chat_webhooks_room ON chat_webhooks (room_id, id);

-- What is to be delivered and what was: a row for each event and webhook.
CREATE TABLE chat_deliveries (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id INTEGER NOT NULL REFERENCES chat_webhooks (id) ON DELETE CASCADE,
    message_id TEXT    NOT NULL,              -- the header webhook-id: the same at every attempt
    type       TEXT    NOT NULL,
    room_id    INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'delivered', 'dropped')),
    attempts   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    done_at    INTEGER NOT NULL               -- 0 while it waits
) STRICT;

CREATE INDEX chat_deliveries_waiting ON chat_deliveries (webhook_id, id) WHERE state = 'waiting';
CREATE INDEX chat_deliveries_webhook ON chat_deliveries (webhook_id, id);
CREATE INDEX chat_deliveries_done ON chat_deliveries (done_at) WHERE state <> 'waiting';

CREATE TABLE chat_attempts (
    delivery_id INTEGER NOT NULL REFERENCES chat_deliveries (id) ON DELETE CASCADE,
    n           INTEGER NOT NULL,             -- 1, 2, 3 …
    at          INTEGER NOT NULL,
    status      INTEGER NOT NULL,             -- that was answered; 0 for no answer
    ms          INTEGER NOT NULL,
    error       TEXT    NOT NULL,
    PRIMARY KEY (delivery_id, n)
) STRICT, WITHOUT ROWID;

-- How far the rooms' logs were turned into deliveries.
CREATE TABLE chat_webhook_feed (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    place INTEGER NOT NULL
) STRICT;

INSERT INTO chat_webhook_feed (id, place) SELECT 1, COALESCE(MAX(place), 0) FROM chat_events;
