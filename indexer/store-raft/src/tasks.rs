//! What a node does besides answering: begins the history, notes what openraft
//! says of itself, cuts the log, finds out that it was removed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indexer_store::History;
use openraft::{RaftMetrics, ServerState, StoredMembership};

use crate::network::within;
use crate::node::Node;
use crate::peers::Lane;
use crate::types::{ClusterId, NodeId, Proposal, RaftNode, drawn};

/// How long a snapshot may take before it is looked again whether one is due.
const SNAPSHOT: Duration = Duration::from_secs(300);

/// How often the directory is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// How often a node that nobody speaks to asks whether it is a member still.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// How long one answer may take.
const ASK: Duration = Duration::from_secs(2);

/// Notes what openraft says of itself, until it stops.
pub(crate) async fn follow_raft(node: Arc<Node>) {
    let mut metrics = node.raft.metrics();
    loop {
        let running = {
            let now = metrics.borrow_and_update();
            node.note(&now);
            now.running_state.clone()
        };
        if let Err(fatal) = running {
            node.fail(&format!("Raft stopped: {fatal}"));
            return;
        }
        if metrics.changed().await.is_err() {
            node.fail("Raft stopped");
            return;
        }
    }
}

/// Begins the history when this node leads and there is none.
pub(crate) async fn begin_history(node: Arc<Node>) {
    let mut metrics = node.raft.server_metrics();
    while node.standing.cluster().is_none() {
        let leads = metrics.wait_for(|metrics| metrics.state == ServerState::Leader);
        if leads.await.is_err() {
            return;
        }
        let proposal = Proposal::Begin {
            cluster: ClusterId(drawn()),
            revision: History::fresh_revision(),
        };
        if let Err(error) = Box::pin(node.raft.client_write(proposal)).await {
            tracing::debug!("the history has not begun: {error}");
            tokio::time::sleep(node.options.elections.heartbeat).await;
        }
    }
}

/// Has a snapshot written when the log has grown by enough.
pub(crate) async fn cut_log(node: Arc<Node>) {
    loop {
        node.machine.grown.notified().await;
        let grown = node.machine.bytes_since_snapshot.load(Ordering::Relaxed);
        let share = node.disk.stats().snapshot_bytes / 100 * node.options.log_share_percent;
        if grown < node.options.log_bytes.max(share) {
            continue;
        }
        let before = node.machine.saved_index();
        if node.raft.trigger().snapshot().await.is_err() {
            return;
        }
        // One at a time: the next counts from where this one was taken.
        let mut metrics = node.raft.data_metrics();
        let written =
            metrics.wait_for(|metrics| metrics.snapshot.map(|snapshot| snapshot.index) > before);
        // openraft leaves it out while another snapshot is being installed.
        let _ = tokio::time::timeout(SNAPSHOT, written).await;
    }
}

/// Counts what the directory takes, now and then: that means listing files.
pub(crate) async fn measure_disk(node: Arc<Node>) {
    loop {
        let disk = node.disk.clone();
        let counted = tokio::task::spawn_blocking(move || disk.bytes_on_disk()).await;
        if let Ok(Ok(bytes)) = counted {
            node.disk_bytes.store(bytes, Ordering::Relaxed);
        }
        tokio::time::sleep(MEASURE_EVERY).await;
    }
}

/// Ends the node when the disk fails.
pub(crate) async fn follow_disk(node: Arc<Node>) {
    let reason = node.disk.failed().await;
    node.fail(&format!("the disk failed: {reason}"));
}

/// Asks the leader whether this node is a member while no leader speaks to it: a
/// node that was away when it was removed learns it here.
pub(crate) async fn find_removed(node: Arc<Node>) {
    let silence = node.options.elections.timeout_max * 2;
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        let heard = node.standing.heard_at();
        let silent = heard.is_none_or(|at| at.elapsed() > silence);
        if !silent || node.standing.cluster().is_none() || node.standing.removed() {
            continue;
        }
        for (id, address) in node.others(|_| true) {
            let asked = async {
                let mut client = node.peers.client(&address, Lane::Log)?;
                let call = node.call_to(id, bytes::Bytes::new());
                within(ASK, client.committed(call)).await
            };
            // Only a leader that a quorum confirms answers.
            if let Ok(committed) = asked.await {
                if !committed.member {
                    node.note_removed();
                }
                break;
            }
        }
    }
}

/// What to do about a directory that is not the member's.
pub(crate) fn other_directory(id: NodeId) -> String {
    format!(
        "this directory is not the one that node {id} was added with, so it lacks what node {id} \
         promised to keep; remove node {id} from the cluster and join a new one with another \
         number and an empty directory"
    )
}

/// What to do about a directory from before what the member acknowledged.
pub(crate) fn older_directory(id: NodeId) -> String {
    format!(
        "the directory of node {id} ends before what node {id} has acknowledged: an older copy \
         was put back, or its disk lost writes; remove node {id} from the cluster and join a new \
         one with another number and an empty directory"
    )
}

impl Node {
    fn note(&self, metrics: &RaftMetrics<NodeId, RaftNode>) {
        if let Some(own) = metrics
            .membership_config
            .membership()
            .get_node(&self.options.node_id)
            && own.directory != self.disk.identity()
        {
            self.fail(&other_directory(self.options.node_id));
        }
        let leads = metrics.state == ServerState::Leader;
        let alone = leads
            && metrics
                .membership_config
                .membership()
                .voter_ids()
                .eq([self.options.node_id]);
        let age = if alone {
            Some(Duration::ZERO)
        } else {
            let acked = metrics.millis_since_quorum_ack;
            acked.filter(|_| leads).map(Duration::from_millis)
        };
        self.standing.leads(age);
        if let Some(age) = age {
            // What it leads with is committed once it has applied its own log.
            self.standing.confirmed(metrics.last_log_index, age);
        }
    }

    /// This node is no member any more.
    pub(crate) fn note_removed(&self) {
        if self.standing.set_removed(true) {
            tracing::warn!(
                node = self.options.node_id,
                "this node was removed from the cluster; stop it, and never use its number again"
            );
        }
    }

    /// The node cannot go on.
    pub(crate) fn fail(&self, reason: &str) {
        if self.standing.ended().is_none() {
            tracing::error!("the store has ended: {reason}");
        }
        self.standing.end(reason, true);
        self.history.close(reason);
    }

    /// Whether this node has never heard of any cluster.
    pub(crate) fn fresh(&self) -> bool {
        self.standing.cluster().is_none() && self.membership().membership().nodes().next().is_none()
    }

    /// Whether this node may be made a member.
    pub(crate) fn joinable(&self) -> bool {
        self.fresh() || self.standing.removed()
    }

    /// The numbers of those that vote.
    pub(crate) fn voters(&self) -> BTreeSet<NodeId> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow();
        metrics.membership_config.membership().voter_ids().collect()
    }

    /// Whether the node is a member, with or without a vote.
    pub(crate) fn member(&self, id: NodeId) -> bool {
        self.address_of(id).is_some()
    }

    /// Where a member is reached.
    pub(crate) fn address_of(&self, id: NodeId) -> Option<String> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow();
        let node = metrics.membership_config.membership().get_node(&id);
        node.map(|node| node.addr.clone())
    }

    /// As this node knows it.
    pub(crate) fn membership(&self) -> Arc<StoredMembership<NodeId, RaftNode>> {
        Arc::clone(&self.raft.server_metrics().borrow().membership_config)
    }

    /// Other members, with their addresses.
    pub(crate) fn others(&self, of_interest: impl Fn(NodeId) -> bool) -> Vec<(NodeId, String)> {
        let membership = self.membership();
        membership
            .membership()
            .nodes()
            .filter(|(id, _)| **id != self.options.node_id && of_interest(**id))
            .map(|(id, node)| (*id, node.addr.clone()))
            .collect()
    }
}
