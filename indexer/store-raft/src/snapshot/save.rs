//! Writing a snapshot beside the one that counts.

use std::time::{Duration, Instant};

use openraft::SnapshotMeta;

use super::chunk::{self, CONTENT};
use super::{SnapshotImage, SnapshotStore};
use crate::disk::{Disk, DiskError, Request, StoredSnapshot};
use crate::types::{NodeId, RaftNode};

impl SnapshotStore {
    /// Writes the image and makes it the one that counts; durable when this
    /// returns. Takes its time, see
    /// [`DiskOptions::snapshot_bytes_per_second`](crate::disk::DiskOptions). One
    /// that is older than the one that counts is not written: that one covers it.
    ///
    /// # Errors
    /// If the disk has failed, or the image is of another cluster.
    pub async fn save(
        &self,
        meta: SnapshotMeta<NodeId, RaftNode>,
        image: SnapshotImage,
    ) -> Result<(), DiskError> {
        let disk = self.disk.clone();
        let saved = tokio::task::spawn_blocking(move || save(&disk, meta, &image)).await;
        saved.unwrap_or_else(|error| {
            Err(DiskError::Failed {
                reason: format!("writing the snapshot failed: {error}"),
            })
        })
    }
}

fn save(
    disk: &Disk,
    meta: SnapshotMeta<NodeId, RaftNode>,
    image: &SnapshotImage,
) -> Result<(), DiskError> {
    let saving = std::sync::Arc::clone(&disk.shared.saving);
    let _one_at_a_time = saving.lock();
    check_cluster(disk, image)?;
    let current = disk.snapshots().current();
    let older = |stored: &StoredSnapshot| stored.meta.last_log_id > meta.last_log_id;
    if current.as_ref().is_some_and(older) {
        return Ok(());
    }
    let generation = current.map_or(0, |stored| stored.generation + 1);
    let mut writer = ChunkWriter::new(disk, generation);
    for piece in image.state.image() {
        let bytes = postcard::to_stdvec(&piece).map_err(failed)?;
        let length = u32::try_from(bytes.len()).map_err(failed)?;
        writer.write(&length.to_le_bytes())?;
        writer.write(&bytes)?;
    }
    let (chunks, bytes) = writer.finish()?;
    let stored = StoredSnapshot {
        meta,
        cluster: image.cluster,
        revision: image.revision,
        bytes,
        generation,
        chunks,
    };
    disk.request_blocking(|done| Request::Snapshot(Box::new(stored), done))
}

fn check_cluster(disk: &Disk, image: &SnapshotImage) -> Result<(), DiskError> {
    match (disk.cluster(), image.cluster) {
        (Some(mine), Some(other)) if mine != other => Err(DiskError::Cluster { mine, other }),
        _ => Ok(()),
    }
}

fn failed(error: impl std::fmt::Display) -> DiskError {
    DiskError::Failed {
        reason: format!("writing the snapshot failed: {error}"),
    }
}

struct ChunkWriter<'a> {
    tree: &'a sled::Tree,
    generation: u64,
    next: u32,
    bytes: u64,
    buffer: Vec<u8>,
    begin: Instant,
    bytes_per_second: u64,
}

impl<'a> ChunkWriter<'a> {
    fn new(disk: &'a Disk, generation: u64) -> Self {
        Self {
            tree: disk.shared.trees.snapshot(generation),
            generation,
            next: 0,
            bytes: 0,
            buffer: Vec::with_capacity(CONTENT),
            begin: Instant::now(),
            bytes_per_second: disk.shared.options.snapshot_bytes_per_second.max(1),
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), DiskError> {
        while !bytes.is_empty() {
            let room = CONTENT - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == CONTENT {
                self.cut()?;
            }
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<(), DiskError> {
        let chunk = chunk::write(self.generation, self.next, &self.buffer);
        let written = self.tree.insert(self.next.to_be_bytes(), chunk);
        written.map_err(failed)?;
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        self.next = self
            .next
            .checked_add(1)
            .ok_or_else(|| failed("too large"))?;
        self.pace();
        Ok(())
    }

    /// Appends share the disk, and make durable what was written here meanwhile.
    fn pace(&self) {
        let due = self.bytes as f64 / self.bytes_per_second as f64;
        let due = Duration::try_from_secs_f64(due).unwrap_or_default();
        let early = due.saturating_sub(self.begin.elapsed());
        if early > Duration::from_millis(1) {
            std::thread::sleep(early);
        }
    }

    /// Writes the rest, and removes what an earlier, longer snapshot had beyond it.
    fn finish(mut self) -> Result<(u32, u64), DiskError> {
        if !self.buffer.is_empty() {
            self.cut()?;
        }
        for item in self.tree.range(self.next.to_be_bytes()..) {
            let (key, _) = item.map_err(failed)?;
            self.tree.remove(key).map_err(failed)?;
        }
        Ok((self.next, self.bytes))
    }
}
