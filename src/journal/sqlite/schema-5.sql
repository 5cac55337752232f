-- Which replay it is of: 0 before the first.
ALTER TABLE notification ADD COLUMN begun_replay INTEGER;
ALTER TABLE attempt ADD COLUMN replay INTEGER NOT NULL DEFAULT 0;
ALTER TABLE transcript ADD COLUMN replay INTEGER NOT NULL DEFAULT 0;

-- What operators count is answered from these indexes alone.
ALTER TABLE notification ADD COLUMN next_attempt INTEGER GENERATED ALWAYS AS (state ->> 'next_attempt') VIRTUAL;
ALTER TABLE notification ADD COLUMN due TEXT GENERATED ALWAYS AS (state ->> 'due') VIRTUAL;
ALTER TABLE notification ADD COLUMN cause TEXT GENERATED ALWAYS AS (coalesce(state ->> 'cause', '')) VIRTUAL;
ALTER TABLE notification ADD COLUMN since TEXT GENERATED ALWAYS AS (state ->> 'since') VIRTUAL;
CREATE INDEX notification_waiting ON notification (merchant_id, next_attempt, due, updated_at) WHERE phase = 'waiting';
CREATE INDEX notification_held ON notification (cause, merchant_id, since) WHERE phase = 'held';
CREATE INDEX notification_unconfirmed ON notification (outcome, updated_at)
    WHERE phase = 'ended' AND outcome IN ('stopped', 'exhausted', 'abandoned');

-- One row for each time that a notification was begun anew.
CREATE TABLE replay (
    notification_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    by_whom TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (notification_id, number)
) STRICT, WITHOUT ROWID;

-- The merchants that are told nothing for a while.
CREATE TABLE pause (
    merchant_id TEXT NOT NULL PRIMARY KEY,
    since INTEGER NOT NULL,
    by_whom TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

-- Who did what to whom and why. Names sort by the moment.
CREATE TABLE audit (
    name TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    by_whom TEXT NOT NULL,
    deed TEXT NOT NULL,
    whom TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
