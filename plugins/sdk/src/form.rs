//! Named texts in order, and their way into a query or a form body.

use crate::PluginError;
use crate::percent::{Style, encoded};

/// Fields of a request: names and values, in the order of sending. Values are plain text, not yet encoded.
///
/// A field without a value is never there: receivers disagree on whether an empty one takes part in a signature, so none
/// is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// No fields yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field, unless the value is empty.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.push(name, value);
        self
    }

    /// Adds a field, unless the value is absent or empty.
    #[must_use]
    pub fn with_some(mut self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        if let Some(value) = value {
            self.push(name, value.as_ref());
        }
        self
    }

    /// Adds a field, unless the value is empty.
    pub fn push(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Name and value of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of the first field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// `name=value&name=value`, both encoded.
    #[must_use]
    pub fn encoded(&self, style: Style) -> String {
        let pairs =
            self.iter().map(|(name, value)| format!("{}={}", encoded(name, style), encoded(value, style)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// Appends an encoded query to a URL. A query that is there stays first, byte for byte; a fragment never travels.
#[must_use]
pub fn with_query(url: &str, query: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let separator = match url.split_once('?') {
        None => "?",
        Some((_, theirs)) if theirs.is_empty() || theirs.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{separator}{query}")
}

/// The query of a URL, as it is written there; empty if there is none.
#[must_use]
pub fn query_of(url: &str) -> &str {
    let url = url.split('#').next().unwrap_or_default();
    url.split_once('?').map_or("", |(_, query)| query)
}

/// The URL without its fragment, for formats whose URL has no query of its own: the receivers' software takes everything in
/// the query for a signed field, so that the signature could not be right.
///
/// # Errors
///
/// [`PluginError::UnusableSettings`] that names the URL, if it has a query.
pub fn without_query(url: &str) -> Result<&str, PluginError> {
    if query_of(url).is_empty() {
        return Ok(url.split(['?', '#']).next().unwrap_or_default());
    }
    Err(PluginError::UnusableSettings(
        "url: it has a query of its own, which this format does not allow".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_empty_ones_are_never_sent() {
        let fields = Fields::new()
            .with("b", "1 &=")
            .with("empty", "")
            .with_some("none", None::<&str>)
            .with_some("empty", Some(""))
            .with_some("a&b", Some("支".to_owned()));
        assert_eq!(fields.encoded(Style::Form), "b=1+%26%3D&a%26b=%E6%94%AF");
        assert_eq!((fields.get("b"), fields.get("empty")), (Some("1 &="), None));
        assert_eq!(Fields::new().encoded(Style::Uri), "");
    }

    #[test]
    fn a_query_that_is_there_stays_first() {
        for (url, beginning) in [
            ("http://shop.test/notify", "http://shop.test/notify?"),
            ("http://shop.test", "http://shop.test?"),
            ("http://shop.test/n?", "http://shop.test/n?"),
            ("http://shop.test/n?a=%2f+b", "http://shop.test/n?a=%2f+b&"),
            ("http://shop.test/n?a=1&", "http://shop.test/n?a=1&"),
            ("http://shop.test/n?a=1?", "http://shop.test/n?a=1?&"),
            ("http://shop.test/n?a=1#top?x", "http://shop.test/n?a=1&"),
            ("http://shop.test/n#top?x", "http://shop.test/n?"),
        ] {
            assert_eq!(with_query(url, "z=9"), format!("{beginning}z=9"), "{url}");
        }
    }

    #[test]
    fn the_query_of_a_url() {
        assert_eq!(query_of("http://shop.test/n"), "");
        assert_eq!(query_of("http://shop.test/n#a?b"), "");
        assert_eq!(query_of("http://shop.test/n?a=1?2#x"), "a=1?2");
        for url in
            ["http://shop.test/n", "http://shop.test/n?", "http://shop.test/n?#a?b", "http://shop.test/n#a"]
        {
            assert_eq!(without_query(url), Ok("http://shop.test/n"));
        }
        assert!(matches!(without_query("http://shop.test/n?a"), Err(PluginError::UnusableSettings(_))));
    }
}
