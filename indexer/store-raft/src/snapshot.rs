//! The state at one position of the log, in memory and on disk.

use indexer_state::State;
use proto_model::Revision;

use crate::types::ClusterId;

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
