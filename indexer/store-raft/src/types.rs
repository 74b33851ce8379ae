//! The types that openraft is put together from.

use std::fmt;

use bytes::Bytes;
use proto_model::{Outcome, Revision};
use serde::{Deserialize, Serialize};

use crate::snapshot::SnapshotImage;

/// The number of a store node. Chosen by the operator, never used again.
pub type NodeId = u64;

/// A member: where it is reached, and which directory is its.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftNode {
    /// `host:port` of its gRPC service.
    pub addr: String,
    /// The directory that it was added with. With any other one, even under the
    /// same number, it is not this member: what it promised is not there.
    pub directory: DirectoryId,
}

/// The number of a data directory, drawn when it is made. Members know each
/// other's; nobody else is told, so a message that names it comes from a member.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DirectoryId(pub u64);

impl fmt::Debug for DirectoryId {
    /// Not the number: logs are read by many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectoryId")
    }
}

impl DirectoryId {
    /// A new one; never 0.
    pub(crate) fn drawn() -> Self {
        Self(drawn())
    }
}

/// Any number but 0, from the system's random keys.
pub(crate) fn drawn() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new()
        .hash_one(std::time::SystemTime::now())
        .max(1)
}

/// The number of a cluster, drawn when its history begins. Two clusters never
/// mix: directories, messages and snapshots carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub u64);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

openraft::declare_raft_types!(
    /// One group of store nodes.
    pub TypeConfig:
        D = Proposal,
        R = Applied,
        NodeId = NodeId,
        Node = RaftNode,
        SnapshotData = SnapshotImage,
);

/// What is agreed on, one per log entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proposal {
    /// The history begins. Only the first counts: it gives the cluster its number
    /// and the first revision, so that no node has to ask its own clock.
    Begin {
        /// The cluster's number.
        cluster: ClusterId,
        /// The revision before the first batch.
        revision: Revision,
    },
    /// Batches of one group commit, each as postcard writes it, in order. Every
    /// batch has a revision of its own.
    Batches(Vec<Bytes>),
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// It holds no proposal, or one that no longer counts.
    Nothing,
    /// The batches were applied: one result each, in order.
    Batches(Vec<AppliedBatch>),
}

/// What became of one batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedBatch {
    /// The position after the batch.
    pub revision: Revision,
    /// One per command, in order.
    pub outcomes: Vec<Outcome>,
}
