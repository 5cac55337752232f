//! From a file to a plugin: what is refused, and the sentence that says why.
//!
//! A file is refused by the cheapest check that finds it wrong: its length, its first bytes, what it imports and
//! exports, and last by what it says of itself. Compiled code (`.cwasm`) is never loaded: it could do anything.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::bindings::MerchantPluginPre;
use super::call::{Callee, Plugin, Surface};
use super::crypto::sha256_hex;
use super::description::InvalidDescription;
use super::fault::{CallError, for_people};
use super::host::Shared;
use super::sandbox::Guest;
use super::signature::SignatureProblem;

/// Why a file is no plugin. Its text is one sentence.
#[derive(Debug, thiserror::Error)]
#[error("plugin `{file}` {problem}")]
pub struct LoadError {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub problem: LoadProblem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum LoadProblem {
    /// The system does not give it.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// Too long to be looked at.
    #[error("is longer than {longest} bytes, the most that is allowed")]
    TooLong {
        /// The bound.
        longest: usize,
    },
    /// Machine code.
    #[error("is compiled code, which is not loaded: only the WebAssembly component that it was made from")]
    Precompiled,
    /// WebAssembly of the kind below.
    #[error(
        "is a core WebAssembly module and not a component: build it for wasm32-wasip2, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Something else altogether.
    #[error("is no WebAssembly component")]
    NotWebAssembly,
    /// It begins like a component and is none, or needs what is not allowed.
    #[error("is no component that can be run here: {0}")]
    Invalid(String),
    /// Nobody whom the configuration names has signed it.
    #[error(transparent)]
    Signature(#[from] SignatureProblem),
    /// It asks for more than the contract gives.
    #[error(
        "imports `{0}`, which is not in the contract: only paynotify:merchant@0.1 and WASI 0.2 (cli, clocks, filesystem, io, random, sockets) may be imported"
    )]
    Import(String),
    /// It does not do what a plugin does.
    #[error("does not export `{EXPORT}@0.1`")]
    Export,
    /// It exports or imports the right names with other types.
    #[error("was built against another contract: {0}")]
    Contract(String),
    /// It could not describe itself.
    #[error("cannot say what it is: {0}")]
    Describe(CallError),
    /// It described itself wrongly.
    #[error("describes itself wrongly: {0}")]
    Description(#[from] InvalidDescription),
    /// The format has a plugin already.
    #[error("is for the format `{name}`, as `{other}` is: remove one of them")]
    Duplicate {
        /// The format.
        name: String,
        /// The other file.
        other: String,
    },
}

/// Reads a file and checks its signature, if one is asked for.
pub(super) async fn read(host: &Arc<Shared>, file: &Path) -> Result<Vec<u8>, LoadError> {
    let longest = host.settings.longest_component;
    let path = file.to_owned();
    let read = run_blocking(move || bounded(&path, longest)).await;
    read.map_err(|problem| LoadError { file: file.display().to_string(), problem })
}

/// Holds the content against the signature beside its file.
pub(super) async fn check_signature(
    host: &Arc<Shared>,
    file: &Path,
    content: Arc<Vec<u8>>,
) -> Result<(), LoadError> {
    let (shared, path) = (Arc::clone(host), file.to_owned());
    let checked = run_blocking(move || Ok(shared.settings.signers.check(&path, &content)?)).await;
    checked.map_err(|problem| LoadError { file: file.display().to_string(), problem })
}

pub(super) async fn bytes(host: &Arc<Shared>, name: &str, bytes: Vec<u8>) -> Result<Plugin, LoadError> {
    plugin(host, name, bytes).await.map_err(|problem| LoadError { file: name.to_owned(), problem })
}

async fn plugin(host: &Arc<Shared>, name: &str, bytes: Vec<u8>) -> Result<Plugin, LoadProblem> {
    check_kind(&bytes, host.settings.longest_component)?;
    let shared = Arc::clone(host);
    let compiled = host.compiler.run(move || Ok((sha256_hex(&bytes), prepare(&shared, &bytes)?)));
    let (sha256, (surface, pre)) =
        compiled.await.unwrap_or_else(|| Err(LoadProblem::Invalid(GAVE_UP.to_owned())))?;
    let callee = Callee::new(Arc::clone(host), pre, name);
    let description = callee.describe().await.map_err(LoadProblem::Describe)?;
    Ok(Plugin::new(callee, super::convert::description(description)?, surface, sha256, name))
}

const GAVE_UP: &str = "the compiler gave up";

/// Reading takes long and must not hold up the asynchronous threads.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadProblem> + Send + 'static,
) -> Result<T, LoadProblem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(LoadProblem::Unreadable(std::io::Error::other(error))),
    }
}

/// Reads no more than the bound, whatever the file says of its length.
fn bounded(file: &Path, longest: usize) -> Result<Vec<u8>, LoadProblem> {
    let file = std::fs::File::open(file)?;
    let length = file.metadata()?.len();
    if length > longest as u64 {
        return Err(LoadProblem::TooLong { longest });
    }
    let mut bytes = Vec::new();
    file.take(longest as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check_kind(bytes: &[u8], longest: usize) -> Result<(), LoadProblem> {
    if bytes.len() > longest {
        return Err(LoadProblem::TooLong { longest });
    }
    if Engine::detect_precompiled(bytes).is_some() {
        return Err(LoadProblem::Precompiled);
    }
    // The preamble: magic number, then version and layer (component-model/design/mvp/Binary.md).
    match bytes.split_at_checked(8) {
        Some((b"\0asm\x01\0\0\0", _)) => Err(LoadProblem::CoreModule),
        Some((b"\0asm\x0d\0\x01\0", _)) => Ok(()),
        _ => Err(LoadProblem::NotWebAssembly),
    }
}

/// How many digits of the SHA-256 name a version.
pub(super) const DIGITS: usize = 16;

/// What names a version: the first 16 hexadecimal digits of the SHA-256.
#[must_use]
pub fn content_hash(bytes: &[u8]) -> String {
    let mut digits = sha256_hex(bytes);
    digits.truncate(DIGITS);
    digits
}

fn prepare(host: &Shared, bytes: &[u8]) -> Result<(Surface, MerchantPluginPre<Guest>), LoadProblem> {
    let component = Component::from_binary(&host.engine, bytes)
        .map_err(|error| LoadProblem::Invalid(for_people(&format!("{error:#}"), 300)))?;
    let types = component.component_type();
    if let Some((import, _)) = types.imports(&host.engine).find(|(name, _)| !may_be_imported(name)) {
        return Err(LoadProblem::Import(for_people(import, 100)));
    }
    let mut exports = types.exports(&host.engine).map(|(name, _)| name);
    let contract = exports.find(|name| is_version_0_1(name, EXPORT)).ok_or(LoadProblem::Export)?.to_owned();
    let imports = types.imports(&host.engine).map(|(name, _)| name.to_owned()).collect();
    let pre = host
        .linker
        .instantiate_pre(&component)
        .and_then(MerchantPluginPre::new)
        .map_err(|error| LoadProblem::Contract(for_people(&format!("{error:#}"), 300)))?;
    Ok((Surface { contract, imports }, pre))
}

const EXPORT: &str = "paynotify:merchant/plugin";

fn may_be_imported(name: &str) -> bool {
    const OURS: [&str; 3] =
        ["paynotify:merchant/types", "paynotify:merchant/crypto", "paynotify:merchant/log"];
    const WASI: [&str; 6] =
        ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
    OURS.iter().any(|ours| is_version_0_1(name, ours))
        || (WASI.iter().any(|package| name.starts_with(package)) && name.contains("@0.2."))
}

fn is_version_0_1(name: &str, interface: &str) -> bool {
    name.strip_prefix(interface).is_some_and(|version| version.starts_with("@0.1."))
}
