//! Requests for one notification take turns, and what was begun in a turn is done to its end.
//!
//! Two requests at the same moment must not both find the notification new; and one whose sender goes away must not be
//! left between the broker and the journal. So each is carried through by a task of its own, which has the turn.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError};

use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use tokio::task::JoinSet;

use crate::domain::NotificationId;

/// How many requests can have their turn at once, which is also how many tasks there can be.
const TURNS: usize = 1_024;

/// The turns. Which one a request takes follows from the notification's id; a few others share it, and wait for a commit
/// and a confirm at most.
pub(super) struct Turns {
    locks: Vec<Arc<Mutex<()>>>,
    hasher: RandomState,
    tasks: std::sync::Mutex<JoinSet<()>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            locks: (0..TURNS).map(|_| Arc::default()).collect(),
            hasher: RandomState::new(),
            tasks: std::sync::Mutex::default(),
        }
    }
}

impl Turns {
    /// Does the work when it is this notification's turn. From then on it is done to its end, also if nobody waits for
    /// the answer any more. `None` if it panicked.
    pub(super) async fn take<A: Send + 'static>(
        &self,
        id: &NotificationId,
        work: impl Future<Output = A> + Send + 'static,
    ) -> Option<A> {
        let turn = self.wait_for(id).await?;
        let (answer, answered) = oneshot::channel();
        self.own(async move {
            let result = work.await;
            drop(turn);
            // Whoever does not wait any more for the answer does not get it.
            let _ = answer.send(result);
        });
        answered.await.ok()
    }

    /// Waits until all that was begun has been done. To be called when no more requests are let in.
    pub(super) async fn finish(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }

    async fn wait_for(&self, id: &NotificationId) -> Option<OwnedMutexGuard<()>> {
        let index = usize::try_from(self.hasher.hash_one(id) % TURNS as u64).ok()?;
        Some(Arc::clone(self.locks.get(index)?).lock_owned().await)
    }

    fn own(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt;

    use super::*;

    fn id() -> NotificationId {
        "n1".parse().expect("valid")
    }

    #[tokio::test]
    async fn what_was_begun_is_done_though_nobody_waits_for_it() {
        let (turns, id) = (Turns::default(), id());
        let (release, released) = oneshot::channel::<()>();
        let done = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&done);
        let mut first = Box::pin(turns.take(&id, async move {
            let _ = released.await;
            mark.store(true, Ordering::SeqCst);
        }));
        assert!(first.as_mut().now_or_never().is_none());
        drop(first);
        // The turn is the task's: the next one waits for it.
        let second = turns.take(&id, {
            let done = Arc::clone(&done);
            async move { done.load(Ordering::SeqCst) }
        });
        let mut second = Box::pin(second);
        assert!(second.as_mut().now_or_never().is_none());
        release.send(()).expect("it still waits");
        assert_eq!(second.await, Some(true));
        turns.finish().await;
    }

    #[tokio::test]
    async fn the_end_waits_for_what_was_begun_and_a_panic_is_an_answer() {
        let (turns, id) = (Turns::default(), id());
        assert_eq!(turns.take(&id, async { panic!("on purpose") }).await, None::<()>);
        let (release, released) = oneshot::channel::<()>();
        let mut begun = Box::pin(turns.take(&id, async move { drop(released.await) }));
        assert!(begun.as_mut().now_or_never().is_none());
        drop(begun);
        let mut finish = Box::pin(turns.finish());
        assert!(finish.as_mut().now_or_never().is_none());
        release.send(()).expect("it still waits");
        finish.await;
    }
}
