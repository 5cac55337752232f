//! The notification item, and the HMAC in it (docs.adyen.com/development-resources/webhooks/verify-hmac-signatures).
//!
//! Signed are eight fields, joined by colons, an absent one as nothing. A colon within a field is not escaped: that is how
//! the format is, as Adyen's own examples show. References are the payment centre's and the merchant's own texts.

use std::collections::BTreeMap;

use paynotify_plugin::money::{in_decimals, not_negative};
use paynotify_plugin::record::{needed, needed_text};
use paynotify_plugin::sign::Keys;
use paynotify_plugin::{Algorithm, Attempt, Notification, PluginError, encode, event, time};
use serde::Serialize;

use crate::settings::Settings;
use crate::words;

/// The role of the key that signs.
pub(crate) const ROLE: &str = "signing";

/// Where the signature stands in `additionalData`.
pub(crate) const SIGNATURE: &str = "hmacSignature";

#[derive(Serialize)]
pub(crate) struct Body<'a> {
    live: &'static str,
    #[serde(rename = "notificationItems")]
    items: [Wrapped<'a>; 1],
}

#[derive(Serialize)]
struct Wrapped<'a> {
    #[serde(rename = "NotificationRequestItem")]
    item: Item<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    additional_data: BTreeMap<&'a str, String>,
    amount: Amount<'a>,
    event_code: &'a str,
    event_date: String,
    merchant_account_code: &'a str,
    merchant_reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method: Option<&'a str>,
    psp_reference: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    success: &'static str,
}

#[derive(Serialize)]
struct Amount<'a> {
    currency: &'a str,
    value: i64,
}

/// The body of a request, signed.
pub(crate) fn write<'a>(
    notification: &'a Notification,
    attempt: &Attempt,
    settings: &'a Settings,
    keys: &Keys<'_>,
) -> Result<Body<'a>, PluginError> {
    let mut item = unsigned(notification, attempt, settings)?;
    let signature = keys.newest(ROLE)?.sign(Algorithm::HmacSha256, signed_text(&item))?;
    item.additional_data.insert(SIGNATURE, encode::base64(&signature));
    let live = if notification.livemode { "true" } else { "false" };
    Ok(Body { live, items: [Wrapped { item }] })
}

fn unsigned<'a>(
    notification: &'a Notification,
    attempt: &Attempt,
    settings: &'a Settings,
) -> Result<Item<'a>, PluginError> {
    let event_code = words::event_code(notification, settings)?;
    let money = needed("amount", &notification.amount)?;
    let value = in_decimals("amount", not_negative("amount", money)?, words::decimals(money))?;
    // A receiver finds what was refunded or captured by it.
    let original = &notification.original_payment_id;
    if ["refund", "capture"].contains(&notification.kind.as_str()) {
        needed_text("original-payment-id", original)?;
    }
    let failure = notification.failure.as_ref();
    let passthrough = notification.passthrough.as_ref();
    Ok(Item {
        additional_data: passthrough
            .map(|text| (settings.passthrough_key.as_str(), text.clone()))
            .into_iter()
            .collect(),
        amount: Amount { currency: &money.currency, value },
        event_code,
        event_date: event_date(event::happened_at(notification, attempt)),
        merchant_account_code: &settings.merchant_account,
        merchant_reference: needed_text("merchant-order-id", &notification.merchant_order_id)?,
        original_reference: original.as_deref(),
        payment_method: notification.channel.as_ref().map(|channel| channel.code.as_str()),
        psp_reference: needed_text("payment-id", &notification.payment_id)?,
        reason: failure.map(|failure| failure.message.as_ref().unwrap_or(&failure.code).as_str()),
        success: words::success(notification, event_code),
    })
}

fn signed_text(item: &Item<'_>) -> String {
    let value = item.amount.value.to_string();
    [
        item.psp_reference,
        item.original_reference.unwrap_or_default(),
        item.merchant_account_code,
        item.merchant_reference,
        &value,
        item.amount.currency,
        item.event_code,
        item.success,
    ]
    .join(":")
}

/// ISO 8601 to the second, with the offset in figures, as Adyen writes it.
fn event_date(moment: i64) -> String {
    let utc = time::rfc3339(moment);
    format!("{}+00:00", utc.strip_suffix('Z').unwrap_or(&utc))
}
