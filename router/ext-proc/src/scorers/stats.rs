//! What happened between this picker and its scorers, as plain numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts of one [`Scorers`](super::Scorers).
#[derive(Debug, Default)]
pub struct ScorerStats {
    /// Requests sent to scorers, second ones too.
    pub requests: Count,
    /// Second requests because the first was slow.
    pub hedges: Count,
    /// Of those, the ones that answered first.
    pub hedges_won: Count,
    /// Requests sent to another scorer because one failed or kept silent.
    pub failovers: Count,
    /// Times that a scorer was left out.
    pub left_out: Count,
    /// Routes recorded.
    pub recorded: Count,
    /// Routes given up: the queue was full, no scorer took them in their lifetime,
    /// or a scorer refused them.
    pub records_lost: Count,
}
