//! Adyen's standard webhook (docs.adyen.com/development-resources/webhooks): a POST with one notification item as JSON,
//! and in the item the HMAC over eight of its fields ([`item`]).
//!
//! There is no clock in the format: every attempt sends the same bytes. The newest key of the role `signing` signs, for
//! the item has room for one signature; Adyen too goes over from one key to the next. The key is hexadecimal digits: the
//! merchant's file must say `encoding = "hex"`.
//!
//! Receivers may besides ask for HTTP Basic authentication. **Its password is the one secret here that the plugin gets to
//! see.** The contract lets a plugin sign with keys and never read them, and a header with the password in it is no
//! signature. So user and password are settings: they stand in the merchant's file as they are, and go through the plugin
//! in every call. Who must not have that leaves them out and relies on the signature, which is Adyen's own advice for
//! telling genuine notifications, or has a proxy on the way add the header.
//!
//! Any 2xx confirms; the setting `confirmation` asks for the body `[accepted]` besides, as Adyen did before 2024.
//! Everything else is tried again, 410 included: Adyen has no reply that ends it. The ladder is Adyen's: 9, 18 and 27
//! seconds after the first attempt, then its list of waits, the last of which, eight hours, goes on for 30 days.
//!
//! Deliberately absent: more than one item in a request, the HTTP POST and SOAP variants, and Adyen's other webhooks,
//! which sign the whole body in a header.

mod credentials;
mod item;
mod settings;
mod words;

use paynotify_plugin::{
    Algorithm, Call, Description, HttpRequest, HttpResponse, Notification, Plugin, PluginError, Verdict,
    description, encode, key, ladder, reply, request, verdict,
};
use settings::{Confirmation, Settings};

struct Adyen;

/// What a receiver answered before 2024.
const ACCEPTED: &str = "[accepted]";

impl Plugin for Adyen {
    type Settings = Settings;

    fn describe() -> Description {
        const SUMMARY: &str =
            "the webhook's HMAC key, hexadecimal digits (encoding hex); only the newest signs";
        Description {
            keys: vec![key(item::ROLE, SUMMARY, &[Algorithm::HmacSha256])],
            ladders: vec![ladder("adyen", &delays())],
            ..description!(Settings)
        }
    }

    fn format(call: &Call<'_, Settings>) -> Result<HttpRequest, PluginError> {
        let body = item::write(call.notification, call.attempt, &call.settings, &call.keys)?;
        let mut request =
            request::post(&call.endpoint.url, "application/json; charset=utf-8", encode::json(&body)?);
        if let Some(credentials) = call.settings.credentials() {
            request.headers.push(request::header("authorization", &credentials.header_value()));
        }
        Ok(request)
    }

    fn judge(settings: &Settings, _: &Notification, response: &HttpResponse) -> Result<Verdict, PluginError> {
        let (confirms, wanted) = match settings.confirmation {
            Confirmation::Status => (true, "a 2xx status"),
            Confirmation::Accepted => (says_accepted(response), "a 2xx status and `[accepted]`"),
        };
        Ok(if confirms && reply::is_success(response) {
            verdict::confirmed()
        } else {
            verdict::unexpected(response, wanted)
        })
    }
}

/// Whether the word stands anywhere in the body, as far as it was received.
fn says_accepted(response: &HttpResponse) -> bool {
    response.body.windows(ACCEPTED.len()).any(|part| part == ACCEPTED.as_bytes())
}

/// docs.adyen.com/development-resources/webhooks/troubleshoot: attempts at 9, 18 and 27 seconds; then waits of 2, 5, 10, 15
/// and 30 minutes, 1, 2, 4 and 8 hours, for up to 30 days. That the last one is repeated until then is our reading.
fn delays() -> Vec<u32> {
    const LISTED: [u32; 11] = [9, 9, 9, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400];
    const EIGHT_HOURS: u32 = 28_800;
    const THIRTY_DAYS: u32 = 30 * 86_400;
    let rest = (THIRTY_DAYS - LISTED.iter().sum::<u32>()) / EIGHT_HOURS;
    LISTED.into_iter().chain((0..rest).map(|_| EIGHT_HOURS)).collect()
}

paynotify_plugin::export!(Adyen);

#[cfg(test)]
mod tests;
