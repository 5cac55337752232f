//! The request: a POST with an empty body, everything in the query.
//!
//! The names and their order are the original program's, and so are the encodings: form style, Beijing time, an amount
//! as decimal text. A URL that a legacy source hands over ready-made is posted to as it is.

use paynotify_plugin::form::with_query;
use paynotify_plugin::percent::{Style, encoded};
use paynotify_plugin::record::{extra_text, needed, of_kind};
use paynotify_plugin::{
    Attempt, Endpoint, HttpRequest, Notification, PaymentStatus, PluginError, money, request, time,
};

/// Writes the request of one attempt, or names the field of the record that it cannot do without.
pub(crate) fn write(
    notification: &Notification,
    endpoint: &Endpoint,
    attempt: &Attempt,
) -> Result<HttpRequest, PluginError> {
    let url = match legacy_url(notification)? {
        Some(url) => url,
        None => with_query(&endpoint.url, &query(notification, attempt)?),
    };
    // There is no body to describe. But some web frameworks refuse to read any field of a POST that does not claim to be
    // a form, and none minds that the form is empty.
    Ok(request::post(url, request::FORM, ""))
}

/// The ready-made URL of a record that came from a legacy source.
fn legacy_url(notification: &Notification) -> Result<Option<String>, PluginError> {
    extra_text(notification, "legacy_url")
}

fn query(notification: &Notification, attempt: &Attempt) -> Result<String, PluginError> {
    of_kind(notification, &["payment"])?;
    let (is_success, trade_status) = outcome(*needed("status", &notification.status)?);
    let fields = [
        ("is_success", is_success),
        ("notify_id", &notification.id),
        ("notify_time", &time::beijing(attempt.now)),
        ("notify_type", "trade_status_sync"),
        ("out_trade_no", needed("merchant-order-id", &notification.merchant_order_id)?),
        ("total_fee", &money::decimal(needed("amount", &notification.amount)?)),
        ("trade_no", needed("payment-id", &notification.payment_id)?),
        ("trade_status", trade_status),
    ];
    // All eight are always there, the original program's way, even one that is empty.
    Ok(fields.map(|(name, value)| format!("{name}={}", encoded(value, Style::Form))).join("&"))
}

/// `is_success` and `trade_status`. The format has no word for a payment that failed. `TRADE_CLOSED` is the nearest,
/// for no money moved and none will, and `is_success=F` sets it apart from an order that was merely closed: whichever
/// of the two a merchant looks at, it does not ship goods.
fn outcome(status: PaymentStatus) -> (&'static str, &'static str) {
    match status {
        PaymentStatus::Succeeded => ("T", "TRADE_SUCCESS"),
        PaymentStatus::Finished => ("T", "TRADE_FINISHED"),
        PaymentStatus::Closed => ("T", "TRADE_CLOSED"),
        PaymentStatus::Pending => ("T", "WAIT_BUYER_PAY"),
        PaymentStatus::Failed => ("F", "TRADE_CLOSED"),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
