//! The store of one call, and the bounds around it.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView};

use super::crypto::Keys;
use super::engine::TICK;
use super::fault::{Limit, TimeIsUp};
use super::host_calls::{Desk, HostCalls};
use super::lines::Lines;
use super::settings::Settings;
use super::wasi::{self, SleepClock};
use crate::domain::Moment;

/// All that differs from call to call, besides the arguments.
pub(super) struct Surroundings {
    pub(super) now: Moment,
    pub(super) entropy: [u8; 32],
    pub(super) keys: Keys,
    /// What `crypto` answered before, when the call is made again.
    pub(super) recorded: Option<HostCalls>,
    pub(super) lines: Lines,
}

/// What the gateway keeps for one guest while it runs.
pub(super) struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
    clock: SleepClock,
    keys: Keys,
    desk: Desk,
    lines: Lines,
    host_calls_left: u32,
    memory_used: usize,
    settings: Arc<Settings>,
}

/// A fresh store with all bounds set.
pub(super) fn store(engine: &Engine, settings: &Arc<Settings>, surroundings: Surroundings) -> Store<Guest> {
    let Surroundings { now, entropy, keys, recorded, lines } = surroundings;
    let mut table = ResourceTable::new();
    table.set_max_capacity(settings.resources);
    let guest = Guest {
        wasi: wasi::context(now, entropy, &lines),
        table,
        clock: SleepClock::default(),
        keys,
        desk: Desk::new(recorded),
        lines,
        host_calls_left: settings.host_calls,
        memory_used: 0,
        settings: Arc::clone(settings),
    };
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| guest);
    store.set_hostcall_fuel(settings.host_call_bytes);
    store.set_max_component_handles(settings.handles);
    let mut steps_left = settings.call_timeout.as_millis().div_ceil(TICK.as_millis());
    store.set_epoch_deadline(1);
    // The step begins anew when the guest goes on, so that waiting for a processor costs it nothing.
    store.epoch_deadline_callback(move |_| match steps_left.checked_sub(1) {
        None => Err(TimeIsUp.into()),
        Some(left) => {
            steps_left = left;
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        }
    });
    store
}

impl Guest {
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Where calls of `crypto` are noted, and answered from the record.
    pub(super) fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    /// What a guest that went over its bound of host calls is ended with.
    pub(super) fn host_calls_bound(&self) -> Limit {
        Limit::HostCalls(self.settings.host_calls)
    }

    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }

    pub(super) fn clock(&self) -> &SleepClock {
        &self.clock
    }

    pub(super) fn wasi_view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }

    /// Counts a call of `crypto`, which costs the gateway more than the guest, as so many. Those of `log` and WASI
    /// answer at once, so the running time bounds them.
    pub(super) fn count_host_calls(&mut self, count: u32) -> Result<(), Limit> {
        self.host_calls_left = self.host_calls_left.checked_sub(count).ok_or(self.host_calls_bound())?;
        Ok(())
    }
}

/// Growth beyond a bound ends the call, although WebAssembly would let the guest carry on without it. What guests do
/// then is abort somewhere far off, and the fault would read `unreachable` instead of naming the bound.
impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        // All memories together: a guest may have several.
        let used = self.memory_used.saturating_add(desired.saturating_sub(current));
        if used > self.settings.memory {
            return Err(Limit::Memory(self.settings.memory).into());
        }
        self.memory_used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.settings.table_elements {
            return Err(Limit::TableElements(self.settings.table_elements).into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.settings.instances as usize
    }

    fn tables(&self) -> usize {
        self.settings.tables as usize
    }

    fn memories(&self) -> usize {
        self.settings.memories as usize
    }
}
