//! The threads on which plugins are compiled: the system's last choice, so that a plugin that is dropped in while the
//! gateway works takes only the time that nothing else wants.
//!
//! As many as there are processors, because a start with many plugins has nothing better to do. wasmtime compiles a
//! plugin's functions side by side on the pool that it is called from, so they stay on these threads.

use tokio::sync::oneshot;

use super::leftover::step_back;

/// The threads. They end when it is dropped; what they compile at that moment nobody waits for.
pub(super) struct Compiler(rayon::ThreadPool);

impl Compiler {
    pub(super) fn new() -> std::io::Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .thread_name(|number| format!("compiler-{number}"))
            .start_handler(|_| step_back())
            // Without it a panic would end the gateway. Whoever waits hears of it, see `run`.
            .panic_handler(|_| {})
            .build();
        pool.map(Self).map_err(std::io::Error::other)
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
    use crate::plugin::leftover::has_stepped_back;

    #[tokio::test]
    async fn work_is_done_at_the_lowest_priority_and_a_panic_is_told() {
        let compiler = Compiler::new().expect("threads");
        let before = has_stepped_back();
        assert_eq!(compiler.run(has_stepped_back).await, Some(true));
        assert_eq!(has_stepped_back(), before, "other threads keep theirs");
        assert_eq!(compiler.run(|| panic!("on purpose")).await, None::<()>);
        assert_eq!(compiler.run(|| 1).await, Some(1), "and the threads go on");
    }
}
