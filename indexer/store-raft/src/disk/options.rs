//! What an operator may set.

use std::time::Duration;

use indexer_state::StateLimits;

/// How a node's storage behaves.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// Bytes of recent entries kept in memory, so that replication does not read
    /// the disk. What is not durable yet is always kept.
    pub tail_bytes: usize,
    /// Bytes of the database's pages kept in memory.
    pub cache_bytes: u64,
    /// How fast a snapshot is written, in bytes per second. Faster ones end
    /// sooner and make appends wait longer.
    pub snapshot_bytes_per_second: u64,
    /// How long opening waits for a process that is just leaving the directory.
    pub lock_wait: Duration,
    /// Limits of the state in a snapshot. The same on every node.
    pub limits: StateLimits,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            tail_bytes: 32 << 20,
            cache_bytes: 32 << 20,
            snapshot_bytes_per_second: 64 << 20,
            lock_wait: Duration::from_secs(10),
            limits: StateLimits::default(),
        }
    }
}
