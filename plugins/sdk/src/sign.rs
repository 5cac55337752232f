//! Signing and sealing with the merchant's keys, which never enter the plugin.
//!
//! A plugin asks for roles in its description; the merchant's file gives keys to them; [`Keys`] finds them. What goes
//! wrong becomes an error that names the role. Raw signatures come back: `encode` writes them as the format has it.

use crate::bindings::paynotify::merchant::crypto;
use crate::{Algorithm, CryptoError, KeyBinding, KeyInfo, Part, PluginError};

/// Who signs. In a plugin [`Gateway`], in its native tests something that shows what was to be signed.
pub trait Crypto {
    /// Signs the parts, joined without separators, and returns the raw signature or digest.
    ///
    /// # Errors
    ///
    /// As the contract's `crypto.sign`.
    fn sign(&self, key: &str, algorithm: Algorithm, message: &[Part]) -> Result<Vec<u8>, CryptoError>;

    /// Encrypts with AES-256-GCM: the ciphertext, and after it the 16-byte tag. The nonce has 12 bytes.
    ///
    /// # Errors
    ///
    /// As the contract's `crypto.seal`.
    fn seal(
        &self,
        key: &str,
        nonce: &[u8],
        additional_data: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError>;

    /// What may be known about a key.
    ///
    /// # Errors
    ///
    /// As the contract's `crypto.describe`.
    fn describe(&self, key: &str) -> Result<KeyInfo, CryptoError>;
}

/// The gateway's own cryptography: the contract's import. It works in a component only.
#[derive(Clone, Copy, Debug)]
pub struct Gateway;

impl Crypto for Gateway {
    fn sign(&self, key: &str, algorithm: Algorithm, message: &[Part]) -> Result<Vec<u8>, CryptoError> {
        crypto::sign(key, algorithm, message)
    }

    fn seal(
        &self,
        key: &str,
        nonce: &[u8],
        additional_data: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        crypto::seal(key, nonce, additional_data, plaintext)
    }

    fn describe(&self, key: &str) -> Result<KeyInfo, CryptoError> {
        crypto::describe(key)
    }
}

/// The keys that the merchant's file gives to this plugin.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    bindings: &'a [KeyBinding],
    crypto: &'a dyn Crypto,
}

impl<'a> Keys<'a> {
    /// The keys of an endpoint, and who signs with them.
    #[must_use]
    pub fn new(bindings: &'a [KeyBinding], crypto: &'a dyn Crypto) -> Self {
        Self { bindings, crypto }
    }

    /// The newest key of the role.
    ///
    /// # Errors
    ///
    /// [`PluginError::UnusableKey`] that names the role, if it has none.
    pub fn newest(&self, role: &str) -> Result<Key<'a>, PluginError> {
        self.all(role).next().ok_or_else(|| unusable(role, "the merchant's file gives no key to this role"))
    }

    /// All keys of the role, the newest first: more than one during a rotation.
    pub fn all(&self, role: &str) -> impl Iterator<Item = Key<'a>> {
        let crypto = self.crypto;
        let of_role = self.bindings.iter().filter(move |binding| binding.role == role);
        of_role.map(move |binding| Key { role: &binding.role, name: &binding.name, crypto })
    }
}

/// One key of the merchant's.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    role: &'a str,
    name: &'a str,
    crypto: &'a dyn Crypto,
}

impl Key<'_> {
    /// The raw signature of the bytes.
    ///
    /// # Errors
    ///
    /// [`PluginError::UnusableKey`] that names the role; [`PluginError::Other`] when the trouble is the gateway's.
    pub fn sign(&self, algorithm: Algorithm, message: impl AsRef<[u8]>) -> Result<Vec<u8>, PluginError> {
        self.sign_parts(algorithm, &[bytes(message)])
    }

    /// The raw signature or digest of the parts, joined: for formats that hash text in which the secret stands.
    ///
    /// # Errors
    ///
    /// As [`Key::sign`].
    pub fn sign_parts(&self, algorithm: Algorithm, message: &[Part]) -> Result<Vec<u8>, PluginError> {
        self.crypto.sign(self.name, algorithm, message).map_err(|error| self.failed(error))
    }

    /// The AES-256-GCM ciphertext, and after it the 16-byte tag. The nonce has 12 bytes, taken from the attempt's entropy.
    ///
    /// # Errors
    ///
    /// As [`Key::sign`].
    pub fn seal(
        &self,
        nonce: &[u8],
        additional_data: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, PluginError> {
        self.crypto.seal(self.name, nonce, additional_data, plaintext).map_err(|error| self.failed(error))
    }

    /// What may be known about the key: its id, such as a certificate's serial number.
    ///
    /// # Errors
    ///
    /// As [`Key::sign`].
    pub fn info(&self) -> Result<KeyInfo, PluginError> {
        self.crypto.describe(self.name).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: CryptoError) -> PluginError {
        match error {
            CryptoError::NoSuchKey => unusable(self.role, "the gateway has no such key"),
            CryptoError::AlgorithmNotAllowed => unusable(self.role, "the key is bound to another algorithm"),
            CryptoError::BadInput => unusable(self.role, "the key is not of the kind that this format needs"),
            CryptoError::Internal => {
                PluginError::Other(format!("{}: the gateway could not use the key", self.role))
            }
        }
    }
}

/// A piece of a message: these bytes. The other pieces are [`Part::Secret`] and [`Part::SecretSha256Hex`].
#[must_use]
pub fn bytes(bytes: impl AsRef<[u8]>) -> Part {
    Part::Bytes(bytes.as_ref().to_vec())
}

fn unusable(role: &str, reason: &str) -> PluginError {
    PluginError::UnusableKey(format!("{role}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails in one way, or names the key that it was asked for.
    struct Failing(Option<CryptoError>);

    impl Crypto for Failing {
        fn sign(&self, key: &str, _: Algorithm, _: &[Part]) -> Result<Vec<u8>, CryptoError> {
            self.0.map_or(Ok(key.as_bytes().to_vec()), Err)
        }

        fn seal(&self, key: &str, _: &[u8], _: &[u8], _: &[u8]) -> Result<Vec<u8>, CryptoError> {
            self.0.map_or(Ok(key.as_bytes().to_vec()), Err)
        }

        fn describe(&self, key: &str) -> Result<KeyInfo, CryptoError> {
            let info = KeyInfo { id: key.to_owned(), certificate_pem: None, public_key: None };
            self.0.map_or(Ok(info), Err)
        }
    }

    fn binding(role: &str, name: &str) -> KeyBinding {
        KeyBinding { role: role.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn keys_are_found_by_role_the_newest_first() {
        let bindings = [binding("a", "a2"), binding("b", "b1"), binding("a", "a1")];
        let keys = Keys::new(&bindings, &Failing(None));
        let names = |role| -> Vec<Vec<u8>> {
            keys.all(role).map(|key| key.sign(Algorithm::Md5, "").expect("signed")).collect()
        };
        assert_eq!(names("a"), [b"a2", b"a1"]);
        assert_eq!(keys.newest("a").and_then(|key| key.seal(&[], &[], &[])), Ok(b"a2".to_vec()));
        assert_eq!(keys.newest("b").and_then(|key| key.info()).map(|info| info.id), Ok("b1".to_owned()));
        assert_eq!(
            keys.newest("c").err(),
            Some(PluginError::UnusableKey("c: the merchant's file gives no key to this role".to_owned()))
        );
    }

    #[test]
    fn each_failure_names_the_role_and_whose_trouble_it_is() {
        let bindings = [binding("signing", "k")];
        for (error, expected) in [
            (CryptoError::NoSuchKey, "signing: the gateway has no such key"),
            (CryptoError::AlgorithmNotAllowed, "signing: the key is bound to another algorithm"),
            (CryptoError::BadInput, "signing: the key is not of the kind that this format needs"),
        ] {
            let crypto = Failing(Some(error));
            let key = Keys::new(&bindings, &crypto).newest("signing").expect("there");
            assert_eq!(key.sign(Algorithm::Md5, ""), Err(PluginError::UnusableKey(expected.to_owned())));
        }
        let crypto = Failing(Some(CryptoError::Internal));
        let key = Keys::new(&bindings, &crypto).newest("signing").expect("there");
        assert_eq!(
            key.info().err(),
            Some(PluginError::Other("signing: the gateway could not use the key".to_owned()))
        );
    }
}
