-- The beginning that was noted last: of which attempt and after how many holds, by which process, when, and whether that
-- attempt had been begun before.
ALTER TABLE notification ADD COLUMN begun_attempt INTEGER;
ALTER TABLE notification ADD COLUMN begun_holds INTEGER;
ALTER TABLE notification ADD COLUMN begun_by INTEGER;
ALTER TABLE notification ADD COLUMN begun_at INTEGER;
ALTER TABLE notification ADD COLUMN begun_again INTEGER;
