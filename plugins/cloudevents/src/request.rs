//! The delivery: the event in binary or structured mode, with its token.

use paynotify_plugin::json::{self, Object};
use paynotify_plugin::percent::encoded_unless;
use paynotify_plugin::request::header;
use paynotify_plugin::{Call, HttpRequest, PluginError, request};

use crate::event::DATA_TYPE;
use crate::settings::{CloudEventsSettings, Mode};
use crate::{event, token};

/// Writes the request of one attempt.
pub(crate) fn write(call: &Call<'_, CloudEventsSettings>) -> Result<HttpRequest, PluginError> {
    let attributes = event::attributes(call.notification, &call.settings)?;
    let data = json::record(call.notification)?;
    let url = &call.endpoint.url;
    let mut request = match call.settings.mode {
        Mode::Binary => binary(url, &attributes, data),
        Mode::Structured => structured(url, &attributes, data)?,
    };
    if let Some(token) = token::write(call)? {
        request.headers.push(header("authorization", &format!("Bearer {token}")));
    }
    if let Some(origin) = &call.settings.request_origin {
        request.headers.push(header("webhook-request-origin", origin));
    }
    Ok(request)
}

/// HTTP binding, section 3.1: attributes as headers, percent-encoded.
fn binary(url: &str, attributes: &[(&str, String)], data: String) -> HttpRequest {
    let stands = |byte: u8| (0x21..=0x7E).contains(&byte) && byte != b'"' && byte != b'%';
    let mut request = request::post(url, DATA_TYPE, data);
    let headers =
        attributes.iter().map(|(name, text)| header(&format!("ce-{name}"), &encoded_unless(text, stands)));
    request.headers.extend(headers);
    request
}

/// HTTP binding, section 3.2: attributes and data in one document.
fn structured(url: &str, attributes: &[(&str, String)], data: String) -> Result<HttpRequest, PluginError> {
    let mut event = Object::new();
    for (name, text) in attributes {
        event = event.with(name, Some(text))?;
    }
    let body = event.with("datacontenttype", Some(DATA_TYPE))?.with_object("data", Some(data)).finish();
    Ok(request::post(url, "application/cloudevents+json; charset=utf-8", body))
}
