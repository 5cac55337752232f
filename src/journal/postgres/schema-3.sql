-- Which replay it is of: 0 before the first.
ALTER TABLE notification ADD COLUMN begun_replay bigint;
ALTER TABLE attempt ADD COLUMN replay bigint NOT NULL DEFAULT 0;
ALTER TABLE transcript ADD COLUMN replay bigint NOT NULL DEFAULT 0;

-- What operators count is answered from these indexes alone. Within a text that somebody else wrote, quotation marks are
-- escaped, so that these patterns find our own fields.
ALTER TABLE notification
    ADD COLUMN next_attempt bigint
        GENERATED ALWAYS AS (substring(state from '"next_attempt":([0-9]+)')::bigint) STORED,
    ADD COLUMN since text COLLATE "C"
        GENERATED ALWAYS AS (substring(state from '"since":"([^"]*)"')) STORED;
CREATE INDEX notification_waiting ON notification (merchant_id, next_attempt, due, updated_at) WHERE phase = 'waiting';
CREATE INDEX notification_held ON notification (cause, merchant_id, since) WHERE phase = 'held';
CREATE INDEX notification_unconfirmed ON notification (outcome, updated_at)
    WHERE phase = 'ended' AND outcome IN ('stopped', 'exhausted', 'abandoned');

-- One row for each time that a notification was begun anew.
CREATE TABLE replay (
    notification_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    at bigint NOT NULL,
    by_whom text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (notification_id, number)
);

-- The merchants that are told nothing for a while.
CREATE TABLE pause (
    merchant_id text COLLATE "C" NOT NULL PRIMARY KEY,
    since bigint NOT NULL,
    by_whom text NOT NULL,
    reason text NOT NULL
);

-- Who did what to whom and why. Names sort by the moment.
CREATE TABLE audit (
    name text COLLATE "C" NOT NULL PRIMARY KEY,
    at bigint NOT NULL,
    by_whom text NOT NULL,
    deed text NOT NULL,
    whom text NOT NULL,
    reason text NOT NULL
);
