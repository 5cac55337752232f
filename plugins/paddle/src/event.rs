//! The event around the data.

use paynotify_plugin::{Attempt, Notification, PluginError, encode, event, time};
use serde::Serialize;

use crate::data::{self, Data};
use crate::settings::Settings;

/// The body of a request.
pub(crate) fn write(
    notification: &Notification,
    attempt: &Attempt,
    settings: &Settings,
) -> Result<String, PluginError> {
    let happened = time::rfc3339_with_milliseconds(event::happened_at(notification, attempt));
    let (own_type, data) = data::of(notification, &happened, settings)?;
    encode::json(&Event {
        event_id: format!("evt_{}", notification.id),
        event_type: settings.event_types.of(notification).unwrap_or(own_type),
        occurred_at: &happened,
        notification_id: format!("ntf_{}", notification.id),
        data,
    })
}

#[derive(Serialize)]
struct Event<'a> {
    event_id: String,
    event_type: &'a str,
    occurred_at: &'a str,
    notification_id: String,
    data: Data<'a>,
}
