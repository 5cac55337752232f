//! The store of one call, and the bounds around it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView};

use super::crypto::Keys;
use super::fault::{Fault, Limit, TimeIsUp};
use super::host_calls::{Desk, HostCalls};
use super::lines::Lines;
use super::settings::Settings;
use super::threads::Running;
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
    pub(super) running: Arc<Running>,
}

/// The most that any one call of a plugin has taken so far, each against its bound in [`Settings`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The memory of all of its memories together, in bytes: `memory`.
    pub memory: usize,
    /// The calls of `crypto`, as they are counted: `host_calls`.
    pub host_calls: u32,
    /// The running time: `call_timeout`.
    pub running: Duration,
}

/// What all calls of a plugin together have taken so far, and how often it was at fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there were: those that format and judge, also as a shadow, and what it was asked while it was loaded.
    pub calls: u64,
    /// How long processors have worked for them.
    pub running: Duration,
    /// Faults that were noted with [`Plugin::note_fault`](super::Plugin::note_fault), in the order of [`Fault::NAMES`].
    pub faults: [u64; Fault::NAMES.len()],
}

/// Where the calls of a plugin leave what they have taken.
#[derive(Default)]
pub(super) struct Meter(Mutex<(Usage, Tally)>);

impl Meter {
    pub(super) fn usage(&self) -> Usage {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn tally(&self) -> Tally {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Notes a fault.
    pub(super) fn note_fault(&self, fault: &Fault) {
        let Some(place) = Fault::NAMES.iter().position(|name| *name == fault.name()) else { return };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.faults[place] += 1;
    }

    /// Notes the call of this guest, which has ended.
    pub(super) fn note(&self, guest: &Guest) {
        let (most, all) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        most.memory = most.memory.max(guest.memory_used);
        most.host_calls = most.host_calls.max(guest.settings.host_calls - guest.host_calls_left);
        let running = guest.running.so_far();
        most.running = most.running.max(running);
        all.calls += 1;
        all.running += running;
    }
}

/// What the gateway keeps for one guest while it runs.
pub(super) struct Guest {
    /// What its random numbers follow from, and its time.
    attempt: (Moment, [u8; 32]),
    /// Made when the guest asks for it: few do.
    wasi: Option<WasiCtx>,
    table: ResourceTable,
    clock: SleepClock,
    keys: Keys,
    desk: Desk,
    lines: Lines,
    host_calls_left: u32,
    memory_used: usize,
    /// Of all tables, in bytes.
    tables_used: usize,
    running: Arc<Running>,
    settings: Arc<Settings>,
}

/// A fresh store with all bounds set.
pub(super) fn store(engine: &Engine, settings: &Arc<Settings>, surroundings: Surroundings) -> Store<Guest> {
    let Surroundings { now, entropy, keys, recorded, lines, running } = surroundings;
    let mut table = ResourceTable::new();
    table.set_max_capacity(settings.resources);
    let guest = Guest {
        attempt: (now, entropy),
        wasi: None,
        table,
        clock: SleepClock::default(),
        keys,
        desk: Desk::new(recorded),
        lines,
        host_calls_left: settings.host_calls,
        memory_used: 0,
        tables_used: 0,
        running: Arc::clone(&running),
        settings: Arc::clone(settings),
    };
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| guest);
    store.set_max_component_handles(settings.handles);
    begin(&mut store);
    let longest = settings.call_timeout;
    // After its turn, the others have theirs.
    store.epoch_deadline_callback(move |_| {
        if running.so_far() >= longest {
            return Err(TimeIsUp.into());
        }
        Ok(UpdateDeadline::YieldCustom(running.turn(), Box::pin(tokio::task::yield_now())))
    });
    store
}

/// Gives the guest its bounds anew, for its next call: of bytes and calls into the gateway, of lines and of time. What it has
/// stays counted, memory and handles, and its monotonic clock never goes back.
pub(super) fn begin_again(store: &mut Store<Guest>) {
    begin(store);
    let guest = store.data_mut();
    // Random numbers begin anew, too, as they do in an instance that has not been called before.
    guest.wasi = None;
    guest.host_calls_left = guest.settings.host_calls;
    guest.lines.begin_again(&guest.settings);
    guest.running.begins_again();
}

fn begin(store: &mut Store<Guest>) {
    store.set_hostcall_fuel(store.data().settings.host_call_bytes);
}

impl Guest {
    pub(super) fn running(&self) -> Arc<Running> {
        Arc::clone(&self.running)
    }

    /// All that it takes up while it is kept, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.memory_used.saturating_add(self.tables_used)
    }

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
        let (now, entropy) = self.attempt;
        let ctx = self.wasi.get_or_insert_with(|| wasi::context(now, entropy, &self.lines));
        WasiCtxView { ctx, table: &mut self.table }
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

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.settings.table_elements {
            return Err(Limit::TableElements(self.settings.table_elements).into());
        }
        let grown = desired.saturating_sub(current).saturating_mul(size_of::<usize>());
        self.tables_used = self.tables_used.saturating_add(grown);
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
