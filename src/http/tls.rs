//! Whom we believe that a server is who it says it is: the system's certificate authorities, and private ones.
//!
//! Deliberately absent: a way to trust everybody. A merchant with a self-signed certificate gives us that certificate.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

/// Trusted certificate authorities, and the TLS settings made of them: TLS 1.2 and 1.3, HTTP/2 offered before HTTP/1.1
/// (ALPN). Clones share both, so that ten thousand merchants cost one set.
#[derive(Clone, Debug)]
pub struct TlsRoots {
    store: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
}

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
        Self::of(store)
    }

    /// Only the authorities (or self-signed certificates) of a PEM text, and not the system's.
    ///
    /// # Errors
    /// The text has no certificate, or one that is malformed.
    pub fn private(pem: &[u8]) -> Result<Self, InvalidRoots> {
        Self::of(extended(RootCertStore::empty(), pem)?)
    }

    /// These, and in addition those of a PEM text.
    ///
    /// # Errors
    /// The text has no certificate, or one that is malformed.
    pub fn and_private(&self, pem: &[u8]) -> Result<Self, InvalidRoots> {
        Self::of(extended(RootCertStore::clone(&self.store), pem)?)
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    fn of(store: RootCertStore) -> Result<Self, InvalidRoots> {
        let store = Arc::new(store);
        // The provider is named, because other parts of the program may bring another one and rustls would not choose.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(InvalidRoots::Library)?
            .with_root_certificates(Arc::clone(&store))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { store, config: Arc::new(config) })
    }
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
