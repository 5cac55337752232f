//! What an event is about: a PaymentIntent (docs.stripe.com/api/payment_intents/object) or a Refund
//! (docs.stripe.com/api/refunds/object), with those fields that a record can fill.
//!
//! Ids are the payment centre's own, without Stripe's `pi_` and `re_`: merchants look payments up by them. Amounts are
//! integers as Stripe counts them, which is as ISO 4217 does but for three currencies, see [`decimals`].

use std::collections::BTreeMap;

use paynotify_plugin::money::{in_decimals, not_negative};
use paynotify_plugin::record::{needed, needed_text, of_kind};
use paynotify_plugin::{Failure, Money, Notification, PaymentStatus, PluginError, time};
use serde::Serialize;

use crate::settings::Settings;

/// What Stripe's events can tell of here.
pub(crate) const KINDS: [&str; 2] = ["payment", "refund"];

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Object<'a> {
    Payment(PaymentIntent<'a>),
    Refund(Refund<'a>),
}

#[derive(Serialize)]
pub(crate) struct PaymentIntent<'a> {
    id: &'a str,
    object: &'static str,
    amount: i64,
    amount_received: i64,
    canceled_at: Option<i64>,
    created: i64,
    currency: String,
    description: Option<&'a str>,
    last_payment_error: Option<PaymentError<'a>>,
    livemode: bool,
    metadata: BTreeMap<&'a str, &'a str>,
    payment_method_types: Vec<&'a str>,
    status: &'static str,
}

#[derive(Serialize)]
struct PaymentError<'a> {
    code: &'a str,
    message: Option<&'a str>,
    /// Stripe's word for whatever is not known to be the card's or the request's fault.
    #[serde(rename = "type")]
    error_type: &'static str,
}

#[derive(Serialize)]
pub(crate) struct Refund<'a> {
    id: &'a str,
    object: &'static str,
    amount: i64,
    created: i64,
    currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'a str>,
    metadata: BTreeMap<&'a str, &'a str>,
    payment_intent: Option<&'a str>,
    reason: Option<&'static str>,
    status: &'static str,
}

/// The event's type and object.
pub(crate) fn of<'a>(
    notification: &'a Notification,
    happened: i64,
    settings: &'a Settings,
) -> Result<(&'static str, Object<'a>), PluginError> {
    of_kind(notification, &KINDS)?;
    let status = *needed("status", &notification.status)?;
    let id = needed_text("payment-id", &notification.payment_id)?;
    let money = needed("amount", &notification.amount)?;
    let amount = in_decimals("amount", not_negative("amount", money)?, decimals(money))?;
    let currency = money.currency.to_ascii_lowercase();
    let created = notification.created_at.map_or(happened, time::unix_seconds);
    let metadata = metadata(notification, settings)?;
    if notification.kind == "refund" {
        let (event_type, status) = refund_words(status);
        let refund = Refund {
            id,
            object: "refund",
            amount,
            created,
            currency,
            failure_reason: notification.failure.as_ref().map(|failure| failure.code.as_str()),
            metadata,
            payment_intent: notification.original_payment_id.as_deref(),
            reason: None,
            status,
        };
        return Ok((event_type, Object::Refund(refund)));
    }
    let is_paid = matches!(status, PaymentStatus::Succeeded | PaymentStatus::Finished);
    let (event_type, word) = payment_words(status);
    let payment = PaymentIntent {
        id,
        object: "payment_intent",
        amount,
        amount_received: if is_paid { amount } else { 0 },
        canceled_at: (status == PaymentStatus::Closed).then_some(happened),
        created,
        currency,
        description: notification.description.as_deref().or(notification.subject.as_deref()),
        last_payment_error: notification.failure.as_ref().map(PaymentError::of),
        livemode: notification.livemode,
        metadata,
        payment_method_types: notification.channel.iter().map(|channel| channel.code.as_str()).collect(),
        status: word,
    };
    Ok((event_type, Object::Payment(payment)))
}

impl<'a> PaymentError<'a> {
    fn of(failure: &'a Failure) -> Self {
        Self { code: &failure.code, message: failure.message.as_deref(), error_type: "api_error" }
    }
}

/// The event's type and the PaymentIntent's status. One that has failed waits for another means of payment.
fn payment_words(status: PaymentStatus) -> (&'static str, &'static str) {
    match status {
        PaymentStatus::Succeeded | PaymentStatus::Finished => ("payment_intent.succeeded", "succeeded"),
        PaymentStatus::Failed => ("payment_intent.payment_failed", "requires_payment_method"),
        PaymentStatus::Pending => ("payment_intent.processing", "processing"),
        PaymentStatus::Closed => ("payment_intent.canceled", "canceled"),
    }
}

/// The event's type and the Refund's status. That a refund has succeeded is told as its update.
fn refund_words(status: PaymentStatus) -> (&'static str, &'static str) {
    match status {
        PaymentStatus::Succeeded | PaymentStatus::Finished => ("refund.updated", "succeeded"),
        PaymentStatus::Failed => ("refund.failed", "failed"),
        PaymentStatus::Pending => ("refund.created", "pending"),
        PaymentStatus::Closed => ("refund.updated", "canceled"),
    }
}

/// The merchant's number of the order, and the merchant's own text.
fn metadata<'a>(
    notification: &'a Notification,
    settings: &'a Settings,
) -> Result<BTreeMap<&'a str, &'a str>, PluginError> {
    let order = needed_text("merchant-order-id", &notification.merchant_order_id)?;
    let passthrough = notification.passthrough.as_deref();
    let passthrough = passthrough.map(|text| (settings.passthrough_key.as_str(), text));
    Ok([(settings.order_id_key.as_str(), order)].into_iter().chain(passthrough).collect())
}

/// The decimals with which Stripe counts a currency (docs.stripe.com/currencies: "Zero-decimal currencies", "Special
/// cases"). Of the currencies that Stripe takes it differs from ISO 4217 in three: amounts in ISK and UGX keep two
/// decimals, which are always 00 (5 UGX are 500), and amounts in MGA have none.
fn decimals(money: &Money) -> u8 {
    match money.currency.as_str() {
        "ISK" | "UGX" => 2,
        "MGA" => 0,
        _ => money.exponent,
    }
}
