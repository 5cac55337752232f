//! The three headers.

use paynotify_plugin::record::unusable;
use paynotify_plugin::sign::{Key, Keys};
use paynotify_plugin::{Algorithm, Header, PluginError, encode, request, time};

/// The role of the keys that sign.
pub(crate) const ROLE: &str = "signing";

/// The headers of a message of this id, sent now, with a signature by each key.
pub(crate) fn headers(id: &str, now: i64, body: &str, keys: &Keys<'_>) -> Result<Vec<Header>, PluginError> {
    // The full stop ends the id in what is signed; one within would let two messages have one signature.
    if id.contains('.') {
        return Err(unusable("id", "has a full stop, and the format's ids have none"));
    }
    let timestamp = time::unix_seconds(now).to_string();
    let signed = format!("{id}.{timestamp}.{body}");
    let signatures =
        keys.all(ROLE).map(|key| signature(key, &signed)).collect::<Result<Vec<String>, PluginError>>()?;
    if signatures.is_empty() {
        // There is none, and this says so.
        keys.newest(ROLE)?;
    }
    Ok(vec![
        request::header_of_field("webhook-id", "id", id)?,
        request::header("webhook-timestamp", &timestamp),
        request::header("webhook-signature", &signatures.join(" ")),
    ])
}

/// By a key with a public half: v1a. By one without: v1.
fn signature(key: Key<'_>, signed: &str) -> Result<String, PluginError> {
    let (version, algorithm) = match key.info()?.public_key {
        Some(_) => ("v1a", Algorithm::Ed25519),
        None => ("v1", Algorithm::HmacSha256),
    };
    Ok(format!("{version},{}", encode::base64(&key.sign(algorithm, signed)?)))
}
