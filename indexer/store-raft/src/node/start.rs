//! Brings a node up: what the disk has, then openraft, then the tasks.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use indexer_state::State;
use indexer_store::History;
use openraft::{Config, Raft, SnapshotMeta, SnapshotPolicy};
use parking_lot::Mutex;
use proto_model::Revision;
use tokio::task::JoinSet;

use super::{Node, RaftStore};
use crate::disk::{Disk, DiskOptions, OpenError};
use crate::elections;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::network::{Links, Promises};
use crate::options::{InvalidOptions, RaftOptions};
use crate::peers::Peers;
use crate::proposer::Queue;
use crate::snapshot::SnapshotImage;
use crate::standing::Standing;
use crate::tasks;
use crate::types::{NodeId, RaftNode, TypeConfig};

/// Entries in one message to another node, whatever their size.
const ENTRIES_PER_MESSAGE: u64 = 256;

/// Why a node did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings cannot be used.
    #[error(transparent)]
    Options(#[from] InvalidOptions),
    /// The directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What the directory holds could not be brought back into memory.
    #[error("the node's log or snapshot cannot be read: {reason}")]
    Recover {
        /// What was seen.
        reason: String,
    },
}

impl StartError {
    /// Whether starting again, with nothing changed, may succeed.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Open(error) => error.retryable(),
            Self::Options(_) | Self::Recover { .. } => false,
        }
    }
}

impl RaftStore {
    /// Opens the directory, brings the state back, and takes part. Returns when
    /// everything that is known to be committed is in the state; readers are
    /// served only once a leader has confirmed that nothing is missing.
    ///
    /// # Errors
    /// If the settings or the directory cannot be used.
    pub async fn start(options: RaftOptions) -> Result<Arc<Self>, StartError> {
        options.validate()?;
        Box::pin(start(options)).await
    }
}

async fn start(options: RaftOptions) -> Result<Arc<RaftStore>, StartError> {
    let (disk, saved) = open(&options).await?;
    let snapshots = disk.snapshots();
    let log = disk.log();
    let (meta, revision, state) = match saved {
        Some((meta, image)) => (Some(meta), image.revision, image.state),
        None => {
            let empty = State::new(options.history.limits.clone());
            (None, Revision(0), empty)
        }
    };
    let history = History::new(state, revision, options.history.clone());
    // What the snapshot does not show has not begun, whatever the directory says.
    let begun = disk.cluster().filter(|_| revision > Revision(0));
    let applied = meta.as_ref().and_then(|meta| Some(meta.last_log_id?.index));
    let standing = Arc::new(Standing::new(begun, applied));
    let machine = Machine::new(
        options.node_id,
        options.history.limits.clone(),
        history.clone(),
        Arc::clone(&standing),
        disk.clone(),
        snapshots,
        meta,
    );
    let shared = Arc::clone(&machine.shared);
    let peers = Arc::new(Peers::new(options.tls.clone(), options.local_address));
    let metrics = Arc::new(Metrics::default());
    let links = Links {
        node_id: options.node_id,
        directory: disk.identity(),
        peers: Arc::clone(&peers),
        standing: Arc::clone(&standing),
        metrics: Arc::clone(&metrics),
        snapshot_stall: options.snapshot_stall,
        promises: Promises::default(),
    };
    let config = Arc::new(config(&options)?);
    let raft: Raft<TypeConfig> = Raft::new(options.node_id, config, links, log, machine)
        .await
        .map_err(recover)?;
    shared.run();
    let (queue, proposer) = Queue::new(raft.clone(), &options.appends, Arc::clone(&metrics));
    let node = Arc::new(Node {
        options,
        raft,
        history,
        standing,
        machine: shared,
        disk,
        disk_bytes: AtomicU64::new(0),
        peers,
        queue,
        metrics,
    });
    let mut running = JoinSet::new();
    running.spawn(proposer.run());
    running.spawn(tasks::follow_raft(Arc::clone(&node)));
    running.spawn(tasks::follow_disk(Arc::clone(&node)));
    running.spawn(tasks::begin_history(Arc::clone(&node)));
    running.spawn(tasks::cut_log(Arc::clone(&node)));
    running.spawn(tasks::measure_disk(Arc::clone(&node)));
    running.spawn(tasks::find_removed(Arc::clone(&node)));
    running.spawn(elections::run(Arc::clone(&node)));
    Ok(Arc::new(RaftStore {
        node,
        tasks: Mutex::new(running),
    }))
}

type Saved = (SnapshotMeta<NodeId, RaftNode>, SnapshotImage);

async fn open(options: &RaftOptions) -> Result<(Disk, Option<Saved>), StartError> {
    let (directory, node_id) = (options.data.clone(), options.node_id);
    let disk = DiskOptions {
        limits: options.history.limits.clone(),
        ..options.disk.clone()
    };
    let opened = tokio::task::spawn_blocking(move || {
        let disk = Disk::open(&directory, disk, node_id)?;
        let saved = disk.snapshots().load().map_err(recover)?;
        Ok((disk, saved))
    });
    opened.await.map_err(recover)?
}

fn recover(error: impl std::fmt::Display) -> StartError {
    StartError::Recover {
        reason: error.to_string(),
    }
}

fn config(options: &RaftOptions) -> Result<Config, StartError> {
    let elections = &options.elections;
    let lease = elections::lease(elections.timeout_min);
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: "kvatlas".into(),
        heartbeat_interval: millis(elections.heartbeat),
        // openraft's own timer is off (see `elections`): this is how long a vote
        // is waited for, and how long voters are loyal to a leader they heard.
        election_timeout_min: lease - 1,
        election_timeout_max: lease,
        enable_elect: false,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: options.log_keep_entries,
        max_payload_entries: ENTRIES_PER_MESSAGE,
        // Only a cut-off log makes a snapshot necessary.
        replication_lag_threshold: u64::MAX,
        ..Config::default()
    };
    config.validate().map_err(recover)
}
