//! Paddle's notifications (developer.paddle.com/webhooks): a POST with an event as JSON, signed in `Paddle-Signature`.
//!
//! `ts` is the attempt's, so that every attempt has a signature of its own; the ids of event and notification are made of
//! the notification's and stay. The newest key of the role `signing` signs, alone: Paddle's own libraries disagree about a
//! header with two `h1` (one takes either, another looks at the last only), so exactly one is sent. To rotate, a merchant
//! first accepts both secrets, and then the file gives the new one. Receivers take a signature for five seconds only,
//! unless told otherwise: the clocks of both sides have to agree.
//!
//! A payment is told as a transaction, a refund as an adjustment ([`data`]); other kinds are refused. Paddle asks for 200,
//! and some who describe it for any 2xx, which the setting `any_2xx` allows. Everything else is tried again, 410 included:
//! Paddle has no reply that ends it.
//!
//! Paddle tries 60 times within three days, at growing distances that it does not publish. The ladder
//! `exponential-3-days` is therefore not Paddle's but in its spirit: 12 delays, each twice the one before, in 68 hours
//! and 15 minutes. It has fewer steps because each different delay is a queue of its own on RabbitMQ.

mod data;
mod event;
mod settings;
mod signature;

use paynotify_plugin::{
    Algorithm, Call, Description, HttpRequest, HttpResponse, Notification, Plugin, PluginError, Verdict,
    description, key, ladder, reply, request, verdict,
};
use settings::Settings;

struct Paddle;

impl Plugin for Paddle {
    type Settings = Settings;

    fn describe() -> Description {
        const SUMMARY: &str =
            "the notification destination's secret, as it is (encoding raw); only the newest signs";
        const DOUBLING: [u32; 12] =
            [60, 120, 240, 480, 960, 1_920, 3_840, 7_680, 15_360, 30_720, 61_440, 122_880];
        Description {
            keys: vec![key(signature::ROLE, SUMMARY, &[Algorithm::HmacSha256])],
            ladders: vec![ladder("exponential-3-days", &DOUBLING)],
            ..description!(Settings)
        }
    }

    fn format(call: &Call<'_, Settings>) -> Result<HttpRequest, PluginError> {
        let body = event::write(call.notification, call.attempt, &call.settings)?;
        let signature = signature::header(call.attempt.now, &body, &call.keys)?;
        let mut request = request::post(&call.endpoint.url, "application/json", body);
        request.headers.push(signature);
        Ok(request)
    }

    fn judge(settings: &Settings, _: &Notification, response: &HttpResponse) -> Result<Verdict, PluginError> {
        Ok(if response.status == 200 || (settings.any_2xx && reply::is_success(response)) {
            verdict::confirmed()
        } else {
            verdict::unexpected(response, if settings.any_2xx { "a 2xx status" } else { "200" })
        })
    }
}

paynotify_plugin::export!(Paddle);

#[cfg(test)]
mod tests;
