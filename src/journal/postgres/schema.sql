-- One row: how many steps have been taken.
CREATE TABLE paynotify_journal (version integer NOT NULL);
INSERT INTO paynotify_journal VALUES (0);

-- One row for each notification that a gateway has heard of. Moments are milliseconds since the epoch.
CREATE TABLE notification (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    -- In the order in which they were written down first.
    number bigint GENERATED ALWAYS AS IDENTITY,
    merchant_id text NOT NULL,
    merchant_order_id text,
    first_seen bigint NOT NULL,
    updated_at bigint NOT NULL,
    -- SHA-256 of raw: tells whether a notification that comes again is the same.
    digest bytea NOT NULL,
    -- The record's text as it came.
    raw bytea NOT NULL,
    -- What it is now, as JSON, in the form that the API shows; beside it what queries ask for.
    state text NOT NULL,
    phase text NOT NULL,
    outcome text,
    cause text,
    -- When the next attempt is due; of one that has ended, nothing.
    due bigint,
    -- The beginning that was noted last: of which attempt and after how many holds, by which process, when, and whether
    -- that attempt had been begun before.
    begun_attempt bigint,
    begun_holds bigint,
    begun_by bigint,
    begun_at bigint,
    begun_again boolean,
    -- The payment centre has been told of the end.
    told boolean NOT NULL DEFAULT false
);
-- A merchant's number can be of any length, which no other kind of index takes.
CREATE INDEX notification_by_order ON notification USING hash (merchant_order_id);
CREATE INDEX notification_by_phase ON notification (phase, updated_at, number);
CREATE INDEX notification_untold ON notification (updated_at) WHERE phase = 'ended' AND NOT told;

-- One row for each attempt, in the order in which they were recorded.
CREATE TABLE attempt (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notification_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    started_at bigint NOT NULL,
    duration_ms bigint NOT NULL,
    plugin text NOT NULL,
    method text NOT NULL,
    url text NOT NULL,
    status integer,
    reply text,
    result text NOT NULL,
    detail text
);
CREATE INDEX attempt_by_notification ON attempt (notification_id, id);

-- What went into an attempt's plugin calls and what came out of them: one row for each attempt of which that is kept, in the
-- order in which they were recorded.
CREATE TABLE transcript (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notification_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    recorded_at bigint NOT NULL,
    -- A JSON object; nothing in the journal reads it.
    content text NOT NULL
);
CREATE INDEX transcript_by_notification ON transcript (notification_id, id);

-- How much is kept, in bytes: the sum over all rows. There are several, so that gateways do not wait for each other.
CREATE TABLE volume (slot integer NOT NULL PRIMARY KEY, bytes bigint NOT NULL);

-- Always empty: for finding out whether the database can be written again.
CREATE TABLE trial (filler text NOT NULL);
