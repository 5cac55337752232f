//! A thread that owns something and does with it what it is asked, one thing after the other, where waiting is allowed.
//!
//! It is a thread of its own, and none of the runtime's: those may all be waiting for name servers, and what is recorded must
//! not wait for them.

use std::io;

use tokio::sync::{mpsc, oneshot};

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A thread that owns an `S`. It ends, and the `S` with it, when the last clone of this is gone.
pub(super) struct Owner<S>(mpsc::Sender<Job<S>>);

impl<S> Clone for Owner<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: 'static> Owner<S> {
    /// Starts the thread, which makes what it owns.
    pub(super) async fn start<E: From<io::Error> + Send + 'static>(
        name: &str,
        make: impl FnOnce() -> Result<S, E> + Send + 'static,
    ) -> Result<Self, E> {
        let (jobs, mut asked) = mpsc::channel::<Job<S>>(1);
        let (tell, told) = oneshot::channel();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut owned = match make() {
                Ok(owned) => owned,
                // Who does not wait any more is not told; so it is below.
                Err(error) => return drop(tell.send(Err(error))),
            };
            let _ = tell.send(Ok(()));
            while let Some(job) = asked.blocking_recv() {
                job(&mut owned);
            }
        })?;
        match told.await {
            Ok(made) => made.map(|()| Self(jobs)),
            Err(_) => Err(E::from(io::Error::other("its thread has panicked"))),
        }
    }

    /// Has it done. A panic of the thread's goes on to whoever waits.
    pub(super) async fn ask<T: Send + 'static>(&self, work: impl FnOnce(&mut S) -> T + Send + 'static) -> T {
        let (tell, told) = oneshot::channel();
        let job: Job<S> = Box::new(move |owned| drop(tell.send(work(owned))));
        if self.0.send(job).await.is_ok()
            && let Ok(done) = told.await
        {
            return done;
        }
        std::panic::resume_unwind(Box::new("the thread that has the file has panicked"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_does_one_thing_after_the_other_on_a_thread_of_its_own() {
        let owner = Owner::<Vec<u32>>::start::<io::Error>("owner", || Ok(Vec::new())).await.expect("started");
        for number in 0..3 {
            let thread = owner.ask(move |owned| {
                owned.push(number);
                std::thread::current().name().map(str::to_owned)
            });
            assert_eq!(thread.await.as_deref(), Some("owner"));
        }
        assert_eq!(owner.ask(|owned| owned.clone()).await, [0, 1, 2]);
    }

    #[tokio::test]
    async fn its_panic_is_whoevers_waits() {
        let owner = Owner::<()>::start::<io::Error>("owner", || Ok(())).await.expect("started");
        let asked = tokio::spawn(async move { owner.ask(|()| panic!("on purpose")).await });
        let failed: Result<(), _> = asked.await;
        assert!(failed.expect_err("it panics").is_panic());
    }
}
