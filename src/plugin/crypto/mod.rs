//! Signing with merchants' keys, which never enter a guest.
//!
//! Keys are HMAC-SHA256 keys for now; asking for anything else is answered as the contract says.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

use super::bindings::paynotify::merchant::crypto::{self, CryptoError, KeyInfo, Part};
use super::sandbox::Guest;

/// What a key is used with, as the contract names it (`crypto.algorithm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each case is documented once, in the contract")]
pub enum Algorithm {
    HmacSha256,
    Md5,
    Sha256,
    RsaPkcs1v15Sha256,
    Ed25519,
}

/// Bytes that are nobody's to see: they print as `***` and are overwritten when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the decoded bytes of a key.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// A key of a merchant's file.
#[derive(Clone, Debug)]
pub struct Key {
    /// What the plugin calls it (`description.keys`).
    pub role: String,
    /// What `crypto` is asked for it by; one name for one key.
    pub name: String,
    /// The one algorithm that it may be used with.
    pub algorithm: Algorithm,
    /// The key itself, decoded.
    pub secret: Secret,
}

/// The keys of one endpoint: all that a call for that endpoint can reach. Of several of one role the newest is first.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<[Key]>);

impl Keys {
    /// These.
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Self {
        Self(keys.into())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    fn named(&self, name: &str) -> Result<&Key, CryptoError> {
        self.0.iter().find(|key| key.name == name).ok_or(CryptoError::NoSuchKey)
    }

    fn sign(&self, name: &str, asked: crypto::Algorithm, message: &[Part]) -> Result<Vec<u8>, CryptoError> {
        let key = self.named(name)?;
        match (key.algorithm, asked) {
            (Algorithm::HmacSha256, crypto::Algorithm::HmacSha256) => hmac_sha256(&key.secret.0, message),
            _ => Err(CryptoError::AlgorithmNotAllowed),
        }
    }
}

/// The most parts of a message in which the secret may stand: no format has more than two, and a guest could
/// otherwise have the gateway hash a gigabyte for one short call.
const MOST_SECRET_PARTS: usize = 16;

fn hmac_sha256(secret: &[u8], message: &[Part]) -> Result<Vec<u8>, CryptoError> {
    if message.iter().filter(|part| !matches!(part, Part::Bytes(_))).count() > MOST_SECRET_PARTS {
        return Err(CryptoError::BadInput);
    }
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    for part in message {
        match part {
            Part::Bytes(bytes) => context.update(bytes),
            Part::Secret => context.update(secret),
            Part::SecretSha256Hex => context.update(sha256_hex(secret).as_bytes()),
        }
    }
    Ok(context.sign().as_ref().to_vec())
}

/// SHA-256 as 64 lower-case hexadecimal digits.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl crypto::Host for Guest {
    fn sign(
        &mut self,
        key: String,
        algorithm: crypto::Algorithm,
        message: Vec<Part>,
    ) -> wasmtime::Result<Result<Vec<u8>, CryptoError>> {
        self.count_host_call()?;
        Ok(self.keys().sign(&key, algorithm, &message))
    }

    fn seal(
        &mut self,
        key: String,
        _nonce: Vec<u8>,
        _additional_data: Vec<u8>,
        _plaintext: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, CryptoError>> {
        self.count_host_call()?;
        // No key can be bound to AES-256-GCM yet.
        Ok(self.keys().named(&key).and(Err(CryptoError::AlgorithmNotAllowed)))
    }

    fn describe(&mut self, key: String) -> wasmtime::Result<Result<KeyInfo, CryptoError>> {
        self.count_host_call()?;
        Ok(self.keys().named(&key).map(|key| KeyInfo {
            id: key.name.clone(),
            certificate_pem: None,
            public_key: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let secret = Secret::new(b"Jefe".to_vec());
        Keys::new(vec![Key {
            role: "signing".into(),
            name: "k1".into(),
            algorithm: Algorithm::HmacSha256,
            secret,
        }])
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The second test case of RFC 4231 (section 4.3).
    #[test]
    fn parts_are_joined_without_separators() {
        let parts = [Part::Bytes(b"what do ya want ".to_vec()), Part::Bytes(b"for nothing?".to_vec())];
        let signature = keys().sign("k1", crypto::Algorithm::HmacSha256, &parts).expect("signed");
        assert_eq!(hex(&signature), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn the_secret_can_stand_in_the_message() {
        let sign = |parts: &[Part]| keys().sign("k1", crypto::Algorithm::HmacSha256, parts).expect("signed");
        assert_eq!(sign(&[Part::Secret]), sign(&[Part::Bytes(b"Jefe".to_vec())]));
        let digits = sha256_hex(b"Jefe");
        assert_eq!(digits.len(), 64);
        assert_eq!(sign(&[Part::SecretSha256Hex]), sign(&[Part::Bytes(digits.into_bytes())]));
    }

    #[test]
    fn the_secret_is_not_hashed_without_end() {
        let sign = |count| keys().sign("k1", crypto::Algorithm::HmacSha256, &vec![Part::Secret; count]);
        assert!(sign(MOST_SECRET_PARTS).is_ok());
        assert_eq!(sign(MOST_SECRET_PARTS + 1), Err(CryptoError::BadInput));
    }

    #[test]
    fn other_keys_and_algorithms_are_refused_and_nothing_is_shown() {
        let asked = crypto::Algorithm::HmacSha256;
        assert_eq!(keys().sign("k2", asked, &[]), Err(CryptoError::NoSuchKey));
        assert_eq!(
            keys().sign("k1", crypto::Algorithm::Md5, &[Part::Secret]),
            Err(CryptoError::AlgorithmNotAllowed)
        );
        assert!(!format!("{:?}", keys()).contains("Jefe"));
        assert!(format!("{:?}", keys()).contains("***"));
    }
}
