//! Moments that threads write down without waiting for each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One moment for each of so many numbers.
pub(crate) struct Moments {
    begin: Instant,
    /// Nanoseconds since the beginning, plus one; 0 where nothing is written.
    cells: Vec<AtomicU64>,
}

impl Moments {
    /// None is written yet.
    pub(crate) fn new(count: usize) -> Self {
        Self { begin: Instant::now(), cells: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Writes the present down. False if something is written there already, which stays.
    pub(crate) fn note(&self, number: usize) -> bool {
        let now = u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX - 1) + 1;
        self.cells
            .get(number)
            .is_some_and(|cell| cell.compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire).is_ok())
    }

    /// What is written there.
    pub(crate) fn get(&self, number: usize) -> Option<Instant> {
        let nanoseconds = self.cells.get(number)?.load(Ordering::Acquire);
        Some(self.begin + Duration::from_nanos(nanoseconds.checked_sub(1)?))
    }

    /// How many there are room for.
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }
}
