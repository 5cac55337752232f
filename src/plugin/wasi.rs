//! WASI 0.2 as guests see it: all there, and empty.
//!
//! Compilers of many languages insist on importing WASI, so that a guest could not start without it. Nothing in it
//! does anything: no files, arguments, environment, sockets or name look-up. Time and randomness are the attempt's:
//! the wall clock stands still, the random bytes follow from the attempt's entropy, and a sleep takes no time: it
//! moves the guest's monotonic clock and returns at once. So nothing a guest waits for takes longer than its running
//! time, and the same call gives the same result.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use rand::TryRng;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::lines::{Lines, Stream};
use super::sandbox::Guest;
use crate::domain::Moment;

/// The most random bytes that a guest gets at once. A guest's start takes 16 or 32.
const MOST_RANDOM_BYTES: u64 = 64 << 10;

/// Links all of WASI 0.2, with a monotonic clock that follows the guest's sleeps.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The context of one call.
pub(super) fn context(now: Moment, entropy: [u8; 32], lines: &Lines) -> WasiCtx {
    let milliseconds = u64::try_from(now.unix_milliseconds()).unwrap_or(0);
    let mut seed = [0; 16];
    Seeded::new(entropy, 2).fill(&mut seed);
    WasiCtxBuilder::new()
        .wall_clock(Still(Duration::from_millis(milliseconds)))
        .monotonic_clock(Still(Duration::ZERO))
        .secure_random(Seeded::new(entropy, 0))
        .insecure_random(Seeded::new(entropy, 1))
        .insecure_random_seed(u128::from_le_bytes(seed))
        .max_random_size(MOST_RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .stdout(Captured(lines.clone(), Stream::Output))
        .stderr(Captured(lines.clone(), Stream::Error))
        .build()
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi_view()
    }
}

/// A clock that stands still.
struct Still(Duration);

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// A guest's monotonic clock, in nanoseconds from 0. Moved by nothing but its sleeps.
#[derive(Clone, Default)]
pub(super) struct SleepClock(Arc<AtomicU64>);

/// A sleep: ready at once, and the clock is then at its end.
struct Sleep {
    clock: SleepClock,
    until: u64,
}

#[async_trait::async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        self.clock.0.fetch_max(self.until, Ordering::Relaxed);
    }
}

impl monotonic_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock().0.load(Ordering::Relaxed))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let sleep = Sleep { clock: self.clock().clone(), until: when };
        let table = self.wasi_view().table;
        let sleep = table.push(sleep)?;
        subscribe(table, sleep)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let now = self.clock().0.load(Ordering::Relaxed);
        self.subscribe_instant(now.saturating_add(duration))
    }
}

/// Random bytes that follow from the entropy: SHA-256 of the entropy, a number for the purpose, and a count. Written
/// out here, because a generator of a library may change with its version, and an attempt must be repeatable.
struct Seeded {
    entropy: [u8; 32],
    purpose: u8,
    count: u64,
    unused: Vec<u8>,
}

impl Seeded {
    fn new(entropy: [u8; 32], purpose: u8) -> Self {
        Self { entropy, purpose, count: 0, unused: Vec::new() }
    }

    fn next_block(&mut self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.entropy);
        context.update(&[self.purpose]);
        context.update(&self.count.to_le_bytes());
        self.count += 1;
        let mut block = [0; 32];
        block.copy_from_slice(context.finish().as_ref());
        block
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.unused.is_empty() {
                self.unused = self.next_block().to_vec();
            }
            *byte = self.unused.pop().unwrap_or_default();
        }
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

/// Standard output or standard error: always writable, never a file or a terminal.
#[derive(Clone)]
struct Captured(Lines, Stream);

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Asked for by WASI 0.3 only, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.stream(self.1, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_follow_from_the_entropy_alone() {
        let take = |purpose, count| {
            let mut bytes = vec![0; count];
            Seeded::new([7; 32], purpose).fill(&mut bytes);
            bytes
        };
        assert_eq!(take(0, 100)[..40], take(0, 40));
        assert_ne!(take(0, 32), take(1, 32));
        // Pinned: a change here makes recorded attempts unrepeatable.
        assert_eq!(take(0, 4), [123, 219, 132, 102]);
    }
}
