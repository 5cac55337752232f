-- Through which lane it goes: 0 is the main one, 1 the slow one. Each lane's messages come due by themselves.
ALTER TABLE message ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;
DROP INDEX message_by_due;
CREATE INDEX message_by_lane ON message (lane, due, number);
