//! What the gateway's file and a merchant's have in common about the way out: whom we believe, who we are, and by which proxy.

use std::path::{Path, PathBuf};

use ::http::Uri;

use super::document::{Document, Problem};
use super::values::{AllowedSubnet, SecretText};
use crate::domain::Origin;
use crate::http::{Identity, InvalidIdentity, Proxy, Reach, TlsRoots};

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

/// Reads the URL of an endpoint that the gateway itself sends to, which stands under `key` in `table`; and says how far connections to
/// it may go: to public addresses, and those that the table allows.
///
/// # Errors
/// What is wrong with it, without any of its text: its query may be secret.
pub(super) fn endpoint(
    document: &Document,
    (table, key): (&str, &str),
    text: &SecretText,
    allowed: &[AllowedSubnet],
) -> Result<(Uri, Reach), Problem> {
    let wrong = |problem: &dyn std::fmt::Display| document.wrong(&format!("{table}.{key}"), problem);
    let url = text.fetch(&document.folder()).map_err(|problem| wrong(&problem))?;
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains('#');
    let parsed = url.parse::<Uri>().ok().filter(|_| plain).and_then(|uri| Some((Origin::of(&uri)?, uri)));
    let Some((origin, url)) = parsed else {
        let problem =
            "must be an absolute http or https URL, percent-encoded, without a fragment, user or password";
        return Err(wrong(&problem));
    };
    let reach = Reach::guarded(allowed.iter().map(|subnet| subnet.0), [origin.port()]);
    reach.check_host(origin.host(), origin.port()).map_err(|refusal| {
        wrong(&format!("{refusal}: if it is meant, name it or its subnet in `{table}.allow_addresses`"))
    })?;
    Ok((url, reach))
}

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
