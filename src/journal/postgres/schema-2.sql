-- What searches walk along, the newest first. The last one is of what is not confirmed alone, so that it stays small, and
-- nothing is written to it by a confirmation. It has the merchant, so that a walk along it need not look at other
-- merchants' rows.
CREATE INDEX notification_by_time ON notification (first_seen, number);
CREATE INDEX notification_by_merchant ON notification (merchant_id, first_seen, number);
CREATE INDEX notification_undelivered ON notification (coalesce(outcome, phase), first_seen, number, merchant_id)
    WHERE outcome IS DISTINCT FROM 'confirmed';
