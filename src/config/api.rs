//! `[api]`: where the API listens, whom it lets in, and what bounds it.

use std::path::Path;

use super::document::{Document, Problem};
use super::raw;
use crate::api::{Rates, Role, Settings, Tls, TlsFiles, Token, TokenHash};

/// Checks the table whole. What is wrong is added to the problems; then what comes back is not to be used.
pub(super) fn settings(document: &Document, raw: &raw::Api, problems: &mut Vec<Problem>) -> Settings {
    let whole = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let folder = document.folder();
    let tls = raw.tls.as_ref().map(|tls| tls_files(document, tls, &folder, problems));
    let settings = Settings {
        tokens: tokens(document, &raw.tokens, problems),
        tls,
        rates: Rates {
            each: whole(raw.requests_per_second.get()),
            merchant: whole(raw.merchant_requests_per_second.get()),
        },
        longest_body: raw.longest_body_bytes.size(),
        longest_headers: raw.longest_headers_bytes.size(),
        most_headers: raw.most_headers.size(),
        headers_timeout: raw.headers_timeout.get(),
        request_timeout: raw.request_timeout.get(),
        connections: raw.connections.size(),
        live_listeners: raw.live_listeners.size(),
        console: raw.console,
        loopback: raw.listen.ip().is_loopback(),
    };
    let guarded = !raw.tokens.is_empty() && raw.tls.is_some();
    if !raw.listen.ip().is_loopback() && !guarded && !raw.insecure_listen {
        problems.push(document.wrong(
            "api.listen",
            "is not on the loopback, so the API would be open to others: give it `[[api.tokens]]` (`paynotify token new`) and \
             `[api.tls]`, or say `insecure_listen = true` if something before it sees to both",
        ));
    }
    settings
}

fn tls_files(document: &Document, raw: &raw::Tls, folder: &Path, problems: &mut Vec<Problem>) -> TlsFiles {
    let files = TlsFiles { certificate: folder.join(&raw.certificate), key: folder.join(&raw.key) };
    if let Err(error) = Tls::load(&files) {
        problems.push(document.wrong(&format!("api.tls.{}", error.key), error));
    }
    files
}

fn tokens(document: &Document, raw: &[raw::Token], problems: &mut Vec<Problem>) -> Vec<Token> {
    let mut tokens = Vec::<Token>::new();
    for (index, entry) in raw.iter().enumerate() {
        let mut wrong = |key: &str, problem: &dyn std::fmt::Display| {
            problems.push(document.wrong(&format!("api.tokens[{index}].{key}"), problem));
        };
        let role = match (entry.role, &entry.merchant) {
            (raw::Role::Ingest, None) => Role::Ingest,
            (raw::Role::Read, None) => Role::Read,
            (raw::Role::Operate, None) => Role::Operate,
            (raw::Role::Merchant, Some(id)) => Role::Merchant(id.clone()),
            (raw::Role::Merchant, None) => {
                wrong("merchant", &"is needed for the role `merchant`: whose token this is");
                continue;
            }
            (raw::Role::Ingest | raw::Role::Read | raw::Role::Operate, Some(_)) => {
                wrong("merchant", &"is for the role `merchant` alone");
                continue;
            }
        };
        let hash: TokenHash = match entry.sha256.parse() {
            Ok(hash) => hash,
            Err(error) => {
                wrong("sha256", &error);
                continue;
            }
        };
        if tokens.iter().any(|other| other.name == entry.name) {
            wrong("name", &format!("two tokens are named `{}`: logs could not tell them apart", entry.name));
        } else if let Some(other) = tokens.iter().find(|other| other.hash == hash) {
            wrong("sha256", &format!("is that of `{}`, too: a token has one role", other.name));
        } else {
            tokens.push(Token { name: entry.name.clone(), role, hash });
        }
    }
    tokens
}
