//! The engine: how guests are compiled, where their memories come from, and what ends a loop.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use super::settings::Settings;
use super::threads::LongCalls;

/// The engine's epochs follow each other at this distance. A guest can be stopped when one begins, and nowhere else.
pub(super) const EPOCH: Duration = Duration::from_millis(1);
/// While no long call is under way, so many begin at once: who looks after each would keep an idle processor awake.
const AT_ONCE: u32 = 10;

/// Makes the engine and starts its epochs.
pub(super) fn engine(settings: &Settings, long_calls: LongCalls) -> wasmtime::Result<Engine> {
    let engine = if settings.pooling {
        // Asking is the only way to learn whether the machine grants the address space.
        Engine::new(config(settings)?.allocation_strategy(pool(settings))).or_else(|error| {
            tracing::warn!(error = %error.root_cause(), "no pool for plugins' memories: calls will take longer");
            Engine::new(&config(settings)?)
        })?
    } else {
        Engine::new(&config(settings)?)?
    };
    start_epochs(&engine, long_calls)?;
    Ok(engine)
}

fn config(settings: &Settings) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(settings.stack)
        // Calls from the guest into the gateway run on the same stack.
        .async_stack_size(settings.stack + (1 << 20))
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
        // The same result on any machine: the two places where WebAssembly leaves the processor a choice.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .cache(settings.cache_folder.as_deref().map(cache).transpose()?);
    Ok(config)
}

/// Room for every call that may be under way.
fn pool(settings: &Settings) -> InstanceAllocationStrategy {
    let calls = settings.concurrent_calls.saturating_add(settings.kept_instances);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_stacks(calls)
        .total_core_instances(calls.saturating_mul(settings.instances))
        .total_memories(calls.saturating_mul(settings.memories))
        .total_tables(calls.saturating_mul(settings.tables))
        .max_core_instances_per_component(settings.instances)
        .max_memories_per_component(settings.memories)
        .max_memories_per_module(settings.memories)
        .max_tables_per_component(settings.tables)
        .max_tables_per_module(settings.tables)
        .max_memory_size(settings.memory)
        .table_elements(settings.table_elements);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // Only together: without the scan, what stays resident is cleared whole after each call, which takes longer
        // than giving it back.
        pool.pagemap_scan(Enabled::Auto).linear_memory_keep_resident(1 << 20).table_keep_resident(1 << 16);
    }
    InstanceAllocationStrategy::Pooling(pool)
}

fn cache(folder: &Path) -> wasmtime::Result<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(private_folder(folder)?);
    Cache::new(config)
}

/// Makes the folder if need be, and makes sure that nobody else can put code into it.
fn private_folder(folder: &Path) -> Result<PathBuf, CacheFolder> {
    let unusable = |error| CacheFolder::Unusable(folder.to_owned(), error);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    let folder = folder.canonicalize().map_err(unusable)?;
    let metadata = fs::metadata(&folder).map_err(unusable)?;
    let ours = fs::metadata("/proc/self").map_err(unusable)?.uid();
    if metadata.uid() != ours || metadata.mode() & 0o022 != 0 {
        return Err(CacheFolder::NotPrivate(folder));
    }
    Ok(folder)
}

#[derive(Debug, thiserror::Error)]
enum CacheFolder {
    #[error("the folder {0:?} for compiled plugins cannot be used: {1}")]
    Unusable(PathBuf, io::Error),
    #[error(
        "the folder {0:?} for compiled plugins must belong to the gateway's user and be writable for nobody else: \
         chmod 700 does it"
    )]
    NotPrivate(PathBuf),
}

/// One thread for the engine; it ends by itself once the engine is gone.
fn start_epochs(engine: &Engine, long_calls: LongCalls) -> io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("plugin-epochs".to_owned())
        .spawn(move || {
            loop {
                let epochs = if long_calls.are_under_way() { 1 } else { AT_ONCE };
                std::thread::sleep(EPOCH * epochs);
                let Some(engine) = engine.upgrade() else { return };
                (0..epochs).for_each(|_| engine.increment_epoch());
            }
        })
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn compiled_code_is_kept_where_nobody_else_can_write() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("a/b");
        private_folder(&folder).expect("made");
        assert_eq!(fs::metadata(&folder).expect("is there").mode() & 0o777, 0o700);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).expect("changed");
        assert!(matches!(private_folder(&folder), Err(CacheFolder::NotPrivate(_))));
        fs::write(home.path().join("file"), "").expect("written");
        assert!(matches!(private_folder(&home.path().join("file")), Err(CacheFolder::Unusable(..))));
    }
}
