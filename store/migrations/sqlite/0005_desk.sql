-- Tickets and their history. Times are unix milliseconds. Names are kept as they were, beside the ids.

CREATE TABLE desk_tickets (
    id          INTEGER PRIMARY KEY,
    subject     TEXT    NOT NULL,
    created_by  INTEGER NOT NULL,          -- user_id, 0 for a service
    requester   TEXT    NOT NULL,          -- their name, '' when nobody is known by that id
    status      TEXT    NOT NULL CHECK (status IN ('open', 'assigned', 'solved')),
    assignee_id INTEGER,                   -- user_id, NULL for nobody
    assignee    TEXT    NOT NULL,
    tags        TEXT    NOT NULL,          -- a JSON list
    last_msg_at INTEGER NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX desk_tickets_status ON desk_tickets (status, id);
CREATE INDEX desk_tickets_created_by ON desk_tickets (created_by, id);
CREATE INDEX desk_tickets_assignee ON desk_tickets (assignee_id, id);

CREATE TABLE desk_comments (
    id         INTEGER PRIMARY KEY,
    ticket_id  INTEGER NOT NULL REFERENCES desk_tickets (id),
    author_id  INTEGER NOT NULL,           -- user_id, 0 for a service
    author     TEXT    NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('comment', 'event')),
    text       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX desk_comments_ticket ON desk_comments (ticket_id, id);
