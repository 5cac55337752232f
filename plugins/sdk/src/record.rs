//! Fields of the record that a format cannot do without, or cannot express.
//!
//! Each function names the field as the contract does (`merchant-order-id`), because the text reaches people who look it
//! up there. The value itself is never in the text.

use serde_json::Value;

use crate::{Notification, PluginError, time};

/// The field's value.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] that names the field, if it is absent.
pub fn needed<'a, T>(name: &str, field: &'a Option<T>) -> Result<&'a T, PluginError> {
    field.as_ref().ok_or_else(|| unusable(name, "absent, and the format cannot do without it"))
}

/// The field's text, which is there and not empty.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] that names the field.
pub fn needed_text<'a>(name: &str, field: &'a Option<String>) -> Result<&'a str, PluginError> {
    match needed(name, field)?.as_str() {
        "" => Err(unusable(name, "empty, and the format cannot do without it")),
        text => Ok(text),
    }
}

/// The same text, if it is short enough.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] that names the field and both lengths. A text is never cut: half a number is another
/// number.
pub fn at_most<'a>(name: &str, text: &'a str, characters: usize) -> Result<&'a str, PluginError> {
    match text.chars().count() {
        count if count <= characters => Ok(text),
        count => {
            Err(unusable(name, &format!("{count} characters, and the format takes at most {characters}")))
        }
    }
}

/// A moment as RFC 3339 has it, in UTC with milliseconds.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] that names the field, if its year has not four digits.
pub fn moment(name: &str, unix_milliseconds: i64) -> Result<String, PluginError> {
    let text = time::rfc3339_with_milliseconds(unix_milliseconds);
    if text.len() == "2018-06-08T02:34:56.007Z".len() && !text.starts_with('-') {
        return Ok(text);
    }
    Err(unusable(name, "its year has not four digits"))
}

/// Nothing, if the record tells of one of these kinds.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] for any other: merchants read a format's fields as what it is for, and a refund told as
/// a payment would look like money received.
pub fn of_kind(notification: &Notification, kinds: &[&str]) -> Result<(), PluginError> {
    if kinds.contains(&notification.kind.as_str()) {
        return Ok(());
    }
    let kinds = kinds.join(" or ");
    Err(unusable("kind", &format!("this format can tell of a {kinds} only, not of `{}`", notification.kind)))
}

/// A value of the producer's own as its JSON text, byte for byte: an amount such as `0.10` keeps its zero.
#[must_use]
pub fn extra_json<'a>(notification: &'a Notification, name: &str) -> Option<&'a str> {
    notification.extra.iter().find_map(|(known, json)| (known == name).then_some(json.as_str()))
}

/// A value of the producer's own, read from its JSON text.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] that names it, if it is not JSON.
pub fn extra(notification: &Notification, name: &str) -> Result<Option<Value>, PluginError> {
    let Some(json) = extra_json(notification, name) else { return Ok(None) };
    match serde_json::from_str(json) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(unusable(&format!("extra.{name}"), &format!("not JSON: {error}"))),
    }
}

/// A text of the producer's own.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] that names it, if it is anything but a JSON string.
pub fn extra_text(notification: &Notification, name: &str) -> Result<Option<String>, PluginError> {
    match extra(notification, name)? {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(unusable(&format!("extra.{name}"), "not a JSON string")),
    }
}

/// The error of a record that the format cannot express, because of this field.
#[must_use]
pub fn unusable(name: &str, reason: &str) -> PluginError {
    PluginError::UnusableRecord(format!("{name}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: std::fmt::Debug>(result: Result<T, PluginError>) -> String {
        match result {
            Err(PluginError::UnusableRecord(text)) => text,
            other => panic!("not unusable: {other:?}"),
        }
    }

    #[test]
    fn a_moment_has_a_year_of_four_digits() {
        assert_eq!(moment("closed-at", 7), Ok("1970-01-01T00:00:00.007Z".to_owned()));
        // The last millisecond of the year 9999, the first of the next, the last before the year 0, and both ends.
        assert!(moment("closed-at", 253_402_300_799_999).is_ok());
        for wrong in [253_402_300_800_000, -62_167_219_200_001, i64::MIN, i64::MAX] {
            assert_eq!(text(moment("closed-at", wrong)), "closed-at: its year has not four digits");
        }
    }

    #[test]
    fn what_is_missing_or_too_long_is_named() {
        assert_eq!(
            text(needed("payment-id", &None::<String>)),
            "payment-id: absent, and the format cannot do without it"
        );
        assert_eq!(
            text(needed_text("payment-id", &Some(String::new()))),
            "payment-id: empty, and the format cannot do without it"
        );
        assert_eq!(needed_text("payment-id", &Some("7".to_owned())), Ok("7"));
        assert_eq!(at_most("subject", "支付", 2), Ok("支付"));
        assert_eq!(
            text(at_most("subject", "支付x", 2)),
            "subject: 3 characters, and the format takes at most 2"
        );
    }
}
