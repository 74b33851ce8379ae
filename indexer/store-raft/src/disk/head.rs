//! The head: the one record from which everything else in the database is reached.
//!
//! It is written last in every group, so whatever it speaks of is there. What is
//! there beside that was never acknowledged.

use openraft::{LogId, SnapshotMeta, Vote};
use proto_model::Revision;
use serde::{Deserialize, Serialize};

use super::check::{CHECK, checked, seal};
use crate::types::{ClusterId, DirectoryId, NodeId, RaftNode};

const SEED: u64 = 0x6b76_7261_6865_6164;

/// Its key in the tree `node`.
pub(super) const KEY: &[u8] = b"head";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Whose database this is.
    pub(crate) node: NodeId,
    /// The number of this directory, drawn when it was made.
    pub(crate) identity: DirectoryId,
    /// Which cluster it belongs to, once known.
    pub(crate) cluster: Option<ClusterId>,
    /// Counts the groups. The marker has the last one acknowledged.
    pub(crate) write: u64,
    pub(crate) vote: Option<Vote<NodeId>>,
    /// The last entry removed because a snapshot has it.
    pub(crate) purged: Option<LogId<NodeId>>,
    /// The index of the first entry, if there are any.
    pub(crate) first: u64,
    /// The last entry, or `purged` if there is none.
    pub(crate) last: Option<LogId<NodeId>>,
    /// An entry known to be committed; there may be later ones.
    pub(crate) committed: Option<LogId<NodeId>>,
    pub(crate) snapshot: Option<StoredSnapshot>,
}

/// The snapshot on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSnapshot {
    /// Where in the log it stands, and who the members are then.
    pub meta: SnapshotMeta<NodeId, RaftNode>,
    /// The cluster that it belongs to.
    pub cluster: Option<ClusterId>,
    /// The revision of its state.
    pub revision: Revision,
    /// Its size.
    pub bytes: u64,
    /// Counts snapshots; its chunks carry it. The lowest bit names the tree.
    pub(crate) generation: u64,
    pub(crate) chunks: u32,
}

impl Head {
    /// The head of a new directory.
    pub(super) fn of(node: NodeId) -> Self {
        Self {
            node,
            identity: DirectoryId::drawn(),
            cluster: None,
            write: 0,
            vote: None,
            purged: None,
            first: 0,
            last: None,
            committed: None,
            snapshot: None,
        }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        let mut bytes = postcard::to_extend(self, vec![0; CHECK])?;
        seal(SEED, &mut bytes);
        Ok(bytes)
    }

    /// `None` if these are not the bytes of a head.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(checked(SEED, bytes)?).ok()
    }
}
