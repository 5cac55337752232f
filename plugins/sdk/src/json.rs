//! JSON objects with their members in order, and the record as one: for formats that leave it to the sender what they carry.
//!
//! In the record's object fields have the record's own names, and what is absent there is absent here. Amounts are integers in
//! minor units with the number of decimals beside them. The producer's own values are passed on to the byte. Left out is what
//! concerns the gateway alone: which merchant and endpoint, and a ready URL of a legacy source.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::encode::json;
use crate::event::word;
use crate::record::{moment, unusable};
use crate::{Channel, Failure, Money, Notification, Payer, PluginError};

/// The record as JSON text.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] that names a moment whose year has not four digits, or a value of the producer's that is
/// not JSON.
pub fn record(notification: &Notification) -> Result<String, PluginError> {
    let Notification { amount, payer_amount, net_amount, settle_amount, refunded_amount, fee, .. } =
        notification;
    let at = |name, at: Option<i64>| at.map(|at| moment(name, at)).transpose();
    let object = Object::new()
        .with("kind", Some(&notification.kind))?
        .with("status", notification.status.map(word))?
        .with("payment_id", notification.payment_id.as_ref())?
        .with("original_payment_id", notification.original_payment_id.as_ref())?
        .with("merchant_order_id", notification.merchant_order_id.as_ref())?
        .with_object("amount", amount.as_ref().map(money).transpose()?)
        .with_object("payer_amount", payer_amount.as_ref().map(money).transpose()?)
        .with_object("net_amount", net_amount.as_ref().map(money).transpose()?)
        .with_object("settle_amount", settle_amount.as_ref().map(money).transpose()?)
        .with_object("refunded_amount", refunded_amount.as_ref().map(money).transpose()?)
        .with_object("fee", fee.as_ref().map(money).transpose()?)
        .with("created_at", at("created-at", notification.created_at)?)?
        .with("completed_at", at("completed-at", notification.completed_at)?)?
        .with("closed_at", at("closed-at", notification.closed_at)?)?
        .with("subject", notification.subject.as_ref())?
        .with("description", notification.description.as_ref())?
        .with_object("payer", notification.payer.as_ref().map(payer).transpose()?)
        .with_object("channel", notification.channel.as_ref().map(channel).transpose()?)
        .with_object("error", notification.failure.as_ref().map(failure).transpose()?)
        .with("passthrough", notification.passthrough.as_ref())?
        .with("livemode", Some(notification.livemode))?
        .with_object("extra", extra(notification)?);
    Ok(object.finish())
}

/// A JSON object under construction: members in order, absent ones left out.
#[derive(Clone, Debug, Default)]
pub struct Object(String);

impl Object {
    /// No members yet.
    #[must_use]
    pub fn new() -> Self {
        Self(String::new())
    }

    /// Adds a member, if there is a value.
    ///
    /// # Errors
    ///
    /// As [`json`].
    pub fn with(mut self, name: &str, value: Option<impl Serialize>) -> Result<Self, PluginError> {
        if let Some(value) = value {
            let (name, value) = (json(&name)?, json(&value)?);
            self.push(&name, &value);
        }
        Ok(self)
    }

    /// Adds a member that is JSON already, unless it is absent. The name is the plugin's own, and needs no escaping.
    #[must_use]
    pub fn with_object(mut self, name: &str, object: Option<String>) -> Self {
        if let Some(object) = object {
            self.push(&format!("\"{name}\""), &object);
        }
        self
    }

    /// The object as JSON text.
    #[must_use]
    pub fn finish(self) -> String {
        format!("{{{}}}", self.0)
    }

    fn push(&mut self, name: &str, value: &str) {
        let separator = if self.0.is_empty() { "" } else { "," };
        self.0.push_str(&format!("{separator}{name}:{value}"));
    }
}

fn money(money: &Money) -> Result<String, PluginError> {
    let Money { minor, currency, exponent } = money;
    let object = Object::new()
        .with("minor", Some(minor))?
        .with("currency", Some(currency))?
        .with("exponent", Some(exponent))?;
    Ok(object.finish())
}

fn payer(payer: &Payer) -> Result<String, PluginError> {
    let object = Object::new()
        .with("id", payer.id.as_ref())?
        .with("openid", payer.openid.as_ref())?
        .with("logon_masked", payer.logon_masked.as_ref())?
        .with("name_masked", payer.name_masked.as_ref())?;
    Ok(object.finish())
}

fn channel(channel: &Channel) -> Result<String, PluginError> {
    let object = Object::new()
        .with("code", Some(&channel.code))?
        .with("trade_type", channel.trade_type.as_ref())?
        .with("bank_type", channel.bank_type.as_ref())?
        .with("funding", channel.funding.as_ref())?
        .with("channel_txn_id", channel.channel_transaction_id.as_ref())?;
    Ok(object.finish())
}

fn failure(failure: &Failure) -> Result<String, PluginError> {
    let object =
        Object::new().with("code", Some(&failure.code))?.with("message", failure.message.as_ref())?;
    Ok(object.finish())
}

/// The producer's own values, or nothing if there are none.
fn extra(notification: &Notification) -> Result<Option<String>, PluginError> {
    let mut object = Object::new();
    for (name, value) in notification.extra.iter().filter(|(name, _)| name != "legacy_url") {
        let value: &RawValue = serde_json::from_str(value)
            .map_err(|error| unusable(&format!("extra.{name}"), &format!("not JSON: {error}")))?;
        object = object.with(name, Some(value))?;
    }
    let json = object.finish();
    Ok((json != "{}").then_some(json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn members_are_in_order_and_absent_ones_left_out() {
        let object =
            Object::new().with("b\"", Some("支\n")).expect("JSON").with("none", None::<u8>).expect("JSON");
        let object = object.with_object("a", Some("[1.50 ]".to_owned())).with_object("none", None);
        assert_eq!(object.finish(), r#"{"b\"":"支\n","a":[1.50 ]}"#);
        assert_eq!(Object::new().finish(), "{}");
    }

    #[test]
    fn the_record_leaves_out_what_is_the_gateways() {
        let record = |extra: &[(&str, &str)]| {
            let extra = extra.iter().map(|(name, json)| ((*name).to_owned(), (*json).to_owned())).collect();
            super::record(&Notification { extra, ..testing::notification() })
        };
        let told = r#"{"kind":"payment","status":"succeeded","payment_id":"pay-1","merchant_order_id":"order-1","amount":{"minor":1,"currency":"CNY","exponent":2},"livemode":true"#;
        assert_eq!(record(&[("legacy_url", "\"http://shop.test/\"")]), Ok(format!("{told}}}")));
        assert_eq!(record(&[("x", " 1.50")]), Ok(format!("{told},\"extra\":{{\"x\":1.50}}}}")));
        assert!(
            matches!(record(&[("x", "{")]), Err(PluginError::UnusableRecord(text)) if text.starts_with("extra.x: "))
        );
    }
}
