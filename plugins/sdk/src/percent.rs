//! Percent-encoding, in each of the ways that merchants' software writes and expects it.
//!
//! Text is encoded as its UTF-8 bytes, hexadecimal digits are capitals. Whatever a text holds, the result is visible
//! ASCII without `&`, `=`, `#` or line breaks, so that no field can smuggle in another.

use std::fmt::Write;

/// Which characters stand for themselves. In all of them ASCII letters, digits, `-`, `.` and `_` do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// RFC 3986, section 2.3: `~` too; a blank is `%20`. For any part of a URL.
    Uri,
    /// `application/x-www-form-urlencoded` as browsers and Java's `URLEncoder` write it (WHATWG URL, section 5.2): `*`
    /// too; a blank is `+`.
    Form,
    /// The same as Python's `urllib.parse.urlencode` writes it: `~` too, but not `*`; a blank is `+`.
    FormPython,
}

/// The text, encoded in this style.
#[must_use]
pub fn encoded(text: &str, style: Style) -> String {
    let stands = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => true,
        b'~' => style != Style::Form,
        b'*' => style == Style::Form,
        _ => false,
    };
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' if style != Style::Uri => encoded.push('+'),
            byte if stands(byte) => encoded.push(char::from(byte)),
            byte => escape(&mut encoded, byte),
        }
    }
    encoded
}

/// The text with every byte escaped that does not stand for itself by the given rule: for formats with a rule of their
/// own, such as CloudEvents' headers. A byte outside ASCII is escaped whatever the rule says of it.
#[must_use]
pub fn encoded_unless(text: &str, stands: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii() && stands(byte) {
            encoded.push(char::from(byte));
        } else {
            escape(&mut encoded, byte);
        }
    }
    encoded
}

fn escape(into: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(into, "%{byte:02X}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_style_keeps_its_own_characters() {
        let text = "aZ09-._ ~*+&=%/:\r\n支'";
        let tail = "%2B%26%3D%25%2F%3A%0D%0A%E6%94%AF%27";
        assert_eq!(encoded(text, Style::Uri), format!("aZ09-._%20~%2A{tail}"));
        assert_eq!(encoded(text, Style::Form), format!("aZ09-._+%7E*{tail}"));
        assert_eq!(encoded(text, Style::FormPython), format!("aZ09-._+~%2A{tail}"));
    }

    #[test]
    fn a_rule_of_its_own() {
        // CloudEvents HTTP binding 1.0.2, section 3.1.3.2, with its own example.
        let stands = |byte: u8| (0x21..=0x7E).contains(&byte) && byte != b'"' && byte != b'%';
        assert_eq!(encoded_unless("Euro € 😀", stands), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(encoded_unless("é", |_| true), "%C3%A9");
    }
}
