-- What went into an attempt's plugin calls and what came out of them: one row for each attempt of which that is kept, in the
-- order in which they were recorded.
CREATE TABLE transcript (
    id INTEGER PRIMARY KEY,
    notification_id TEXT NOT NULL,
    -- The attempt's.
    number INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    -- A JSON object; nothing in the journal reads it.
    content TEXT NOT NULL
) STRICT;
CREATE INDEX transcript_by_notification ON transcript (notification_id, id);
