//! The state at one position of the log, in memory and on disk.
//!
//! ```text
//!  image piece ──▶ length | postcard ──▶ cut into chunks ──▶ the tree not in use
//!                                                               │ all there
//!                     head: points to that tree ◀── durable ◀───┘
//! ```
//!
//! Two trees take turns. The one in use is not touched until another snapshot
//! counts, so a crash at any point leaves the old or the new one.

mod chunk;
mod load;
mod save;

use indexer_state::State;
use proto_model::Revision;

use crate::disk::{Disk, StoredSnapshot};
use crate::types::ClusterId;

pub use self::load::LoadError;

/// A state and where it stands. Which log entry it follows and who the members
/// are then is in openraft's `SnapshotMeta`.
#[derive(Debug, Clone)]
pub struct SnapshotImage {
    /// The cluster that it belongs to; `None` before the history begins.
    pub cluster: Option<ClusterId>,
    /// The position of the last batch applied; 0 before the history begins.
    pub revision: Revision,
    /// The state after that batch. A copy is cheap.
    pub state: State,
}

/// Keeps the latest snapshot of one node.
#[derive(Debug, Clone)]
pub struct SnapshotStore {
    disk: Disk,
}

impl SnapshotStore {
    pub(crate) fn new(disk: Disk) -> Self {
        Self { disk }
    }

    /// The snapshot that counts, without its state.
    #[must_use]
    pub fn current(&self) -> Option<StoredSnapshot> {
        self.disk.shared.memory.lock().snapshot.clone()
    }
}
