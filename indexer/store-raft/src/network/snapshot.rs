//! A snapshot on its way to another node, piece by piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::raft::SnapshotResponse;
use openraft::{Snapshot, Vote};
use proto_api::v1::RaftSnapshotPiece;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Link;
use crate::peers::{Lane, addressed};
use crate::snapshot::SnapshotImage;
use crate::types::{NodeId, TypeConfig};
use crate::wire::{self, SnapshotHead};

/// Pieces made ahead of the connection. A piece is some hundred kilobytes.
const AHEAD: usize = 4;

impl Link {
    /// Sends all of it and waits until it is installed.
    pub(super) async fn send_snapshot(
        &self,
        vote: Vote<NodeId>,
        snapshot: Snapshot<TypeConfig>,
    ) -> Result<SnapshotResponse<NodeId>, Status> {
        let (meta, image) = (snapshot.meta, snapshot.snapshot);
        let (term, upto) = (vote.leader_id().term, meta.last_log_id);
        tracing::info!(target_node = self.target, snapshot = %meta.snapshot_id, "sending a snapshot");
        let head = RaftSnapshotPiece {
            header: Some(self.header()),
            payload: wire::encode(&SnapshotHead {
                vote,
                meta,
                cluster: image.cluster,
                revision: image.revision,
            }),
        };
        let (sender, pieces) = mpsc::channel(AHEAD);
        let sent = Arc::new(AtomicU64::new(0));
        let progress = Arc::clone(&sent);
        // Ends when all is sent or nobody takes the pieces any more.
        tokio::task::spawn_blocking(move || make_pieces(head, *image, &sender, &progress));
        let mut client = self.links.peers.client(&self.address, Lane::Snapshot)?;
        let reply = client.install_snapshot(addressed(ReceiverStream::new(pieces), self.directory));
        let stalled = stalled(&sent, self.links.snapshot_stall);
        let reply = tokio::select! {
            reply = reply => reply?.into_inner(),
            error = stalled => return Err(error),
        };
        let response: SnapshotResponse<NodeId> = wire::decode(&reply.payload)?;
        if response.vote == vote {
            self.links.promises.note(self.target, term, upto);
        }
        Ok(response)
    }
}

fn make_pieces(
    head: RaftSnapshotPiece,
    image: SnapshotImage,
    sender: &mpsc::Sender<RaftSnapshotPiece>,
    sent: &AtomicU64,
) {
    if sender.blocking_send(head).is_err() {
        return;
    }
    for piece in image.state.image() {
        let piece = RaftSnapshotPiece {
            header: None,
            payload: wire::encode(&piece),
        };
        if sender.blocking_send(piece).is_err() {
            return;
        }
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns when nothing has been taken for `limit`.
async fn stalled(sent: &AtomicU64, limit: Duration) -> Status {
    let mut last = sent.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(limit).await;
        let now = sent.load(Ordering::Relaxed);
        if now == last {
            return Status::deadline_exceeded(format!(
                "the snapshot has stood still for {limit:?} (snapshot_stall)"
            ));
        }
        last = now;
    }
}
