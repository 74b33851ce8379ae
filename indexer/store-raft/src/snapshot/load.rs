//! Reading the snapshot that counts.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use indexer_state::{ImagePiece, RestoreError, Restorer};
use openraft::SnapshotMeta;

use super::chunk::ChunkReader;
use super::{SnapshotImage, SnapshotStore};
use crate::disk::StoredSnapshot;
use crate::types::{NodeId, RaftNode};

/// Longest piece of an image, 64 MiB: far more than 4,096 blocks take.
const PIECE_MAX: u64 = 64 << 20;

/// Why the snapshot cannot be loaded. Loading it again cannot succeed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is not as it was written.
    #[error(
        "the snapshot is damaged: {what}; remove the node from the cluster and join a new one with \
         another number and an empty directory"
    )]
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// It is as it was written, and is not an image that this version reads.
    #[error("the snapshot cannot be restored; use the version that wrote it")]
    Restore(#[source] RestoreError),
}

impl SnapshotStore {
    /// Reads the snapshot that counts; `None` if there is none yet. Blocks; holds
    /// one piece of it at a time beside the state.
    ///
    /// # Errors
    /// If any of it is not as it was written.
    #[expect(
        clippy::type_complexity,
        reason = "openraft's name for it is no shorter"
    )]
    pub fn load(
        &self,
    ) -> Result<Option<(SnapshotMeta<NodeId, RaftNode>, SnapshotImage)>, LoadError> {
        // No other may take its tree meanwhile.
        let _none_is_saved = self.disk.shared.saving.lock();
        let Some(stored) = self.current() else {
            return Ok(None);
        };
        // sled reports some kinds of damage by panicking.
        let read = catch_unwind(AssertUnwindSafe(|| self.read(&stored)));
        let image = read.unwrap_or_else(|_| Err(damaged("it cannot be read")))?;
        Ok(Some((stored.meta, image)))
    }

    fn read(&self, stored: &StoredSnapshot) -> Result<SnapshotImage, LoadError> {
        let tree = self.disk.shared.trees.snapshot(stored.generation);
        let mut chunks = ChunkReader::new(tree, stored.generation, stored.chunks);
        let mut restorer = Restorer::new(self.disk.shared.options.limits.clone());
        let mut left = stored.bytes;
        let mut buffer = Vec::new();
        while left > 0 {
            let mut length = [0; 4];
            chunks.read_exact(&mut length).map_err(damaged)?;
            let length = u64::from(u32::from_le_bytes(length));
            left = left
                .checked_sub(4 + length)
                .filter(|_| length <= PIECE_MAX)
                .ok_or_else(|| damaged(format!("a piece of {length} bytes")))?;
            buffer.clear();
            let read = (&mut chunks).take(length).read_to_end(&mut buffer);
            if read.map_err(damaged)? as u64 != length {
                return Err(damaged("it ends within a piece"));
            }
            let piece: ImagePiece = postcard::from_bytes(&buffer).map_err(damaged)?;
            restorer.push(piece).map_err(LoadError::Restore)?;
        }
        Ok(SnapshotImage {
            cluster: stored.cluster,
            revision: stored.revision,
            state: restorer.finish().map_err(LoadError::Restore)?,
        })
    }
}

fn damaged(what: impl std::fmt::Display) -> LoadError {
    LoadError::Damaged {
        what: what.to_string(),
    }
}
