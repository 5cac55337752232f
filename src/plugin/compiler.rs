//! The threads on which plugins are compiled. A start waits for them, so they take their share then; once the gateway runs they are the
//! system's last choice ([`Compiler::step_back`]), so that a plugin that is dropped in takes only the time that nothing else wants.
//!
//! As many as there are processors, because a start with many plugins has nothing better to do. wasmtime compiles a
//! plugin's functions side by side on the pool that it is called from, so they stay on these threads.

use tokio::sync::oneshot;

/// The lowest priority that a thread can give itself (nice(2)). Not the idle policy: on a machine that is busy all the time no plugin
/// would ever be there.
const LAST: i32 = 19;

/// The threads. They end when it is dropped; what they compile at that moment nobody waits for.
pub(super) struct Compiler(rayon::ThreadPool);

impl Compiler {
    pub(super) fn new() -> std::io::Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .thread_name(|number| format!("compiler-{number}"))
            // Without it a panic would end the gateway. Whoever waits hears of it, see `run`.
            .panic_handler(|_| {})
            .build();
        pool.map(Self).map_err(std::io::Error::other)
    }

    /// From now on others come first.
    pub(super) fn step_back(&self) {
        // On Linux it is the thread's own. Where it is refused, compiling takes its share like everything else.
        self.0.spawn_broadcast(|_| {
            let _ = rustix::process::nice(LAST);
        });
    }

    /// Has the work done there. `None` if it panicked.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        let (result, done) = oneshot::channel();
        // Whoever has gone away does not get the result.
        self.0.spawn(move || drop(result.send(work())));
        done.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_at_the_lowest_priority_and_a_panic_is_told() {
        let compiler = Compiler::new().expect("threads");
        compiler.step_back();
        let nice = || rustix::process::nice(0).expect("told");
        let ours = nice();
        assert_eq!(compiler.run(nice).await, Some(LAST));
        assert_eq!(nice(), ours, "other threads keep theirs");
        assert_eq!(compiler.run(|| panic!("on purpose")).await, None::<()>);
        assert_eq!(compiler.run(|| 1).await, Some(1), "and the threads go on");
    }
}
