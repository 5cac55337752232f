//! Real signatures in a plugin's own tests (feature `real-crypto`), for what vendors publish as examples.
//!
//! In the gateway other code signs; what both must agree on is what comes out. All but RSA, which needs a big library. There is deliberately no protection of keys here, because these are published ones.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::encode::hex;
use crate::sign::Crypto;
use crate::{Algorithm, CryptoError, KeyInfo, Part};

/// Keys by name, decoded as the gateway decodes them.
#[derive(Clone, Debug, Default)]
pub struct RealCrypto(Vec<(String, Material)>);

#[derive(Clone, Debug)]
enum Material {
    Symmetric(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl RealCrypto {
    /// No keys yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A symmetric key, for digests, HMAC and sealing: the text's own bytes.
    #[must_use]
    pub fn raw(self, name: &str, secret: &str) -> Self {
        self.with(name, Material::Symmetric(secret.as_bytes().to_vec()))
    }

    /// A symmetric key in hexadecimal digits.
    ///
    /// # Panics
    ///
    /// When it is not hexadecimal.
    #[must_use]
    pub fn hex(self, name: &str, secret: &str) -> Self {
        let pairs = secret.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
        let bytes = pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect();
        self.with(name, Material::Symmetric(bytes))
    }

    /// A symmetric key as Standard Webhooks writes it: `whsec_` and base64.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[must_use]
    pub fn whsec(self, name: &str, secret: &str) -> Self {
        self.with(name, Material::Symmetric(prefixed(secret, "whsec_")))
    }

    /// An Ed25519 key as Standard Webhooks writes it: `whsk_` and base64 of the seed, or of the seed and the public half.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[must_use]
    pub fn whsk(self, name: &str, secret: &str) -> Self {
        let bytes = prefixed(secret, "whsk_");
        self.with(name, Material::Ed25519(bytes[..32].to_vec()))
    }

    fn with(mut self, name: &str, material: Material) -> Self {
        self.0.push((name.to_owned(), material));
        self
    }

    fn key(&self, name: &str) -> Result<&Material, CryptoError> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, material)| material).ok_or(CryptoError::NoSuchKey)
    }
}

fn prefixed(text: &str, prefix: &str) -> Vec<u8> {
    STANDARD.decode(text.strip_prefix(prefix).expect("has its prefix")).expect("base64")
}

fn key_pair(seed: &[u8]) -> Result<ed25519_compact::KeyPair, CryptoError> {
    let seed = ed25519_compact::Seed::from_slice(seed).map_err(|_| CryptoError::BadInput)?;
    Ok(ed25519_compact::KeyPair::from_seed(seed))
}

impl Crypto for RealCrypto {
    fn sign(&self, key: &str, algorithm: Algorithm, message: &[Part]) -> Result<Vec<u8>, CryptoError> {
        let has_secret = message.iter().any(|part| !matches!(part, Part::Bytes(_)));
        let material = self.key(key)?;
        let mut joined = Vec::new();
        for part in message {
            match (part, material) {
                (Part::Bytes(bytes), _) => joined.extend_from_slice(bytes),
                (Part::Secret, Material::Symmetric(secret)) => joined.extend_from_slice(secret),
                (Part::SecretSha256Hex, Material::Symmetric(secret)) => {
                    joined.extend_from_slice(hex(&Sha256::digest(secret)).as_bytes());
                }
                (Part::Secret | Part::SecretSha256Hex, Material::Ed25519(_)) => {
                    return Err(CryptoError::BadInput);
                }
            }
        }
        match (material, algorithm) {
            (Material::Symmetric(secret), Algorithm::HmacSha256) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| CryptoError::BadInput)?;
                mac.update(&joined);
                Ok(mac.finalize().into_bytes().to_vec())
            }
            (Material::Symmetric(_), Algorithm::Md5 | Algorithm::Sha256) if !has_secret => {
                Err(CryptoError::BadInput)
            }
            (Material::Symmetric(_), Algorithm::Md5) => Ok(<Md5 as md5::Digest>::digest(&joined).to_vec()),
            (Material::Symmetric(_), Algorithm::Sha256) => Ok(Sha256::digest(&joined).to_vec()),
            (Material::Ed25519(seed), Algorithm::Ed25519) => {
                Ok(key_pair(seed)?.sk.sign(&joined, None).to_vec())
            }
            (Material::Symmetric(_) | Material::Ed25519(_), _) => Err(CryptoError::AlgorithmNotAllowed),
        }
    }

    fn seal(
        &self,
        key: &str,
        nonce: &[u8],
        additional_data: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let Material::Symmetric(secret) = self.key(key)? else {
            return Err(CryptoError::AlgorithmNotAllowed);
        };
        let cipher = <Aes256Gcm as aes_gcm::KeyInit>::new_from_slice(secret);
        let cipher = cipher.map_err(|_| CryptoError::AlgorithmNotAllowed)?;
        let nonce: [u8; 12] = nonce.try_into().map_err(|_| CryptoError::BadInput)?;
        let payload = Payload { msg: plaintext, aad: additional_data };
        cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| CryptoError::BadInput)
    }

    fn describe(&self, key: &str) -> Result<KeyInfo, CryptoError> {
        // RFC 8410, section 4: what stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo.
        const BEFORE: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let public_key = match self.key(key)? {
            Material::Symmetric(_) => None,
            Material::Ed25519(seed) => Some([BEFORE.as_slice(), key_pair(seed)?.pk.as_slice()].concat()),
        };
        Ok(KeyInfo { id: key.to_owned(), certificate_pem: None, public_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode;

    #[test]
    fn signatures_are_those_of_the_standards() {
        // RFC 4231, test case 2.
        let crypto = RealCrypto::new().raw("a", "Jefe").hex("b", "4a656665");
        for key in ["a", "b"] {
            let message = [crate::sign::bytes("what do ya want "), crate::sign::bytes("for nothing?")];
            let signature = crypto.sign(key, Algorithm::HmacSha256, &message).expect("signs");
            assert_eq!(
                encode::hex(&signature),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            );
        }
        // RFC 8032, section 7.1, test 1.
        let crypto = RealCrypto::new().whsk("e", "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=");
        let signature = crypto.sign("e", Algorithm::Ed25519, &[]).expect("signs");
        assert!(
            encode::hex(&signature).starts_with("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065")
        );
        assert!(crypto.describe("e").expect("is there").public_key.is_some());
        assert_eq!(crypto.sign("e", Algorithm::HmacSha256, &[]), Err(CryptoError::AlgorithmNotAllowed));
        assert_eq!(crypto.sign("x", Algorithm::HmacSha256, &[]), Err(CryptoError::NoSuchKey));
    }

    #[test]
    fn digests_and_sealing_are_those_of_the_standards() {
        let crypto = RealCrypto::new().raw("abc", "abc").hex("zero", &"00".repeat(32));
        let sign = |algorithm, message: &[Part]| crypto.sign("abc", algorithm, message).map(|raw| hex(&raw));
        // RFC 1321, section A.5, and FIPS 180-2, section B.1: the digests of "abc".
        let md5 = sign(Algorithm::Md5, &[crate::sign::bytes(""), Part::Secret]);
        assert_eq!(md5.expect("signs"), "900150983cd24fb0d6963f7d28e17f72");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sign(Algorithm::Sha256, &[Part::Secret]).expect("signs"), sha256);
        assert_eq!(sign(Algorithm::Md5, &[crate::sign::bytes("abc")]), Err(CryptoError::BadInput));
        assert_eq!(sign(Algorithm::RsaPkcs1v15Sha256, &[]), Err(CryptoError::AlgorithmNotAllowed));
        // The Galois/Counter Mode of Operation (GCM), McGrew and Viega, test case 14.
        let sealed = crypto.seal("zero", &[0; 12], b"", &[0; 16]).expect("seals");
        assert_eq!(hex(&sealed), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
        assert_eq!(crypto.seal("zero", &[0; 11], b"", b""), Err(CryptoError::BadInput));
        assert_eq!(crypto.seal("abc", &[0; 12], b"", b""), Err(CryptoError::AlgorithmNotAllowed));
    }
}
