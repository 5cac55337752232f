//! Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
//!
//! A POST with JSON; `webhook-id` is the notification's and stays, `webhook-timestamp` is the attempt's, and
//! `webhook-signature` has a signature by each key of the role `signing`: `v1` (HMAC-SHA256) by a symmetric one, `v1a`
//! (Ed25519) by the other kind. That is how the specification has keys rotated: the old and the new one sign until all
//! receivers know the new one.
//!
//! Any 2xx confirms. 410 means that the receiver has given the endpoint up, so that is the end. 429, 502 and 504 ask for
//! fewer requests: unless the reply says for how long (`Retry-After`, which the gateway reads), the setting
//! `throttle_seconds` does. Everything else, redirects included, is tried again.
//!
//! Deliberately absent: thin payloads, and a top level without `data`. The specification leaves the payload to the sender;
//! here it is the record ([`body`]).

mod body;
mod judge;
mod settings;
mod signature;

use paynotify_plugin::{
    Algorithm, Call, Description, HttpRequest, HttpResponse, Notification, Plugin, PluginError, Verdict,
    description, key, ladder, request,
};
use settings::Settings;

struct StandardWebhooks;

impl Plugin for StandardWebhooks {
    type Settings = Settings;

    fn describe() -> Description {
        const SUMMARY: &str = "signs each request: `whsec_` with hmac-sha256 (v1), `whsk_` with ed25519 (v1a); \
            of several, all sign";
        Description {
            keys: vec![key(signature::ROLE, SUMMARY, &[Algorithm::HmacSha256, Algorithm::Ed25519])],
            // The example of the specification: 75 hours, 35 minutes and 5 seconds. It wants jitter besides, which the
            // merchant's file sets.
            ladders: vec![ladder(
                "standard-webhooks",
                &[5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
            )],
            ..description!(Settings)
        }
    }

    fn format(call: &Call<'_, Settings>) -> Result<HttpRequest, PluginError> {
        let body = body::write(call.notification, call.attempt, &call.settings)?;
        let headers = signature::headers(&call.notification.id, call.attempt.now, &body, &call.keys)?;
        let mut request = request::post(&call.endpoint.url, "application/json", body);
        request.headers.extend(headers);
        Ok(request)
    }

    fn judge(settings: &Settings, _: &Notification, response: &HttpResponse) -> Result<Verdict, PluginError> {
        Ok(judge::judge(settings, response))
    }
}

paynotify_plugin::export!(StandardWebhooks);

#[cfg(test)]
mod tests;
