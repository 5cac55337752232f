-- Whose message it is: there is never a second one of a notification that waits here already.
ALTER TABLE message ADD COLUMN notification_id TEXT;
CREATE INDEX message_by_notification ON message (notification_id) WHERE notification_id IS NOT NULL;
-- In which life of the broker it was written: one of an earlier life may have been out when that ended.
ALTER TABLE message ADD COLUMN life INTEGER NOT NULL DEFAULT 0;
