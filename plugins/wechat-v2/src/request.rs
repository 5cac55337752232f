//! The request: the elements, and their signature among them.

use paynotify_plugin::encode::{alphanumeric, hex_upper};
use paynotify_plugin::form::Fields;
use paynotify_plugin::sign::{Key, bytes};
use paynotify_plugin::xml::Writer;
use paynotify_plugin::{Call, HttpRequest, Part, PluginError, canonical, request};

use crate::settings::{SignType, WechatV2Settings};
use crate::{API_KEY, fields};

/// The vendor's nonce has up to 32 characters.
const NONCE_CHARACTERS: usize = 32;

/// Writes and signs the request of one attempt. During a rotation the newest key signs: the format has room for one
/// signature.
pub(crate) fn write(call: &Call<'_, WechatV2Settings>) -> Result<HttpRequest, PluginError> {
    let nonce = alphanumeric(&call.attempt.entropy, NONCE_CHARACTERS);
    let fields = fields::of(call.notification, &call.settings, &nonce)?;
    let signature = signature(&call.keys.newest(API_KEY)?, call.settings.sign_type, &fields)?;
    let fields = fields.with("sign", &signature);
    let mut elements: Vec<_> = fields.iter().collect();
    elements.sort_unstable();
    Ok(request::post(&call.endpoint.url, "text/xml; charset=utf-8", written(&elements)))
}

/// The sorted elements and, at their end, the key itself: hashed, and with HMAC keyed by the same key.
pub(crate) fn signature(key: &Key<'_>, sign_type: SignType, fields: &Fields) -> Result<String, PluginError> {
    let text = format!("{}&key=", canonical::sorted(fields.iter(), &["sign"]));
    Ok(hex_upper(&key.sign_parts(sign_type.algorithm(), &[bytes(text), Part::Secret])?))
}

/// Sorted, and in CDATA all but the amount: that is what the vendor's own notifications look like.
fn written(elements: &[(&str, &str)]) -> String {
    let xml = elements.iter().fold(Writer::new("xml"), |xml, (name, value)| match *name {
        "total_fee" => xml.text(name, value),
        _ => xml.cdata(name, value),
    });
    xml.finish()
}
