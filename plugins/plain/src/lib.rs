//! The original format: a POST whose query tells the result of a payment, confirmed by the body `success`.
//!
//! The request is [`request`]'s affair. Only status 200 with exactly `success` is a confirmation, byte for byte: a page
//! that merely contains the word, or ends it with a line break, has not confirmed. The format has no signature, so no key
//! is asked for, no settings, and no way to ask for an end.

mod request;

use paynotify_plugin::{
    Call, Description, HttpRequest, HttpResponse, NoSettings, Notification, Plugin, PluginError, Verdict,
    description, ladder, reply, verdict,
};

struct Plain;

impl Plugin for Plain {
    type Settings = NoSettings;

    fn describe() -> Description {
        Description {
            ladders: vec![ladder("original", &[3, 30, 60, 120, 180, 300])],
            ..description!(NoSettings)
        }
    }

    fn format(call: &Call<'_, NoSettings>) -> Result<HttpRequest, PluginError> {
        request::write(call.notification, call.endpoint, call.attempt)
    }

    fn judge(_: &NoSettings, _: &Notification, response: &HttpResponse) -> Result<Verdict, PluginError> {
        let is_confirmation = response.status == 200 && reply::body_is(response, "success");
        Ok(if is_confirmation {
            verdict::confirmed()
        } else {
            verdict::unexpected(response, "200 and `success`")
        })
    }
}

paynotify_plugin::export!(Plain);

#[cfg(test)]
#[path = "reply_tests.rs"]
mod reply_tests;

#[cfg(test)]
mod tests {
    use paynotify_plugin::check_settings;

    use super::Plain;

    #[test]
    fn only_empty_settings_are_accepted() {
        assert_eq!(check_settings::<Plain>(" { } "), Ok(()));
        assert_eq!(
            check_settings::<Plain>(r#"{"zeta":1,"charset":"utf-8"}"#),
            Err("charset: no such setting; the format `plain` has none".to_owned())
        );
        assert!(
            check_settings::<Plain>("[]")
                .expect_err("not an object")
                .starts_with("the settings are not a JSON object")
        );
    }
}
