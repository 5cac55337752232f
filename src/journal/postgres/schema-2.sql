-- What searches walk along, the newest first. An index of what is not confirmed stays small, and nothing is written
-- to it by a confirmation.
CREATE INDEX notification_by_time ON notification (first_seen, number);
CREATE INDEX notification_by_merchant ON notification (merchant_id, first_seen, number);
CREATE INDEX notification_undelivered ON notification (coalesce(outcome, phase), first_seen, number)
    WHERE outcome IS DISTINCT FROM 'confirmed';
CREATE INDEX notification_undelivered_by_merchant
    ON notification (merchant_id, coalesce(outcome, phase), first_seen, number)
    WHERE outcome IS DISTINCT FROM 'confirmed';
