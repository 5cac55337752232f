//! The keys of cases and checks: written out in a case, given by a file, or made for the moment. Keys of tests, all of them:
//! what a merchant signs with has no business in a file that everybody reads.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::plugin::{Encoding, Key, KeyAlgorithm, KeyNeed, KeyProblem, KeyText, Secret};

/// A key as a case has it: the same as `[[keys]]` of a merchant's file, with the key itself in `text`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CaseKey {
    /// What the plugin calls it.
    pub role: String,
    /// What `crypto` is asked for it by; the role, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is bound to.
    pub algorithm: KeyAlgorithm,
    /// How `text` is written; told by its form, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// The key itself.
    pub text: String,
    /// The id that merchants know it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its certificate, as PEM text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

impl CaseKey {
    /// The key, ready for use.
    ///
    /// # Errors
    /// As [`Key::decode`].
    pub fn decode(&self) -> Result<Key, KeyProblem> {
        Key::decode(KeyText {
            role: self.role.clone(),
            name: self.name.clone().unwrap_or_else(|| self.role.clone()),
            algorithm: self.algorithm,
            encoding: self.encoding,
            secret: Secret::new(self.text.clone()),
            id: self.id.clone(),
            certificate: self.certificate.clone(),
        })
    }
}

/// What a key may be bound to that is given to this role. What fits more of the role's algorithms comes first.
#[must_use]
pub fn fitting(need: &KeyNeed) -> Vec<KeyAlgorithm> {
    // A key that can only be what it says comes before a text, which anything can be taken for.
    const ORDER: [KeyAlgorithm; 7] = [
        KeyAlgorithm::RsaPkcs1v15Sha256,
        KeyAlgorithm::Ed25519,
        KeyAlgorithm::Md5OrHmacSha256,
        KeyAlgorithm::HmacSha256,
        KeyAlgorithm::Md5,
        KeyAlgorithm::Sha256,
        KeyAlgorithm::Aes256Gcm,
    ];
    let mut fitting: Vec<_> =
        ORDER.into_iter().filter(|algorithm| algorithm.does_for(&need.algorithms)).collect();
    let takes_both = fitting.contains(&KeyAlgorithm::HmacSha256) && fitting.contains(&KeyAlgorithm::Md5);
    // Alone, either is better told by its own name.
    fitting.retain(|algorithm| match algorithm {
        KeyAlgorithm::Md5OrHmacSha256 => takes_both,
        KeyAlgorithm::HmacSha256 | KeyAlgorithm::Md5 => !takes_both,
        KeyAlgorithm::RsaPkcs1v15Sha256
        | KeyAlgorithm::Ed25519
        | KeyAlgorithm::Sha256
        | KeyAlgorithm::Aes256Gcm => true,
    });
    fitting
}

/// The key of this text for the role, bound to the first algorithm that the role takes and the text is a key of.
///
/// # Errors
/// It is a key for none of them; says what is wrong by the last one tried.
pub fn recognised(need: &KeyNeed, text: &str) -> Result<CaseKey, String> {
    let mut problem = format!("the role `{}` takes no kind of key", need.role);
    for algorithm in fitting(need) {
        let key = CaseKey {
            role: need.role.clone(),
            name: None,
            algorithm,
            encoding: None,
            text: text.to_owned(),
            id: None,
            certificate: None,
        };
        match key.decode() {
            Ok(_) => return Ok(key),
            Err(wrong) => problem = wrong.to_string(),
        }
    }
    Err(problem)
}

/// A fresh key that nobody else has.
///
/// # Errors
/// The machine has no randomness.
pub fn throw_away(role: &str, algorithm: KeyAlgorithm) -> Result<CaseKey, NoKey> {
    let der = |der: &[u8]| (Some(Encoding::Der), STANDARD.encode(der));
    let (encoding, text) = match algorithm {
        KeyAlgorithm::RsaPkcs1v15Sha256 => {
            let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| NoKey)?;
            der(AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| NoKey)?.as_ref())
        }
        KeyAlgorithm::Ed25519 => {
            let pair = Ed25519KeyPair::generate().map_err(|_| NoKey)?;
            der(pair.to_pkcs8v1().map_err(|_| NoKey)?.as_ref())
        }
        // 32 characters, because AES-256 takes that many bytes.
        KeyAlgorithm::HmacSha256
        | KeyAlgorithm::Md5
        | KeyAlgorithm::Sha256
        | KeyAlgorithm::Md5OrHmacSha256
        | KeyAlgorithm::Aes256Gcm => (None, hex::encode(rand::random::<[u8; 16]>())),
    };
    let name = Some(format!("{role}-{algorithm}"));
    Ok(CaseKey { role: role.to_owned(), name, algorithm, encoding, text, id: None, certificate: None })
}

/// No key could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key could be made: the machine gives no randomness")]
pub struct NoKey;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Algorithm;

    #[test]
    fn a_key_is_made_for_each_algorithm_and_recognised_again() {
        let need = |algorithms: &[Algorithm]| KeyNeed {
            role: "signing".to_owned(),
            summary: String::new(),
            algorithms: algorithms.to_vec(),
            required: true,
        };
        for (algorithms, wanted) in [
            (&[Algorithm::RsaPkcs1v15Sha256][..], &[KeyAlgorithm::RsaPkcs1v15Sha256][..]),
            (
                &[Algorithm::HmacSha256, Algorithm::Ed25519],
                &[KeyAlgorithm::Ed25519, KeyAlgorithm::HmacSha256],
            ),
            (&[Algorithm::Md5, Algorithm::HmacSha256], &[KeyAlgorithm::Md5OrHmacSha256]),
            (&[Algorithm::Md5], &[KeyAlgorithm::Md5]),
            (&[Algorithm::Sha256], &[KeyAlgorithm::Sha256]),
            (&[], &[KeyAlgorithm::Aes256Gcm]),
        ] {
            let need = need(algorithms);
            assert_eq!(fitting(&need), wanted);
            for algorithm in wanted {
                let key = throw_away("signing", *algorithm).expect("made");
                assert_eq!(key.decode().map(|key| key.algorithm()), Ok(*algorithm));
                assert_eq!(recognised(&need, &key.text).map(|key| key.algorithm), Ok(*algorithm));
            }
        }
    }
}
