-- The beginning that was noted last: of which attempt and after how many holds, by which process, when, and whether that
-- attempt had been begun before.
ALTER TABLE notification ADD COLUMN begun_attempt INTEGER;
ALTER TABLE notification ADD COLUMN begun_holds INTEGER;
ALTER TABLE notification ADD COLUMN begun_by INTEGER;
ALTER TABLE notification ADD COLUMN begun_at INTEGER;
ALTER TABLE notification ADD COLUMN begun_again INTEGER;
-- 1 once the payment centre has been told of the end.
ALTER TABLE notification ADD COLUMN told INTEGER;
UPDATE notification SET told = 1;
CREATE INDEX notification_untold ON notification (updated_at) WHERE phase = 'ended' AND told IS NULL;
