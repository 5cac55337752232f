//! With what the gateway proves to a merchant's server who it is: a certificate, and the key to it (mutual TLS).
//!
//! The rule: the key is in the TLS library alone, which gives it out to nobody; no text of it is kept, shown or told.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroize;

/// A certificate, those between it and an authority, and its key. Cheap to clone. Two of the same certificates and key are equal.
#[derive(Clone)]
pub struct Identity {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) mark: [u8; 32],
}

impl Identity {
    /// Of a certificate (first its own, then those between it and an authority) and a private key that is not encrypted
    /// (PKCS#8, PKCS#1 or SEC1), both PEM.
    ///
    /// # Errors
    /// Which of the two is wrong, and how; without any of the key.
    pub fn new(certificate: &str, key: &str) -> Result<Self, InvalidIdentity> {
        let wrong = |cause: pem::Error| InvalidIdentity::Certificate(cause.to_string());
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
        let certificates = certificates.map_err(wrong)?;
        if certificates.is_empty() {
            let problem = "there is no `BEGIN CERTIFICATE` section in it";
            return Err(InvalidIdentity::Certificate(problem.to_owned()));
        }
        // The library's own words could quote a line.
        let mut der = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| {
            let problem =
                "there is no private key in it that can be read: PEM, PKCS#8, PKCS#1 or SEC1, not encrypted";
            InvalidIdentity::Key(problem)
        })?;
        let mut mark = Context::new(&SHA256);
        for part in certificates.iter().map(CertificateDer::as_ref).chain([der.secret_der()]) {
            mark.update(&part.len().to_be_bytes());
            mark.update(part);
        }
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der);
        der.zeroize();
        let signing = signing.map_err(|_| InvalidIdentity::Key("it is of no kind that TLS takes"))?;
        let certified = CertifiedKey::new(certificates, signing);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(InvalidIdentity::Key("it is not the key of that certificate"));
            }
            Err(error) => return Err(InvalidIdentity::Certificate(error.to_string())),
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(mark.finish().as_ref());
        Ok(Self { certified: Arc::new(certified), mark: digest })
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.mark == other.mark
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Identity(***)")
    }
}

/// Why a certificate and a key do not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentity {
    /// The certificate.
    #[error("{0}")]
    Certificate(String),
    /// The key.
    #[error("{0}")]
    Key(&'static str),
}
