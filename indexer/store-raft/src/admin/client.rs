//! The operators' client. Finds the leader by hint.

use std::time::Duration;

use proto_api::v1;
use proto_api::v1::store_admin_client::StoreAdminClient;
use serde::Serialize;
use tonic::transport::{Channel, ClientTlsConfig};
use tonic::{Response, Status};

use crate::peers::endpoint;
use crate::status::NodeStatus;
use crate::types::NodeId;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(30);

/// Leaders asked one after the other, while they change.
const HOPS_MAX: usize = 8;

/// Between two hops.
const HOP: Duration = Duration::from_millis(250);

/// Administers a cluster through any of its nodes.
#[derive(Debug, Clone)]
pub struct AdminClient {
    address: String,
    tls: Option<ClientTlsConfig>,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AdminError {
    /// The node cannot be reached, or its answer did not come.
    #[error("{address}: {reason}")]
    Unreachable {
        /// Which.
        address: String,
        /// What was seen.
        reason: String,
    },
    /// The cluster would not.
    #[error("{message}")]
    Refused {
        /// Why.
        reason: RefusalReason,
        /// What is wrong, and what to do.
        message: String,
    },
}

impl AdminError {
    /// Whether the same command may succeed later with nothing changed.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { reason, .. } => matches!(
                reason,
                RefusalReason::NotLeader
                    | RefusalReason::NotCaughtUp
                    | RefusalReason::InProgress
                    | RefusalReason::Unavailable
            ),
        }
    }
}

/// Why a cluster would not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// No leader was found.
    NotLeader,
    /// No such node in this cluster.
    UnknownNode,
    /// The last node with a vote cannot be removed.
    LastVoter,
    /// The node is in a cluster already.
    AlreadyInitialised,
    /// The node has too much to catch up with.
    NotCaughtUp,
    /// Another node has this number, or this address.
    Taken,
    /// The node that is to join cannot be reached, or is not what was said.
    BadNode,
    /// Another change is under way.
    InProgress,
    /// No quorum answers. What became of it is not known.
    Unavailable,
    /// A field is missing or wrong.
    Invalid,
}

/// A cluster and its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterStatus {
    /// The cluster's number, as hexadecimal digits; `None` before its history has
    /// begun.
    pub cluster: Option<String>,
    /// The leader, as the node that was asked knows it.
    pub leader_id: Option<NodeId>,
    /// Its nodes, by number.
    pub nodes: Vec<MemberStatus>,
}

/// A node, as another knows it and as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberStatus {
    /// Its number.
    pub node_id: NodeId,
    /// Where it is reached.
    pub address: String,
    /// Whether it votes.
    pub voter: bool,
    /// Its own word; `None` if it did not answer.
    pub node: Option<NodeStatus>,
    /// What was seen instead of an answer.
    pub unreachable: Option<String>,
    /// Log entries that it has not acknowledged to the leader; `None` if the node
    /// that was asked does not lead.
    pub lag: Option<u64>,
}

impl AdminClient {
    /// A client that begins at the node at `address` (`host:port`).
    #[must_use]
    pub fn new(address: impl Into<String>, tls: Option<ClientTlsConfig>) -> Self {
        Self {
            address: address.into(),
            tls,
        }
    }

    /// Makes a new cluster of `members`, or of the node alone if there are none.
    /// The node must be one of them. All must be up and have never been in one.
    ///
    /// # Errors
    /// If the node cannot be reached or refuses.
    pub async fn init(&self, members: &[(NodeId, String)]) -> Result<(), AdminError> {
        let request = v1::InitialiseStoreRequest {
            members: members.iter().map(member).collect(),
        };
        let mut client = self.client(&self.address)?;
        done(&self.address, client.initialise(request).await)
    }

    /// Adds a node without a vote; it follows from now on.
    ///
    /// # Errors
    /// If no leader can be reached, or it refuses.
    pub async fn join(&self, id: NodeId, address: &str) -> Result<(), AdminError> {
        let request = v1::JoinStoreRequest {
            member: Some(member(&(id, address.to_owned()))),
        };
        self.at_leader(|mut client| {
            let request = request.clone();
            async move { client.join(request).await }
        })
        .await
    }

    /// Gives a joined node that has caught up a vote.
    ///
    /// # Errors
    /// If no leader can be reached, or it refuses.
    pub async fn promote(&self, id: NodeId) -> Result<(), AdminError> {
        let request = v1::StoreNodeRequest { node_id: id };
        self.at_leader(|mut client| async move { client.promote(request).await })
            .await
    }

    /// Removes a node. If it leads, it hands over first.
    ///
    /// # Errors
    /// If no leader can be reached, or it refuses.
    pub async fn remove(&self, id: NodeId) -> Result<(), AdminError> {
        let request = v1::StoreNodeRequest { node_id: id };
        self.at_leader(|mut client| async move { client.remove(request).await })
            .await
    }

    /// All nodes, by the leader's word where it can be reached.
    ///
    /// # Errors
    /// If the first node cannot be reached.
    pub async fn status(&self) -> Result<ClusterStatus, AdminError> {
        let here = self.status_at(&self.address).await?;
        let leader = here
            .nodes
            .iter()
            .find(|node| Some(node.node_id) == here.leader_id)
            .filter(|node| node.address != self.address);
        if let Some(leader) = leader
            && let Ok(there) = self.status_at(&leader.address).await
        {
            return Ok(there);
        }
        Ok(here)
    }

    async fn status_at(&self, address: &str) -> Result<ClusterStatus, AdminError> {
        let mut client = self.client(address)?;
        let status = client.status(v1::StoreStatusRequest {}).await;
        let status = status.map_err(|status| unreachable(address, &status))?;
        Ok(status.into_inner().into())
    }

    /// Follows hints until a leader has answered.
    async fn at_leader<F>(
        &self,
        call: impl Fn(StoreAdminClient<Channel>) -> F,
    ) -> Result<(), AdminError>
    where
        F: Future<Output = Result<Response<v1::StoreAdminReply>, Status>>,
    {
        let mut address = self.address.clone();
        let mut hops = 0;
        loop {
            let client = self.client(&address)?;
            let reply = call(client).await;
            hops += 1;
            let refusal = reply
                .as_ref()
                .ok()
                .and_then(|reply| reply.get_ref().refusal.as_ref());
            let elsewhere = refusal
                .is_some_and(|refusal| refusal.reason() == v1::StoreRefusalReason::NotLeader);
            if !elsewhere || hops == HOPS_MAX {
                return done(&address, reply);
            }
            match refusal.map(|refusal| refusal.leader.clone()) {
                Some(leader) if !leader.is_empty() && leader != address => address = leader,
                // An election is under way.
                _ => tokio::time::sleep(HOP).await,
            }
        }
    }

    fn client(&self, address: &str) -> Result<StoreAdminClient<Channel>, AdminError> {
        let endpoint = endpoint(address, self.tls.as_ref());
        let endpoint = endpoint.map_err(|status| unreachable(address, &status))?;
        Ok(StoreAdminClient::new(endpoint.timeout(CALL).connect_lazy()))
    }
}

fn member((id, address): &(NodeId, String)) -> v1::StoreMember {
    v1::StoreMember {
        node_id: *id,
        address: address.clone(),
    }
}

fn done(
    address: &str,
    reply: Result<Response<v1::StoreAdminReply>, Status>,
) -> Result<(), AdminError> {
    let reply = reply.map_err(|status| unreachable(address, &status))?;
    let Some(refusal) = reply.into_inner().refusal else {
        return Ok(());
    };
    let reason = match refusal.reason() {
        v1::StoreRefusalReason::NotLeader => RefusalReason::NotLeader,
        v1::StoreRefusalReason::UnknownNode => RefusalReason::UnknownNode,
        v1::StoreRefusalReason::LastVoter => RefusalReason::LastVoter,
        v1::StoreRefusalReason::AlreadyInitialised => RefusalReason::AlreadyInitialised,
        v1::StoreRefusalReason::NotCaughtUp => RefusalReason::NotCaughtUp,
        v1::StoreRefusalReason::Taken => RefusalReason::Taken,
        v1::StoreRefusalReason::BadNode => RefusalReason::BadNode,
        v1::StoreRefusalReason::InProgress => RefusalReason::InProgress,
        v1::StoreRefusalReason::Unavailable => RefusalReason::Unavailable,
        v1::StoreRefusalReason::Invalid | v1::StoreRefusalReason::Unspecified => {
            RefusalReason::Invalid
        }
    };
    Err(AdminError::Refused {
        reason,
        message: refusal.message,
    })
}

fn unreachable(address: &str, status: &Status) -> AdminError {
    AdminError::Unreachable {
        address: address.to_owned(),
        reason: status.message().to_owned(),
    }
}

impl From<v1::StoreStatus> for ClusterStatus {
    fn from(status: v1::StoreStatus) -> Self {
        let member = |node: v1::StoreNodeStatus| {
            let member = node.member.unwrap_or_default();
            MemberStatus {
                node_id: member.node_id,
                address: member.address,
                voter: node.voter,
                node: node.node.map(NodeStatus::from),
                unreachable: Some(node.unreachable).filter(|seen| !seen.is_empty()),
                lag: node.lag,
            }
        };
        Self {
            cluster: status.cluster.map(|cluster| format!("{cluster:016x}")),
            leader_id: status.leader_id,
            nodes: status.nodes.into_iter().map(member).collect(),
        }
    }
}
