//! The event's attributes (CloudEvents 1.0.2, section 3).
//!
//! Only what is the same in all attempts: receivers tell duplicates by `source` and `id`. A record that has no moment has no
//! `time`, which is optional.

use paynotify_plugin::event::word;
use paynotify_plugin::record::{at_most, moment, needed, unusable};
use paynotify_plugin::{Notification, PaymentStatus, PluginError};

use crate::settings::CloudEventsSettings;

/// The media type of the data.
pub(crate) const DATA_TYPE: &str = "application/json";
/// Longer attributes are refused: in binary mode they are headers, and servers bound those.
const LONGEST: usize = 256;

/// Name and text of each attribute but `datacontenttype`, in order. Empty ones are not there.
pub(crate) fn attributes(
    notification: &Notification,
    settings: &CloudEventsSettings,
) -> Result<Vec<(&'static str, String)>, PluginError> {
    let status = word(*needed("status", &notification.status)?);
    let kind = attribute("kind", &notification.kind)?;
    let subject = notification.merchant_order_id.as_deref().unwrap_or_default();
    let attributes = [
        ("specversion", "1.0".to_owned()),
        ("id", attribute("id", &notification.id)?.to_owned()),
        ("source", settings.source.clone()),
        ("type", format!("{}{kind}.{status}", settings.type_prefix)),
        ("subject", attribute("merchant-order-id", subject)?.to_owned()),
        ("time", happened_at(notification)?),
        ("dataschema", settings.dataschema.clone().unwrap_or_default()),
    ];
    Ok(attributes.into_iter().filter(|(_, text)| !text.is_empty()).collect())
}

/// When the payment reached its status, else when the order was made.
fn happened_at(notification: &Notification) -> Result<String, PluginError> {
    let Notification { created_at, completed_at, closed_at, .. } = notification;
    let is_closed = notification.status == Some(PaymentStatus::Closed);
    let moments = [
        ("closed-at", closed_at.filter(|_| is_closed)),
        ("completed-at", *completed_at),
        ("created-at", *created_at),
    ];
    let known = moments.into_iter().find_map(|(name, at)| at.map(|at| moment(name, at)));
    known.unwrap_or(Ok(String::new()))
}

/// A text that an attribute can be: short, and without what the type `String` excludes (section 3.1): control characters
/// and Unicode's noncharacters.
fn attribute<'a>(name: &str, text: &'a str) -> Result<&'a str, PluginError> {
    let is_noncharacter = |character: char| {
        matches!(character, '\u{FDD0}'..='\u{FDEF}') || u32::from(character) & 0xFFFE == 0xFFFE
    };
    match text.chars().find(|character| character.is_control() || is_noncharacter(*character)) {
        None => at_most(name, text, LONGEST),
        Some(_) => Err(unusable(name, "has a character that no attribute of an event may have")),
    }
}
