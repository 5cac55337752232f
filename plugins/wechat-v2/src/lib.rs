//! WeChat Pay's notification of version 2: a POST of flat, signed XML.
//!
//! Source: pay.weixin.qq.com, API v2, "payment result notification" and "signature rules". What is sent is [`request`]'s
//! affair. Confirmed by status 200 with XML in which `return_code` is `SUCCESS`; the vendor lists what is *not* an answer: an
//! empty body, `success`, JSON, a page. The XML is read leniently: text or CDATA, white space, a declaration. There is no
//! answer that asks for an end.
//!
//! Merchants tell duplicates by `transaction_id` and `out_trade_no`, which are the same in all attempts; `nonce_str`, and
//! with it the signature, is new each time. The time-out that the vendor names is 5 s.
//!
//! Deliberately absent: refunds, whose notification is encrypted with AES-256-ECB, which the gateway does not offer.

mod fields;
mod request;
mod settings;

use paynotify_plugin::{
    Algorithm, Call, Description, HttpRequest, HttpResponse, Notification, Plugin, PluginError, Verdict,
    description, key, ladder, reply, verdict, xml,
};

use settings::WechatV2Settings;

/// The role of the key that signs.
const API_KEY: &str = "api-key";

struct WechatV2;

impl Plugin for WechatV2 {
    type Settings = WechatV2Settings;

    fn describe() -> Description {
        let summary =
            "The merchant's API key of version 2, which stands in the signed text, and is HMAC's key too";
        Description {
            keys: vec![key(API_KEY, summary, &[Algorithm::Md5, Algorithm::HmacSha256])],
            // pay.weixin.qq.com, API v2, chapter 8_7, of 2025-02-21: 24 hours and 4 minutes in all.
            ladders: vec![ladder(
                "wechat",
                &[
                    15, 15, 30, 180, 600, 1_200, 1_800, 1_800, 1_800, 3_600, 10_800, 10_800, 10_800, 21_600,
                    21_600,
                ],
            )],
            ..description!(WechatV2Settings)
        }
    }

    fn format(call: &Call<'_, WechatV2Settings>) -> Result<HttpRequest, PluginError> {
        request::write(call)
    }

    fn judge(
        _: &WechatV2Settings,
        _: &Notification,
        response: &HttpResponse,
    ) -> Result<Verdict, PluginError> {
        Ok(judged(response))
    }
}

paynotify_plugin::export!(WechatV2);

fn judged(response: &HttpResponse) -> Verdict {
    const WANTED: &str = "200 and XML whose `return_code` is `SUCCESS`";
    if response.status != 200 || response.truncated {
        return verdict::unexpected(response, WANTED);
    }
    let Ok(elements) = xml::read(&response.body) else { return verdict::unexpected(response, WANTED) };
    let text = |name| elements.iter().find(|(known, _)| known == name).map(|(_, text)| text.trim());
    match text("return_code") {
        Some("SUCCESS") => verdict::confirmed(),
        Some("FAIL") => {
            let message = reply::excerpt(text("return_msg").unwrap_or_default().as_bytes());
            verdict::retry(format!("the merchant answered FAIL, return_msg {message}"))
        }
        Some(_) | None => verdict::unexpected(response, WANTED),
    }
}

#[cfg(test)]
mod tests;
