//! The notification of the epay family, common with small Chinese merchants: a GET signed with MD5, confirmed by `success`.
//!
//! Many gateways speak it and none owns it; where their pages differ, a setting decides. Signed are all fields but `sign`
//! and `sign_type`, sorted, as plain text, with the merchant's secret right behind: MD5 as lower-case hexadecimal digits.
//! There is no clock in it, so every attempt is the same request. A query of the merchant's own stays first and is not
//! signed, which is what these gateways do. Deliberately absent: any news but a payment that succeeded, for the format has
//! no other word; RSA.

use paynotify_plugin::form::{Fields, with_query};
use paynotify_plugin::percent::Style;
use paynotify_plugin::record::{needed, needed_text, of_kind, unusable};
use paynotify_plugin::settings::not_empty;
use paynotify_plugin::{
    Algorithm, Call, Description, HttpRequest, HttpResponse, Notification, Part, PaymentStatus, Plugin,
    PluginError, Verdict, canonical, description, encode, key, ladder, money, reply, request, sign, verdict,
};
use serde::Deserialize;

/// The role of the secret.
const SIGNING: &str = "signing";

/// What a merchant's file says of this format.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    pid: String,
    default_type: Option<String>,
    default_name: Option<String>,
    #[serde(default)]
    confirmed_by: Confirmation,
}

/// The body that confirms.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum Confirmation {
    #[default]
    #[serde(rename = "success")]
    Lower,
    #[serde(rename = "SUCCESS")]
    Upper,
    #[serde(rename = "any-case")]
    AnyCase,
}

impl paynotify_plugin::Settings for Settings {
    const SCHEMA: &'static str = include_str!("settings.schema.json");

    fn check(&self) -> Result<(), String> {
        not_empty("pid", &self.pid)?;
        for (name, text) in [("default_type", &self.default_type), ("default_name", &self.default_name)] {
            text.as_deref().map_or(Ok(()), |text| not_empty(name, text))?;
        }
        Ok(())
    }
}

struct Epay;

impl Plugin for Epay {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            keys: vec![key(SIGNING, "the merchant's secret, with which both sides sign", &[Algorithm::Md5])],
            ladders: vec![ladder("epay", &[15, 60, 180, 1_800, 3_600])],
            ..description!(Settings)
        }
    }

    fn format(call: &Call<'_, Settings>) -> Result<HttpRequest, PluginError> {
        let fields = fields(call.notification, &call.settings)?;
        let signed = canonical::sorted(fields.iter(), &[]);
        let digest =
            call.keys.newest(SIGNING)?.sign_parts(Algorithm::Md5, &[sign::bytes(signed), Part::Secret])?;
        let fields = fields.with("sign", &encode::hex(&digest)).with("sign_type", "MD5");
        Ok(request::get(with_query(&call.endpoint.url, &fields.encoded(Style::Form))))
    }

    fn judge(settings: &Settings, _: &Notification, response: &HttpResponse) -> Result<Verdict, PluginError> {
        let (is_word, word) = match settings.confirmed_by {
            Confirmation::Lower => (reply::body_is(response, "success"), "`success`"),
            Confirmation::Upper => (reply::body_is(response, "SUCCESS"), "`SUCCESS`"),
            Confirmation::AnyCase => {
                let is_word = response.body.trim_ascii().eq_ignore_ascii_case(b"success");
                (is_word && !response.truncated, "`success` in any case")
            }
        };
        Ok(if response.status == 200 && is_word {
            verdict::confirmed()
        } else {
            verdict::unexpected(response, &format!("200 and {word}"))
        })
    }
}

paynotify_plugin::export!(Epay);

/// Everything but the signature.
fn fields(notification: &Notification, settings: &Settings) -> Result<Fields, PluginError> {
    of_kind(notification, &["payment"])?;
    match needed("status", &notification.status)? {
        PaymentStatus::Succeeded | PaymentStatus::Finished => {}
        PaymentStatus::Failed | PaymentStatus::Pending | PaymentStatus::Closed => {
            return Err(unusable("status", "not a success, and the format can tell of nothing else"));
        }
    }
    let amount = needed("amount", &notification.amount)?;
    money::in_currency("amount", amount, "CNY")?;
    money::not_negative("amount", amount)?;
    Ok(Fields::new()
        .with("pid", &settings.pid)
        .with("trade_no", needed_text("payment-id", &notification.payment_id)?)
        .with("out_trade_no", needed_text("merchant-order-id", &notification.merchant_order_id)?)
        .with("type", payment_type(notification, settings)?)
        .with("name", name(notification, settings)?)
        .with("money", &money::decimal(amount))
        .with("trade_status", "TRADE_SUCCESS")
        .with_some("param", notification.passthrough.as_ref()))
}

/// The channel in the family's words, or in the payment centre's own where the family has none.
fn payment_type<'a>(notification: &'a Notification, settings: &'a Settings) -> Result<&'a str, PluginError> {
    let code = notification.channel.as_ref().map_or("", |channel| channel.code.as_str());
    match (code, &settings.default_type) {
        ("", Some(default)) => Ok(default),
        ("", None) => Err(unusable("channel", "absent; give the setting default_type, such as `alipay`")),
        ("wechat" | "weixin", _) => Ok("wxpay"),
        ("qq", _) => Ok("qqpay"),
        (other, _) => Ok(other),
    }
}

/// What was bought.
fn name<'a>(notification: &'a Notification, settings: &'a Settings) -> Result<&'a str, PluginError> {
    let subject = notification.subject.as_deref().filter(|subject| !subject.is_empty());
    subject
        .or(settings.default_name.as_deref())
        .ok_or_else(|| unusable("subject", "absent; give the setting default_name"))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
