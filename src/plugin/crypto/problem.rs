//! What can be wrong with a key of a merchant's file, in sentences that say what to do. No text of a key is in them.

use super::{Encoding, KeyAlgorithm};

/// Why a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// The text of such a key cannot be written so.
    #[error("`{encoding}` is not for `{algorithm}`, which takes {}; without `encoding` it is told by its form", encodings(.algorithm))]
    Encoding {
        /// What the file says.
        encoding: Encoding,
        /// The key's algorithm.
        algorithm: KeyAlgorithm,
    },
    /// Two formats mean two things by the same prefix, and a wrong guess would sign wrongly without a word.
    #[error(
        "is needed for a secret that begins with `whsec_`: \"whsec\" decodes the rest (Standard Webhooks), \"raw\" takes the text as it is (Stripe)"
    )]
    Whsec,
    /// PEM for a key that is not asymmetric.
    #[error("is PEM, and `{0}` takes a secret text; is `algorithm` right?")]
    PemForSecret(KeyAlgorithm),
    /// Something at the ends that nobody means to sign with.
    #[error(
        "begins or ends with a blank, or holds a line break or another control character; a secret that does have such can be written with `encoding = \"hex\"`"
    )]
    NotOneLine,
    /// No hexadecimal digits.
    #[error("is not hexadecimal: an even number of the digits 0-9 a-f, without blanks, colons or `0x`")]
    NotHex,
    /// No base64.
    #[error("is not base64 (RFC 4648, section 4: A-Z a-z 0-9 + /, filled up with =)")]
    NotBase64,
    /// The prefix that the encoding is named after is missing.
    #[error("does not begin with `{0}_`, as `encoding = \"{0}\"` says")]
    NoPrefix(Encoding),
    /// Too short or too long.
    #[error("decodes to {length} bytes by `encoding = \"{encoding}\"`, and `{algorithm}` takes {wanted}")]
    Length {
        /// The key's algorithm.
        algorithm: KeyAlgorithm,
        /// How the text was decoded.
        encoding: Encoding,
        /// The bytes that came of it.
        length: usize,
        /// The lengths that do.
        wanted: &'static str,
    },
    /// Not a single block that can be read.
    #[error(
        "is not PEM: there is no block with a `-----BEGIN …-----` and an `-----END …-----` line, each on a line of its own"
    )]
    NotPem,
    /// Nobody could say which is meant.
    #[error("holds {0} private keys; leave the one that is meant")]
    SeveralKeys(usize),
    /// PEM of something else.
    #[error("holds a PEM block `{label}` and no private key; `{algorithm}` needs the private key")]
    OtherPem {
        /// What the block says that it is.
        label: String,
        /// The key's algorithm.
        algorithm: KeyAlgorithm,
    },
    /// The password has no place to be.
    #[error("is encrypted with a password; `openssl pkey -in FILE` writes it without one")]
    Encrypted,
    /// DER, but of something else.
    #[error("is {found}, and `{algorithm}` needs {}", wanted(.algorithm))]
    OtherKind {
        /// What it is.
        found: &'static str,
        /// The key's algorithm.
        algorithm: KeyAlgorithm,
    },
    /// An RSA modulus out of bounds.
    #[error("is an RSA key of {0} bits; 2048 to 4096 are taken")]
    RsaBits(usize),
    /// The library says no.
    #[error("is not a sound private key: {0}")]
    Rejected(String),
    /// The public half is not the private one's.
    #[error("holds a public half that is not that of its seed: it is damaged, or two keys are mixed up")]
    Halves,
    /// An id that no header could carry.
    #[error("must be 1 to 128 visible ASCII characters; without it, so must the `name`, which stands for it")]
    Id,
    /// A certificate with a key that has no public half.
    #[error("is for asymmetric keys only, and `{0}` is none")]
    CertificateForSecret(KeyAlgorithm),
    /// Not a certificate.
    #[error("is not a PEM certificate (`-----BEGIN CERTIFICATE-----`)")]
    NotACertificate,
    /// The certificate of another key.
    #[error("is for another key: its public key is not that of `secret`")]
    OtherCertificate,
}

impl KeyProblem {
    /// The key of the merchant's file that is to blame, within `[[keys]]`.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Encoding { .. } | Self::Whsec => "encoding",
            Self::Id => "id",
            Self::CertificateForSecret(_) | Self::NotACertificate | Self::OtherCertificate => "certificate",
            Self::PemForSecret(_)
            | Self::NotOneLine
            | Self::NotHex
            | Self::NotBase64
            | Self::NoPrefix(_)
            | Self::Length { .. }
            | Self::NotPem
            | Self::SeveralKeys(_)
            | Self::OtherPem { .. }
            | Self::Encrypted
            | Self::OtherKind { .. }
            | Self::RsaBits(_)
            | Self::Rejected(_)
            | Self::Halves => "secret",
        }
    }
}

fn encodings(algorithm: &KeyAlgorithm) -> String {
    let names: Vec<_> = Encoding::of(*algorithm).iter().map(|encoding| format!("`{encoding}`")).collect();
    names.join(", ")
}

fn wanted(algorithm: &KeyAlgorithm) -> &'static str {
    if *algorithm == KeyAlgorithm::Ed25519 { "an Ed25519 private key" } else { "an RSA private key" }
}
