//! What may be linked into the gateway: licences, sources, and crates that must not come in.
//!
//! cargo-deny does this and more, but takes minutes to build on a machine that does not have it. Known
//! vulnerabilities are deliberately absent: the database of them is not part of the sources.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{cargo, output};

/// Permissive licences, by their SPDX names.
const ALLOWED: [&str; 10] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    // Of data: Mozilla's list of authorities, which comes with the TLS of the PostgreSQL client.
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Crates that must not come in, and why.
const BANNED: [(&str, &str); 3] = [
    ("native-tls", "TLS is rustls, everywhere"),
    ("openssl-sys", "TLS is rustls, everywhere"),
    ("rsa", "its private-key operations leak through timing (RUSTSEC-2023-0071)"),
];

/// The one place that crates come from. Any other kind, such as `git+`, cannot be kept.
const REGISTRY: &str = "registry+";

/// Looks at every crate that the lock file names for this machine's platform. All that is wrong is told at once.
pub(crate) fn check() -> Result<()> {
    let host = host()?;
    let text =
        output(cargo().args(["metadata", "--locked", "--format-version", "1", "--filter-platform", &host]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo's metadata cannot be read")?;
    let packages = metadata["packages"].as_array().context("cargo's metadata names no packages")?;
    let objections: Vec<String> = packages.iter().filter_map(objection).collect();
    if !objections.is_empty() {
        bail!("{}", objections.join("; "));
    }
    Ok(())
}

fn host() -> Result<String> {
    let verbose = output(cargo().arg("-vV"))?;
    let host = verbose.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("cargo does not tell its host")
}

fn objection(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let licence = package["license"].as_str().unwrap_or_default();
    // A crate of the workspace has no source.
    let source = package["source"].as_str().unwrap_or(REGISTRY);
    if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == name) {
        return Some(format!("{name} must not be used: {reason}"));
    }
    if !source.starts_with(REGISTRY) {
        return Some(format!("{name} comes from {source}, not from the registry"));
    }
    match is_allowed(licence) {
        Some(true) => None,
        Some(false) => {
            Some(format!("{name} has the licence `{licence}`, which is not among the allowed ones"))
        }
        None => Some(format!("{name} has the licence `{licence}`, which is no SPDX expression")),
    }
}

/// Whether an SPDX expression can be satisfied with allowed licences. `None` if it cannot be read.
fn is_allowed(expression: &str) -> Option<bool> {
    // Old crates write `MIT/Apache-2.0` for a choice.
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (allowed, rest) = any_of(&words)?;
    rest.is_empty().then_some(allowed)
}

type Parsed<'a, 'b> = Option<(bool, &'a [&'b str])>;

/// Terms joined by OR, which binds least.
fn any_of<'a, 'b>(words: &'a [&'b str]) -> Parsed<'a, 'b> {
    let (mut allowed, mut rest) = all_of(words)?;
    while let Some(("OR", after)) = rest.split_first().map(|(first, after)| (*first, after)) {
        let (next, remaining) = all_of(after)?;
        (allowed, rest) = (allowed || next, remaining);
    }
    Some((allowed, rest))
}

fn all_of<'a, 'b>(words: &'a [&'b str]) -> Parsed<'a, 'b> {
    let (mut allowed, mut rest) = one(words)?;
    while let Some(("AND", after)) = rest.split_first().map(|(first, after)| (*first, after)) {
        let (next, remaining) = one(after)?;
        (allowed, rest) = (allowed && next, remaining);
    }
    Some((allowed, rest))
}

/// A licence, one with an exception, or an expression in parentheses.
fn one<'a, 'b>(words: &'a [&'b str]) -> Parsed<'a, 'b> {
    match words {
        ["(", inside @ ..] => {
            let (allowed, rest) = any_of(inside)?;
            let (close, rest) = rest.split_first()?;
            (*close == ")").then_some((allowed, rest))
        }
        [")" | "AND" | "OR" | "WITH", ..] | [] => None,
        [licence, "WITH", exception, rest @ ..] => {
            Some((is_listed(&format!("{licence} WITH {exception}")), rest))
        }
        [licence, rest @ ..] => Some((is_listed(licence), rest)),
    }
}

fn is_listed(licence: &str) -> bool {
    ALLOWED.contains(&licence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_satisfied_or_not() {
        for (expression, allowed) in [
            ("MIT", Some(true)),
            ("GPL-3.0-only", Some(false)),
            ("MIT OR GPL-3.0-only", Some(true)),
            ("MIT AND GPL-3.0-only", Some(false)),
            ("Apache-2.0/GPL-3.0-only", Some(true)),
            ("Apache-2.0 WITH LLVM-exception", Some(true)),
            ("MIT WITH LLVM-exception", Some(false)),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", Some(true)),
            ("MIT OR GPL-3.0-only AND GPL-2.0-only", Some(true)),
            ("(MIT OR GPL-3.0-only) AND GPL-2.0-only", Some(false)),
            ("ISC AND (Apache-2.0 OR ISC) AND BSD-3-Clause", Some(true)),
            ("", None),
            ("MIT OR", None),
            ("(MIT", None),
            ("MIT)", None),
            ("MIT ISC", None),
        ] {
            assert_eq!(is_allowed(expression), allowed, "{expression}");
        }
    }

    #[test]
    fn a_crate_is_refused_for_its_name_its_source_or_its_licence() {
        let objection_to = |name: &str, source: Option<&str>, license: Option<&str>| {
            objection(&serde_json::json!({ "name": name, "source": source, "license": license }))
        };
        assert_eq!(objection_to("ours", None, Some("Apache-2.0")), None);
        assert_eq!(objection_to("good", Some("registry+index"), Some("MIT")), None);
        assert!(
            objection_to("rsa", Some("registry+index"), Some("MIT"))
                .is_some_and(|text| text.contains("timing"))
        );
        assert!(
            objection_to("forked", Some("git+somewhere"), Some("MIT"))
                .is_some_and(|text| text.contains("git+"))
        );
        assert!(
            objection_to("unnamed", Some("registry+index"), None)
                .is_some_and(|text| text.contains("unnamed"))
        );
    }
}
