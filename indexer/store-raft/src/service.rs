//! What a node answers other nodes.

mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use openraft::raft::{AppendEntriesResponse, VoteRequest};
use openraft::{LogId, Vote};
use proto_api::v1::store_raft_server::StoreRaft;
use proto_api::v1::{
    RaftAppendRequest, RaftCall, RaftCommitted, RaftHeader, RaftReply, RaftSnapshotPiece, StoreNode,
};
use tonic::{Request, Response, Status, Streaming};

use self::snapshot::Receiving;
use crate::elections::Canvassed;
use crate::node::Node;
use crate::tasks::{older_directory, other_directory};
use crate::types::{DirectoryId, NodeId};
use crate::wire::{self, SnapshotHead};

/// How long a leader may take to confirm itself.
const CONFIRM: Duration = Duration::from_secs(5);

/// Terms that a vote may be ahead of the last one known here. Every election makes
/// one; this many take days.
const TERMS_MAX: u64 = 1_000_000;

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

    /// Refuses what is not meant for this node, and whoever is not what this node
    /// knows of the sender. Says who sent it.
    ///
    /// That a sender is no member as far as this node knows means nothing: this
    /// node may have been away while it was added. But who knows the number of this
    /// node's directory has it from the membership.
    fn check(&self, header: Option<&RaftHeader>) -> Result<NodeId, Status> {
        let header = version_checked(header)?;
        if let Some(reason) = self.node.standing.ended() {
            return Err(stopped(reason));
        }
        let node_id = self.node.options.node_id;
        if header.to != node_id {
            return Err(Status::failed_precondition(format!(
                "this is node {node_id}, not node {}; correct the address of node {}",
                header.to, header.to
            )));
        }
        if DirectoryId(header.to_directory) != self.node.disk.identity() {
            let wrong = other_directory(node_id);
            if self.node.fresh() && header.to_directory != 0 {
                // The others have a node of this number, and its data is gone.
                self.node.fail(&wrong);
            }
            return Err(Status::failed_precondition(wrong));
        }
        if header.from == node_id {
            return Err(Status::failed_precondition(
                "this node does not call itself",
            ));
        }
        let known = self.node.directory_of(header.from);
        if known.is_some_and(|known| known != DirectoryId(header.from_directory)) {
            return Err(Status::failed_precondition(other_directory(header.from)));
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

    /// Refuses a vote that is not the sender's own, or of a term that no cluster
    /// has come to by elections: it could never be outdone.
    fn check_vote(&self, from: NodeId, vote: &Vote<NodeId>) -> Result<(), Status> {
        let leader = vote.leader_id();
        if leader.voted_for() != Some(from) {
            return Err(Status::invalid_argument("the vote is not the sender's"));
        }
        let term = self
            .node
            .raft
            .server_metrics()
            .borrow()
            .vote
            .leader_id()
            .term;
        if leader.term > term.saturating_add(TERMS_MAX) {
            return Err(Status::invalid_argument(format!(
                "term {} is too far ahead of term {term}",
                leader.term
            )));
        }
        Ok(())
    }

    /// As [`check_vote`](Self::check_vote), of one who says that it leads.
    fn check_leader(&self, from: NodeId, vote: &Vote<NodeId>) -> Result<(), Status> {
        if !vote.is_committed() {
            return Err(Status::invalid_argument("the sender does not lead"));
        }
        self.check_vote(from, vote)
    }

    /// Ends the node if its log is shorter than it has told the leader.
    fn check_promise(&self, vote: &Vote<NodeId>, acknowledged: Option<u64>) -> Result<(), Status> {
        let (known, last) = {
            let memory = self.node.disk.shared.memory.lock();
            (memory.vote, memory.last)
        };
        // A later leader may have cut the log.
        let later = known.is_some_and(|known| known > *vote);
        let last = last.map(|last| last.index);
        if later || acknowledged <= last {
            return Ok(());
        }
        let wrong = older_directory(self.node.options.node_id);
        self.node.fail(&wrong);
        Err(Status::failed_precondition(wrong))
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
        let from = self.check(message.header.as_ref())?;
        let request = wire::append_entries(&message.payload, message.batches)?;
        self.check_leader(from, &request.vote)?;
        self.check_promise(&request.vote, message.acknowledged)?;
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
        let from = self.check(call.header.as_ref())?;
        let request: VoteRequest<NodeId> = wire::decode(&call.payload)?;
        if request.vote.is_committed() {
            return Err(Status::invalid_argument("who leads asks for no vote"));
        }
        self.check_vote(from, &request.vote)?;
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
        let from = self.check(first.header.as_ref())?;
        let head: SnapshotHead = wire::decode(&first.payload)?;
        self.check_leader(from, &head.vote)?;
        let response = Box::pin(self.receiving.receive(&self.node, head, &mut pieces)).await?;
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
        let from = self.check(call.header.as_ref())?;
        let leader = self.node.raft.server_metrics().borrow().current_leader;
        if self.node.leads() || leader != Some(from) {
            return Err(Status::failed_precondition(
                "told by a node that does not lead",
            ));
        }
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
        let node = StoreNode {
            directory: self.node.joinable().then(|| self.node.disk.identity().0),
            ..self.node.status().into()
        };
        Ok(Response::new(node))
    }
}
