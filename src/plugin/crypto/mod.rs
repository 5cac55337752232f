//! Signing and sealing with merchants' keys, which never enter a guest.
//!
//! A merchant's file gives a key as text ([`KeyText`]); [`Key::decode`] makes of it a key for one use, or says what is wrong
//! ([`KeyProblem`]). A call reaches the keys of its own endpoint ([`Keys`]) and nothing else. What a call of `crypto` costs
//! the gateway is paid from the bound `Settings::host_calls`, so that costly signatures cannot hold up other merchants.
//!
//! Deliberately absent: verifying and opening (no format asks a sender for it), and any way to get a key out. Whether and
//! where one stands in a text can be asked (`find`), so that it is not shown.

mod der;
mod find;
mod key;
mod pem;
mod problem;
mod secret;
mod signing;
mod text;

use std::sync::Arc;

pub use find::find_secret;
pub use key::{Key, KeyAlgorithm, KeyText};
pub use problem::KeyProblem;
pub use secret::Secret;
pub(super) use signing::sha256_hex;
pub use text::Encoding;

use key::Material;

use super::bindings::paynotify::merchant::crypto::{self, CryptoError, KeyInfo, Part};
use super::host_calls::{Answer, AnsweredBy, Asked};
use super::sandbox::Guest;

/// How to sign, as the contract names it (`crypto.algorithm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each case is documented once, in the contract")]
pub enum Algorithm {
    HmacSha256,
    Md5,
    Sha256,
    RsaPkcs1v15Sha256,
    Ed25519,
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

    /// All of them, in the order of the merchant's file.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    fn named(&self, name: &str) -> Result<&Key, CryptoError> {
        self.0.iter().find(|key| key.name() == name).ok_or(CryptoError::NoSuchKey)
    }
}

impl Key {
    fn sign(&self, asked: crypto::Algorithm, message: &[Part]) -> Result<Vec<u8>, CryptoError> {
        match (&self.material, asked) {
            (Material::Hmac(secret) | Material::Md5OrHmac(secret), crypto::Algorithm::HmacSha256) => {
                signing::hmac_sha256(secret, message)
            }
            (Material::Md5(secret) | Material::Md5OrHmac(secret), crypto::Algorithm::Md5) => {
                signing::md5(secret, message)
            }
            (Material::Sha256(secret), crypto::Algorithm::Sha256) => signing::sha256(secret, message),
            (Material::Rsa(pair), crypto::Algorithm::RsaPkcs1v15Sha256) => signing::rsa(pair, message),
            (Material::Ed25519(pair), crypto::Algorithm::Ed25519) => signing::ed25519(pair, message),
            _ => Err(CryptoError::AlgorithmNotAllowed),
        }
    }

    fn seal(&self, nonce: &[u8], additional: &[u8], plaintext: Vec<u8>) -> Result<Vec<u8>, CryptoError> {
        match &self.material {
            Material::Aes(key) => signing::seal(key, nonce, additional, plaintext),
            Material::Hmac(_)
            | Material::Md5(_)
            | Material::Sha256(_)
            | Material::Md5OrHmac(_)
            | Material::Rsa(_)
            | Material::Ed25519(_) => Err(CryptoError::AlgorithmNotAllowed),
        }
    }

    fn info(&self) -> KeyInfo {
        KeyInfo {
            id: self.id.clone(),
            certificate_pem: self.certificate_pem.clone(),
            public_key: self.public_key.clone(),
        }
    }

    /// What a signature costs besides its message, in calls that do next to nothing (about a microsecond each). The
    /// work of RSA grows with the third power of the modulus: 400 for 2048 bits, 3,200 for 4096.
    fn cost(&self) -> u32 {
        match &self.material {
            Material::Rsa(pair) => {
                let kibibits = u32::try_from(pair.public_modulus_len().div_ceil(128)).unwrap_or(u32::MAX);
                kibibits.saturating_pow(3).saturating_mul(50)
            }
            Material::Ed25519(_) => 50,
            Material::Hmac(_)
            | Material::Md5(_)
            | Material::Sha256(_)
            | Material::Md5OrHmac(_)
            | Material::Aes(_) => 1,
        }
    }
}

/// What it costs to read a message, in the same measure: one for each KiB.
fn cost_of_bytes(length: usize) -> u32 {
    u32::try_from(length / 1_024).unwrap_or(u32::MAX)
}

impl Guest {
    /// What it costs to use the key on a message of so many bytes.
    fn cost(&self, key: &str, length: usize) -> u32 {
        self.keys().named(key).map_or(1, Key::cost).saturating_add(cost_of_bytes(length))
    }

    /// The answer, once the call is paid for: from the record if it has one, else by the key. It is noted in any case.
    fn answer<A: Answer>(
        &mut self,
        asked: Asked,
        cost: u32,
        by_key: impl FnOnce(&Key) -> Result<A, CryptoError>,
    ) -> wasmtime::Result<Result<A, CryptoError>> {
        let has_key = self.keys().named(asked.key()).is_ok();
        let found = self.desk().look_up(&asked, has_key);
        let paid = self.count_host_calls(cost);
        let (answered, answered_by) = match found {
            Some((answer, by)) => (paid.and_then(|()| answer.again(self.host_calls_bound())), by),
            None => (paid.map(|()| self.keys().named(asked.key()).and_then(by_key)), AnsweredBy::Key),
        };
        self.desk().note(asked, &answered, answered_by);
        Ok(answered?)
    }
}

impl crypto::Host for Guest {
    fn sign(
        &mut self,
        key: String,
        algorithm: crypto::Algorithm,
        message: Vec<Part>,
    ) -> wasmtime::Result<Result<Vec<u8>, CryptoError>> {
        let cost = self.cost(&key, message.iter().map(signing::length).sum());
        self.answer(Asked::sign(&key, algorithm, &message), cost, |key| key.sign(algorithm, &message))
    }

    fn seal(
        &mut self,
        key: String,
        nonce: Vec<u8>,
        additional_data: Vec<u8>,
        plaintext: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, CryptoError>> {
        let cost = self.cost(&key, additional_data.len() + plaintext.len());
        let asked = Asked::seal(&key, &nonce, &additional_data, &plaintext);
        self.answer(asked, cost, |key| key.seal(&nonce, &additional_data, plaintext))
    }

    fn describe(&mut self, key: String) -> wasmtime::Result<Result<KeyInfo, CryptoError>> {
        self.answer(Asked::describe(&key), 1, |key| Ok(key.info()))
    }
}
