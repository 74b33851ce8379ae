//! What openraft sends to other nodes.

mod promises;
mod snapshot;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, Snapshot, Vote};
use proto_api::v1;
use tonic::{Code, Status};

pub(crate) use self::promises::Promises;
use crate::metrics::{Metrics, Rpc};
use crate::peers::{Lane, Peers, addressed};
use crate::standing::Standing;
use crate::types::{DirectoryId, NodeId, RaftNode, TypeConfig};
use crate::wire;

/// Bytes that are tried even if a link has shown to be slow.
const BYTES_MIN: usize = 64 << 10;

type Failed = RPCError<NodeId, RaftNode, RaftError<NodeId>>;

/// What all links of a node share.
#[derive(Clone)]
pub(crate) struct Links {
    pub(crate) node_id: NodeId,
    pub(crate) directory: DirectoryId,
    pub(crate) peers: Arc<Peers>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) snapshot_stall: Duration,
    /// What the others have promised this node.
    pub(crate) promises: Promises,
}

/// One link to one node.
pub(crate) struct Link {
    links: Links,
    target: NodeId,
    address: String,
    directory: DirectoryId,
    /// Bytes of entries in one message, for now.
    bytes: usize,
    /// Whether it was said that the other node refuses; once is enough.
    warned: bool,
}

impl RaftNetworkFactory<TypeConfig> for Links {
    type Network = Link;

    async fn new_client(&mut self, target: NodeId, node: &RaftNode) -> Link {
        Link {
            links: self.clone(),
            target,
            address: node.addr.clone(),
            directory: node.directory,
            bytes: wire::APPEND_BYTES,
            warned: false,
        }
    }
}

impl Link {
    fn header(&self) -> v1::RaftHeader {
        v1::RaftHeader {
            version: wire::VERSION,
            cluster: self.links.standing.cluster().map(|cluster| cluster.0),
            from: self.links.node_id,
            to: self.target,
            from_directory: self.links.directory.0,
            to_directory: self.directory.0,
        }
    }

    /// Slow links get less at a time, so that what is sent arrives in time.
    fn slower(&mut self) {
        self.bytes = (self.bytes / 2).max(BYTES_MIN);
    }

    fn faster(&mut self) {
        self.bytes = (self.bytes * 2).min(wire::APPEND_BYTES);
    }

    fn failed(&mut self, rpc: Rpc, status: &Status) -> Failed {
        self.links.metrics.rpc_failed(rpc);
        if status.code() == Code::FailedPrecondition && !std::mem::replace(&mut self.warned, true) {
            // Wrong cluster, node or version: nothing that goes away by itself.
            tracing::warn!(
                target_node = self.target,
                address = %self.address,
                "refused by the other node: {}",
                status.message()
            );
        }
        match status.code() {
            Code::DeadlineExceeded | Code::Cancelled => NetworkError::new(status).into(),
            _ => Unreachable::new(status).into(),
        }
    }
}

impl RaftNetwork<TypeConfig> for Link {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, Failed> {
        let last = request.entries.last().map(|entry| entry.log_id);
        let quorum_age_ms = self.links.standing.quorum_age_ms();
        let (term, previous) = (request.vote.leader_id().term, request.prev_log_id);
        let (mut message, cut) =
            wire::append_request(self.header(), request, self.bytes, quorum_age_ms);
        message.acknowledged = self.links.promises.of(self.target, term);
        let message = addressed(message, self.directory);
        let mut client = self
            .links
            .peers
            .client(&self.address, Lane::Log)
            .map_err(|status| self.failed(Rpc::Append, &status))?;
        // Sooner than openraft gives up, so that the link learns of it.
        let sent = within(option.hard_ttl() * 9 / 10, client.append_entries(message)).await;
        let reply = match sent {
            Ok(reply) => reply,
            Err(status) => {
                if last.is_some() && status.code() == Code::DeadlineExceeded {
                    self.slower();
                }
                return Err(self.failed(Rpc::Append, &status));
            }
        };
        let response =
            wire::decode(&reply.payload).map_err(|status| self.failed(Rpc::Append, &status))?;
        if last.is_some() {
            self.faster();
        }
        let promises = &self.links.promises;
        match &response {
            AppendEntriesResponse::Success => {
                promises.note(self.target, term, cut.or(last).or(previous));
            }
            AppendEntriesResponse::PartialSuccess(matching) => {
                promises.note(self.target, term, *matching);
            }
            AppendEntriesResponse::Conflict if promises.broken(self.target, term, previous) => {
                // openraft takes this for a bug of its own.
                let status = promises::lost(self.target);
                return Err(self.failed(Rpc::Append, &status));
            }
            AppendEntriesResponse::Conflict | AppendEntriesResponse::HigherVote(_) => {}
        }
        Ok(match (response, cut) {
            (AppendEntriesResponse::Success, Some(cut)) => {
                AppendEntriesResponse::PartialSuccess(Some(cut))
            }
            (response, _) => response,
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, Failed> {
        let message = v1::RaftCall {
            header: Some(self.header()),
            payload: wire::encode(&request),
        };
        let asked = async {
            let mut client = self.links.peers.client(&self.address, Lane::Log)?;
            let message = addressed(message, self.directory);
            let reply = within(option.hard_ttl(), client.vote(message)).await?;
            wire::decode(&reply.payload)
        };
        asked
            .await
            .map_err(|status| self.failed(Rpc::Vote, &status))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<NodeId>,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<NodeId>, StreamingError<TypeConfig, Fatal<NodeId>>> {
        let sent = self.send_snapshot(vote, snapshot);
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = sent => sent.map_err(|status| {
                self.links.metrics.rpc_failed(Rpc::Snapshot);
                tracing::warn!(target_node = self.target, "snapshot not sent: {status}");
                StreamingError::Unreachable(Unreachable::new(&status))
            }),
        }
    }

    fn backoff(&self) -> Backoff {
        // Soon at first: a restarted node is back within a moment.
        let waits = [50, 100, 200].into_iter().chain(std::iter::repeat(300));
        Backoff::new(waits.map(Duration::from_millis))
    }
}

/// The answer, or `DeadlineExceeded`.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer.map(tonic::Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!(
            "no answer within {} ms",
            limit.as_millis()
        ))),
    }
}
