//! With what the API proves who it is: a certificate and its key, read from files, and again when the files change.
//!
//! The rule: TLS 1.2 and 1.3, and a new certificate counts for new connections within [`LOOK_AGAIN`], without a restart. What
//! cannot be read or does not fit together leaves in effect what was good before.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::settings::TlsFiles;

/// How often the two files are looked at.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A certificate with its key, and the files that they came from.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    stamp: Stamp,
    pub(super) config: Arc<ServerConfig>,
}

/// What tells that a file has changed.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Tls {
    /// Reads both files. Blocks.
    ///
    /// # Errors
    /// Which of the two is wrong, and how.
    pub fn load(files: &TlsFiles) -> Result<Self, InvalidTls> {
        // Before they are read: what changes meanwhile is seen to have changed.
        let stamp = stamp(files);
        let wrong_certificate = |error: &dyn std::fmt::Display| InvalidTls {
            key: "certificate",
            problem: format!("{}: {error}", files.certificate.display()),
        };
        let wrong_key = |error: &dyn std::fmt::Display| InvalidTls {
            key: "key",
            problem: format!("{}: {error}", files.key.display()),
        };
        let certificates = CertificateDer::pem_file_iter(&files.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong_certificate(&error))?;
        if certificates.is_empty() {
            return Err(wrong_certificate(&"there is no `BEGIN CERTIFICATE` section in it"));
        }
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong_key(&error))?;
        // The provider is named, because other parts of the program may bring another one and rustls would not choose.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong_certificate(&error))?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(|error| wrong_key(&error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { files: files.clone(), stamp, config: Arc::new(config) })
    }

    /// What is in the files now, if that is something else. Blocks.
    ///
    /// # Errors
    /// As with [`load`](Self::load); told once for each change.
    pub(super) fn reload(&mut self) -> Result<bool, InvalidTls> {
        let now = stamp(&self.files);
        if now == self.stamp {
            return Ok(false);
        }
        self.stamp = now;
        let Self { config, stamp, .. } = Self::load(&self.files)?;
        (self.config, self.stamp) = (config, stamp);
        Ok(true)
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    let of = |file: &PathBuf| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    [of(&files.certificate), of(&files.key)]
}

/// Why the API has no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct InvalidTls {
    /// The key of `[api.tls]`.
    pub key: &'static str,
    /// What is wrong, with the file.
    pub problem: String,
}
