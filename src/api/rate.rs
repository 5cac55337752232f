//! How many requests somebody may make in a second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A bucket that holds what may be asked in one second, and fills up as time passes.
pub(super) struct Bucket {
    per_second: u32,
    state: Mutex<State>,
}

struct State {
    /// How many requests there is room for, with the part of the next one.
    room: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, state: Mutex::new(State { room: f64::from(per_second), at: now }) }
    }

    /// Takes the room of one request, or says after how long there is some.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let per_second = f64::from(self.per_second);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(state.at).as_secs_f64();
        state.room = (state.room + passed * per_second).min(per_second);
        state.at = state.at.max(now);
        if state.room >= 1.0 {
            state.room -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - state.room) / per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_for_so_many_and_then_one_by_one() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let bucket = Bucket::new(4, start);
        for _ in 0..4 {
            assert_eq!(bucket.take(start), Ok(()));
        }
        assert_eq!(bucket.take(start), Err(Duration::from_millis(250)));
        assert_eq!(bucket.take(after(125)), Err(Duration::from_millis(125)));
        assert_eq!(bucket.take(after(250)), Ok(()));
        assert!(bucket.take(after(250)).is_err());
        // What nobody asked for is not saved up beyond a second.
        for _ in 0..4 {
            assert_eq!(bucket.take(after(100_000)), Ok(()));
        }
        assert!(bucket.take(after(100_000)).is_err());
        assert!(bucket.take(after(1)).is_err(), "time that seems to go back gives nothing");
    }
}
