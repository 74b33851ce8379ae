//! Receives a snapshot. One at a time: a newer one ends the older one's.

use std::time::Duration;

use indexer_state::{ImagePiece, Restorer, State};
use openraft::Snapshot;
use openraft::raft::SnapshotResponse;
use parking_lot::Mutex;
use proto_api::v1::RaftSnapshotPiece;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::node::Node;
use crate::snapshot::SnapshotImage;
use crate::types::NodeId;
use crate::wire::{self, SnapshotHead};

/// Pieces received ahead of being put together.
const AHEAD: usize = 4;

/// What is being received.
#[derive(Default)]
pub(super) struct Receiving {
    current: Mutex<CancellationToken>,
}

impl Receiving {
    /// Puts the pieces together and installs them.
    pub(super) async fn receive(
        &self,
        node: &Node,
        head: SnapshotHead,
        pieces: &mut Streaming<RaftSnapshotPiece>,
    ) -> Result<SnapshotResponse<NodeId>, Status> {
        let vote = node.raft.metrics().borrow().vote;
        if vote > head.vote {
            // The sender leads no more.
            return Ok(SnapshotResponse::new(vote));
        }
        if let (Some(mine), Some(theirs)) = (node.standing.cluster(), head.cluster)
            && mine != theirs
        {
            return Err(Status::failed_precondition(format!(
                "a snapshot of cluster {theirs} for a node of cluster {mine}"
            )));
        }
        let mine = self.supersede();
        tracing::info!(snapshot = %head.meta.snapshot_id, "receiving a snapshot");
        let state = tokio::select! {
            () = mine.cancelled() => return Err(Status::aborted("a newer snapshot came")),
            state = restore(node, pieces) => state?,
        };
        let snapshot = Snapshot {
            meta: head.meta,
            snapshot: Box::new(SnapshotImage {
                cluster: head.cluster,
                revision: head.revision,
                state,
            }),
        };
        let installed = node.raft.install_full_snapshot(head.vote, snapshot).await;
        let response = installed.map_err(super::stopped)?;
        node.standing.heard();
        tracing::info!("snapshot installed");
        Ok(response)
    }

    fn supersede(&self) -> CancellationToken {
        let mine = CancellationToken::new();
        std::mem::replace(&mut *self.current.lock(), mine.clone()).cancel();
        mine
    }
}

async fn restore(node: &Node, pieces: &mut Streaming<RaftSnapshotPiece>) -> Result<State, Status> {
    let limits = node.options.history.limits.clone();
    let (sender, mut receiver) = mpsc::channel::<RaftSnapshotPiece>(AHEAD);
    let restored = tokio::task::spawn_blocking(move || {
        let mut restorer = Restorer::new(limits);
        while let Some(piece) = receiver.blocking_recv() {
            let piece: ImagePiece = wire::decode(&piece.payload)?;
            restorer.push(piece).map_err(damaged)?;
        }
        restorer.finish().map_err(damaged)
    });
    let stall = node.options.snapshot_stall;
    while let Some(piece) = next(pieces, stall).await? {
        if sender.send(piece).await.is_err() {
            // It ended with an error, which is what it returns.
            break;
        }
    }
    drop(sender);
    restored
        .await
        .map_err(|error| Status::internal(error.to_string()))?
}

fn damaged(error: indexer_state::RestoreError) -> Status {
    Status::data_loss(error.to_string())
}

/// The next piece, unless the stream stands still.
pub(super) async fn next(
    pieces: &mut Streaming<RaftSnapshotPiece>,
    stall: Duration,
) -> Result<Option<RaftSnapshotPiece>, Status> {
    match tokio::time::timeout(stall, pieces.message()).await {
        Ok(piece) => piece,
        Err(_) => Err(Status::deadline_exceeded("the snapshot stands still")),
    }
}
