//! The request: a POST with a form, as Alipay's servers send it.
//!
//! Signed are all fields but `sign` and `sign_type`, sorted, as plain text; the signature is Base64. `notify_id` is the same
//! at every attempt, `notify_time` is the attempt's, and so each attempt is signed anew. No field is ever sent empty:
//! the official libraries disagree with each other on whether an empty one is signed.
//!
//! One thing no sender can mend: the oldest check of the official Node library decodes values a second time, and fails on
//! a `%` in a subject or in the merchant's own text.

use paynotify_plugin::form::{Fields, without_query};
use paynotify_plugin::percent::Style;
use paynotify_plugin::record::{at_most, extra_json, needed, needed_text, of_kind, unusable};
use paynotify_plugin::{
    Algorithm, Call, HttpRequest, Money, Notification, PaymentStatus, PluginError, canonical, encode, money,
    request, time,
};

use crate::{SIGNING, Settings};

/// Fields of Alipay's that the record has no place for. The producer may send them as extra values of the same names: a
/// text goes out as it is, anything else as its JSON text, which is how Alipay sends lists within a form.
const FROM_EXTRA: [&str; 7] = [
    "buyer_open_id",
    "fund_bill_list",
    "gmt_refund",
    "invoice_amount",
    "out_biz_no",
    "point_amount",
    "voucher_detail_list",
];

/// Alipay signs and reads text in UTF-8 when the form says so, and its own header says so too.
const FORM_IN_UTF8: &str = "application/x-www-form-urlencoded; charset=UTF-8";

/// Writes and signs the request of one attempt.
pub(crate) fn write(call: &Call<'_, Settings>) -> Result<HttpRequest, PluginError> {
    let url = without_query(&call.endpoint.url)?;
    let fields = fields(call.notification, &call.settings, call.attempt.now)?;
    let signed = canonical::sorted(fields.iter(), &["sign_type"]);
    let signature = call.keys.newest(SIGNING)?.sign(Algorithm::RsaPkcs1v15Sha256, signed)?;
    let fields = fields.with("sign", &encode::base64(&signature));
    Ok(request::post(url, FORM_IN_UTF8, fields.encoded(Style::Form)))
}

/// Everything but the signature.
fn fields(notification: &Notification, settings: &Settings, now: i64) -> Result<Fields, PluginError> {
    of_kind(notification, &["payment"])?;
    let number = |name, field| at_most(name, needed_text(name, field)?, 64);
    let status = *needed("status", &notification.status)?;
    let payer = notification.payer.as_ref();
    let mut fields = Fields::new()
        .with("notify_time", &time::beijing(now))
        .with("notify_type", "trade_status_sync")
        .with("notify_id", &notification.id)
        .with("app_id", &settings.app_id)
        .with("auth_app_id", settings.auth_app_id.as_deref().unwrap_or(&settings.app_id))
        .with("charset", "utf-8")
        .with("version", "1.0")
        .with("sign_type", "RSA2")
        .with("trade_no", number("payment-id", &notification.payment_id)?)
        .with("out_trade_no", number("merchant-order-id", &notification.merchant_order_id)?)
        .with("trade_status", trade_status(status)?)
        .with_some("total_amount", yuan("amount", &notification.amount)?)
        .with_some("receipt_amount", yuan("net-amount", &notification.net_amount)?)
        .with_some("buyer_pay_amount", yuan("payer-amount", &notification.payer_amount)?)
        .with_some("refund_fee", yuan("refunded-amount", &notification.refunded_amount)?)
        .with_some("buyer_id", payer.and_then(|payer| payer.id.as_ref()))
        .with_some("buyer_logon_id", payer.and_then(|payer| payer.logon_masked.as_ref()))
        .with_some("seller_id", settings.seller_id.as_ref())
        .with_some("seller_email", settings.seller_email.as_ref())
        .with_some("subject", notification.subject.as_ref())
        .with_some("body", notification.description.as_ref())
        .with_some("passback_params", notification.passthrough.as_ref());
    for (name, moment) in moments(notification, status) {
        fields = fields.with_some(name, moment.map(time::beijing));
    }
    for name in FROM_EXTRA {
        fields = fields.with_some(name, from_extra(notification, name)?);
    }
    Ok(fields)
}

/// A failed payment is not something that Alipay ever tells: its trade stays open, or is closed.
fn trade_status(status: PaymentStatus) -> Result<&'static str, PluginError> {
    match status {
        PaymentStatus::Succeeded => Ok("TRADE_SUCCESS"),
        PaymentStatus::Finished => Ok("TRADE_FINISHED"),
        PaymentStatus::Closed => Ok("TRADE_CLOSED"),
        PaymentStatus::Pending => Ok("WAIT_BUYER_PAY"),
        PaymentStatus::Failed => Err(unusable("status", "failed, for which Alipay's format has no word")),
    }
}

/// When the order was made, and when it was paid or closed.
fn moments(notification: &Notification, status: PaymentStatus) -> [(&'static str, Option<i64>); 3] {
    let (paid, closed) = match status {
        PaymentStatus::Succeeded | PaymentStatus::Finished => {
            (notification.completed_at, notification.closed_at)
        }
        PaymentStatus::Closed => (None, notification.closed_at.or(notification.completed_at)),
        PaymentStatus::Pending | PaymentStatus::Failed => (None, None),
    };
    [("gmt_create", notification.created_at), ("gmt_payment", paid), ("gmt_close", closed)]
}

/// An amount as Alipay writes it: yuan with two decimals, and no word on the currency.
fn yuan(name: &str, amount: &Option<Money>) -> Result<Option<String>, PluginError> {
    let Some(amount) = amount else { return Ok(None) };
    money::in_currency(name, amount, "CNY").and_then(|amount| money::not_negative(name, amount))?;
    Ok(Some(money::decimal(amount)))
}

fn from_extra(notification: &Notification, name: &str) -> Result<Option<String>, PluginError> {
    match extra_json(notification, name) {
        None | Some("null") => Ok(None),
        Some(text) if text.starts_with('"') => serde_json::from_str(text)
            .map(Some)
            .map_err(|error| unusable(&format!("extra.{name}"), &format!("not JSON: {error}"))),
        Some(json) => Ok(Some(json.to_owned())),
    }
}
