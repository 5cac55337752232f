//! Bearer tokens: what they let their holder do, and how one is told from no token at all.
//!
//! The rule: the gateway never has a token, only its SHA-256. A plain hash is enough, because a token is not a password that
//! somebody thought of: it is 256 random bits, and nobody finds those by trying. Hashes are compared in constant time, and
//! always with all of them, so that the time of an answer says nothing about which tokens there are.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::domain::MerchantId;

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Hands in payment results, and can ask nothing.
    Ingest,
    /// Asks: stories, plugins, metrics. Changes nothing.
    Read,
    /// Asks, and changes what runs.
    Operate,
    /// A merchant's own: asks what became of its own orders, and of nobody else's.
    Merchant(MerchantId),
}

impl Role {
    /// The role's name in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Merchant(_) => "merchant",
        }
    }

    /// Whether it opens a door.
    #[must_use]
    pub fn opens(&self, door: Door) -> bool {
        match (door, self) {
            (Door::Open, _)
            | (Door::Ingest, Self::Ingest)
            | (Door::Read, Self::Read | Self::Operate)
            | (Door::Own, Self::Read | Self::Operate | Self::Merchant(_))
            | (Door::Operate, Self::Operate) => true,
            (Door::Ingest, Self::Read | Self::Operate | Self::Merchant(_))
            | (Door::Read | Door::Operate, Self::Ingest | Self::Merchant(_))
            | (Door::Operate, Self::Read)
            | (Door::Own, Self::Ingest) => false,
        }
    }
}

/// What a request needs to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Nothing: whether the gateway lives and is ready.
    Open,
    /// To hand in payment results.
    Ingest,
    /// To ask about everything.
    Read,
    /// To ask about something that is a merchant's: all who may ask about everything, and the merchant.
    Own,
    /// To change what runs.
    Operate,
}

/// One token, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What logs call it by.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What it is told by.
    pub hash: TokenHash,
}

/// The SHA-256 of a token's text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; digest::SHA256_OUTPUT_LEN]);

impl TokenHash {
    /// Of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let mut hash = [0; digest::SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }

    /// Compares in constant time.
    pub(super) fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl FromStr for TokenHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let mut hash = [0; digest::SHA256_OUTPUT_LEN];
        hex::decode_to_slice(text, &mut hash).map_err(|_| InvalidHash)?;
        Ok(Self(hash))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// Not the hash of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token's hash is 64 hexadecimal digits, as `paynotify token new` prints them")]
pub struct InvalidHash;

/// What a fresh token's text begins with, so that people and scanners for secrets know it when they see it.
const PREFIX: &str = "paynotify_";

/// Makes a token of 256 random bits. The text is overwritten when it is dropped.
///
/// # Errors
/// The system has no randomness to give.
pub fn new_token() -> Result<Zeroizing<String>, NoRandomness> {
    let mut bits = Zeroizing::new([0; 32]);
    rand::fill(&mut bits[..]).map_err(|_| NoRandomness)?;
    Ok(Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bits[..]))))
}

/// The system has no randomness to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no randomness to give")]
pub struct NoRandomness;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_token_is_told_by_its_hash_alone() {
        let (one, other) = (new_token().expect("random"), new_token().expect("random"));
        assert_ne!(one, other);
        assert_eq!(one.len(), PREFIX.len() + 43);
        let hash: TokenHash = TokenHash::of(&one).to_string().parse().expect("a hash");
        assert!(hash.is(&TokenHash::of(&one)) && !hash.is(&TokenHash::of(&other)));
        assert_eq!(format!("{hash:?}"), "***");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(TokenHash::of("abc").to_string(), known);
        for wrong in ["", "ba78", "zz7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"] {
            assert_eq!(wrong.parse::<TokenHash>(), Err(InvalidHash));
        }
    }
}
