-- One row for each notification that the gateway has heard of. Moments are milliseconds since the epoch.
CREATE TABLE notification (
    id TEXT NOT NULL PRIMARY KEY,
    merchant_id TEXT NOT NULL,
    merchant_order_id TEXT,
    first_seen INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- SHA-256 of raw: tells whether a notification that comes again is the same.
    digest BLOB NOT NULL,
    -- The record's text as it came.
    raw BLOB NOT NULL,
    -- What it is now, as JSON, in the form that the API shows.
    state TEXT NOT NULL,
    phase TEXT NOT NULL GENERATED ALWAYS AS (state ->> 'state') VIRTUAL,
    outcome TEXT GENERATED ALWAYS AS (state ->> 'outcome') VIRTUAL
) STRICT;
CREATE INDEX notification_by_order ON notification (merchant_order_id) WHERE merchant_order_id IS NOT NULL;
CREATE INDEX notification_by_phase ON notification (phase, updated_at);

-- One row for each attempt, in the order in which they were recorded.
CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    notification_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    plugin TEXT NOT NULL,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    status INTEGER,
    reply TEXT,
    result TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX attempt_by_notification ON attempt (notification_id, id);

-- Always empty: for finding out whether the file can be written again.
CREATE TABLE trial (filler BLOB NOT NULL) STRICT;
