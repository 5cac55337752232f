//! The payload: `type`, `timestamp` and `data`, as the specification recommends, and in `data` the record.
//!
//! How the record is written as JSON is [`json::record`]'s affair, so that all formats that leave it to the sender carry the same.

use paynotify_plugin::json::{self, Object};
use paynotify_plugin::record::unusable;
use paynotify_plugin::{Attempt, Notification, PluginError, event, time};

use crate::settings::Settings;

/// The body of a request.
pub(crate) fn write(
    notification: &Notification,
    attempt: &Attempt,
    settings: &Settings,
) -> Result<String, PluginError> {
    let own = event::key(notification);
    let event_type = match settings.event_types.of(notification) {
        Some(name) => name,
        None if own.bytes().all(|byte| byte.is_ascii_graphic()) => &own,
        None => {
            return Err(unusable("kind", "cannot be an event's type; the setting event_types can name one"));
        }
    };
    let timestamp = time::rfc3339_with_milliseconds(event::happened_at(notification, attempt));
    let body = Object::new().with("type", Some(event_type))?.with("timestamp", Some(timestamp))?;
    Ok(body.with_object("data", Some(json::record(notification)?)).finish())
}
