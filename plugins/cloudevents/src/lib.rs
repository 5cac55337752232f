//! CloudEvents 1.0 over HTTP, delivered as the CloudEvents webhook specification 1.0.2 has it
//! (github.com/cloudevents/spec: http-protocol-binding.md, http-webhook.md).
//!
//! What an event is called is [`event`]'s affair, how it travels [`request`]'s; its data is the
//! record as JSON. `id` and everything else in the
//! event is the same in all attempts. 200, 201, 202 and 204 confirm; 410 says that the target is gone for good and 415 that
//! it does not understand the format, so both are the end, unless the setting `on_415` says otherwise for the latter. A
//! redirect is never followed, and is a failure. After a 429 the gateway itself waits as long as `Retry-After` says. 410 ends
//! one notification: that no other is sent either, the specification's "refrain from sending any further", is the operator's
//! to arrange.
//!
//! # The Bearer token
//!
//! The specification demands a token, and there are two ways here:
//! - The setting `token_algorithm` and a key of the role `token`: each attempt carries a JSON Web Token of its own, signed
//!   by a key that never enters the plugin ([`token`]). This is the way to be chosen.
//! - `authorization` in the merchant's file: a fixed token, which the gateway adds to each request.
//!
//! # The handshake
//!
//! A target may demand to be asked for consent once, by an OPTIONS request, before anything is delivered. Each call runs in a
//! fresh instance and `judge` is not told which request a reply belongs to, except by the record. So the handshake is a
//! notification of its own: a record of the kind `webhook-handshake`, which the operator publishes when a merchant is taken
//! on. It becomes the OPTIONS request ([`handshake`]), is confirmed by the target's consent alone, and is tried again up the
//! ladder until consent comes. Deliveries carry `WebHook-Request-Origin` whenever the setting `request_origin` is there; they
//! do not wait for the handshake, because nothing that one call learns can reach another. For that the gateway would have to
//! remember consent for each endpoint: to ask when a merchant's file is loaded, by an optional interface that writes the
//! OPTIONS request and judges its reply, and to hold deliveries until then.
//!
//! Deliberately absent: batches; consent by callback, for which the gateway would have to listen; holding the granted rate,
//! which is shown as the handshake's outcome.

mod event;
mod handshake;
mod request;
mod settings;
mod token;

use paynotify_plugin::{
    Algorithm, Call, Description, HttpRequest, HttpResponse, KeyNeed, Notification, Plugin, PluginError,
    Verdict, description, key, verdict,
};

use settings::{CloudEventsSettings, On415};

/// The role of the key that signs tokens.
const TOKEN: &str = "token";

struct CloudEvents;

impl Plugin for CloudEvents {
    type Settings = CloudEventsSettings;

    fn describe() -> Description {
        let algorithms = [Algorithm::HmacSha256, Algorithm::RsaPkcs1v15Sha256, Algorithm::Ed25519];
        let summary = "Signs the Bearer token of each attempt, a JSON Web Token, if token_algorithm is set. \
            Its id is the token's kid";
        Description {
            keys: vec![KeyNeed { required: false, ..key(TOKEN, summary, &algorithms) }],
            ..description!(CloudEventsSettings)
        }
    }

    fn format(call: &Call<'_, CloudEventsSettings>) -> Result<HttpRequest, PluginError> {
        if handshake::is_one(call.notification) { handshake::write(call) } else { request::write(call) }
    }

    fn judge(
        settings: &CloudEventsSettings,
        notification: &Notification,
        response: &HttpResponse,
    ) -> Result<Verdict, PluginError> {
        Ok(if handshake::is_one(notification) {
            handshake::judged(settings, response)
        } else {
            judged(settings, response)
        })
    }
}

paynotify_plugin::export!(CloudEvents);

fn judged(settings: &CloudEventsSettings, response: &HttpResponse) -> Verdict {
    match (response.status, settings.on_415) {
        (200 | 201 | 202 | 204, _) => verdict::confirmed(),
        (410, _) => verdict::stop("the target is gone (410)"),
        (415, On415::Stop) => verdict::stop("the target does not understand the format (415)"),
        (_, _) => verdict::unexpected(response, "200, 201, 202 or 204"),
    }
}

#[cfg(test)]
mod tests;
