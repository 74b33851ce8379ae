//! What the server takes at most.

use std::time::Duration;

/// Bounds of a [`StoreService`](super::StoreService).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLimits {
    /// Largest append taken, in bytes on the wire. Should not be less than what
    /// the store behind takes, by its own count: a batch is never longer on the
    /// wire than [`indexer_store::batch_weight`] says.
    pub batch_bytes_max: usize,
    /// Appends read and under way at a time. Each takes up to three times
    /// `batch_bytes_max` of memory.
    pub appends_max: usize,
    /// Appends that wait, unread, for one of those places. One more is refused
    /// with `RESOURCE_EXHAUSTED`.
    pub appends_waiting_max: usize,
    /// How long an append may take before its caller is told that its outcome
    /// is not known. A shorter `grpc-timeout` counts.
    pub append_deadline: Duration,
    /// Watches open at a time. One more is refused with `RESOURCE_EXHAUSTED`.
    pub watches_max: usize,
    /// A watch that takes nothing for this long, while there is something for
    /// it, is cut off.
    pub slow_after: Duration,
    /// About the size of one message of a watch, in bytes. Small changes are
    /// put together up to it, large ones divided.
    pub watch_message_bytes: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            batch_bytes_max: 8 << 20,
            appends_max: 32,
            appends_waiting_max: 1024,
            append_deadline: Duration::from_secs(30),
            watches_max: 1024,
            slow_after: Duration::from_secs(10),
            watch_message_bytes: 256 << 10,
        }
    }
}
