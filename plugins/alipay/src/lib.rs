//! Alipay's asynchronous notification, as its open platform sends it: a form signed with RSA2, confirmed by `success`.
//!
//! The request is [`request`]'s affair. Alipay's rules for the answer: status 200, and a body of the seven characters
//! `success` and no other; a redirect, another status or another character means "not received". There is no answer that
//! ends it. Deliberately absent: refunds, which Alipay tells with the state and the amount of the whole trade, and the
//! record of a refund has neither; RSA with SHA-1; character sets other than UTF-8.

mod request;

use paynotify_plugin::settings::at_most;
use paynotify_plugin::{
    Algorithm, Call, Description, HttpRequest, HttpResponse, Notification, Plugin, PluginError, Verdict,
    description, key, ladder, reply, verdict,
};
use serde::Deserialize;

/// The role of the key that signs.
const SIGNING: &str = "signing";

/// What a merchant's file says of this format.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    app_id: String,
    auth_app_id: Option<String>,
    seller_id: Option<String>,
    seller_email: Option<String>,
}

impl paynotify_plugin::Settings for Settings {
    const SCHEMA: &'static str = include_str!("settings.schema.json");

    fn check(&self) -> Result<(), String> {
        at_most("app_id", &self.app_id, 32)?;
        let optional = [
            ("auth_app_id", &self.auth_app_id, 32),
            ("seller_id", &self.seller_id, 30),
            ("seller_email", &self.seller_email, 100),
        ];
        optional.into_iter().try_for_each(|(name, text, longest)| {
            text.as_deref().map_or(Ok(()), |text| at_most(name, text, longest))
        })
    }
}

struct Alipay;

impl Plugin for Alipay {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            keys: vec![key(
                SIGNING,
                "the RSA private key whose public half the merchant has as Alipay's public key",
                &[Algorithm::RsaPkcs1v15Sha256],
            )],
            // opendocs.alipay.com: 4 min, 10 min, 10 min, 1 h, 2 h, 6 h, 15 h.
            ladders: vec![ladder("alipay", &[240, 600, 600, 3_600, 7_200, 21_600, 54_000])],
            ..description!(Settings)
        }
    }

    fn format(call: &Call<'_, Settings>) -> Result<HttpRequest, PluginError> {
        request::write(call)
    }

    fn judge(_: &Settings, _: &Notification, response: &HttpResponse) -> Result<Verdict, PluginError> {
        let is_confirmation = response.status == 200 && reply::body_is(response, "success");
        Ok(if is_confirmation {
            verdict::confirmed()
        } else {
            verdict::unexpected(response, "200 and exactly `success`")
        })
    }
}

paynotify_plugin::export!(Alipay);

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
