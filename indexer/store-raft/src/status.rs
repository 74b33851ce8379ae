//! How a node does, in its own words.

use std::sync::atomic::Ordering;

use openraft::ServerState;
use proto_api::v1;
use proto_model::Revision;
use serde::Serialize;

use crate::node::Node;
use crate::types::NodeId;

/// What a node is in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Votes, and takes appends.
    Leader,
    /// Votes.
    Follower,
    /// Votes, and stands for election.
    Candidate,
    /// Follows without a vote.
    Learner,
    /// No member any more.
    Removed,
    /// Stopped, or failed.
    Stopped,
}

impl Role {
    /// As operators read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Learner => "learner",
            Self::Removed => "removed",
            Self::Stopped => "stopped",
        }
    }
}

/// A node, as it says itself. Numbers of log entries are indexes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// The node's number.
    pub node_id: NodeId,
    /// Where it says that it is reached.
    pub address: String,
    /// Its cluster's number, as hexadecimal digits; `None` before its history
    /// has begun.
    pub cluster: Option<String>,
    /// What it is.
    pub role: Role,
    /// The current term.
    pub term: u64,
    /// The leader that it follows.
    pub leader_id: Option<NodeId>,
    /// The last entry in its log.
    pub last_log: Option<u64>,
    /// The last entry that it knows to be committed.
    pub committed: Option<u64>,
    /// The last entry in its state.
    pub applied: Option<u64>,
    /// The position of its state.
    pub revision: Option<u64>,
    /// The last entry in its snapshot.
    pub snapshot: Option<u64>,
    /// The last entry that its log no longer has.
    pub purged: Option<u64>,
    /// Its log, in bytes.
    pub log_bytes: u64,
    /// Its directory, in bytes.
    pub disk_bytes: u64,
    /// Whether it serves readers now.
    pub ready: bool,
    /// Why not, if it does not.
    pub reason: String,
    /// Milliseconds since it is known to have stood at the cluster's head.
    pub age_ms: Option<u64>,
}

impl Node {
    pub(crate) fn status(&self) -> NodeStatus {
        let metrics = self.raft.metrics().borrow().clone();
        let standing = &self.standing;
        let reason = standing.unready(self.options.watches.contact_max);
        let role = match metrics.state {
            _ if standing.ended().is_some() => Role::Stopped,
            _ if standing.removed() => Role::Removed,
            ServerState::Leader => Role::Leader,
            ServerState::Follower => Role::Follower,
            ServerState::Candidate => Role::Candidate,
            ServerState::Learner => Role::Learner,
            ServerState::Shutdown => Role::Stopped,
        };
        let age = standing.head().map(|head| head.age.as_millis());
        NodeStatus {
            node_id: metrics.id,
            address: self.options.advertise.clone(),
            cluster: standing.cluster().map(|cluster| cluster.to_string()),
            role,
            term: metrics.current_term,
            leader_id: metrics.current_leader,
            last_log: metrics.last_log_index,
            committed: standing.committed(),
            applied: standing.applied(),
            revision: self.revision().map(|revision| revision.0),
            snapshot: self.machine.saved_index(),
            purged: metrics.purged.map(|purged| purged.index),
            log_bytes: self.disk.stats().log_bytes,
            disk_bytes: self.disk_bytes.load(Ordering::Relaxed),
            ready: reason.is_none(),
            reason: reason.unwrap_or_default(),
            age_ms: age.map(|age| u64::try_from(age).unwrap_or(u64::MAX)),
        }
    }

    /// The position of the state; `None` before the history has begun.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.standing.cluster().map(|_| self.history.revision())
    }
}

impl From<NodeStatus> for v1::StoreNode {
    fn from(status: NodeStatus) -> Self {
        let role = match status.role {
            Role::Leader => v1::StoreRole::Leader,
            Role::Follower => v1::StoreRole::Follower,
            Role::Candidate => v1::StoreRole::Candidate,
            Role::Learner => v1::StoreRole::Learner,
            Role::Removed => v1::StoreRole::Removed,
            Role::Stopped => v1::StoreRole::Stopped,
        };
        let cluster = status
            .cluster
            .and_then(|cluster| u64::from_str_radix(&cluster, 16).ok());
        Self {
            node_id: status.node_id,
            address: status.address,
            cluster,
            role: role.into(),
            term: status.term,
            leader_id: status.leader_id,
            last_log: status.last_log,
            committed: status.committed,
            applied: status.applied,
            revision: status.revision,
            snapshot: status.snapshot,
            purged: status.purged,
            log_bytes: status.log_bytes,
            disk_bytes: status.disk_bytes,
            ready: status.ready,
            reason: status.reason,
            age_ms: status.age_ms,
            directory: None,
        }
    }
}

impl From<v1::StoreNode> for NodeStatus {
    fn from(node: v1::StoreNode) -> Self {
        let role = match node.role() {
            v1::StoreRole::Leader => Role::Leader,
            v1::StoreRole::Follower => Role::Follower,
            v1::StoreRole::Candidate => Role::Candidate,
            v1::StoreRole::Learner => Role::Learner,
            v1::StoreRole::Removed => Role::Removed,
            // One that a later release has added serves nobody here.
            v1::StoreRole::Stopped | v1::StoreRole::Unspecified => Role::Stopped,
        };
        Self {
            role,
            node_id: node.node_id,
            address: node.address,
            cluster: node.cluster.map(|cluster| format!("{cluster:016x}")),
            term: node.term,
            leader_id: node.leader_id,
            last_log: node.last_log,
            committed: node.committed,
            applied: node.applied,
            revision: node.revision,
            snapshot: node.snapshot,
            purged: node.purged,
            log_bytes: node.log_bytes,
            disk_bytes: node.disk_bytes,
            ready: node.ready,
            reason: node.reason,
            age_ms: node.age_ms,
        }
    }
}
