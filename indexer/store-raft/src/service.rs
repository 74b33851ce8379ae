//! What a node answers other nodes.

mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use openraft::LogId;
use openraft::raft::{AppendEntriesResponse, VoteRequest};
use proto_api::v1::store_raft_server::StoreRaft;
use proto_api::v1::{
    RaftAppendRequest, RaftCall, RaftCommitted, RaftHeader, RaftReply, RaftSnapshotPiece, StoreNode,
};
use tonic::{Request, Response, Status, Streaming};

use self::snapshot::Receiving;
use crate::elections::Canvassed;
use crate::node::Node;
use crate::types::NodeId;
use crate::wire;

/// How long a leader may take to confirm itself.
const CONFIRM: Duration = Duration::from_secs(5);

/// Serves [`StoreRaft`].
pub(crate) struct RaftService {
    node: Arc<Node>,
    receiving: Receiving,
}

impl RaftService {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self {
            node,
            receiving: Receiving::default(),
        }
    }

    /// Refuses what is not meant for this node. Says who sent it.
    fn check(&self, header: Option<&RaftHeader>) -> Result<NodeId, Status> {
        let header = version_checked(header)?;
        let node_id = self.node.options.node_id;
        if header.to != node_id {
            return Err(Status::failed_precondition(format!(
                "this is node {node_id}, not node {}; correct the address of node {}",
                header.to, header.to
            )));
        }
        let cluster = self.node.standing.cluster();
        if let (Some(mine), Some(theirs)) = (cluster, header.cluster)
            && mine.0 != theirs
        {
            return Err(Status::failed_precondition(format!(
                "node {node_id} is of cluster {mine}, node {} is of cluster {theirs:016x}; \
                 a node joins another cluster with an empty directory only",
                header.from
            )));
        }
        Ok(header.from)
    }
}

fn version_checked(header: Option<&RaftHeader>) -> Result<&RaftHeader, Status> {
    let header = header.ok_or_else(|| Status::invalid_argument("header is missing"))?;
    if header.version == wire::VERSION {
        Ok(header)
    } else {
        Err(Status::failed_precondition(format!(
            "node {} speaks version {}, this node {}; run the same release on all nodes",
            header.from,
            header.version,
            wire::VERSION
        )))
    }
}

fn reply<T: serde::Serialize>(value: &T) -> Response<RaftReply> {
    Response::new(RaftReply {
        payload: wire::encode(value),
    })
}

/// openraft has stopped.
fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("this node has stopped: {error}"))
}

#[tonic::async_trait]
impl StoreRaft for RaftService {
    async fn append_entries(
        &self,
        request: Request<RaftAppendRequest>,
    ) -> Result<Response<RaftReply>, Status> {
        let message = request.into_inner();
        self.check(message.header.as_ref())?;
        let request = wire::append_entries(&message.payload, message.batches)?;
        let committed = request.leader_commit.map(|commit| commit.index);
        let response = self.node.raft.append_entries(request).await;
        let response = response.map_err(stopped)?;
        if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
            self.node.standing.heard();
            // Leaders speak to members only.
            self.node.standing.set_removed(false);
        }
        if response.is_success()
            && let Some(age) = message.quorum_age_ms
        {
            let age = Duration::from_millis(age);
            self.node.standing.confirmed(committed, age);
        }
        Ok(reply(&response))
    }

    async fn canvass(&self, request: Request<RaftCall>) -> Result<Response<RaftReply>, Status> {
        let call = request.into_inner();
        let from = self.check(call.header.as_ref())?;
        let last: Option<LogId<NodeId>> = wire::decode(&call.payload)?;
        let canvassed: Canvassed = self.node.canvassed(from, last);
        Ok(reply(&canvassed))
    }

    async fn vote(&self, request: Request<RaftCall>) -> Result<Response<RaftReply>, Status> {
        let call = request.into_inner();
        self.check(call.header.as_ref())?;
        let request: VoteRequest<NodeId> = wire::decode(&call.payload)?;
        let response = self.node.raft.vote(request).await.map_err(stopped)?;
        Ok(reply(&response))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<RaftSnapshotPiece>>,
    ) -> Result<Response<RaftReply>, Status> {
        let mut pieces = request.into_inner();
        let stall = self.node.options.snapshot_stall;
        let first = snapshot::next(&mut pieces, stall).await?;
        let first = first.ok_or_else(|| Status::invalid_argument("no pieces came"))?;
        self.check(first.header.as_ref())?;
        let response = Box::pin(
            self.receiving
                .receive(&self.node, &first.payload, &mut pieces),
        )
        .await?;
        Ok(reply(&response))
    }

    async fn stand_for_election(
        &self,
        request: Request<RaftCall>,
    ) -> Result<Response<RaftReply>, Status> {
        let call = request.into_inner();
        let from = self.check(call.header.as_ref())?;
        let last: Option<LogId<NodeId>> = wire::decode(&call.payload)?;
        self.node.stand(from, last).await?;
        Ok(reply(&()))
    }

    async fn tell_removed(
        &self,
        request: Request<RaftCall>,
    ) -> Result<Response<RaftReply>, Status> {
        let call = request.into_inner();
        self.check(call.header.as_ref())?;
        let of_ours = call.header.and_then(|header| header.cluster)
            == self.node.standing.cluster().map(|cluster| cluster.0);
        if !of_ours {
            return Err(Status::failed_precondition(
                "of another cluster, or of none",
            ));
        }
        self.node.note_removed();
        Ok(reply(&()))
    }

    async fn committed(
        &self,
        request: Request<RaftCall>,
    ) -> Result<Response<RaftCommitted>, Status> {
        let call = request.into_inner();
        let from = self.check(call.header.as_ref())?;
        let confirmed = tokio::time::timeout(CONFIRM, self.node.confirmed_revision()).await;
        let revision = confirmed
            .map_err(|_| Status::unavailable("no quorum answers"))?
            .map_err(Status::unavailable)?;
        Ok(Response::new(RaftCommitted {
            revision: revision.map(|revision| revision.0),
            member: self.node.member(from),
        }))
    }

    async fn inspect(&self, request: Request<RaftCall>) -> Result<Response<StoreNode>, Status> {
        let call = request.into_inner();
        version_checked(call.header.as_ref())?;
        Ok(Response::new(self.node.status().into()))
    }
}
