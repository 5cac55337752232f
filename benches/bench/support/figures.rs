//! Arithmetic of figures.

use std::time::Duration;

/// What rounds have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of one value or more; of an even number the upper one of the middle.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        Some(Self { least, median: *sorted.get(sorted.len() / 2)?, most })
    }
}

/// Percentiles of times, for each round a value.
#[derive(Default)]
pub(crate) struct Percentiles {
    pub(crate) p50: Vec<f64>,
    pub(crate) p99: Vec<f64>,
    pub(crate) most: Vec<f64>,
}

impl Percentiles {
    /// Adds a round: its times, in milliseconds.
    pub(crate) fn add(&mut self, times: &mut [f64]) {
        times.sort_by(f64::total_cmp);
        self.p50.push(percentile(times, 50));
        self.p99.push(percentile(times, 99));
        self.most.push(percentile(times, 100));
    }
}

/// Of sorted values; 0 where there is none.
pub(crate) fn percentile(sorted: &[f64], hundredths: usize) -> f64 {
    let index = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

/// One by the other, round by round.
pub(crate) fn ratios(of: &[f64], to: &[f64]) -> Vec<f64> {
    of.iter().zip(to).map(|(of, to)| of / to).collect()
}

/// In milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// In microseconds.
pub(crate) fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
