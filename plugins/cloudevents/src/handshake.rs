//! The handshake: asking the target for its consent (webhook specification, section 4).
//!
//! It is a notification of its own, whose record says by its kind what it is; so the reply to an OPTIONS request is never
//! taken for the reply to a delivery, nor the other way round. The status decides nothing: only the target's consent does.

use paynotify_plugin::reply;
use paynotify_plugin::request::header;
use paynotify_plugin::{Call, HttpRequest, HttpResponse, Notification, PluginError, Verdict, verdict};

use crate::settings::CloudEventsSettings;

/// The kind of the record that asks for consent. It needs no other field.
const KIND: &str = "webhook-handshake";

/// Whether the record asks for consent.
pub(crate) fn is_one(notification: &Notification) -> bool {
    notification.kind == KIND
}

/// The OPTIONS request to the merchant's very URL. It carries no token, for it asks for no authorization.
pub(crate) fn write(call: &Call<'_, CloudEventsSettings>) -> Result<HttpRequest, PluginError> {
    let origin = call.settings.request_origin.as_ref().ok_or_else(|| {
        PluginError::UnusableSettings(
            "request_origin: missing, and a handshake cannot ask for consent without it".to_owned(),
        )
    })?;
    let mut headers = vec![header("webhook-request-origin", origin)];
    headers.extend(call.settings.request_rate.map(|rate| header("webhook-request-rate", &rate.to_string())));
    Ok(HttpRequest {
        method: "OPTIONS".to_owned(),
        url: call.endpoint.url.clone(),
        headers,
        body: Vec::new(),
    })
}

/// Consent names this origin or all of them. The granted rate, if it is named, is kept for people.
pub(crate) fn judged(settings: &CloudEventsSettings, response: &HttpResponse) -> Verdict {
    let origin = settings.request_origin.as_deref().unwrap_or_default();
    let allowed = reply::header(response, "webhook-allowed-origin").map(str::trim);
    match allowed {
        // Who asks for nobody gets nobody's consent.
        Some(allowed) if !origin.is_empty() && (allowed == "*" || allowed.eq_ignore_ascii_case(origin)) => {
            verdict::confirmed_with(format!("consent for {origin}, {}", granted_rate(response)))
        }
        Some(allowed) => {
            let allowed = reply::excerpt(allowed.as_bytes());
            verdict::retry(format!("consent for {allowed} only, asked for {origin}"))
        }
        None => {
            verdict::retry(format!("no consent: status {} without WebHook-Allowed-Origin", response.status))
        }
    }
}

fn granted_rate(response: &HttpResponse) -> String {
    match reply::header(response, "webhook-allowed-rate").map(str::trim) {
        Some("*") => "at any rate".to_owned(),
        Some(rate) if rate.parse::<u32>().is_ok_and(|rate| rate > 0) => {
            format!("at most {rate} requests a minute")
        }
        Some(_) | None => "no rate named".to_owned(),
    }
}
