//! What the gateway's file and a merchant's have in common about the way out: whom we believe, who we are, and by which proxy.

use std::path::{Path, PathBuf};

use super::document::{Document, Problem};
use super::values::{AllowedSubnet, SecretText};
use crate::http::{Identity, InvalidIdentity, Proxy, TlsRoots};

/// Which way connections take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyChoice {
    /// Straight, whatever the gateway's file says.
    Straight,
    /// Through that one.
    Through(Proxy),
}

/// What chooses [`ProxyChoice::Straight`].
const STRAIGHT: &str = "none";

/// Reads authorities that are trusted beside the system's, and sees that they can be. Blocks.
///
/// # Errors
/// What is wrong with the file, by its name.
pub(super) fn authorities(file: &Path) -> Result<String, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
    TlsRoots::private(text.as_bytes()).map_err(|error| wrong(&error))?;
    Ok(text)
}

/// Reads `client_certificate` and `client_key`, which need each other. Blocks.
///
/// # Errors
/// Which of them is wrong, and how; without any of the key.
pub(super) fn identity(
    document: &Document,
    certificate: Option<&PathBuf>,
    key: Option<&SecretText>,
) -> Result<Option<Identity>, Problem> {
    const CERTIFICATE: &str = "client_certificate";
    const KEY: &str = "client_key";
    let folder = document.folder();
    let (certificate, key) = match (certificate, key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (folder.join(certificate), key),
        (Some(_), None) => return Err(document.wrong(CERTIFICATE, "needs `client_key` beside it")),
        (None, Some(_)) => return Err(document.wrong(KEY, "needs `client_certificate` beside it")),
    };
    let of_file = |problem: &dyn std::fmt::Display| format!("{}: {problem}", certificate.display());
    let text = std::fs::read_to_string(&certificate)
        .map_err(|error| document.wrong(CERTIFICATE, of_file(&error)))?;
    let key = key.fetch(&folder).map_err(|problem| document.wrong(KEY, problem))?;
    Identity::new(&text, &key).map(Some).map_err(|error| match error {
        InvalidIdentity::Certificate(problem) => document.wrong(CERTIFICATE, of_file(&problem)),
        InvalidIdentity::Key(problem) => document.wrong(KEY, problem),
    })
}

/// Reads a proxy, which is found by the key that ends in `proxy`.
///
/// # Errors
/// What is wrong with it, without any of its text.
pub(super) fn proxy(
    document: &Document,
    key: &str,
    text: &SecretText,
    allowed: &[AllowedSubnet],
) -> Result<ProxyChoice, Problem> {
    let text = text.fetch(&document.folder()).map_err(|problem| document.wrong(key, problem))?;
    if *text == STRAIGHT {
        return Ok(ProxyChoice::Straight);
    }
    let allowed = allowed.iter().map(|subnet| subnet.0);
    Proxy::new(&text, allowed).map(ProxyChoice::Through).map_err(|error| document.wrong(key, error))
}
