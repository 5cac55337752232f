//! The header `Stripe-Signature`.

use paynotify_plugin::sign::Keys;
use paynotify_plugin::{Algorithm, Header, PluginError, encode, request, time};

/// The role of the keys that sign.
pub(crate) const ROLE: &str = "signing";

/// `t`, and a `v1` by each key, the newest first: HMAC-SHA256 over time, full stop and body, in hexadecimal digits.
pub(crate) fn header(now: i64, body: &str, keys: &Keys<'_>) -> Result<Header, PluginError> {
    // Without any key there is nothing to send.
    keys.newest(ROLE)?;
    let timestamp = time::unix_seconds(now);
    let signed = format!("{timestamp}.{body}");
    let mut value = format!("t={timestamp}");
    for key in keys.all(ROLE) {
        value.push_str(",v1=");
        value.push_str(&encode::hex(&key.sign(Algorithm::HmacSha256, &signed)?));
    }
    Ok(request::header("Stripe-Signature", &value))
}
