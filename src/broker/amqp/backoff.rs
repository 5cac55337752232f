//! How long to wait between two attempts to connect.

use std::time::Duration;

/// Waits that double from the least to the most. Each is cut to between a half and the whole of itself by chance, so
/// that many gateways do not come back at the same moment.
pub(super) struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// `least` is the first wait; a `most` that is shorter than that counts as the same.
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Self { least, most: most.max(least), next: least }
    }

    /// The next wait.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.most);
        wait.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Begins again with the least.
    pub(super) fn reset(&mut self) {
        self.next = self.least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_again() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(1), seconds(5));
        for _ in 0..100 {
            for whole in [1, 2, 4, 5, 5].map(seconds) {
                let wait = backoff.wait();
                assert!(whole / 2 <= wait && wait <= whole, "{wait:?} of {whole:?}");
            }
            backoff.reset();
        }
        let mut upside_down = Backoff::new(seconds(2), seconds(1));
        assert!((0..3).all(|_| upside_down.wait() >= seconds(1)));
    }
}
