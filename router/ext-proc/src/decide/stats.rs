//! What was decided, as plain numbers: services turn them into metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Count;

/// How a decision came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By what engines announced.
    Tracking,
    /// By where requests went before.
    Estimated,
    /// By load, because nothing else was asked for or the path is not scored.
    Load,
    /// By load, because scorers gave no answer that can be used.
    Fallback,
}

impl Mode {
    /// Every mode, in the order of [`DecisionStats::modes`].
    pub const ALL: [Self; 4] = [Self::Tracking, Self::Estimated, Self::Load, Self::Fallback];

    /// The name in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tracking => "tracking",
            Self::Estimated => "estimated",
            Self::Load => "load",
            Self::Fallback => "fallback",
        }
    }
}

/// Why scores were not used; [`DecisionStats::fallbacks`] counts in this order.
pub const FALLBACK_REASONS: [&str; 13] = [
    "no_scorer",
    "left_out",
    "busy",
    "late",
    "stale",
    "refused",
    "unknown_model",
    "not_configured",
    "too_large",
    "scorer_busy",
    "unavailable",
    "internal",
    "deadline",
];

/// Why the first choice is the first; [`DecisionStats::reasons`] counts in this
/// order.
pub const PICK_REASONS: [&str; 4] = ["prefix", "load", "spill", "only"];

/// Upper bounds of a [`Histogram`]'s buckets, in microseconds.
pub const BUCKETS_US: [u64; 13] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

/// Durations by bucket.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many fell into each bucket, the last one beyond all bounds.
    #[must_use]
    pub fn counts(&self) -> [u64; BUCKETS_US.len() + 1] {
        std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed))
    }

    /// The sum of all, in microseconds.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        self.sum_us.load(Ordering::Relaxed)
    }
}

/// Counts of one decider.
#[derive(Debug, Default)]
pub struct DecisionStats {
    /// Requests routed, by [`Mode::ALL`].
    pub modes: [Count; Mode::ALL.len()],
    /// By [`FALLBACK_REASONS`].
    pub fallbacks: [Count; FALLBACK_REASONS.len()],
    /// By [`PICK_REASONS`].
    pub reasons: [Count; PICK_REASONS.len()],
    /// From the question to the decision.
    pub decision: Histogram,
    /// Of that, the wait for scorers, where they answered.
    pub scoring: Histogram,
    /// Estimated: decisions whose matching ratio was above the threshold.
    pub prefix_routed: Count,
    /// Answers in which an engine's block size differed from the policy's.
    pub block_size_differs: Count,
    /// Decisions that could not be recorded: the endpoint's keys are not known.
    pub not_recorded: Count,
    /// Requests routed; less [`ended`](Self::ended) of them are in flight.
    pub begun: Count,
    /// Routed requests that are over.
    pub ended: Count,
    /// Finished requests whose engine said how much it reused, and for which that
    /// had been predicted. The following ones count their tokens.
    pub compared: Count,
    /// Of those, the ones where both are equal.
    pub compared_exact: Count,
    /// What was predicted.
    pub predicted_tokens: Count,
    /// What the engines said.
    pub cached_tokens: Count,
    /// Sum of the differences, each without its sign.
    pub error_tokens: Count,
}

impl DecisionStats {
    pub(super) fn note_mode(&self, mode: Mode, fallback: Option<&'static str>) {
        self.modes[mode as usize].inc();
        let reason = fallback.and_then(|reason| position(&FALLBACK_REASONS, reason));
        if let Some(at) = reason {
            self.fallbacks[at].inc();
        }
    }

    pub(super) fn note_reason(&self, reason: &str) {
        if let Some(at) = position(&PICK_REASONS, reason) {
            self.reasons[at].inc();
        }
    }

    pub(super) fn compare(&self, predicted: u64, cached: u64) {
        self.compared.inc();
        if predicted == cached {
            self.compared_exact.inc();
        }
        self.predicted_tokens.add(predicted);
        self.cached_tokens.add(cached);
        self.error_tokens.add(predicted.abs_diff(cached));
    }
}

fn position(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_buckets() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 999_999, 1_000_000, 1_000_001, u64::MAX / 4] {
            histogram.observe(Duration::from_micros(micros));
        }
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[12], counts[13]), (2, 1, 2, 2));
    }

    #[test]
    fn predictions_are_compared_without_sign() {
        let stats = DecisionStats::default();
        for (predicted, cached) in [(10, 10), (0, 16), (48, 32)] {
            stats.compare(predicted, cached);
        }
        assert_eq!((stats.compared.get(), stats.compared_exact.get()), (3, 1));
        assert_eq!(
            (stats.predicted_tokens.get(), stats.cached_tokens.get()),
            (58, 58)
        );
        assert_eq!(stats.error_tokens.get(), 32);
    }
}
