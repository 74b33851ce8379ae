//! The state machine: committed entries become a history.
//!
//! ```text
//!  entries ──▶ blocking thread: decode, History::apply ──▶ watchers
//!                                │ cheap copy
//!                                ▼
//!                             snapshot, written in the background
//! ```

mod apply;
mod builder;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use indexer_state::StateLimits;
use indexer_store::History;
use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, Entry, LogId, OptionalSend, Snapshot, SnapshotMeta, StorageError, StorageIOError,
    StoredMembership,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

pub(crate) use self::builder::Builder;
use crate::disk::Disk;
use crate::snapshot::{SnapshotImage, SnapshotStore};
use crate::standing::Standing;
use crate::types::{Applied, NodeId, RaftNode, TypeConfig};

/// Applies entries, and makes and takes snapshots.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) shared: Arc<MachineShared>,
}

/// What the machine shares with its builders and with the node.
pub(crate) struct MachineShared {
    pub(crate) node_id: NodeId,
    /// What the state may hold.
    limits: StateLimits,
    pub(crate) history: History,
    pub(crate) standing: Arc<Standing>,
    pub(crate) disk: Disk,
    pub(crate) snapshots: SnapshotStore,
    /// What the state stands at. Changed only by the one task that applies.
    at: Mutex<At>,
    /// Set once the node runs: until then snapshots asked for are the saved one,
    /// because openraft purges the log up to it.
    running: AtomicBool,
    /// Bytes of entries applied since the last snapshot was begun.
    pub(crate) bytes_since_snapshot: AtomicU64,
    /// Woken when `bytes_since_snapshot` may have come to be too many.
    pub(crate) grown: Notify,
}

/// A position in the log and who the members are there.
#[derive(Debug, Clone, Default)]
pub(crate) struct At {
    pub(crate) applied: Option<LogId<NodeId>>,
    pub(crate) membership: StoredMembership<NodeId, RaftNode>,
}

impl Machine {
    /// Goes on from a saved snapshot, or from nothing.
    pub(crate) fn new(
        node_id: NodeId,
        limits: StateLimits,
        history: History,
        standing: Arc<Standing>,
        disk: Disk,
        snapshots: SnapshotStore,
        saved: Option<SnapshotMeta<NodeId, RaftNode>>,
    ) -> Self {
        let at = saved.as_ref().map_or_else(At::default, |meta| At {
            applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
        });
        Self {
            shared: Arc::new(MachineShared {
                node_id,
                limits,
                history,
                standing,
                disk,
                snapshots,
                at: Mutex::new(at),
                running: AtomicBool::new(false),
                bytes_since_snapshot: AtomicU64::new(0),
                grown: Notify::new(),
            }),
        }
    }
}

impl MachineShared {
    /// The start is over: from now on snapshots are of what the state is then.
    pub(crate) fn run(&self) {
        self.running.store(true, Ordering::Release);
    }

    /// The last index in the snapshot on the disk.
    pub(crate) fn saved_index(&self) -> Option<u64> {
        Some(self.snapshots.current()?.meta.last_log_id?.index)
    }

    /// A picture of the state. Call it where nothing is applied meanwhile.
    fn picture(&self) -> (SnapshotMeta<NodeId, RaftNode>, SnapshotImage) {
        let at = self.at.lock().clone();
        let (revision, state) = self.history.state();
        let cluster = self.standing.cluster();
        let image = SnapshotImage {
            cluster,
            revision,
            state,
        };
        let index = at.applied.map_or(0, |applied| applied.index);
        let meta = SnapshotMeta {
            last_log_id: at.applied,
            last_membership: at.membership,
            snapshot_id: format!("{}-{index}-{}", self.node_id, revision.0),
        };
        (meta, image)
    }

    /// Takes over a snapshot from the leader. On the disk first: if the node dies
    /// in between, it starts from the new one, which the log then follows.
    async fn install(
        &self,
        meta: &SnapshotMeta<NodeId, RaftNode>,
        image: SnapshotImage,
    ) -> Result<(), StorageError<NodeId>> {
        if let Some(cluster) = image.cluster {
            self.disk
                .set_cluster(cluster)
                .await
                .map_err(|error| *failed(&error))?;
        }
        let saved = self.snapshots.save(meta.clone(), image.clone()).await;
        saved.map_err(|error| *failed(&error))?;
        *self.at.lock() = At {
            applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
        };
        self.bytes_since_snapshot.store(0, Ordering::Relaxed);
        self.history.replace(image.state, image.revision);
        if let Some(cluster) = image.cluster {
            self.standing.begin(cluster);
        }
        if let Some(applied) = meta.last_log_id {
            self.standing.applied_to(applied.index);
        }
        Ok(())
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<NodeId>>, StoredMembership<NodeId, RaftNode>), StorageError<NodeId>>
    {
        let at = self.shared.at.lock().clone();
        Ok((at.applied, at.membership))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError<NodeId>>
    where
        I: IntoIterator<Item = Entry<TypeConfig>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<_> = entries.into_iter().collect();
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.apply(entries)).await
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder::new(Arc::clone(&self.shared))
    }

    async fn begin_receiving_snapshot(
        &mut self,
    ) -> Result<Box<SnapshotImage>, StorageError<NodeId>> {
        // Whole snapshots are handed over; nothing is received into this.
        Ok(Box::new(self.shared.picture().1))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<NodeId, RaftNode>,
        snapshot: Box<SnapshotImage>,
    ) -> Result<(), StorageError<NodeId>> {
        self.shared.install(meta, *snapshot).await
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<Snapshot<TypeConfig>>, StorageError<NodeId>> {
        let (now, image) = self.shared.picture();
        let meta = if self.shared.running.load(Ordering::Acquire) {
            // A node far behind is sent the state as it is now: it is committed,
            // and the log that must follow is shorter.
            now
        } else {
            let Some(saved) = self.shared.snapshots.current() else {
                return Ok(None);
            };
            saved.meta
        };
        Ok(Some(Snapshot {
            meta,
            snapshot: Box::new(image),
        }))
    }
}

/// Why the state machine cannot go on.
type Failure = Box<StorageError<NodeId>>;

/// Runs it where it may take long.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, StorageError<NodeId>> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|failure| *failure),
        Err(error) => Err(*failed(&error)),
    }
}

fn failed(error: &(impl std::error::Error + 'static)) -> Failure {
    let error = StorageIOError::write_state_machine(AnyError::new(error));
    Box::new(error.into())
}
