//! The two seams: what a writer and a reader may rely on, whatever lies behind.
//!
//! ```text
//!  ingestor ──append(batch)──▶ ┌─────────┐ ──watch(after)──▶ scorer
//!           ◀─── outcomes ──── │  store  │  snapshot, deltas, heartbeats
//!                              └─────────┘
//! ```
//!
//! There is deliberately no lookup here: readers answer from their own replica.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use proto_model::{Batch, Delta, Outcome, Revision};

/// Appends batches to the history.
///
/// - **Atomic**: the commands of a batch are applied together, in order.
/// - **Durable**: when `append` returns `Ok`, the batch survives whatever the
///   store promises to survive (nothing for the embedded store in memory, a
///   crash for the embedded store on disk, a minority's loss for Raft).
/// - **Idempotent**: appending a batch again changes nothing; a batch whose
///   outcome is unknown must be appended again as it is.
/// - **Timed**: times that a batch leaves to the store ([`crate::stamped`]) are
///   given before it becomes part of the history.
#[async_trait]
pub trait IndexWriter: Send + Sync + 'static {
    /// Appends the batch and says what became of each command, in order.
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError>;
}

/// The result of one append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The position after the batch: a watcher that has reached it has seen it.
    pub revision: Revision,
    /// One per command, in the batch's order.
    pub outcomes: Vec<Outcome>,
}

/// Why a batch was not appended, or may not have been.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The batch is larger than the store takes; split it.
    #[error("batch of {bytes} bytes exceeds the store's limit of {limit} bytes")]
    TooLarge {
        /// The batch's encoded size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// This node does not take batches; append the same batch at the leader.
    #[error("not the leader{}", leader_hint(leader))]
    NotLeader {
        /// The leader's address (`host:port`), where it is known.
        leader: Option<String>,
    },
    /// The store cannot take it now; whether it has is not known.
    #[error("store unavailable: {reason}")]
    Unavailable {
        /// What was seen.
        reason: String,
    },
    /// The store refuses all further batches, because its disk failed or it is
    /// shutting down.
    #[error("store closed: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
}

fn leader_hint(leader: &Option<String>) -> String {
    leader
        .as_ref()
        .map_or_else(String::new, |leader| format!("; it is {leader}"))
}

impl AppendError {
    /// Whether appending the same batch again may succeed.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::NotLeader { .. })
    }
}

/// Follows the history.
pub trait IndexWatch: Send + Sync + 'static {
    /// Everything after `after`, then live.
    ///
    /// With `None`, or when the store no longer has the changes after `after`,
    /// the stream begins with a snapshot (`SnapshotBegin`, pieces, `SnapshotEnd`)
    /// and the deltas go on from the snapshot's revision, with no hole and no
    /// overlap between them. Revisions never go back within a stream.
    fn watch(&self, after: Option<Revision>) -> WatchStream;
}

/// What [`IndexWatch::watch`] gives. Ends only with an error.
pub type WatchStream = BoxStream<'static, Result<WatchItem, WatchError>>;

/// One item of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchItem {
    /// Forget everything: a snapshot follows.
    SnapshotBegin,
    /// A bounded piece of the snapshot.
    Snapshot(Arc<[Delta]>),
    /// The snapshot is complete and stands at this revision.
    SnapshotEnd(Revision),
    /// Changes that lead to `revision`.
    Deltas {
        /// The position after these changes.
        revision: Revision,
        /// When the store applied them, or a time before at which nothing was
        /// missing, in milliseconds since the Unix epoch by the clock of the
        /// process that reads: a client of a store elsewhere translates. 0 if it
        /// is not known.
        applied_at_ms: u64,
        /// The changes, in order.
        deltas: Arc<[Delta]>,
    },
    /// Nothing new: the store stands at `revision` and is alive.
    Heartbeat {
        /// The store's position.
        revision: Revision,
        /// When, in milliseconds since the Unix epoch by the clock of the process
        /// that reads. 0 if it is not known.
        at_ms: u64,
    },
}

/// Why a watch ended. The reader calls `watch` again from where it stands.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WatchError {
    /// The reader was too slow, and its place in the history was given up.
    #[error("watcher fell behind at revision {at:?}; start again from a snapshot")]
    Lagged {
        /// The last revision that was delivered.
        at: Revision,
    },
    /// The store cannot be reached now.
    #[error("store unavailable: {reason}")]
    Unavailable {
        /// What was seen.
        reason: String,
    },
    /// The store is shutting down.
    #[error("store closed: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
}

impl WatchError {
    /// Whether watching again may succeed.
    #[must_use]
    pub fn retryable(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }
}
