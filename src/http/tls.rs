//! Whom we believe that a server is who it says it is: the system's certificate authorities, and private ones.
//!
//! Deliberately absent: a way to trust everybody. A merchant with a self-signed certificate gives us that certificate.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use super::identity::Identity;

/// Trusted certificate authorities, and the TLS settings made of them: TLS 1.2 and 1.3, HTTP/2 offered before HTTP/1.1
/// (ALPN). Clones share both, so that ten thousand merchants cost one set. Two that were made of the same texts are equal.
#[derive(Clone, Debug)]
pub struct TlsRoots {
    store: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
    /// Of what was added to the system's authorities.
    mark: [u8; 32],
}

impl PartialEq for TlsRoots {
    fn eq(&self, other: &Self) -> bool {
        self.mark == other.mark
    }
}

impl Eq for TlsRoots {}

impl TlsRoots {
    /// The operating system's authorities, as OpenSSL finds them; the environment's `SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// are honoured. Reads files: meant to be called once, before the work begins.
    ///
    /// # Errors
    /// The system has no authority that can be read.
    pub fn system() -> Result<Self, InvalidRoots> {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        // Systems ship a few certificates that are malformed; those are not trusted, and the others are.
        let (usable, _malformed) = store.add_parsable_certificates(found.certs);
        if usable == 0 {
            let reason =
                found.errors.first().map_or_else(|| "no certificate found".to_owned(), ToString::to_string);
            return Err(InvalidRoots::System(reason));
        }
        Self::of(Arc::new(store), None, [0; 32])
    }

    /// Only the authorities (or self-signed certificates) of a PEM text, and not the system's.
    ///
    /// # Errors
    /// The text has no certificate, or one that is malformed.
    pub fn private(pem: &[u8]) -> Result<Self, InvalidRoots> {
        Self::of(Arc::new(extended(RootCertStore::empty(), pem)?), None, marked(&[1; 32], pem))
    }

    /// These, and in addition those of a PEM text.
    ///
    /// # Errors
    /// The text has no certificate, or one that is malformed.
    pub fn and_private(&self, pem: &[u8]) -> Result<Self, InvalidRoots> {
        let store = extended(RootCertStore::clone(&self.store), pem)?;
        Self::of(Arc::new(store), None, marked(&self.mark, pem))
    }

    /// These, and to a server that asks who we are we prove it with that. It is the last to be added.
    ///
    /// # Errors
    /// The TLS library refuses its own defaults.
    pub fn with_identity(&self, identity: &Identity) -> Result<Self, InvalidRoots> {
        Self::of(Arc::clone(&self.store), Some(identity), marked(&self.mark, &identity.mark))
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    fn of(
        store: Arc<RootCertStore>,
        identity: Option<&Identity>,
        mark: [u8; 32],
    ) -> Result<Self, InvalidRoots> {
        // The provider is named, because other parts of the program may bring another one and rustls would not choose.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(InvalidRoots::Library)?
            .with_root_certificates(Arc::clone(&store));
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let certified = SingleCertAndKey::from(Arc::clone(&identity.certified));
                builder.with_client_cert_resolver(Arc::new(certified))
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { store, config: Arc::new(config), mark })
    }
}

/// What two of the same texts, added to the same, have in common, and no others.
fn marked(before: &[u8; 32], text: &[u8]) -> [u8; 32] {
    let mut digest = Context::new(&SHA256);
    digest.update(before);
    digest.update(text);
    let mut mark = [0; 32];
    mark.copy_from_slice(digest.finish().as_ref());
    mark
}

fn extended(mut store: RootCertStore, pem: &[u8]) -> Result<RootCertStore, InvalidRoots> {
    let before = store.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        store.add(certificate.map_err(InvalidRoots::Pem)?).map_err(InvalidRoots::Certificate)?;
    }
    if store.len() == before { Err(InvalidRoots::Empty) } else { Ok(store) }
}

/// Why there are no trusted authorities.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRoots {
    /// The system has none.
    #[error("the system has no trusted certificate authorities ({0}): install `ca-certificates`")]
    System(String),
    /// Not PEM.
    #[error("the certificate authorities cannot be read as PEM")]
    Pem(#[source] pem::Error),
    /// PEM without a certificate.
    #[error("the PEM text has no `BEGIN CERTIFICATE` section")]
    Empty,
    /// Not a certificate that can vouch for others.
    #[error("a certificate among the authorities is malformed")]
    Certificate(#[source] rustls::Error),
    /// The TLS library refuses its own defaults.
    #[error("the TLS library has no usable protocol version")]
    Library(#[source] rustls::Error),
}
