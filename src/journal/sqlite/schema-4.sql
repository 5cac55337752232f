-- What searches walk along, the newest first; SQLite adds the rowid at the end of each. The last one is of what is not
-- confirmed alone, so that it stays small: a row leaves it with its confirmation. It has the merchant, so that a walk
-- along it need not look at other merchants' rows.
CREATE INDEX notification_by_time ON notification (first_seen);
CREATE INDEX notification_by_merchant ON notification (merchant_id, first_seen);
CREATE INDEX notification_undelivered ON notification (coalesce(outcome, phase), first_seen, merchant_id)
    WHERE outcome IS NOT 'confirmed';
