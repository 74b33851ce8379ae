//! How all nodes do, and what they say of themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use proto_api::v1::{RaftCall, StoreMember, StoreNode, StoreNodeStatus, StoreStatus};

use crate::network::within;
use crate::node::Node;
use crate::peers::{Lane, header};
use crate::types::NodeId;

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
            within(INSPECT, client.inspect(self.call_to(id))).await
        };
        asked.await.map_err(|status| status.message().to_owned())
    }

    pub(super) fn call_to(&self, id: NodeId) -> RaftCall {
        RaftCall {
            header: Some(header(self.standing.cluster(), self.options.node_id, id)),
            payload: bytes::Bytes::new(),
        }
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
