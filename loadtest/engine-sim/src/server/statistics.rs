//! Counts over requests, as vLLM keeps them beside the scheduler's own.

use std::time::Duration;

use super::outbox::End;

/// Upper bounds in seconds, vLLM's own.
const FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];
const WHOLE: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
];

/// Counts over requests.
#[derive(Debug)]
pub(crate) struct Statistics {
    pub(crate) first_token: Histogram,
    pub(crate) whole: Histogram,
    pub(crate) finished_by_length: u64,
    pub(crate) finished_by_stop: u64,
    pub(crate) aborted: u64,
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            first_token: Histogram::new(FIRST_TOKEN),
            whole: Histogram::new(WHOLE),
            finished_by_length: 0,
            finished_by_stop: 0,
            aborted: 0,
        }
    }
}

impl Statistics {
    pub(crate) fn finished(&mut self, end: Option<End>, by_stop: bool) {
        match end {
            Some(End::Complete) if by_stop => self.finished_by_stop += 1,
            Some(End::Complete) => self.finished_by_length += 1,
            Some(End::Refused(_)) => {}
            Some(End::Cut) | None => self.aborted += 1,
        }
    }
}

/// Counts of durations.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    pub(crate) fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket] += 1;
        self.sum += seconds;
    }

    /// Each bound with the count of all up to it; the last one has none.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (Option<f64>, u64)> {
        let mut total = 0;
        let bounds = self.bounds.iter().map(|bound| Some(*bound));
        let counts = self.counts.iter().map(move |count| {
            total += count;
            total
        });
        bounds.chain([None]).zip(counts)
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}
