//! What is told: the transaction, before it is sealed.

use paynotify_plugin::money::{in_currency, not_negative};
use paynotify_plugin::record::{at_most, extra, extra_text, needed, needed_text, of_kind, unusable};
use paynotify_plugin::{Money, Notification, PaymentStatus, PluginError, time};
use serde::Serialize;
use serde_json::Value;

use crate::settings::WechatV3Settings;

/// The resource `transaction` as JSON text.
pub(crate) fn write(notification: &Notification, settings: &WechatV3Settings) -> Result<String, PluginError> {
    of_kind(notification, &["payment"])?;
    has_succeeded(notification)?;
    let channel = notification.channel.as_ref();
    let trade_type = channel.and_then(|channel| channel.trade_type.as_ref()).or(settings.trade_type.as_ref());
    let bank_type = channel.and_then(|channel| channel.bank_type.as_ref()).or(settings.bank_type.as_ref());
    let payer = notification.payer.as_ref().and_then(|payer| payer.openid.as_ref());
    let transaction = Transaction {
        mchid: &settings.mchid,
        appid: &settings.appid,
        out_trade_no: number("merchant-order-id", &notification.merchant_order_id)?,
        transaction_id: number("payment-id", &notification.payment_id)?,
        trade_type: bounded("channel.trade-type", trade_type, 16)?,
        trade_state: "SUCCESS",
        trade_state_desc: "支付成功",
        bank_type: bounded("channel.bank-type", bank_type, 32)?,
        attach: bounded("passthrough", notification.passthrough.as_ref(), 128)?,
        success_time: completed_at(notification)?,
        payer: bounded("payer.openid", payer, 128)?.map(|openid| Payer { openid }),
        amount: amount(notification, settings)?,
        scene_info: scene_info(notification)?,
        promotion_detail: promotion_detail(notification)?,
    };
    serde_json::to_string(&transaction).map_err(|error| PluginError::Other(error.to_string()))
}

/// When the payment succeeded, in Beijing: also the time of the notification, so that it is the same in all attempts.
pub(crate) fn completed_at(notification: &Notification) -> Result<String, PluginError> {
    let text = time::rfc3339_beijing(*needed("completed-at", &notification.completed_at)?);
    if text.len() == "2018-06-08T10:34:56+08:00".len() && !text.starts_with('-') {
        return Ok(text);
    }
    Err(unusable("completed-at", "its year has not four digits"))
}

/// The fields in the order of the vendor's example. Amounts are whole numbers of minor units.
#[derive(Serialize)]
struct Transaction<'a> {
    mchid: &'a str,
    appid: &'a str,
    out_trade_no: &'a str,
    transaction_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trade_type: Option<&'a str>,
    trade_state: &'a str,
    trade_state_desc: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bank_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attach: Option<&'a str>,
    success_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer: Option<Payer<'a>>,
    amount: Amount<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scene_info: Option<SceneInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    promotion_detail: Option<Value>,
}

#[derive(Serialize)]
struct Payer<'a> {
    openid: &'a str,
}

#[derive(Serialize)]
struct Amount<'a> {
    total: i64,
    payer_total: i64,
    currency: &'a str,
    payer_currency: &'a str,
}

#[derive(Serialize)]
struct SceneInfo {
    device_id: String,
}

/// The vendor's only event of a payment is `TRANSACTION.SUCCESS`: merchants ship goods on it, whatever `trade_state` says.
fn has_succeeded(notification: &Notification) -> Result<(), PluginError> {
    match needed("status", &notification.status)? {
        PaymentStatus::Succeeded | PaymentStatus::Finished => Ok(()),
        PaymentStatus::Failed | PaymentStatus::Pending | PaymentStatus::Closed => {
            Err(unusable("status", "this format can tell only of a payment that succeeded"))
        }
    }
}

/// A number that names something.
fn number<'a>(name: &str, field: &'a Option<String>) -> Result<&'a str, PluginError> {
    at_most(name, needed_text(name, field)?, 32)
}

fn bounded<'a>(
    name: &str,
    text: Option<&'a String>,
    characters: usize,
) -> Result<Option<&'a str>, PluginError> {
    let given = text.filter(|text| !text.is_empty());
    given.map(|text| at_most(name, text, characters)).transpose()
}

/// Without a discount the payer paid the order's amount.
fn amount<'a>(
    notification: &'a Notification,
    settings: &'a WechatV3Settings,
) -> Result<Amount<'a>, PluginError> {
    let minor = |name: &str, money: &Money| {
        in_currency(name, money, &settings.currency)
            .and_then(|money| not_negative(name, money))
            .map(|money| money.minor)
    };
    let total = minor("amount", needed("amount", &notification.amount)?)?;
    let payer_total =
        notification.payer_amount.as_ref().map(|money| minor("payer-amount", money)).transpose()?;
    let currency = &settings.currency;
    Ok(Amount { total, payer_total: payer_total.unwrap_or(total), currency, payer_currency: currency })
}

fn scene_info(notification: &Notification) -> Result<Option<SceneInfo>, PluginError> {
    let Some(device_id) = extra_text(notification, "device_id")? else { return Ok(None) };
    at_most("extra.device_id", &device_id, 32)?;
    Ok((!device_id.is_empty()).then_some(SceneInfo { device_id }))
}

/// The discounts, as the producer gives them in the vendor's own words.
fn promotion_detail(notification: &Notification) -> Result<Option<Value>, PluginError> {
    match extra(notification, "promotion_detail")? {
        None => Ok(None),
        Some(list @ Value::Array(_)) => Ok(Some(list)),
        Some(_) => Err(unusable("extra.promotion_detail", "not a JSON array")),
    }
}
