//! The Event object (docs.stripe.com/api/events/object).

use paynotify_plugin::{Attempt, Notification, PluginError, encode, event, time};
use serde::Serialize;

use crate::object::{self, Object};
use crate::settings::Settings;

/// The body of a request.
pub(crate) fn write(
    notification: &Notification,
    attempt: &Attempt,
    settings: &Settings,
) -> Result<String, PluginError> {
    let happened = time::unix_seconds(event::happened_at(notification, attempt));
    let (own_type, object) = object::of(notification, happened, settings)?;
    encode::json(&Event {
        id: format!("evt_{}", notification.id),
        object: "event",
        api_version: settings.api_version.as_deref(),
        created: happened,
        data: Data { object },
        livemode: notification.livemode,
        pending_webhooks: 1,
        request: Origin { id: None, idempotency_key: None },
        event_type: settings.event_types.of(notification).unwrap_or(own_type),
    })
}

#[derive(Serialize)]
struct Event<'a> {
    id: String,
    object: &'static str,
    api_version: Option<&'a str>,
    created: i64,
    data: Data<'a>,
    livemode: bool,
    pending_webhooks: u32,
    request: Origin,
    #[serde(rename = "type")]
    event_type: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    object: Object<'a>,
}

/// No API request has caused the event: both are null.
#[derive(Serialize)]
struct Origin {
    id: Option<&'static str>,
    idempotency_key: Option<&'static str>,
}
