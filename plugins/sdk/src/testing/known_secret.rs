//! Real digests and real sealing with a secret that the test knows: for the vectors that vendors publish.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::encode::hex;
use crate::sign::Crypto;
use crate::{Algorithm, CryptoError, KeyInfo, Part};

/// Has one secret under every key name, and does with it what the gateway does: MD5, SHA-256, HMAC-SHA256, AES-256-GCM.
/// Asymmetric signatures it cannot make. A key's id is its name in capitals.
#[derive(Clone, Debug)]
pub struct KnownSecret(Vec<u8>);

impl KnownSecret {
    /// This secret, already decoded.
    #[must_use]
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self(secret.into())
    }
}

impl Crypto for KnownSecret {
    fn sign(&self, _: &str, algorithm: Algorithm, message: &[Part]) -> Result<Vec<u8>, CryptoError> {
        let has_secret = message.iter().any(|part| !matches!(part, Part::Bytes(_)));
        let mut joined = Vec::new();
        for part in message {
            match part {
                Part::Bytes(bytes) => joined.extend_from_slice(bytes),
                Part::Secret => joined.extend_from_slice(&self.0),
                Part::SecretSha256Hex => joined.extend_from_slice(hex(&Sha256::digest(&self.0)).as_bytes()),
            }
        }
        match algorithm {
            Algorithm::Md5 | Algorithm::Sha256 if !has_secret => Err(CryptoError::BadInput),
            Algorithm::Md5 => Ok(<Md5 as md5::Digest>::digest(&joined).to_vec()),
            Algorithm::Sha256 => Ok(Sha256::digest(&joined).to_vec()),
            Algorithm::HmacSha256 => {
                let mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0);
                let mac = mac.map_err(|_| CryptoError::Internal)?.chain_update(&joined);
                Ok(mac.finalize().into_bytes().to_vec())
            }
            Algorithm::RsaPkcs1v15Sha256 | Algorithm::Ed25519 => Err(CryptoError::AlgorithmNotAllowed),
        }
    }

    fn seal(
        &self,
        _: &str,
        nonce: &[u8],
        additional_data: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let cipher = <Aes256Gcm as aes_gcm::KeyInit>::new_from_slice(&self.0);
        let cipher = cipher.map_err(|_| CryptoError::AlgorithmNotAllowed)?;
        let nonce: [u8; 12] = nonce.try_into().map_err(|_| CryptoError::BadInput)?;
        let payload = Payload { msg: plaintext, aad: additional_data };
        cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| CryptoError::BadInput)
    }

    fn describe(&self, key: &str) -> Result<KeyInfo, CryptoError> {
        Ok(KeyInfo { id: key.to_uppercase(), certificate_pem: None, public_key: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::bytes;

    #[test]
    fn it_does_what_the_standards_say() {
        let crypto = KnownSecret::new("abc");
        let sign = |algorithm, message: &[Part]| crypto.sign("any", algorithm, message).map(|raw| hex(&raw));
        // RFC 1321, section A.5, and FIPS 180-2, section B.1: the digests of "abc".
        assert_eq!(
            sign(Algorithm::Md5, &[bytes(""), Part::Secret]).expect("signs"),
            "900150983cd24fb0d6963f7d28e17f72"
        );
        let sha256_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sign(Algorithm::Sha256, &[Part::Secret]).expect("signs"), sha256_of_abc);
        assert_eq!(sign(Algorithm::Md5, &[bytes("abc")]), Err(CryptoError::BadInput));
        assert_eq!(sign(Algorithm::Ed25519, &[bytes("abc")]), Err(CryptoError::AlgorithmNotAllowed));
        // RFC 4231, section 4.3.
        let mac = KnownSecret::new("Jefe").sign(
            "k",
            Algorithm::HmacSha256,
            &[bytes("what do ya want for nothing?")],
        );
        assert_eq!(
            hex(&mac.expect("signs")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        // The Galois/Counter Mode of Operation (GCM), McGrew and Viega, test case 14.
        let sealed = KnownSecret::new([0; 32]).seal("k", &[0; 12], b"", &[0; 16]);
        assert_eq!(
            hex(&sealed.expect("seals")),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
        );
        assert_eq!(KnownSecret::new([0; 32]).seal("k", &[0; 11], b"", b""), Err(CryptoError::BadInput));
        assert_eq!(crypto.seal("k", &[0; 12], b"", b""), Err(CryptoError::AlgorithmNotAllowed));
    }
}
