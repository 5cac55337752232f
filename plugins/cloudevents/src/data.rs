//! The event's data: the record as JSON, in its own words.
//!
//! Fields have the names that they have in the record, and what is absent there is absent here. Amounts are integers in minor
//! units with the number of decimals beside them. The producer's own values are passed on to the byte. Left out is what
//! concerns the gateway alone: which merchant and endpoint, and a ready URL of a legacy source.

use paynotify_plugin::record::unusable;
use paynotify_plugin::{Channel, Failure, Money, Notification, Payer, PluginError};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::event::{moment, word};

/// The data as JSON text.
pub(crate) fn write(notification: &Notification) -> Result<String, PluginError> {
    let Notification { amount, payer_amount, net_amount, settle_amount, refunded_amount, fee, .. } =
        notification;
    let at = |name, at: Option<i64>| at.map(|at| moment(name, at)).transpose();
    Object::new()
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
        .with_object("extra", extra(notification)?)
        .finish()
}

/// A JSON object under construction: members in order, absent ones left out.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self(String::new())
    }

    /// Adds a member, if there is a value.
    pub(crate) fn with(mut self, name: &str, value: Option<impl Serialize>) -> Result<Self, PluginError> {
        if let Some(value) = value {
            let (name, value) = (json(name)?, json(&value)?);
            self.push(&name, &value);
        }
        Ok(self)
    }

    /// Adds a member that is JSON already, unless it is absent. `name` needs no escaping.
    pub(crate) fn with_object(mut self, name: &str, object: Option<String>) -> Self {
        if let Some(object) = object {
            self.push(&format!("\"{name}\""), &object);
        }
        self
    }

    /// The object as JSON text.
    pub(crate) fn finish(self) -> Result<String, PluginError> {
        Ok(format!("{{{}}}", self.0))
    }

    fn push(&mut self, name: &str, value: &str) {
        let separator = if self.0.is_empty() { "" } else { "," };
        self.0.push_str(&format!("{separator}{name}:{value}"));
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<String, PluginError> {
    serde_json::to_string(value).map_err(|error| PluginError::Other(error.to_string()))
}

fn money(money: &Money) -> Result<String, PluginError> {
    let Money { minor, currency, exponent } = money;
    Object::new()
        .with("minor", Some(minor))?
        .with("currency", Some(currency))?
        .with("exponent", Some(exponent))?
        .finish()
}

fn payer(payer: &Payer) -> Result<String, PluginError> {
    Object::new()
        .with("id", payer.id.as_ref())?
        .with("openid", payer.openid.as_ref())?
        .with("logon_masked", payer.logon_masked.as_ref())?
        .with("name_masked", payer.name_masked.as_ref())?
        .finish()
}

fn channel(channel: &Channel) -> Result<String, PluginError> {
    Object::new()
        .with("code", Some(&channel.code))?
        .with("trade_type", channel.trade_type.as_ref())?
        .with("bank_type", channel.bank_type.as_ref())?
        .with("funding", channel.funding.as_ref())?
        .with("channel_txn_id", channel.channel_transaction_id.as_ref())?
        .finish()
}

fn failure(failure: &Failure) -> Result<String, PluginError> {
    Object::new().with("code", Some(&failure.code))?.with("message", failure.message.as_ref())?.finish()
}

/// The producer's own values, or nothing if there are none.
fn extra(notification: &Notification) -> Result<Option<String>, PluginError> {
    let mut object = Object::new();
    for (name, value) in notification.extra.iter().filter(|(name, _)| name != "legacy_url") {
        let value: &RawValue = serde_json::from_str(value)
            .map_err(|error| unusable(&format!("extra.{name}"), &format!("not JSON: {error}")))?;
        object = object.with(name, Some(value))?;
    }
    let json = object.finish()?;
    Ok((json != "{}").then_some(json))
}
