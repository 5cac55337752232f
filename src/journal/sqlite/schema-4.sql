-- What searches walk along, the newest first. SQLite adds the rowid at the end of each. An index of what is not confirmed
-- stays small, and a row leaves it with its confirmation.
CREATE INDEX notification_by_time ON notification (first_seen);
CREATE INDEX notification_by_merchant ON notification (merchant_id, first_seen);
CREATE INDEX notification_undelivered ON notification (coalesce(outcome, phase), first_seen)
    WHERE outcome IS NOT 'confirmed';
CREATE INDEX notification_undelivered_by_merchant ON notification (merchant_id, coalesce(outcome, phase), first_seen)
    WHERE outcome IS NOT 'confirmed';
