//! Finding secrets in a text, so that they can be left out of what is shown. What is found is told by its place alone.
//!
//! Only keys that are plain bytes can be found: the library does not give the others out again, and no format sends them.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::key::Material;
use super::{Key, Keys};

/// A shorter one would be found by chance, wherever it is not.
const SHORTEST: usize = 6;

impl Keys {
    /// Where any of the keys stands in the text, in bytes: as it is, in hexadecimal digits, or within Base64.
    #[must_use]
    pub fn find_in(&self, text: &str) -> Vec<Range<usize>> {
        self.iter().filter_map(Key::bytes).flat_map(|bytes| find_secret(bytes, text)).collect()
    }
}

impl Key {
    fn bytes(&self) -> Option<&[u8]> {
        match &self.material {
            Material::Hmac(secret)
            | Material::Md5(secret)
            | Material::Sha256(secret)
            | Material::Md5OrHmac(secret) => Some(secret),
            Material::Rsa(_) | Material::Ed25519(_) | Material::Aes(_) => None,
        }
    }
}

/// Where a secret stands in a text, in bytes: as it is, in hexadecimal digits, or within Base64. One that is too short to
/// be one is not looked for.
#[must_use]
pub fn find_secret(secret: &[u8], text: &str) -> Vec<Range<usize>> {
    if secret.len() < SHORTEST {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut find = |form: &str, text: &str| {
        found.extend(text.match_indices(form).map(|(at, form)| at..at + form.len()));
    };
    if let Ok(itself) = std::str::from_utf8(secret) {
        find(itself, text);
    }
    // Capitals are as long as small letters.
    find(&Zeroizing::new(hex::encode(secret)), &text.to_ascii_lowercase());
    // What stands before it decides how its bits fall into the digits, and those at both ends are shared with others.
    for before in 0..3 {
        let shifted = Zeroizing::new([&[0_u8; 3][..before], secret].concat());
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let digits = Zeroizing::new(engine.encode(&*shifted));
            let first = if before == 0 { 0 } else { before + 1 };
            find(digits.get(first..digits.len() - 1).unwrap_or_default(), text);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = b"v3ry?secret>key~";
        for before in ["", "a", "ab", "abc", "user:"] {
            let within = [before.as_bytes(), secret, b"!"].concat();
            for text in [
                String::from_utf8_lossy(&within).into_owned(),
                hex::encode(&within),
                hex::encode_upper(&within),
                STANDARD.encode(&within),
                URL_SAFE.encode(&within),
                STANDARD.encode([before.as_bytes(), secret].concat()),
            ] {
                let found = find_secret(secret, &text);
                assert!(found.iter().any(|range| range.len() + 4 >= secret.len()), "{text}: {found:?}");
            }
        }
        assert!(find_secret(b"short", "a short one").is_empty());
        assert!(find_secret(secret, "nothing of the kind").is_empty());
    }
}
