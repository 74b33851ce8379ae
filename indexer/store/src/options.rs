//! What a history and the embedded store can be told.

use std::time::Duration;

use indexer_state::StateLimits;

/// Settings of a history: what the state may hold, and what watchers get.
#[derive(Debug, Clone)]
pub struct HistoryOptions {
    /// What the state may hold.
    pub limits: StateLimits,
    /// Memory for recent deltas, in bytes. A watcher that was away for longer
    /// than they reach back starts from a snapshot.
    pub ring_bytes: usize,
    /// How long a watch may be silent before it says that it is alive.
    pub heartbeat: Duration,
    /// Watches open at a time. One more ends at once with `Unavailable`.
    pub watchers_max: usize,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self {
            limits: StateLimits::default(),
            ring_bytes: 128 << 20,
            heartbeat: Duration::from_secs(1),
            watchers_max: 1024,
        }
    }
}

/// Settings of an embedded store.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The state and its watchers.
    pub history: HistoryOptions,
    /// Largest batch taken, in bytes as [`batch_weight`](crate::batch_weight)
    /// counts them. Larger ones are refused with `TooLarge`.
    pub batch_bytes_max: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            history: HistoryOptions::default(),
            batch_bytes_max: 8 << 20,
        }
    }
}

/// Settings of an embedded store's directory.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// A journal longer than this is replaced by a snapshot, in bytes. Longer
    /// means less writing and a slower start.
    pub journal_bytes: u64,
    /// Batches waiting for the disk; one more makes `append` wait.
    pub queue: usize,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            journal_bytes: 256 << 20,
            queue: 256,
        }
    }
}
