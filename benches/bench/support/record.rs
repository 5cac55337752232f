//! The notifications that all points hand in.

/// A payment result as the payment centre would write it, of 340 bytes or so. The id ends with `-NUMBER`, by which the sink
/// knows it again.
pub(crate) fn record(round: &str, number: usize, merchant: &str) -> String {
    format!(
        "{{\"schema\":\"payment-result/1\",\"notification_id\":\"{round}-{number}\",\"merchant_id\":\"{merchant}\",\
         \"kind\":\"payment\",\"status\":\"succeeded\",\"payment_id\":\"p-{number}\",\"merchant_order_id\":\"o-{number}\",\
         \"amount\":{{\"minor\":1000,\"currency\":\"CNY\"}},\"created_at\":\"2026-11-22T08:00:00Z\",\
         \"subject\":\"Two tickets for a concert\"}}"
    )
}

/// The id in such a record.
pub(crate) fn id_of(record: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(record).ok()?;
    text.split_once("\"notification_id\":\"")?.1.split('"').next()
}
