//! Keys: decoded once, bound to one use, never shown.
//!
//! [`Material`] has a variant for each use, with just what that use needs, so that a key for sealing cannot sign and a
//! text cannot be taken for an RSA key. What is decoded here is overwritten when it is dropped, and so are all
//! intermediate texts; the environment, and the file itself, stay what they are.
//!
//! Copies of the library's own: aws-lc keeps RSA, Ed25519 and AES keys in memory that its `OPENSSL_free` overwrites
//! before it gives it back (crypto/mem.c), as are the numbers that it calculates with; an HMAC's state is overwritten by
//! `HMAC_CTX_cleanup`. What lies on the stack during a calculation is left to the next one.

use std::fmt;

use aws_lc_rs::aead;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
use serde::{Deserialize, Serialize};

use super::der::{self, Kind};
use super::problem::KeyProblem;
use super::secret::Secret;
use super::text::Encoding;
use super::{Algorithm, pem};

/// What a key is bound to, as a merchant's file names it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// MD5 over text with the secret in it.
    Md5,
    /// SHA-256 over text with the secret in it.
    Sha256,
    /// Either of MD5 and HMAC-SHA256: what WeChat's API key of version 2 is for, as each request asks.
    Md5OrHmacSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "rsa-pkcs1v15-sha256")]
    RsaPkcs1v15Sha256,
    /// Ed25519.
    Ed25519,
    /// Sealing with AES-256-GCM.
    #[serde(rename = "aes-256-gcm")]
    Aes256Gcm,
}

impl KeyAlgorithm {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::HmacSha256,
        Self::Md5,
        Self::Sha256,
        Self::Md5OrHmacSha256,
        Self::RsaPkcs1v15Sha256,
        Self::Ed25519,
        Self::Aes256Gcm,
    ];

    /// Whether a key that is bound to this does for a role that asks for one of `algorithms`; a role that names none
    /// seals.
    #[must_use]
    pub fn does_for(self, algorithms: &[Algorithm]) -> bool {
        let asked = |algorithm| algorithms.contains(&algorithm);
        match self {
            Self::HmacSha256 => asked(Algorithm::HmacSha256),
            Self::Md5 => asked(Algorithm::Md5),
            Self::Sha256 => asked(Algorithm::Sha256),
            Self::Md5OrHmacSha256 => asked(Algorithm::Md5) || asked(Algorithm::HmacSha256),
            Self::RsaPkcs1v15Sha256 => asked(Algorithm::RsaPkcs1v15Sha256),
            Self::Ed25519 => asked(Algorithm::Ed25519),
            Self::Aes256Gcm => algorithms.is_empty(),
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Md5OrHmacSha256 => "md5-or-hmac-sha256",
            Self::RsaPkcs1v15Sha256 => "rsa-pkcs1v15-sha256",
            Self::Ed25519 => "ed25519",
            Self::Aes256Gcm => "aes-256-gcm",
        })
    }
}

/// A key as a merchant's file has it: text.
#[derive(Debug)]
pub struct KeyText {
    /// What the plugin calls it (`description.keys`).
    pub role: String,
    /// What `crypto` is asked for it by; one name for one key.
    pub name: String,
    /// What it is bound to.
    pub algorithm: KeyAlgorithm,
    /// How `secret` is written; without it, the form of the text tells.
    pub encoding: Option<Encoding>,
    /// The key itself.
    pub secret: Secret<String>,
    /// The id that merchants know it by.
    pub id: Option<String>,
    /// The certificate of an asymmetric key, as PEM. Of several the first is meant, as in a chain.
    pub certificate: Option<String>,
}

/// A key that can be used.
#[derive(Debug)]
pub struct Key {
    role: String,
    name: String,
    algorithm: KeyAlgorithm,
    pub(super) material: Material,
    pub(super) id: String,
    pub(super) certificate_pem: Option<String>,
    pub(super) public_key: Option<Vec<u8>>,
}

/// What a use needs.
#[derive(Debug)]
pub(super) enum Material {
    Hmac(Secret<Vec<u8>>),
    Md5(Secret<Vec<u8>>),
    Sha256(Secret<Vec<u8>>),
    Md5OrHmac(Secret<Vec<u8>>),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Aes(aead::LessSafeKey),
}

impl Key {
    /// Decodes the text and makes a key of it, or says what is wrong with which part of it.
    ///
    /// # Errors
    /// The text is not what `algorithm` and `encoding` say, the key is too short, too long or not sound, or the
    /// certificate is not its own.
    pub fn decode(text: KeyText) -> Result<Self, KeyProblem> {
        let KeyText { role, name, algorithm, encoding, secret, id, certificate } = text;
        let material = Material::decode(algorithm, encoding, &secret)?;
        let public_key = material.public_key()?;
        let certificate = match (&certificate, &public_key) {
            (None, _) => None,
            (Some(_), None) => return Err(KeyProblem::CertificateForSecret(algorithm)),
            (Some(text), Some(public_key)) => Some(own_certificate(text, public_key)?),
        };
        let (serial, certificate_pem) = certificate.unzip();
        let id = id.or(serial).unwrap_or_else(|| name.clone());
        if !(1..=128).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyProblem::Id);
        }
        Ok(Self { role, name, algorithm, material, id, certificate_pem, public_key })
    }

    /// What the plugin calls it.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// What `crypto` is asked for it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is bound to.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }
}

/// The longest secret text or bytes. No format has more than 64; the secret can be hashed several times in one call.
const LONGEST_SECRET: usize = 1_024;

impl Material {
    fn decode(algorithm: KeyAlgorithm, encoding: Option<Encoding>, text: &str) -> Result<Self, KeyProblem> {
        let encoding = Encoding::choose(encoding, algorithm, text)?;
        let bytes = encoding.decode(algorithm, text)?;
        let length = bytes.len();
        let wrong_length = |wanted| KeyProblem::Length { algorithm, encoding, length, wanted };
        let secret = |bytes| match (encoding, length) {
            (Encoding::Whsec, 24..=64) => Ok(bytes),
            (Encoding::Whsec, _) => Err(wrong_length("24 to 64")),
            (_, 1..=LONGEST_SECRET) => Ok(bytes),
            _ => Err(wrong_length("1 to 1024")),
        };
        match algorithm {
            KeyAlgorithm::HmacSha256 => secret(bytes).map(Self::Hmac),
            KeyAlgorithm::Md5 => secret(bytes).map(Self::Md5),
            KeyAlgorithm::Sha256 => secret(bytes).map(Self::Sha256),
            KeyAlgorithm::Md5OrHmacSha256 => secret(bytes).map(Self::Md5OrHmac),
            KeyAlgorithm::Aes256Gcm => match aead::UnboundKey::new(&aead::AES_256_GCM, &bytes) {
                Ok(key) => Ok(Self::Aes(aead::LessSafeKey::new(key))),
                Err(_) => Err(wrong_length("exactly 32")),
            },
            KeyAlgorithm::RsaPkcs1v15Sha256 => rsa(&bytes).map(Self::Rsa),
            KeyAlgorithm::Ed25519 => match (encoding, length) {
                (Encoding::Pem | Encoding::Der, _) => ed25519(&bytes),
                (_, 32) => Ed25519KeyPair::from_seed_unchecked(&bytes).map_err(|_| KeyProblem::Halves),
                (_, 64) => Ed25519KeyPair::from_seed_and_public_key(&bytes[..32], &bytes[32..])
                    .map_err(|_| KeyProblem::Halves),
                _ => Err(wrong_length("32 (the seed) or 64 (the seed and the public half)")),
            }
            .map(Self::Ed25519),
        }
    }

    /// The public half as a DER SubjectPublicKeyInfo, if there is one.
    fn public_key(&self) -> Result<Option<Vec<u8>>, KeyProblem> {
        let der = match self {
            Self::Hmac(_) | Self::Md5(_) | Self::Sha256(_) | Self::Md5OrHmac(_) | Self::Aes(_) => {
                return Ok(None);
            }
            Self::Rsa(key) => key.public_key().as_der(),
            Self::Ed25519(key) => key.public_key().as_der(),
        };
        match der {
            Ok(der) => Ok(Some(der.as_ref().to_vec())),
            Err(_) => Err(KeyProblem::Rejected("its public half cannot be written".to_owned())),
        }
    }
}

fn rsa(der: &[u8]) -> Result<RsaKeyPair, KeyProblem> {
    let kind = der::kind(der);
    let bits = match kind {
        Kind::Rsa { bits } | Kind::Pkcs8Rsa { bits } => bits,
        Kind::Encrypted => return Err(KeyProblem::Encrypted),
        Kind::Pkcs8Ed25519
        | Kind::EllipticCurve
        | Kind::RsaPss
        | Kind::Pkcs8Other
        | Kind::PublicKey
        | Kind::Certificate
        | Kind::Unknown => return Err(other(kind, KeyAlgorithm::RsaPkcs1v15Sha256)),
    };
    // Nobody trusts a shorter one any more; a longer one takes tens of milliseconds for each signature.
    if !(2_048..=4_096).contains(&bits) {
        return Err(KeyProblem::RsaBits(bits));
    }
    let pair =
        if kind == (Kind::Rsa { bits }) { RsaKeyPair::from_der(der) } else { RsaKeyPair::from_pkcs8(der) };
    pair.map_err(|error| KeyProblem::Rejected(error.to_string()))
}

fn ed25519(der: &[u8]) -> Result<Ed25519KeyPair, KeyProblem> {
    let kind = der::kind(der);
    if kind == Kind::Encrypted {
        return Err(KeyProblem::Encrypted);
    }
    if kind != Kind::Pkcs8Ed25519 {
        return Err(other(kind, KeyAlgorithm::Ed25519));
    }
    Ed25519KeyPair::from_pkcs8(der).map_err(|error| KeyProblem::Rejected(error.to_string()))
}

fn other(kind: Kind, algorithm: KeyAlgorithm) -> KeyProblem {
    KeyProblem::OtherKind { found: kind.name(), algorithm }
}

/// The serial number, in capital hexadecimal digits, and the text of the first certificate, which must be the key's own.
fn own_certificate(text: &str, public_key: &[u8]) -> Result<(String, String), KeyProblem> {
    let block = pem::blocks(text).into_iter().find(|block| block.label == "CERTIFICATE");
    let block = block.ok_or(KeyProblem::NotACertificate)?;
    let der = block.decode().ok_or(KeyProblem::NotACertificate)?;
    let certificate = der::certificate(&der).ok_or(KeyProblem::NotACertificate)?;
    if certificate.public_key != public_key {
        return Err(KeyProblem::OtherCertificate);
    }
    // A number whose first bit is set has a zero before it, which is not a part of it.
    let serial = certificate.serial.strip_prefix(&[0]).unwrap_or(certificate.serial);
    Ok((hex::encode_upper(serial), block.to_text()))
}
