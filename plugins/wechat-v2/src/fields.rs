//! The elements that a record becomes, before they are signed.
//!
//! The signature is over the texts as the merchant's code reads them. Readers drop blanks at both ends (xmltodict does),
//! and turn a carriage return into a line feed (XML 1.0, section 2.11); so every value is one that no reader changes. Where
//! that would alter what a value says, the record is refused by the field's name: nothing is cut, and no character dropped.

use paynotify_plugin::form::Fields;
use paynotify_plugin::money::{in_currency, not_negative};
use paynotify_plugin::record::{at_most, extra, needed, needed_text, of_kind, unusable};
use paynotify_plugin::{Money, Notification, PaymentStatus, PluginError, time, xml};
use serde_json::Value;

use crate::settings::WechatV2Settings;

/// All elements but `sign`.
pub(crate) fn of(
    notification: &Notification,
    settings: &WechatV2Settings,
    nonce: &str,
) -> Result<Fields, PluginError> {
    of_kind(notification, &["payment"])?;
    let result = Outcome::of(notification)?;
    let fields = Fields::new()
        .with("return_code", "SUCCESS")
        .with("appid", &settings.appid)
        .with("mch_id", &settings.mch_id)
        .with("nonce_str", nonce)
        .with_some("sign_type", settings.sign_type_element());
    let fields = match result {
        Outcome::Paid => paid(fields.with("result_code", "SUCCESS"), notification)?,
        Outcome::Failed => failed(fields.with("result_code", "FAIL"), notification)?,
    };
    let fields = payment(fields, notification, settings)?;
    with_extra(fields, notification)
}

/// The two results that the format can tell of.
#[derive(Clone, Copy)]
enum Outcome {
    Paid,
    Failed,
}

impl Outcome {
    /// The vendor sends nothing for a payment that is pending or closed, and merchants' code has no branch for it.
    fn of(notification: &Notification) -> Result<Self, PluginError> {
        match needed("status", &notification.status)? {
            PaymentStatus::Succeeded | PaymentStatus::Finished => Ok(Self::Paid),
            PaymentStatus::Failed => Ok(Self::Failed),
            PaymentStatus::Pending | PaymentStatus::Closed => {
                Err(unusable("status", "this format can tell only of a payment that succeeded or failed"))
            }
        }
    }
}

/// What a payment that succeeded cannot be without.
fn paid(fields: Fields, notification: &Notification) -> Result<Fields, PluginError> {
    needed_text("payment-id", &notification.payment_id)?;
    needed("completed-at", &notification.completed_at)?;
    Ok(fields)
}

fn failed(fields: Fields, notification: &Notification) -> Result<Fields, PluginError> {
    let Some(failure) = &notification.failure else { return Ok(fields) };
    let message = failure.message.as_deref().map(|text| trimmed("failure.message", text, 128)).transpose()?;
    Ok(fields.with("err_code", exact("failure.code", &failure.code, 32)?).with_some("err_code_des", message))
}

/// What is told of the payment, whatever became of it.
fn payment(
    fields: Fields,
    notification: &Notification,
    settings: &WechatV2Settings,
) -> Result<Fields, PluginError> {
    let channel = notification.channel.as_ref();
    let trade_type = channel.and_then(|channel| channel.trade_type.as_ref());
    let bank_type = channel.and_then(|channel| channel.bank_type.as_ref());
    let openid = notification.payer.as_ref().and_then(|payer| payer.openid.as_ref());
    let total = needed("amount", &notification.amount)?;
    // Without a discount the payer paid the order's amount.
    let cash = notification.payer_amount.as_ref();
    let total_fee = minor("amount", total, settings)?;
    let cash_fee = cash.map_or(Ok(total_fee.clone()), |cash| minor("payer-amount", cash, settings))?;
    let settled = notification.settle_amount.as_ref();
    let settled = settled.map(|settled| minor("settle-amount", settled, settings)).transpose()?;
    let order = needed_text("merchant-order-id", &notification.merchant_order_id)?;
    Ok(fields
        .with_some("openid", exact_if("payer.openid", openid, 128)?)
        .with_some(
            "trade_type",
            exact_if("channel.trade-type", trade_type.or(settings.trade_type.as_ref()), 16)?,
        )
        .with_some("bank_type", exact_if("channel.bank-type", bank_type.or(settings.bank_type.as_ref()), 32)?)
        .with("total_fee", &total_fee)
        .with_some("settlement_total_fee", settled)
        .with("fee_type", &total.currency)
        .with("cash_fee", &cash_fee)
        .with_some("cash_fee_type", Some(&total.currency).filter(|currency| *currency != "CNY"))
        .with_some("transaction_id", exact_if("payment-id", notification.payment_id.as_ref(), 32)?)
        .with("out_trade_no", exact("merchant-order-id", order, 32)?)
        .with_some("attach", attach(notification)?)
        .with_some("time_end", notification.completed_at.map(time_end).transpose()?))
}

/// The merchant's own text. Blanks at its ends are dropped, for some merchants' code reads it so and would reckon another
/// signature.
fn attach(notification: &Notification) -> Result<Option<&str>, PluginError> {
    notification.passthrough.as_deref().map(|text| trimmed("passthrough", text, 127)).transpose()
}

fn time_end(completed_at: i64) -> Result<String, PluginError> {
    let text = time::beijing_compact(completed_at);
    if text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text);
    }
    Err(unusable("completed-at", "its year has not four digits"))
}

/// An amount in minor units, as the format has all of them.
fn minor(name: &str, money: &Money, settings: &WechatV2Settings) -> Result<String, PluginError> {
    Ok(not_negative(name, in_currency(name, money, &settings.currency)?)?.minor.to_string())
}

/// The vendor's own elements that the record has no field for, out of its `extra`: texts or whole numbers.
fn with_extra(mut fields: Fields, notification: &Notification) -> Result<Fields, PluginError> {
    let is_element = |name: &str| {
        let is_word = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        name == "device_info" || name == "is_subscribe" || (name.starts_with("coupon_") && is_word)
    };
    for (name, _) in notification.extra.iter().filter(|(name, _)| is_element(name)) {
        let path = format!("extra.{name}");
        let text = match extra(notification, name)? {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) if number.is_u64() => number.to_string(),
            _ => return Err(unusable(&path, "neither a text nor a whole number")),
        };
        at_most(&path, name, 32)?;
        // Of two members of one name only the first would be read; an element stands once.
        if fields.get(name).is_none() {
            fields.push(name, exact(&path, &text, 128)?);
        }
    }
    Ok(fields)
}

/// The same text, if every reader will read it so, and it is short enough.
fn exact<'a>(name: &str, text: &'a str, characters: usize) -> Result<&'a str, PluginError> {
    if text.trim() != text {
        return Err(unusable(name, "has a blank at an end, which readers of XML drop"));
    }
    trimmed(name, text, characters)
}

fn exact_if<'a>(
    name: &str,
    text: Option<&'a String>,
    characters: usize,
) -> Result<Option<&'a str>, PluginError> {
    text.map(|text| exact(name, text, characters)).transpose()
}

/// The text without blanks at its ends, if XML can express the rest and it is short enough.
fn trimmed<'a>(name: &str, text: &'a str, characters: usize) -> Result<&'a str, PluginError> {
    let text = at_most(name, text.trim(), characters)?;
    if xml::expressible(text) == text {
        return Ok(text);
    }
    Err(unusable(name, "has a control character, which XML cannot express"))
}
