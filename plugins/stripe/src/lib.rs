//! Stripe's webhooks (docs.stripe.com/webhooks): a POST with an Event as JSON, signed in `Stripe-Signature`.
//!
//! `t` is the attempt's, so that every attempt has a signature of its own; the event's id is the notification's and stays.
//! The role `signing` has the endpoint's secrets. Stripe keys the HMAC with the secret's own text, `whsec_` included: the
//! merchant's file must say `encoding = "raw"`. Of several secrets each has a `v1` of its own, which is how Stripe rolls
//! them. `v0`, which test endpoints get besides and no library looks at, is deliberately absent.
//!
//! A payment is told as a PaymentIntent, a refund as a Refund ([`object`]); other kinds Stripe tells by objects that a
//! record cannot fill, and they are refused. Any 2xx confirms, everything else is tried again, redirects and 410 included:
//! Stripe has no reply that ends it.
//!
//! Stripe tries for up to three days at growing distances, and does not publish them. The ladder `exponential-3-days` is
//! therefore not Stripe's but in its spirit: 12 delays, each twice the one before, in 68 hours and 15 minutes.

mod event;
mod object;
mod settings;
mod signature;

use paynotify_plugin::{
    Algorithm, Call, Description, HttpRequest, HttpResponse, Notification, Plugin, PluginError, Verdict,
    description, key, ladder, reply, request, verdict,
};
use settings::Settings;

struct Stripe;

impl Plugin for Stripe {
    type Settings = Settings;

    fn describe() -> Description {
        const SUMMARY: &str = "the endpoint's secret, as it is (encoding raw); of several, each signs, as when Stripe rolls a secret";
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
        let mut request = request::post(&call.endpoint.url, "application/json; charset=utf-8", body);
        request.headers.push(signature);
        Ok(request)
    }

    fn judge(_: &Settings, _: &Notification, response: &HttpResponse) -> Result<Verdict, PluginError> {
        Ok(if reply::is_success(response) {
            verdict::confirmed()
        } else {
            verdict::unexpected(response, "a 2xx status")
        })
    }
}

paynotify_plugin::export!(Stripe);

#[cfg(test)]
mod tests;
