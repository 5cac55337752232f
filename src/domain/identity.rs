//! The two names that everything is filed under. Both are checked once, when they come in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

/// Why a text is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` must be 1 to {longest} characters of A-Z a-z 0-9 _ -")]
pub struct InvalidIdentity {
    text: String,
    longest: usize,
}

macro_rules! identity {
    ($(#[$meta:meta])* $name:ident, $longest:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The longest that it may be, in characters.
            pub const LONGEST: usize = $longest;

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentity;

            fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
                let fits = (1..=Self::LONGEST).contains(&text.len());
                if fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
                    Ok(Self(text.to_owned()))
                } else {
                    let text = text.chars().take(80).collect();
                    Err(InvalidIdentity { text, longest: Self::LONGEST })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

identity! {
    /// One notification's name, the same over all its attempts: what a merchant tells duplicates by.
    /// 1 to 36 characters of `A-Z a-z 0-9 _ -`.
    NotificationId, 36
}

identity! {
    /// One merchant's name: the stem of its file, a word of a routing key, a label of a metric.
    /// 1 to 64 characters of `A-Z a-z 0-9 _ -`.
    MerchantId, 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_are_identities() {
        assert!("a-Z_9".parse::<NotificationId>().is_ok());
        assert!("x".repeat(36).parse::<NotificationId>().is_ok());
        for wrong in ["", "a.b", "a b", "ü", &"x".repeat(37)] {
            assert!(wrong.parse::<NotificationId>().is_err(), "{wrong}");
        }
        assert!("x".repeat(64).parse::<MerchantId>().is_ok());
    }
}
