//! What operators may want to know about a history.

use indexer_state::StateStats;
use proto_model::Revision;

/// A history, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStats {
    /// The position of the last batch applied.
    pub revision: Revision,
    /// The oldest position that a watcher can resume from.
    pub resumable: Revision,
    /// Batches applied since it was opened.
    pub batches: u64,
    /// Bytes of recent deltas kept for watchers.
    pub ring_bytes: u64,
    /// Watches open.
    pub watchers: u64,
    /// Watches that were cut off because they were too slow.
    pub watchers_lagged: u64,
    /// Snapshots begun for watchers.
    pub snapshots: u64,
    /// Journals replaced by a snapshot on disk (embedded store only).
    pub compactions: u64,
    /// What the state holds.
    pub state: StateStats,
}
