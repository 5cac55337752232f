//! The parts of a request.

use crate::form::Fields;
use crate::percent::Style;
use crate::record::unusable;
use crate::{Header, HttpRequest, PluginError};

/// The media type of forms.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A POST with a body of this media type.
#[must_use]
pub fn post(url: impl Into<String>, content_type: &str, body: impl Into<Vec<u8>>) -> HttpRequest {
    HttpRequest {
        method: "POST".to_owned(),
        url: url.into(),
        headers: vec![header("content-type", content_type)],
        body: body.into(),
    }
}

/// A POST with the fields as a form. Say the character set in the media type where a format wants it: use [`post`].
#[must_use]
pub fn post_form(url: impl Into<String>, fields: &Fields, style: Style) -> HttpRequest {
    post(url, FORM, fields.encoded(style))
}

/// A GET without headers of its own.
#[must_use]
pub fn get(url: impl Into<String>) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), url: url.into(), headers: Vec::new(), body: Vec::new() }
}

/// A header field. For values that the plugin itself made, such as a signature; for a value out of the record there is
/// [`header_of_field`].
#[must_use]
pub fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: value.as_bytes().to_vec() }
}

/// A header field with a text of the record as it is.
///
/// # Errors
///
/// [`PluginError::UnusableRecord`] that names the record's field, if the text cannot stand in a header: only visible ASCII
/// and blanks within can, for receivers disagree on everything else.
pub fn header_of_field(name: &str, field: &str, text: &str) -> Result<Header, PluginError> {
    let can_stand = text.bytes().all(|byte| (0x20..=0x7E).contains(&byte)) && text.trim() == text;
    if can_stand {
        Ok(header(name, text))
    } else {
        Err(unusable(field, &format!("cannot stand in the header {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_can_not_make_a_header_of_its_own() {
        assert_eq!(header_of_field("x", "subject", "a b"), Ok(header("x", "a b")));
        for text in ["a\r\nb: c", "a\n", "\0", "é", " a", "a\t"] {
            let error = header_of_field("x", "subject", text).expect_err("refused");
            assert_eq!(
                error,
                PluginError::UnusableRecord("subject: cannot stand in the header x".to_owned())
            );
        }
    }
}
