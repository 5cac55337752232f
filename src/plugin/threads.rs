//! The threads that guests run on, and the running time of their calls.
//!
//! They are not the gateway's own: a guest that loops would hold those for a whole turn each time, and every timer and
//! connection of the gateway with them. Only a plugin whose calls have all been quick lately begins them where it is
//! called ([`Pace`]): going to another thread and back takes longer than such a call. Should one of them not be quick after
//! all, it goes on elsewhere after its first turn, and its plugin has lost that trust for a long time.
//!
//! A call that has run for longer than a well-behaved one needs ([`SHORT`]) is a long one. It goes on, from where it
//! was, on threads to which the system gives what the gateway and short calls leave over, and where long calls take
//! turns, a short one each. A plugin that has made one begins its next calls there ([`Pace`]). So plugins that loop slow each
//! other down, and nobody else. Nor do they ever have all processors to themselves: each of those threads rests after a turn ([`REST`]).
//!
//! Running time is what processors have worked for a call, however long it had to wait for them: a busy machine never
//! makes a plugin look slow.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Handle, Runtime};

use super::engine::EPOCH;
use super::leftover::step_back;

/// A call that has run for so long is a long one. The slowest guests of the languages that were measured take a quarter
/// of it.
pub(super) const SHORT: Duration = Duration::from_millis(20);
/// So many of a plugin's calls begin as long ones after one that was.
const LONG_AFTERWARDS: u32 = 32;
/// A guest's turn, in epochs: then others go on.
const TURN: u32 = 10;
/// The turn of a long call. Many a Linux kernel takes a processor from a thread of the idle policy only when that one enters the
/// kernel, or at the timer's next interrupt, and these are 4 ms apart; a guest enters it at each turn's end.
const LONG_TURN: u32 = 1;
/// For so much of the time that a long call's turn took its thread rests afterwards. What is always busy, even with what gives way at once,
/// is felt: the bare pipe of `cargo xtask bench` beside endless loops of the idle policy on each of two processors had a p99 of 60 to 700 ms instead
/// of 2, and of 3 when each of them rested for a quarter of the time (Linux 6.18).
const REST: f64 = 0.5;
/// A call of at most so long is quick: one of a Rust guest takes a tenth of it, one of an interpreter for JavaScript the half.
const QUICK: Duration = Duration::from_micros(500);
/// So many calls in a row must have been quick before the next begins where it is made.
const TRUSTED_AFTER: i32 = 64;
/// A call that began where it was made and took so long has held up a thread of the gateway.
const HELD_UP: Duration = Duration::from_millis(1);
/// How far from trust a plugin is after that, or after a call of a turn or longer: so many quick calls later it would take a few
/// thousandths of such a thread at most.
const DISTRUSTED_FOR: i32 = -20_000;

/// See the module.
pub(super) struct GuestThreads {
    short: Pool,
    long: Pool,
    long_calls: LongCalls,
}

/// How many long calls are under way.
#[derive(Clone, Default)]
pub(super) struct LongCalls(Arc<()>);

impl LongCalls {
    /// Whether there are any.
    pub(super) fn are_under_way(&self) -> bool {
        // One is the engine's, and one the threads'.
        Arc::strong_count(&self.0) > 2
    }
}

impl GuestThreads {
    /// Twice as many for short calls as there are processors, because some instructions of a guest (filling 100 MiB)
    /// cannot be interrupted, and only the system can divide a processor between such a one and others. For long ones no more than
    /// there are processors, so that their rests are the processors'.
    pub(super) fn new(processors: usize, long_calls: LongCalls) -> std::io::Result<Self> {
        Ok(Self {
            short: Pool::new("guest", 2 * processors, || {})?,
            // With more than what is left over they would be felt; so a machine that is busy for a long time keeps them
            // waiting for as long.
            long: Pool::new("guest-long", processors, step_back)?,
            long_calls,
        })
    }

    /// Runs a call to its end. It counts its time with `running`, and `pace` is its plugin's.
    ///
    /// # Errors
    /// It panicked.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        call: impl Future<Output = R> + Send + 'static,
        running: &Arc<Running>,
        pace: &Pace,
    ) -> Result<R, Panicked> {
        let mut call = Call { call: Box::pin(call), running: Arc::clone(running) };
        let begins = pace.begins();
        let called = match begins {
            Begins::Here => match call.begin_here().await {
                Some(called) => called,
                None => self.begin_short(call).await,
            },
            Begins::Short => self.begin_short(call).await,
            Begins::Long => self.go_on_long(call).await,
        };
        pace.has_made_one(running.so_far(), begins);
        called
    }

    async fn begin_short<R: Send + 'static>(&self, mut call: Call<R>) -> Result<R, Panicked> {
        match self.short.run(async move { call.while_short().await.map_err(|()| call) }).await? {
            Ok(result) => Ok(result),
            Err(rest) => self.go_on_long(rest).await,
        }
    }

    async fn go_on_long<R: Send + 'static>(&self, call: Call<R>) -> Result<R, Panicked> {
        call.running.is_long.store(true, Ordering::Relaxed);
        let one_more = self.long_calls.clone();
        // It counts for as long as it runs, also when nobody waits for it any more.
        self.long
            .run(async move {
                let called = WithRests(call).await;
                drop(one_more);
                called
            })
            .await
    }
}

/// A call panicked; with what it said.
#[derive(Debug)]
pub(super) struct Panicked(pub(super) String);

struct Pool {
    handle: Handle,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Pool {
    fn new(name: &str, threads: usize, at_start: fn()) -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(threads)
            .thread_name(name)
            .on_thread_start(at_start)
            .enable_all()
            .build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    async fn run<R: Send + 'static>(
        &self,
        work: impl Future<Output = R> + Send + 'static,
    ) -> Result<R, Panicked> {
        self.handle.spawn(work).await.map_err(|error| Panicked(error.to_string()))
    }
}

impl Drop for Pool {
    /// Without waiting, which must not be done on the gateway's threads; `Host::close` has waited for the calls.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How long a plugin's calls have taken lately.
#[derive(Default)]
pub(super) struct Pace {
    /// How many are to begin as long ones.
    long: AtomicU32,
    /// How many in a row have been quick. Below zero: how many must be before that counts again.
    quick: AtomicI32,
}

/// Where a call begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    /// On the thread that makes it.
    Here,
    Short,
    Long,
}

impl Pace {
    fn begins(&self) -> Begins {
        if self.long.load(Ordering::Relaxed) > 0 {
            Begins::Long
        } else if self.quick.load(Ordering::Relaxed) >= TRUSTED_AFTER {
            Begins::Here
        } else {
            Begins::Short
        }
    }

    fn has_made_one(&self, running: Duration, begins: Begins) {
        let long = |long: u32| Some(if running > SHORT { LONG_AFTERWARDS } else { long.saturating_sub(1) });
        let quick = |quick: i32| {
            Some(if running <= QUICK {
                quick.saturating_add(1).min(TRUSTED_AFTER)
            } else if running < EPOCH * TURN && (begins != Begins::Here || running < HELD_UP) {
                quick.min(0)
            } else {
                DISTRUSTED_FOR
            })
        };
        // They never refuse, and what was before is of no interest.
        let _ = self.long.fetch_update(Ordering::Relaxed, Ordering::Relaxed, long);
        let _ = self.quick.fetch_update(Ordering::Relaxed, Ordering::Relaxed, quick);
    }
}

/// The running time of one call.
#[derive(Default)]
pub(super) struct Running {
    /// Of what has been done, in nanoseconds.
    done: AtomicU64,
    /// What the clock of its thread showed when it last went on. Nothing while it pauses.
    since: AtomicU64,
    is_long: AtomicBool,
}

impl Running {
    /// The running time up to now: as its own thread asks, or as anybody does while it pauses.
    pub(super) fn so_far(&self) -> Duration {
        let this_time = match self.since.load(Ordering::Relaxed) {
            0 => 0,
            since => thread_clock().saturating_sub(since),
        };
        Duration::from_nanos(self.done.load(Ordering::Relaxed).saturating_add(this_time))
    }

    /// The next call of the same instance begins.
    pub(super) fn begins_again(&self) {
        self.done.store(0, Ordering::Relaxed);
        self.since.store(0, Ordering::Relaxed);
        self.is_long.store(false, Ordering::Relaxed);
    }

    /// After how many epochs it is the others' turn.
    pub(super) fn turn(&self) -> u64 {
        u64::from(if self.is_long.load(Ordering::Relaxed) { LONG_TURN } else { TURN })
    }

    fn goes_on(&self) {
        self.since.store(thread_clock(), Ordering::Relaxed);
    }

    fn pauses(&self) {
        let so_far = u64::try_from(self.so_far().as_nanos()).unwrap_or(u64::MAX);
        self.done.store(so_far, Ordering::Relaxed);
        self.since.store(0, Ordering::Relaxed);
    }
}

/// How long processors have worked for this thread, in nanoseconds. Never 0: a thread has to be started.
fn thread_clock() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds).max(1)
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".to_owned())
}

/// A call, which counts its running time.
struct Call<R> {
    call: Pin<Box<dyn Future<Output = R> + Send>>,
    running: Arc<Running>,
}

impl<R> Call<R> {
    /// Goes on until it pauses for the first time. Nothing, if it has not ended by then.
    async fn begin_here(&mut self) -> Option<Result<R, Panicked>> {
        poll_fn(|context| {
            let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *self).poll(context)));
            Poll::Ready(match polled {
                Ok(Poll::Ready(result)) => Some(Ok(result)),
                Ok(Poll::Pending) => None,
                Err(panic) => Some(Err(Panicked(words(&*panic)))),
            })
        })
        .await
    }

    /// Goes on until the call has ended, or is a long one.
    async fn while_short(&mut self) -> Result<R, ()> {
        poll_fn(|context| match Pin::new(&mut *self).poll(context) {
            Poll::Ready(result) => Poll::Ready(Ok(result)),
            Poll::Pending if self.running.so_far() > SHORT => Poll::Ready(Err(())),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

impl<R> Future for Call<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        self.running.goes_on();
        let polled = self.call.as_mut().poll(context);
        self.running.pauses();
        polled
    }
}

/// A long call, on a thread that rests after each of its turns.
struct WithRests<R>(Call<R>);

impl<R> Future for WithRests<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let before = self.0.running.so_far();
        let polled = Pin::new(&mut self.0).poll(context);
        if polled.is_pending() {
            // The thread, not the call alone: another call would have the processor otherwise.
            std::thread::sleep(self.0.running.so_far().saturating_sub(before).mul_f64(REST));
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::leftover::has_stepped_back;

    /// Works for so long, with a pause after each bit, and says on which threads it was.
    async fn work(running: Arc<Running>, long: Duration) -> Vec<String> {
        let mut threads = Vec::new();
        while running.so_far() < long {
            let thread = std::thread::current().name().expect("a name").to_owned();
            if threads.last() != Some(&thread) {
                threads.push(thread);
            }
            let began = thread_clock();
            while thread_clock() < began + 1_000_000 {}
            tokio::task::yield_now().await;
        }
        threads
    }

    async fn run(threads: &GuestThreads, pace: &Pace, long: Duration) -> Vec<String> {
        let running = Arc::new(Running::default());
        let ran = threads.run(work(Arc::clone(&running), long), &running, pace).await.expect("no panic");
        assert!(
            (long..long + Duration::from_millis(5)).contains(&running.so_far()),
            "{:?}",
            running.so_far()
        );
        let kinds = ran.iter().map(|name| name.trim_end_matches(|c: char| c == '-' || c.is_ascii_digit()));
        let mut kinds: Vec<_> = kinds.map(str::to_owned).collect();
        kinds.dedup();
        kinds
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_long_call_goes_on_elsewhere_and_the_next_ones_begin_there() {
        let (threads, pace) = (GuestThreads::new(2, LongCalls::default()).expect("threads"), Pace::default());
        let short = Duration::from_millis(3);
        assert_eq!(run(&threads, &pace, short).await, ["guest"]);
        assert_eq!(run(&threads, &pace, 2 * SHORT).await, ["guest", "guest-long"]);
        for _ in 0..LONG_AFTERWARDS {
            assert_eq!(run(&threads, &pace, short).await, ["guest-long"]);
        }
        assert_eq!(run(&threads, &pace, short).await, ["guest"], "it has bettered");
        let running = Arc::default();
        let stepped_back =
            async || threads.run(async { has_stepped_back() }, &running, &pace).await.expect("no panic");
        assert_eq!(stepped_back().await, has_stepped_back(), "as the test's own thread");
        pace.has_made_one(2 * SHORT, Begins::Short);
        assert!(stepped_back().await);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn long_calls_leave_a_part_of_the_processors_alone() {
        let threads = GuestThreads::new(1, LongCalls::default()).expect("threads");
        let pace = Pace { long: AtomicU32::new(u32::MAX), quick: AtomicI32::new(0) };
        let (long, running) = (Duration::from_millis(60), [Arc::default(), Arc::default()]);
        let began = std::time::Instant::now();
        let calls =
            running.each_ref().map(|running| threads.run(work(Arc::clone(running), long), running, &pace));
        let [one, other] = calls;
        let (one, other) = tokio::join!(one, other);
        assert!(one.is_ok() && other.is_ok());
        // The last turn of each has no rest.
        let least = (long - Duration::from_millis(2)).mul_f64(2.0 * (1.0 + REST));
        assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn waiting_is_no_running_time() {
        let (threads, pace, running) =
            (GuestThreads::new(1, LongCalls::default()).expect("threads"), Pace::default(), Arc::default());
        let wait = tokio::time::sleep(Duration::from_millis(100));
        threads.run(wait, &running, &pace).await.expect("no panic");
        assert!(running.so_far() < Duration::from_millis(50), "{:?}", running.so_far());
    }
}
