//! What a node keeps on disk: log, vote, membership and snapshot, in one sled
//! database, and beside it a small file that knows how much must be there.
//!
//! ```text
//!  directory/
//!    marker      whose directory this is; the last write that was acknowledged
//!    sled/       the database
//!      node      one record, the head: vote, log ends, cluster, snapshot pointer
//!      log       slot -> piece of an entry; slots are used again and again
//!      snapshot-0, snapshot-1    chunk number -> chunk; the head says which counts
//! ```
//!
//! Everything that must survive goes through one writer thread, in order: it takes
//! what waits, writes it, makes it durable once, and then answers. See
//! `docs/store-raft.md`.

pub(crate) mod check;
mod error;
mod head;
mod marker;
mod memory;
mod open;
mod options;
mod requests;
mod slots;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use self::check::checked;
pub use self::error::{DiskError, OpenError};
pub(crate) use self::head::Head;
pub use self::head::StoredSnapshot;
use self::memory::Memory;
pub use self::options::DiskOptions;
pub(crate) use self::requests::{Done, Request};
use crate::log::LogStore;
use crate::snapshot::SnapshotStore;
use crate::types::{ClusterId, DirectoryId, NodeId};

/// The storage of one node. Clones are the same storage; when the last of them and
/// the stores made from them are gone, the database is closed.
#[derive(Debug, Clone)]
pub struct Disk {
    pub(crate) shared: Arc<Shared>,
}

/// What all handles have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) directory: PathBuf,
    pub(crate) node: NodeId,
    pub(crate) identity: DirectoryId,
    pub(crate) options: DiskOptions,
    pub(crate) trees: Trees,
    pub(crate) memory: Arc<Memory>,
    requests: mpsc::Sender<Request>,
    failed: watch::Receiver<Option<String>>,
    pub(crate) saving: Arc<parking_lot::Mutex<()>>,
}

/// The database, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Trees {
    pub(crate) db: sled::Db,
    pub(crate) node: sled::Tree,
    pub(crate) log: sled::Tree,
    pub(crate) snapshots: [sled::Tree; 2],
}

impl Trees {
    /// The tree of the snapshot of this generation.
    pub(crate) fn snapshot(&self, generation: u64) -> &sled::Tree {
        let [even, odd] = &self.snapshots;
        if generation.is_multiple_of(2) {
            even
        } else {
            odd
        }
    }
}

/// The storage, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Entries in the log.
    pub log_entries: u64,
    /// Their size as stored, with what each of them costs beside its content.
    pub log_bytes: u64,
    /// Size of the snapshot, 0 if there is none.
    pub snapshot_bytes: u64,
    /// Groups written since the start; each was made durable once.
    pub groups: u64,
    /// Entries written since the start.
    pub appended: u64,
    /// Time spent making groups durable since the start, in microseconds.
    pub flush_micros: u64,
}

impl Disk {
    /// Opens or makes the storage of node `node` in `directory`. Blocks: reads and
    /// checks the whole log, and waits up to `options.lock_wait` for a process
    /// that is just leaving.
    ///
    /// # Errors
    /// If the directory cannot be used, is not this node's, is in use, or is not
    /// as it was acknowledged to be. Nothing is repaired.
    pub fn open(directory: &Path, options: DiskOptions, node: NodeId) -> Result<Self, OpenError> {
        open::open(directory, options, node)
    }

    /// The log, for openraft.
    #[must_use]
    pub fn log(&self) -> LogStore {
        LogStore::new(self.clone())
    }

    /// The snapshot.
    #[must_use]
    pub fn snapshots(&self) -> SnapshotStore {
        SnapshotStore::new(self.clone())
    }

    /// Whose storage this is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.shared.node
    }

    /// The number of the directory, drawn when it was made.
    #[must_use]
    pub fn identity(&self) -> DirectoryId {
        self.shared.identity
    }

    /// The cluster that the directory belongs to, once it is known.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.shared.memory.lock().cluster
    }

    /// Says which cluster the directory belongs to; durable when this returns.
    /// Saying it again changes nothing.
    ///
    /// # Errors
    /// If it belongs to another, or the disk has failed.
    pub async fn set_cluster(&self, cluster: ClusterId) -> Result<(), DiskError> {
        match self.cluster() {
            Some(mine) if mine == cluster => Ok(()),
            Some(mine) => Err(DiskError::Cluster {
                mine,
                other: cluster,
            }),
            None => self.request(|done| Request::Cluster(cluster, done)).await,
        }
    }

    /// Returns what went wrong once the disk has failed. From then on nothing is
    /// acknowledged.
    pub async fn failed(&self) -> String {
        let mut failed = self.shared.failed.clone();
        match failed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the disk writer ended".to_owned(),
        }
    }

    /// The storage, counted. Costs next to nothing.
    #[must_use]
    pub fn stats(&self) -> DiskStats {
        let memory = self.shared.memory.lock();
        let counters = &self.shared.memory.counters;
        DiskStats {
            log_entries: memory.index.len(),
            log_bytes: memory.index.bytes(),
            snapshot_bytes: memory.snapshot.as_ref().map_or(0, |stored| stored.bytes),
            ..counters.stats()
        }
    }

    /// Bytes that the directory takes on disk. Blocks: lists the files.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn bytes_on_disk(&self) -> std::io::Result<u64> {
        open::bytes_of(&self.shared.directory)
    }

    /// Sends to the writer and waits until it is durable.
    pub(crate) async fn request(
        &self,
        request: impl FnOnce(Done) -> Request,
    ) -> Result<(), DiskError> {
        let (done, answer) = oneshot::channel();
        self.send(request(done)).await?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    pub(crate) async fn send(&self, request: Request) -> Result<(), DiskError> {
        let sent = self.shared.requests.send(request).await;
        sent.map_err(|_| self.gone())
    }

    /// As [`request`](Self::request), for threads that may wait.
    pub(crate) fn request_blocking(
        &self,
        request: impl FnOnce(Done) -> Request,
    ) -> Result<(), DiskError> {
        let (done, answer) = oneshot::channel();
        let sent = self.shared.requests.blocking_send(request(done));
        sent.map_err(|_| self.gone())?;
        answer.blocking_recv().unwrap_or_else(|_| Err(self.gone()))
    }

    fn gone(&self) -> DiskError {
        let reason = self.shared.failed.borrow().clone();
        DiskError::Failed {
            reason: reason.unwrap_or_else(|| "the disk writer ended".to_owned()),
        }
    }
}
