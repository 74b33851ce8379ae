//! The types that openraft is put together from.

use std::fmt;

use bytes::Bytes;
use openraft::BasicNode;
use proto_model::{Outcome, Revision};
use serde::{Deserialize, Serialize};

use crate::snapshot::SnapshotImage;

/// The number of a store node. Chosen by the operator, never used again.
pub type NodeId = u64;

/// Where a node is reached: `host:port` of its gRPC service.
pub type RaftNode = BasicNode;

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
