//! Adyen's words for what has happened, and Adyen's way of counting money.

use paynotify_plugin::record::{needed, unusable};
use paynotify_plugin::{Money, Notification, PaymentStatus, PluginError};

use crate::settings::Settings;

/// The item's `eventCode`: the merchant's file's, or Adyen's for payments, refunds and captures.
pub(crate) fn event_code<'a>(
    notification: &Notification,
    settings: &'a Settings,
) -> Result<&'a str, PluginError> {
    if let Some(code) = settings.event_types.of(notification) {
        return Ok(code);
    }
    let kind = notification.kind.as_str();
    if !["payment", "refund", "capture"].contains(&kind) {
        return Err(unusable("kind", "has no event code of its own; the setting event_types can name one"));
    }
    let status = *needed("status", &notification.status)?;
    own_event_code(kind, status).ok_or_else(|| {
        unusable("status", &format!("no event code for a {kind} in it; the setting event_types can name one"))
    })
}

/// docs.adyen.com/development-resources/webhooks/webhook-types. What has failed keeps the code and is no success.
fn own_event_code(kind: &str, status: PaymentStatus) -> Option<&'static str> {
    match (kind, status) {
        ("payment", PaymentStatus::Pending) => Some("PENDING"),
        ("payment", PaymentStatus::Closed) => Some("OFFER_CLOSED"),
        ("payment", _) => Some("AUTHORISATION"),
        (_, PaymentStatus::Pending | PaymentStatus::Closed) => None,
        ("refund", _) => Some("REFUND"),
        ("capture", _) => Some("CAPTURE"),
        _ => None,
    }
}

/// The item's `success`: whether what the code says has happened. With a code that itself says that something has failed
/// (`CAPTURE_FAILED`, `REFUND_FAILED`) it has.
pub(crate) fn success(notification: &Notification, event_code: &str) -> &'static str {
    let failed = notification.status == Some(PaymentStatus::Failed);
    if failed && !event_code.ends_with("_FAILED") { "false" } else { "true" }
}

/// The decimals with which Adyen counts a currency (docs.adyen.com/development-resources/currency-codes). In four it
/// differs from ISO 4217.
pub(crate) fn decimals(money: &Money) -> u8 {
    match money.currency.as_str() {
        "CLP" | "ISK" => 2,
        "CVE" | "IDR" => 0,
        _ => money.exponent,
    }
}
