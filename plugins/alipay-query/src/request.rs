//! The question: a POST as Alipay's own libraries send it, what is common to all calls in the query, what is this call's
//! own in the body.
//!
//! Signed are all fields but `sign`, here with `sign_type`, sorted, as plain text. `timestamp` is the attempt's, and so each
//! attempt is signed anew.

use paynotify_plugin::form::{Fields, with_query, without_query};
use paynotify_plugin::percent::Style;
use paynotify_plugin::record::{at_most, needed_text, of_kind};
use paynotify_plugin::{
    Algorithm, Call, HttpRequest, Notification, PluginError, canonical, encode, request, time,
};

use crate::{OrderNumber, SIGNING, Settings};

const FORM_IN_UTF8: &str = "application/x-www-form-urlencoded;charset=utf-8";

/// Alipay's bound on both numbers of a trade, in characters.
const LONGEST_NUMBER: usize = 64;

/// Writes and signs the question of one attempt.
pub(crate) fn write(call: &Call<'_, Settings>) -> Result<HttpRequest, PluginError> {
    let url = without_query(&call.endpoint.url)?;
    of_kind(call.notification, &["payment"])?;
    let content = Fields::new().with("biz_content", &content(call.notification, &call.settings)?);
    let common = Fields::new()
        .with("app_id", &call.settings.app_id)
        .with("method", "alipay.trade.query")
        .with("format", "JSON")
        .with("charset", "utf-8")
        .with("sign_type", "RSA2")
        .with("timestamp", &time::beijing(call.attempt.now))
        .with("version", "1.0");
    let signed = canonical::sorted(common.iter().chain(content.iter()), &[]);
    let signature = call.keys.newest(SIGNING)?.sign(Algorithm::RsaPkcs1v15Sha256, signed)?;
    let query = common.with("sign", &encode::base64(&signature)).encoded(Style::Form);
    Ok(request::post(with_query(url, &query), FORM_IN_UTF8, content.encoded(Style::Form)))
}

/// The number by which Alipay knows the order as the payment centre's.
pub(crate) fn order_number<'a>(
    notification: &'a Notification,
    settings: &Settings,
) -> Result<&'a str, PluginError> {
    let (name, field) = match settings.order_number {
        OrderNumber::MerchantOrderId => ("merchant-order-id", &notification.merchant_order_id),
        OrderNumber::PaymentId => ("payment-id", &notification.payment_id),
    };
    at_most(name, needed_text(name, field)?, LONGEST_NUMBER)
}

/// Which trade: by our number, and by Alipay's own if it is known, which then takes precedence there.
fn content(notification: &Notification, settings: &Settings) -> Result<String, PluginError> {
    let mut content = serde_json::json!({"out_trade_no": order_number(notification, settings)?});
    let theirs = notification.channel.as_ref().and_then(|channel| channel.channel_transaction_id.as_deref());
    if let Some(number) = theirs.filter(|number| !number.is_empty()) {
        content["trade_no"] = at_most("channel.channel-transaction-id", number, LONGEST_NUMBER)?.into();
    }
    Ok(content.to_string())
}
