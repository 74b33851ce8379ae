//! What can go wrong with a directory.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::types::{ClusterId, NodeId};

/// Why a directory cannot be a node's storage. Opening it again gives the same:
/// nothing is repaired.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// It holds something, and that is not a store node's data.
    #[error(
        "{path} is not empty and holds no store node's data ({found}); \
         set store.data to an empty directory, or to the node's own"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What was seen.
        found: String,
    },
    /// It was written by another version.
    #[error("{path} has format {seen}, this version reads {known}; use the version that wrote it")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        seen: u32,
        /// The format of this version.
        known: u32,
    },
    /// It belongs to another node.
    #[error(
        "{path} belongs to node {seen}, this is node {expected}; \
         correct store.node_id or store.data"
    )]
    Node {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        seen: NodeId,
        /// Who opens it.
        expected: NodeId,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process; stop that one (waited {waited:?})")]
    Locked {
        /// The directory.
        path: PathBuf,
        /// How long was waited for it.
        waited: Duration,
    },
    /// There is no room.
    #[error("the disk of {path} is full; make room and start again")]
    Full {
        /// The directory.
        path: PathBuf,
    },
    /// Writes that were acknowledged are not there.
    #[error(
        "{path} ends at write {seen}, but write {acknowledged} was acknowledged: the end is lost; \
         remove node {node} from the cluster and join a new one with another number and an empty \
         directory (an older copy of this one would break what the node promised)"
    )]
    Behind {
        /// The database.
        path: PathBuf,
        /// The last write in it.
        seen: u64,
        /// The last write acknowledged.
        acknowledged: u64,
        /// Whose it is.
        node: NodeId,
    },
    /// Something is not as it was written.
    #[error(
        "{path} is damaged: {what}; remove node {node} from the cluster and join a new one with \
         another number and an empty directory (an older copy of this one would break what the \
         node promised)"
    )]
    Damaged {
        /// The file or database.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// Whose it is.
        node: NodeId,
    },
}

impl OpenError {
    /// Whether opening again may succeed without an operator.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Full { .. })
    }
}

/// Why something was not stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiskError {
    /// The disk failed. What waited is not acknowledged and nothing more will be;
    /// the process must be started again.
    #[error("the disk failed: {reason}")]
    Failed {
        /// What was seen.
        reason: String,
    },
    /// The directory belongs to another cluster.
    #[error(
        "this node's data belongs to cluster {mine}, not {other}; \
         a node that changes clusters needs another number and an empty directory"
    )]
    Cluster {
        /// The directory's.
        mine: ClusterId,
        /// The one that was offered.
        other: ClusterId,
    },
    /// What is stored is not as it was written.
    #[error("stored data is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
}

impl DiskError {
    /// Whether the same may succeed later: never, the process must be restarted.
    #[must_use]
    pub fn retryable(&self) -> bool {
        false
    }
}

pub(super) fn io_error(
    what: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { what, path, source }
}
