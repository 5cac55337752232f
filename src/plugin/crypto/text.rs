//! From the text of a key to its bytes. Each step writes into memory that is overwritten when it is dropped, and that
//! has room for all from the start.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::problem::KeyProblem;
use super::secret::Secret;
use super::{KeyAlgorithm, der, pem};

/// How the text of a key is to be read.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// The text's own bytes.
    Raw,
    /// Hexadecimal digits, of either case.
    Hex,
    /// Base64 (RFC 4648, section 4), with or without the filling.
    Base64,
    /// `whsec_` and base64, as Standard Webhooks writes symmetric keys.
    Whsec,
    /// `whsk_` and base64, as Standard Webhooks writes Ed25519 keys: of the seed, or of the seed and the public half.
    Whsk,
    /// A PEM block of PKCS#1 or PKCS#8.
    Pem,
    /// Bare base64 of the DER of PKCS#1 or PKCS#8, as Alipay hands keys out. Line breaks are no matter.
    Der,
}

impl Encoding {
    /// Those in which a key of that algorithm can be written.
    pub(super) fn of(algorithm: KeyAlgorithm) -> &'static [Self] {
        match algorithm {
            KeyAlgorithm::HmacSha256 => &[Self::Raw, Self::Hex, Self::Base64, Self::Whsec],
            KeyAlgorithm::Md5
            | KeyAlgorithm::Sha256
            | KeyAlgorithm::Md5OrHmacSha256
            | KeyAlgorithm::Aes256Gcm => &[Self::Raw, Self::Hex, Self::Base64],
            KeyAlgorithm::RsaPkcs1v15Sha256 => &[Self::Pem, Self::Der],
            KeyAlgorithm::Ed25519 => &[Self::Pem, Self::Der, Self::Whsk, Self::Hex, Self::Base64],
        }
    }

    /// What the file says, or what the text's form tells.
    pub(super) fn choose(
        given: Option<Self>,
        algorithm: KeyAlgorithm,
        text: &str,
    ) -> Result<Self, KeyProblem> {
        let may_be = |encoding| Self::of(algorithm).contains(&encoding);
        match given {
            Some(encoding) if may_be(encoding) => Ok(encoding),
            Some(encoding) => Err(KeyProblem::Encoding { encoding, algorithm }),
            None if pem::is_in(text) && may_be(Self::Pem) => Ok(Self::Pem),
            None if pem::is_in(text) => Err(KeyProblem::PemForSecret(algorithm)),
            None if text.starts_with("whsec_") && may_be(Self::Whsec) => Err(KeyProblem::Whsec),
            None if text.starts_with("whsk_") && may_be(Self::Whsk) => Ok(Self::Whsk),
            None if may_be(Self::Der) => Ok(Self::Der),
            None => Ok(Self::Raw),
        }
    }

    /// The bytes that the text stands for. For PEM and DER it is DER, of whatever.
    pub(super) fn decode(self, algorithm: KeyAlgorithm, text: &str) -> Result<Secret<Vec<u8>>, KeyProblem> {
        let prefixed = |prefix| text.trim().strip_prefix(prefix).ok_or(KeyProblem::NoPrefix(self));
        match self {
            Self::Raw => raw(text),
            Self::Hex => hex(text.trim()),
            Self::Base64 => base64(text.trim()).ok_or(KeyProblem::NotBase64),
            Self::Whsec => base64(prefixed("whsec_")?).ok_or(KeyProblem::NotBase64),
            Self::Whsk => base64(prefixed("whsk_")?).ok_or(KeyProblem::NotBase64),
            Self::Pem => private_key(algorithm, text),
            Self::Der => base64_with_blanks(text).ok_or(KeyProblem::NotBase64),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Raw => "raw",
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Whsec => "whsec",
            Self::Whsk => "whsk",
            Self::Pem => "pem",
            Self::Der => "der",
        })
    }
}

fn raw(text: &str) -> Result<Secret<Vec<u8>>, KeyProblem> {
    const BYTE_ORDER_MARK: char = '\u{feff}';
    let odd = |character: char| character.is_control() || character == BYTE_ORDER_MARK;
    if text.trim() != text || text.contains(odd) {
        return Err(KeyProblem::NotOneLine);
    }
    Ok(Secret::new(text.as_bytes().to_vec()))
}

fn hex(text: &str) -> Result<Secret<Vec<u8>>, KeyProblem> {
    let mut bytes = Zeroizing::new(vec![0; text.len() / 2]);
    hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyProblem::NotHex)?;
    Ok(bytes.into())
}

fn base64(text: &str) -> Option<Secret<Vec<u8>>> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    // The most that it can be; what is too much is cut off, and has never held a part of the key.
    let mut bytes = Zeroizing::new(vec![0; text.len().div_ceil(4) * 3]);
    let length = ENGINE.decode_slice(text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes.into())
}

/// Base64 in which blanks and line breaks are no matter.
pub(super) fn base64_with_blanks(text: &str) -> Option<Secret<Vec<u8>>> {
    let mut dense = Zeroizing::new(String::with_capacity(text.len()));
    dense.extend(text.chars().filter(|character| !character.is_ascii_whitespace()));
    base64(&dense)
}

/// The one private key among the blocks of a PEM text.
fn private_key(algorithm: KeyAlgorithm, text: &str) -> Result<Secret<Vec<u8>>, KeyProblem> {
    let blocks = pem::blocks(text);
    let keys: Vec<_> = blocks.iter().filter(|block| block.label.ends_with("PRIVATE KEY")).collect();
    match (keys.as_slice(), blocks.first()) {
        ([], None) => Err(KeyProblem::NotPem),
        ([], Some(other)) => {
            // A label is no secret, but whatever stands there is cut to what a label can be.
            let plain = |character: &char| matches!(character, ' '..='~');
            let label = other.label.chars().filter(plain).take(40).collect();
            Err(KeyProblem::OtherPem { label, algorithm })
        }
        ([key], _) if key.is_encrypted() => Err(KeyProblem::Encrypted),
        ([key], _) if key.label.starts_with("OPENSSH") => {
            Err(KeyProblem::OtherKind { found: der::Kind::Pkcs8Other.name(), algorithm })
        }
        ([key], _) => key.decode().ok_or(KeyProblem::NotBase64),
        (several, _) => Err(KeyProblem::SeveralKeys(several.len())),
    }
}
