//! Texts of a merchant's that are withheld from people: secrets that others than the gateway know, and may repeat.
//!
//! A merchant's URL can have a secret in its query, and a plugin is told that URL; a merchant's own reply may quote the request. So what
//! plugins and merchants say goes through here before it is logged, kept for people or answered.
//!
//! Deliberately absent: secrets that are written in another way than those two knew them, and texts so short that they come up by chance.

use std::fmt;
use std::sync::Arc;

/// A shorter text is not withheld.
const SHORTEST: usize = 8;

/// What stands in a secret's place.
const MASK: &str = "***";

/// See the module. Cheap to clone; never shows what it withholds.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Withheld(Arc<[String]>);

impl Withheld {
    /// The values in the URL's query, and its parts that have no name; as they are written, and decoded.
    #[must_use]
    pub fn of_url(url: &str) -> Self {
        let Some((_, query)) = url.split_once('?') else { return Self::default() };
        let values = query.split('&').map(|field| field.split_once('=').map_or(field, |(_, value)| value));
        Self::of(values.flat_map(|value| [Some(value.to_owned()), percent_decoded(value)]).flatten())
    }

    /// These texts, as far as they are long enough.
    pub fn of(texts: impl IntoIterator<Item = String>) -> Self {
        let mut texts: Vec<_> = texts.into_iter().filter(|text| text.len() >= SHORTEST).collect();
        // One that is a part of another comes after it.
        texts.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        texts.dedup();
        Self(texts.into())
    }

    /// Those, and these as well.
    #[must_use]
    pub fn and(&self, texts: impl IntoIterator<Item = String>) -> Self {
        Self::of(self.0.iter().cloned().chain(texts))
    }

    /// The text without what is withheld.
    #[must_use]
    pub fn mask(&self, mut text: String) -> String {
        for secret in &*self.0 {
            if text.contains(secret) {
                text = text.replace(secret, MASK);
            }
        }
        text
    }
}

impl fmt::Debug for Withheld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Withheld({})", self.0.len())
    }
}

/// `None`: it is no encoded text, or the same.
fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            decoded.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok().filter(|decoded| decoded != text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_has_in_its_query_is_withheld() {
        let withheld =
            Withheld::of_url("https://shop.example/notify?key=s3cret%2fof%20it&v=2&0123456789abcdef");
        for (said, shown) in [
            ("no s3cret%2fof%20it here", "no *** here"),
            ("s3cret/of it, s3cret/of it", "***, ***"),
            ("0123456789abcdef0", "***0"),
            ("v=2 of https://shop.example/notify", "v=2 of https://shop.example/notify"),
        ] {
            assert_eq!(withheld.mask(said.to_owned()), shown);
        }
        assert_eq!(format!("{withheld:?}"), "Withheld(3)");
        assert_eq!(Withheld::of_url("https://shop.example/0123456789"), Withheld::default());
        assert_eq!(
            Withheld::of_url("https://shop.example/?a=%zz-is-nothing&b=%").mask("%zz-is-nothing".to_owned()),
            "***"
        );
    }

    #[test]
    fn the_longer_of_two_goes_first() {
        let withheld =
            Withheld::of(["password".to_owned()]).and(["password-and-more".to_owned(), "short".to_owned()]);
        assert_eq!(withheld.mask("password-and-more, password, short".to_owned()), "***, ***, short");
    }
}
