//! Bytes, and values, as text.

use base64::Engine;
use serde::Serialize;

use crate::PluginError;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Lower-case hexadecimal digits, two for each byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Capital hexadecimal digits, two for each byte.
#[must_use]
pub fn hex_upper(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Base64 with the standard alphabet and with padding (RFC 4648, section 4), in one line.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Base64 with the alphabet for URLs and without padding (RFC 4648, section 5), as JSON Web Tokens have it.
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// ASCII letters and digits, one made of each byte: for nonces that must be text, from `attempt.entropy`. At most as many
/// as there are bytes, each worth nearly six bits.
#[must_use]
pub fn alphanumeric(random: &[u8], length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    random.iter().take(length).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

/// JSON without blanks: the fields of a struct in the order in which it names them, all text as UTF-8.
///
/// # Errors
///
/// [`PluginError::Other`] for a value that JSON cannot express, such as a map whose keys are no texts: the plugin's fault.
pub fn json(value: &impl Serialize) -> Result<String, PluginError> {
    serde_json::to_string(value).map_err(|error| PluginError::Other(format!("the body is no JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_text() {
        assert_eq!(hex(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(hex_upper(&[0, 0x1f, 0xff]), "001FFF");
        // RFC 4648, section 10.
        assert_eq!((base64(b"foob"), base64(b"")), ("Zm9vYg==".to_owned(), String::new()));
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
        assert_eq!(alphanumeric(&[0, 61, 62, 255, 9], 4), "A9AH");
        assert_eq!(alphanumeric(&[0; 3], 32).len(), 3);
    }
}
