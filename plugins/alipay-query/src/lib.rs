//! The other direction: asks Alipay for the status of a trade (`alipay.trade.query`) until it is final.
//!
//! The "merchant" of this format is Alipay's gateway, such as `https://openapi.alipay.com/gateway.do`, and the notification
//! is a payment whose end the payment centre has not learned. Its outcome carries the final status as detail.
//!
//! [`request`] writes the question, [`answer`] reads the answer. What authenticates the answer is TLS, and nothing else:
//! Alipay signs it too, but the contract lets a plugin sign only, not verify. So the endpoint's URL must be `https`, and the
//! gateway's settings must not trust more certificates than the system does. Deliberately absent: refunds, which Alipay
//! answers elsewhere; authorisation tokens of third parties, which are secrets and have no place in settings.

mod answer;
mod request;

use paynotify_plugin::settings::at_most;
use paynotify_plugin::{
    Algorithm, Call, Description, HttpRequest, HttpResponse, Notification, Plugin, PluginError, Verdict,
    description, key, ladder,
};
use serde::Deserialize;

/// The role of the key that signs.
const SIGNING: &str = "signing";

/// What a merchant's file says of this format.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    app_id: String,
    #[serde(default)]
    order_number: OrderNumber,
}

/// The field of the record that Alipay was given as `out_trade_no` when the payment began.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OrderNumber {
    #[default]
    MerchantOrderId,
    PaymentId,
}

impl paynotify_plugin::Settings for Settings {
    const SCHEMA: &'static str = include_str!("settings.schema.json");

    fn check(&self) -> Result<(), String> {
        at_most("app_id", &self.app_id, 32)
    }
}

struct AlipayQuery;

impl Plugin for AlipayQuery {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            keys: vec![key(
                SIGNING,
                "the application's RSA private key, whose public half Alipay has",
                &[Algorithm::RsaPkcs1v15Sha256],
            )],
            ladders: vec![ladder("alipay-query", &[30, 60, 180, 360, 600])],
            ..description!(Settings)
        }
    }

    fn format(call: &Call<'_, Settings>) -> Result<HttpRequest, PluginError> {
        request::write(call)
    }

    fn judge(
        settings: &Settings,
        notification: &Notification,
        response: &HttpResponse,
    ) -> Result<Verdict, PluginError> {
        Ok(answer::judge(request::order_number(notification, settings)?, response))
    }
}

paynotify_plugin::export!(AlipayQuery);

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
