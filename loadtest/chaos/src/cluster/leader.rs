//! Who leads, as the nodes say themselves.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use proto_api::v1::store_admin_client::StoreAdminClient;
use proto_api::v1::{StoreNode as Said, StoreRole, StoreStatusRequest};
use tokio::time::Instant;
use tonic::Request;
use tonic::transport::Endpoint;

use super::Cluster;

/// One node may take so long to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The cluster may take so long to have a leader.
const LEADER_LIMIT: Duration = Duration::from_secs(60);

/// Log entries that may lie between nodes that have caught up.
const NEAR: u64 = 100;

impl Cluster {
    /// The node that leads: of those that say so, the one with the newest term.
    pub(crate) async fn leader(&self) -> Result<u64> {
        let deadline = Instant::now() + LEADER_LIMIT;
        while Instant::now() < deadline {
            let said = self.said().await;
            let leaders = said.iter().filter(|node| node.role() == StoreRole::Leader);
            if let Some(leader) = leaders.max_by_key(|node| node.term) {
                return Ok(leader.node_id);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("no node has led for {LEADER_LIMIT:?}")
    }

    /// A running node that does not lead; by `choice`, if there are several.
    pub(crate) async fn follower(&self, choice: usize) -> Result<u64> {
        let leader = self.leader().await?;
        let running = self.nodes.iter().filter(|node| node.member.is_up());
        let others: Vec<_> = running.filter(|node| node.id != leader).collect();
        let chosen = others.get(choice % others.len().max(1));
        Ok(chosen.context("no follower runs")?.id)
    }

    /// Waits until every node that runs is ready and nearly where the others are:
    /// work goes on meanwhile.
    pub(crate) async fn caught_up(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let running = self.nodes.iter().filter(|node| node.member.is_up()).count();
            let said = self.said().await;
            let furthest = said.iter().filter_map(|node| node.applied).max();
            let near = |node: &Said| {
                node.ready && node.applied.unwrap_or(0) + NEAR >= furthest.unwrap_or(0)
            };
            if said.len() == running && said.iter().all(near) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("after {limit:?} the nodes' positions still differ: {said:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Gives a joined node its vote, once it has caught up.
    pub(crate) async fn promote(&self, id: u64) -> Result<()> {
        let deadline = Instant::now() + LEADER_LIMIT;
        loop {
            let leader = self.leader().await?;
            match self.administer(leader, &["promote", &id.to_string()]).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// What each node says of itself, if it answers.
    pub(crate) async fn said(&self) -> Vec<Said> {
        let mut said = Vec::new();
        for node in self.nodes.iter().filter(|node| node.member.is_up()) {
            if let Ok(Ok(answer)) =
                tokio::time::timeout(ANSWER_LIMIT, ask(node.id, node.grpc)).await
            {
                said.push(answer);
            }
        }
        said
    }
}

async fn ask(id: u64, port: u16) -> Result<Said> {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?;
    let mut client = StoreAdminClient::new(endpoint.connect().await?);
    let mut request = Request::new(StoreStatusRequest {});
    request.set_timeout(ANSWER_LIMIT);
    let status = client.status(request).await?.into_inner();
    let own = status.nodes.into_iter().filter_map(|node| node.node);
    own.into_iter()
        .find(|node| node.node_id == id)
        .context("the node says nothing of itself")
}
