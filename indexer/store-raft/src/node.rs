//! A node: everything that its parts share, and how it comes up and goes down.

mod start;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use indexer_store::{
    AppendError, Appended, History, HistoryStats, IndexWatch, IndexWriter, WatchStream,
    batch_weight, clock, stamped,
};
use openraft::{Raft, ServerState};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use proto_api::v1::store_admin_server::StoreAdminServer;
use proto_model::{Batch, Cursor, Publisher, Revision};
use tokio::task::JoinSet;
use tonic::service::Routes;

pub use self::start::StartError;
use crate::admin::AdminService;
use crate::disk::Disk;
use crate::gate::Gate;
use crate::machine::MachineShared;
use crate::metrics::Metrics;
use crate::options::RaftOptions;
use crate::peers::Peers;
use crate::proposer::Queue;
use crate::standing::Standing;
use crate::status::NodeStatus;
use crate::types::TypeConfig;

/// A node of a replicated store.
///
/// It takes part in its cluster only while somebody serves
/// [`services`](Self::services) at the address that it advertises.
pub struct RaftStore {
    node: Arc<Node>,
    /// Ended when the store is dropped.
    tasks: Mutex<JoinSet<()>>,
}

/// What the parts of a node share.
pub(crate) struct Node {
    pub(crate) options: RaftOptions,
    pub(crate) raft: Raft<TypeConfig>,
    pub(crate) history: History,
    pub(crate) standing: Arc<Standing>,
    pub(crate) machine: Arc<MachineShared>,
    pub(crate) disk: Disk,
    /// Of the directory, as last measured.
    pub(crate) disk_bytes: AtomicU64,
    pub(crate) peers: Arc<Peers>,
    pub(crate) queue: Queue,
    pub(crate) metrics: Arc<Metrics>,
}

impl RaftStore {
    /// The services that other nodes and operators speak to. To be served at the
    /// advertised address, best by [`server`](crate::server); they check which
    /// cluster and node a message is for, and TLS, if any, is the server's.
    #[must_use]
    pub fn services(&self) -> Routes {
        let raft = Gate::new(&self.node);
        let admin = StoreAdminServer::new(AdminService::new(Arc::clone(&self.node)));
        Routes::new(raft).add_service(admin)
    }

    /// How this node does.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        self.node.status()
    }

    /// Why readers should go elsewhere; `None` if they are served here.
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        let contact_max = self.node.options.watches.contact_max;
        self.node.standing.unready(contact_max)
    }

    /// Returns the reason once the node cannot go on: its disk failed, or Raft
    /// found something that must not be. The process should end then.
    pub fn failed(&self) -> impl Future<Output = String> + Send + 'static {
        let standing = Arc::clone(&self.node.standing);
        async move {
            let mut changes = standing.changes();
            loop {
                if let Some(reason) = standing.failure() {
                    return reason;
                }
                // The sender lives as long as `standing`.
                let _ = changes.changed().await;
            }
        }
    }

    /// Takes no appends any more, lets those on their way finish, and hands the
    /// leadership over, all within `limit`. Watches and votes go on.
    pub async fn drain(&self, limit: Duration) {
        Box::pin(self.node.drain(limit)).await;
    }

    /// Ends the node and its watches, and closes the directory.
    pub async fn shutdown(&self) {
        self.node.standing.end("the store was shut down", false);
        self.tasks.lock().abort_all();
        // It fails only if Raft's task panicked, which was said already.
        let _ = Box::pin(self.node.raft.shutdown()).await;
        self.node.history.close("the store was shut down");
    }

    /// Adds the node's metrics.
    pub fn register(&self, registry: &mut Registry) {
        crate::metrics::register(&self.node, registry);
    }

    /// Where a publisher stands; `None` if it is not known.
    #[must_use]
    pub fn cursor(&self, publisher: &Publisher) -> Option<Cursor> {
        self.node.history.cursor(publisher)
    }

    /// The history, counted.
    #[must_use]
    pub fn stats(&self) -> HistoryStats {
        self.node.history.stats()
    }

    /// Whether this node leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.node.leads()
    }

    /// Where the leader is reached, as far as this node knows.
    #[must_use]
    pub fn leader(&self) -> Option<String> {
        self.node.leader_address()
    }
}

impl Drop for RaftStore {
    fn drop(&mut self) {
        self.node.history.close("the store was dropped");
    }
}

#[async_trait]
impl IndexWriter for RaftStore {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        self.node.append(batch).await
    }
}

impl IndexWatch for RaftStore {
    fn watch(&self, after: Option<Revision>) -> WatchStream {
        crate::watch::watch(Arc::clone(&self.node), after)
    }
}

impl Node {
    async fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        self.takes_appends()?;
        let options = &self.options.appends;
        let (bytes, limit) = (batch_weight(batch), options.batch_bytes_max);
        if bytes > limit {
            return Err(AppendError::TooLarge { bytes, limit });
        }
        let begun = std::time::Instant::now();
        // The leader's clock: it alone takes batches.
        let batch = stamped(batch, clock);
        // Plain data: postcard cannot fail.
        let encoded = postcard::to_allocvec(batch.as_ref()).expect("a batch encodes");
        let appended = self.queue.append(Bytes::from(encoded));
        let appended = match tokio::time::timeout(options.deadline, appended).await {
            Ok(appended) => appended,
            Err(_) => Err(AppendError::Unavailable {
                reason: format!(
                    "not committed within {:?}; whether it will be is not known",
                    options.deadline
                ),
            }),
        };
        self.metrics.appended(&appended, begun.elapsed());
        appended
    }

    fn takes_appends(&self) -> Result<(), AppendError> {
        if let Some(reason) = self.standing.ended() {
            return Err(AppendError::Closed { reason });
        }
        if self.standing.held() {
            return Err(AppendError::NotLeader {
                leader: self.standing.successor().or_else(|| self.other_leader()),
            });
        }
        if !self.leads() {
            return Err(AppendError::NotLeader {
                leader: self.other_leader(),
            });
        }
        let contact_max = self.options.watches.contact_max;
        let quorum_at = self.standing.heard_at();
        if quorum_at.is_some_and(|at| at.elapsed() > contact_max) {
            return Err(AppendError::Unavailable {
                reason: format!("no quorum has answered for {contact_max:?}"),
            });
        }
        Ok(())
    }

    pub(crate) fn leads(&self) -> bool {
        self.raft.server_metrics().borrow().state == ServerState::Leader
    }

    /// The leader's address, if that is not this node.
    fn other_leader(&self) -> Option<String> {
        self.leader_address()
            .filter(|address| *address != self.options.advertise)
    }

    pub(crate) fn leader_address(&self) -> Option<String> {
        let leader = self.raft.server_metrics().borrow().current_leader?;
        self.address_of(leader)
    }
}
