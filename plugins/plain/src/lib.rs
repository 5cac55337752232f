//! The original format: a POST whose query tells the result of a payment, confirmed by the body `success`.
//!
//! Each rule is a plain function in [`request`] and [`reply`]; here they are tied to the contract. The format has no
//! signature, so no key is asked for, and no settings, so none are taken.

mod reply;
mod request;

/// What wit-bindgen writes from the contract. The lints are for code that people write.
#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm
)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "merchant-plugin", additional_derives: [PartialEq] });
    use super::Plain;
    export!(Plain with_types_in self);
}

use bindings::exports::paynotify::merchant::plugin::{Description, Guest, LadderPreset};
use bindings::paynotify::merchant::types::{
    Attempt, Endpoint, HttpRequest, HttpResponse, Notification, PluginError, Verdict,
};

struct Plain;

impl Guest for Plain {
    fn describe() -> Description {
        Description {
            name: "plain".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            settings_schema: r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{},"additionalProperties":false}"#.to_owned(),
            keys: Vec::new(),
            ladders: vec![LadderPreset { name: "original".to_owned(), delays_seconds: vec![3, 30, 60, 120, 180, 300] }],
        }
    }

    fn check_settings(settings_json: String) -> Result<(), String> {
        check_settings(&settings_json)
    }

    fn format(
        notification: Notification,
        endpoint: Endpoint,
        attempt: Attempt,
    ) -> Result<HttpRequest, PluginError> {
        request::write(&notification, &endpoint, &attempt)
    }

    fn judge(_: Notification, _: Endpoint, response: HttpResponse) -> Result<Verdict, PluginError> {
        Ok(reply::judge(&response))
    }
}

/// Accepts an object without members. Where there are several unknown ones, the first by the alphabet is named.
fn check_settings(settings_json: &str) -> Result<(), String> {
    let settings: serde_json::Map<String, serde_json::Value> = serde_json::from_str(settings_json)
        .map_err(|error| format!("the settings are not a JSON object: {error}"))?;
    match settings.keys().next() {
        None => Ok(()),
        Some(key) => Err(format!("{key}: no such setting; the format `plain` has none")),
    }
}

#[cfg(test)]
mod tests {
    use super::check_settings;

    #[test]
    fn only_empty_settings_are_accepted() {
        assert_eq!(check_settings(" { } "), Ok(()));
        assert_eq!(
            check_settings(r#"{"zeta":1,"charset":"utf-8"}"#),
            Err("charset: no such setting; the format `plain` has none".to_owned())
        );
        assert!(
            check_settings("[]")
                .expect_err("not an object")
                .starts_with("the settings are not a JSON object")
        );
    }
}
