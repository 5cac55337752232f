//! What a reply means.

use paynotify_plugin::{HttpResponse, RetryAdvice, Verdict, reply, verdict};

use crate::settings::Settings;

pub(crate) fn judge(settings: &Settings, response: &HttpResponse) -> Verdict {
    match response.status {
        200..300 => verdict::confirmed(),
        410 => verdict::stop("status 410: the receiver has given this endpoint up"),
        429 | 502 | 504 => throttled(settings, response),
        _ => verdict::unexpected(response, "a 2xx status"),
    }
}

/// The gateway adds `Retry-After` to advice that names no wait; without that header, the setting is the wait.
fn throttled(settings: &Settings, response: &HttpResponse) -> Verdict {
    let says_how_long = reply::header(response, "retry-after").is_some();
    let after_seconds = (!says_how_long).then_some(settings.throttle_seconds);
    let reason = format!("status {}: the receiver asks for fewer requests", response.status);
    Verdict::Retry(RetryAdvice { after_seconds, reason })
}
