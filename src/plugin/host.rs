//! What all plugins share: the engine, the linker and the places for calls.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use super::bindings::MerchantPlugin;
use super::call::Plugin;
use super::compiler::Compiler;
use super::load::{self, LoadError};
use super::places::Places;
use super::sandbox::Guest;
use super::settings::Settings;
use super::threads::{GuestThreads, LongCalls};
use super::{engine, wasi};

/// The host of plugins. Cheap to clone; one serves the whole gateway.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) linker: Linker<Guest>,
    pub(super) settings: Arc<Settings>,
    pub(super) places: Places,
    /// Room for instances that are kept over their attempt's POST.
    pub(super) kept: Arc<Semaphore>,
    pub(super) threads: GuestThreads,
    pub(super) compiler: Compiler,
}

/// How many this process may use; one if the system does not tell.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Why there is no host.
#[derive(Debug, thiserror::Error)]
#[error("plugins cannot be run here: {0:#}")]
pub struct HostError(wasmtime::Error);

impl Host {
    /// Makes the engine. Takes address space, and a thread that counts running time until the host and its plugins
    /// are gone.
    ///
    /// # Errors
    /// The cache folder cannot be used or is not private, or a bound is one that the engine cannot keep.
    pub fn new(settings: Settings) -> Result<Self, HostError> {
        let make = || {
            let long_calls = LongCalls::default();
            let engine = engine::engine(&settings, long_calls.clone())?;
            let mut linker = Linker::new(&engine);
            wasi::link(&mut linker)?;
            MerchantPlugin::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
            let threads = GuestThreads::new(processors(), long_calls)?;
            let places = Places::new(settings.concurrent_calls);
            let kept = Arc::new(Semaphore::new(settings.kept_instances as usize));
            let compiler = Compiler::new()?;
            let settings = Arc::new(settings);
            Ok(Self(Arc::new(Shared { engine, linker, settings, places, kept, threads, compiler })))
        };
        make().map_err(HostError)
    }

    /// From now on plugins are compiled with the time that nothing else wants. For when a start is over.
    pub fn step_back(&self) {
        self.0.compiler.step_back();
    }

    /// Loads a plugin's file: reads it, checks its signature if one is asked for, compiles it (unless the cache has it)
    /// and asks it to describe itself.
    ///
    /// # Errors
    /// One sentence that names the file and what is wrong with it.
    pub async fn load(&self, file: &Path) -> Result<Plugin, LoadError> {
        let content = self.read(file).await?;
        let content = self.check_signature(file, content).await?;
        self.load_bytes(&file.display().to_string(), content).await
    }

    /// Reads a plugin's file, no more of it than is allowed, and looks no further.
    ///
    /// # Errors
    /// It cannot be read, or is too long.
    pub async fn read(&self, file: &Path) -> Result<Vec<u8>, LoadError> {
        load::read(&self.0, file).await
    }

    /// Gives a file's content back when one of [`Settings::signers`] has signed it, or when there are none.
    ///
    /// # Errors
    /// Nobody of them has.
    pub async fn check_signature(&self, file: &Path, content: Vec<u8>) -> Result<Vec<u8>, LoadError> {
        let content = Arc::new(content);
        load::check_signature(&self.0, file, Arc::clone(&content)).await?;
        Ok(Arc::unwrap_or_clone(content))
    }

    /// The same for bytes that are in memory already; `name` stands for the file in errors.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn load_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<Plugin, LoadError> {
        load::bytes(&self.0, name, bytes).await
    }

    /// Ends the host's work: calls under way come to their end, later ones are
    /// [`Busy`](super::CallError::Busy).
    pub async fn close(&self) {
        self.0.places.close().await;
    }
}
