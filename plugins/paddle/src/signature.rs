//! The header `Paddle-Signature`.

use paynotify_plugin::sign::Keys;
use paynotify_plugin::{Algorithm, Header, PluginError, encode, request, time};

/// The role of the key that signs.
pub(crate) const ROLE: &str = "signing";

/// `ts`, and one `h1`: HMAC-SHA256 over time, colon and body, in hexadecimal digits.
pub(crate) fn header(now: i64, body: &str, keys: &Keys<'_>) -> Result<Header, PluginError> {
    let timestamp = time::unix_seconds(now);
    let signature = keys.newest(ROLE)?.sign(Algorithm::HmacSha256, format!("{timestamp}:{body}"))?;
    Ok(request::header("Paddle-Signature", &format!("ts={timestamp};h1={}", encode::hex(&signature))))
}
