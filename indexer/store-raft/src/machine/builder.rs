//! Writes a snapshot while entries go on being applied.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use openraft::{RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError};

use super::{MachineShared, failed};
use crate::snapshot::SnapshotImage;
use crate::types::{NodeId, RaftNode, TypeConfig};

/// Holds a picture of the state until it is on the disk.
pub(crate) struct Builder {
    shared: Arc<MachineShared>,
    picture: Option<(SnapshotMeta<NodeId, RaftNode>, SnapshotImage)>,
}

impl Builder {
    /// Takes the picture now: openraft asks for a builder between two applies.
    pub(super) fn new(shared: Arc<MachineShared>) -> Self {
        shared.bytes_since_snapshot.store(0, Ordering::Relaxed);
        let picture = Some(shared.picture());
        Self { shared, picture }
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError<NodeId>> {
        let (meta, image) = match self.picture.take() {
            Some(picture) => picture,
            None => self.shared.picture(),
        };
        let saved = self.shared.snapshots.save(meta.clone(), image.clone());
        saved.await.map_err(|error| *failed(&error))?;
        Ok(Snapshot {
            meta,
            snapshot: Box::new(image),
        })
    }
}
