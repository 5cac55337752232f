-- What waits. Moments are milliseconds since the epoch. A message keeps its number for life; who is parked keeps its
-- place among those that are due at the same moment.
CREATE TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    due INTEGER NOT NULL,
    body BLOB NOT NULL,
    -- The progress beside the body: a JSON object of names and text values.
    headers TEXT NOT NULL
) STRICT;
CREATE INDEX message_by_due ON message (due, number);

-- What could not be read or was abandoned, whole, until somebody looks after it.
CREATE TABLE poison (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    poisoned_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    body BLOB NOT NULL,
    headers TEXT NOT NULL
) STRICT;

-- The payment centre's events, the latest so many.
CREATE TABLE outcome (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    routing_key TEXT NOT NULL,
    event TEXT NOT NULL
) STRICT;

-- Always empty: for finding out whether the file can be written again.
CREATE TABLE trial (filler BLOB NOT NULL) STRICT;
