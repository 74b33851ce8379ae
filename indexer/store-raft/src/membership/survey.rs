//! How all nodes do, and what they say of themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use proto_api::v1::{RaftCall, RaftHeader, StoreMember, StoreNode, StoreNodeStatus, StoreStatus};

use crate::network::within;
use crate::node::Node;
use crate::peers::{Lane, addressed};
use crate::types::{DirectoryId, NodeId};

/// How long a node may take to say how it does.
pub(super) const INSPECT: Duration = Duration::from_secs(2);

impl Node {
    /// All nodes, as they say themselves.
    pub(crate) async fn cluster_status(&self) -> StoreStatus {
        let (lags, voters) = (self.lags(), self.voters());
        let asked = self.members().into_iter().map(|(id, address)| async move {
            let node = if id == self.options.node_id {
                Ok(self.status().into())
            } else {
                self.inspect(id, &address).await
            };
            (
                StoreMember {
                    node_id: id,
                    address,
                },
                node,
            )
        });
        let nodes = join_all(asked).await.into_iter().map(|(member, node)| {
            let unreachable = node.as_ref().err().cloned().unwrap_or_default();
            StoreNodeStatus {
                voter: voters.contains(&member.node_id),
                lag: lags.get(&member.node_id).copied().flatten(),
                node: node.ok(),
                unreachable,
                member: Some(member),
            }
        });
        StoreStatus {
            cluster: self.standing.cluster().map(|cluster| cluster.0),
            leader_id: self.raft.server_metrics().borrow().current_leader,
            nodes: nodes.collect(),
        }
    }

    /// What the node at `address` says of itself, or what was seen instead.
    pub(super) async fn inspect(&self, id: NodeId, address: &str) -> Result<StoreNode, String> {
        let asked = async {
            let mut client = self.peers.client(address, Lane::Log)?;
            within(
                INSPECT,
                client.inspect(self.call_to(id, bytes::Bytes::new())),
            )
            .await
        };
        asked.await.map_err(|status| status.message().to_owned())
    }

    /// A message to a node; to the very directory that it was added with, if it is
    /// a member.
    pub(crate) fn call_to(&self, id: NodeId, payload: bytes::Bytes) -> tonic::Request<RaftCall> {
        let directory = self.directory_of(id).unwrap_or_default();
        let header = RaftHeader {
            version: crate::wire::VERSION,
            cluster: self.standing.cluster().map(|cluster| cluster.0),
            from: self.options.node_id,
            to: id,
            from_directory: self.disk.identity().0,
            to_directory: directory.0,
        };
        let call = RaftCall {
            header: Some(header),
            payload,
        };
        addressed(call, directory)
    }

    /// The directory that a member was added with.
    pub(crate) fn directory_of(&self, id: NodeId) -> Option<DirectoryId> {
        let membership = self.membership();
        Some(membership.membership().get_node(&id)?.directory)
    }

    /// At the leader: entries that each node has not acknowledged.
    pub(super) fn lags(&self) -> BTreeMap<NodeId, Option<u64>> {
        let metrics = self.raft.metrics().borrow().clone();
        let last = metrics.last_log_index.unwrap_or(0);
        let lag = |matching: Option<u64>| Some(last.saturating_sub(matching?));
        let replication = metrics.replication.unwrap_or_default();
        replication
            .into_iter()
            .map(|(id, matching)| (id, lag(matching.map(|log_id| log_id.index))))
            .collect()
    }

    pub(super) fn members(&self) -> Vec<(NodeId, String)> {
        let membership = self.membership();
        let nodes = membership.membership().nodes();
        nodes.map(|(id, node)| (*id, node.addr.clone())).collect()
    }
}
