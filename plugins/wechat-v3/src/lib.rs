//! WeChat Pay's notification of version 3: a POST of JSON whose resource is sealed, signed in headers.
//!
//! Source: pay.weixin.qq.com/doc/v3, "payment callback", "signature" and "decryption of callbacks". What is sent is
//! [`request`]'s affair, what is told [`resource`]'s. Confirmed by status 200 or 204; the vendor's rule is that the status goes
//! before the body, so that a 200 whose body says `{"code":"FAIL"}` is a confirmation too, unless the merchant's setting
//! `heed_code` says otherwise. There is no answer that asks for an end.
//!
//! Merchants tell duplicates by `id` and by the resource's numbers, which are the same in all attempts; time stamp, nonces
//! and signature are new each time, for receivers refuse what was signed five minutes ago. The time-out that the vendor names
//! is 5 s.
//!
//! Deliberately absent: refunds, whose resource has other fields, and the vendor's probes with wrong signatures.

mod request;
mod resource;
mod settings;

use paynotify_plugin::{
    Algorithm, Call, Description, HttpRequest, HttpResponse, Notification, Plugin, PluginError, Verdict,
    description, key, ladder, reply, verdict,
};
use serde_json::Value;

use settings::WechatV3Settings;

/// The role of the key that signs, in the place of the platform's.
const SIGNING: &str = "signing";
/// The role of the key that seals.
const API_V3_KEY: &str = "api-v3-key";

struct WechatV3;

impl Plugin for WechatV3 {
    type Settings = WechatV3Settings;

    fn describe() -> Description {
        let signing = "Signs as WeChat's platform does; merchants verify with its certificate or public key. \
            Its id is what they know it by: the certificate's serial number in capitals, or PUB_KEY_ID_…";
        let sealing = "The merchant's APIv3 key of 32 characters, which seals the resource";
        Description {
            keys: vec![key(SIGNING, signing, &[Algorithm::RsaPkcs1v15Sha256]), key(API_V3_KEY, sealing, &[])],
            // pay.weixin.qq.com/doc/v3/merchant/4013070368: 24 hours and 4 minutes in all.
            ladders: vec![ladder(
                "wechat",
                &[
                    15, 15, 30, 180, 600, 1_200, 1_800, 1_800, 1_800, 3_600, 10_800, 10_800, 10_800, 21_600,
                    21_600,
                ],
            )],
            ..description!(WechatV3Settings)
        }
    }

    fn format(call: &Call<'_, WechatV3Settings>) -> Result<HttpRequest, PluginError> {
        request::write(call)
    }

    fn judge(
        settings: &WechatV3Settings,
        _: &Notification,
        response: &HttpResponse,
    ) -> Result<Verdict, PluginError> {
        Ok(judged(settings, response))
    }
}

paynotify_plugin::export!(WechatV3);

fn judged(settings: &WechatV3Settings, response: &HttpResponse) -> Verdict {
    if !matches!(response.status, 200 | 204) {
        return verdict::unexpected(response, "200 or 204");
    }
    if !settings.heed_code || response.body.is_empty() {
        return verdict::confirmed();
    }
    // Who wants the body to be heeded has one that says SUCCESS, or none at all.
    let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    match answer["code"].as_str() {
        Some("SUCCESS") if !response.truncated => verdict::confirmed(),
        Some("FAIL") => {
            let message = reply::excerpt(answer["message"].as_str().unwrap_or_default().as_bytes());
            verdict::retry(format!("the merchant answered FAIL, message {message}"))
        }
        Some(_) | None => verdict::unexpected(response, "an empty body or `{\"code\":\"SUCCESS\"}`"),
    }
}

#[cfg(test)]
mod tests;
