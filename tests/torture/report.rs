//! What a scenario found, in figures and in stories.

use std::time::Duration;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub scenario: String,
    pub faults: usize,
    pub accepted: usize,
    pub confirmed: usize,
    pub exhausted: usize,
    pub stopped: usize,
    pub waiting: usize,
    pub destroyed: usize,
    /// Destroyed, and published again by a gateway.
    pub put_back: usize,
    pub lost: usize,
    pub duplicates: usize,
    pub bound: usize,
    /// Second events of the payment centre's about one notification.
    pub second_events: usize,
    pub early: usize,
    pub late: usize,
    /// Confirms that were lost on their way to the producer.
    pub unanswered: u32,
    pub recoveries: Vec<Duration>,
    /// Each with the whole story of its notification.
    pub unexplained: Vec<String>,
    pub took: Duration,
}

impl Report {
    /// Takes another's figures in.
    pub fn add(&mut self, other: Report) {
        let Report { scenario: _, unexplained, recoveries, took, .. } = &other;
        self.unexplained.extend(unexplained.iter().cloned());
        self.recoveries.extend(recoveries);
        self.recoveries.sort();
        self.took += *took;
        self.unanswered += other.unanswered;
        for (sum, more) in [
            (&mut self.faults, other.faults),
            (&mut self.accepted, other.accepted),
            (&mut self.confirmed, other.confirmed),
            (&mut self.exhausted, other.exhausted),
            (&mut self.stopped, other.stopped),
            (&mut self.waiting, other.waiting),
            (&mut self.destroyed, other.destroyed),
            (&mut self.put_back, other.put_back),
            (&mut self.lost, other.lost),
            (&mut self.duplicates, other.duplicates),
            (&mut self.bound, other.bound),
            (&mut self.second_events, other.second_events),
            (&mut self.early, other.early),
            (&mut self.late, other.late),
        ] {
            *sum += more;
        }
    }
}
