//! A leader that goes hands over first.
//!
//! ```text
//!  no new appends ─▶ those on their way finish ─▶ the follower with the longest log
//!  stands for election ─▶ this node votes for it, and follows
//! ```
//!
//! A follower that has just heard a leader votes for nobody else for a lease
//! (`timeout_min`); the leader itself does. So with up to three voters the
//! successor has its majority at once; with more, heartbeats stop and the lease
//! runs out first.

use std::time::Duration;

use openraft::ServerState;

use crate::network::within;
use crate::node::Node;
use crate::peers::Lane;
use crate::types::NodeId;
use crate::wire;

/// How often it is looked whether all appends have been answered.
const LOOK: Duration = Duration::from_millis(5);

impl Node {
    /// Takes no appends any more and hands over, within `limit`.
    pub(crate) async fn drain(&self, limit: Duration) {
        self.standing.drain();
        let drained = tokio::time::timeout(limit, self.hand_over());
        if drained.await.is_err() {
            tracing::warn!("nobody took the leadership over within {limit:?}");
        }
    }

    /// Takes no appends until another leads, or until `limit` has passed; says
    /// whether another does. Then appends are taken as before.
    pub(crate) async fn give_up_leading(&self, limit: Duration) -> bool {
        let _held = self.standing.hold();
        let handed_over = async {
            self.hand_over().await;
            self.led_by_another(limit).await;
        };
        tokio::time::timeout(limit, handed_over).await.is_ok() && !self.leads()
    }

    /// Waits for the appends on their way; new ones must be refused meanwhile.
    /// Returns when this node does not lead, or when there is nobody else who could.
    async fn hand_over(&self) {
        while !self.queue.idle() {
            tokio::time::sleep(LOOK).await;
        }
        if !self.leads() || self.successors().is_empty() {
            return;
        }
        let elections = &self.options.elections;
        // A leader is loyal to itself as others are: while it is new.
        let led_for = self.standing.leads_for().unwrap_or_default();
        tokio::time::sleep(elections.timeout_min.saturating_sub(led_for)).await;
        let _going = Going(self);
        let mut round = 0_usize;
        while self.leads() {
            let successors = self.successors();
            if successors.is_empty() {
                break;
            }
            if self.voters().len() > 3 || round > 0 {
                self.raft.runtime_config().heartbeat(false);
                tokio::time::sleep(elections.timeout_min).await;
            }
            // The second best, and so on, if the best does not answer.
            let (id, address) = &successors[round % successors.len()];
            self.standing.set_successor(Some(address.clone()));
            match self.ask_to_stand(*id, address).await {
                Ok(()) => self.led_by_another(elections.timeout_min).await,
                Err(status) => {
                    tracing::info!(successor = id, "does not take over: {}", status.message());
                }
            }
            round += 1;
        }
    }

    /// Those who could lead, the one with the longest log first.
    fn successors(&self) -> Vec<(NodeId, String)> {
        let replicated = self.raft.metrics().borrow().replication.clone();
        let replicated = replicated.unwrap_or_default();
        let voters = self.voters();
        let mut successors = self.others(|id| voters.contains(&id));
        successors.sort_by_key(|(id, _)| {
            let matching = replicated.get(id).copied().flatten();
            std::cmp::Reverse(matching.map(|log_id| log_id.index))
        });
        successors
    }

    async fn ask_to_stand(&self, id: NodeId, address: &str) -> Result<(), tonic::Status> {
        let last = self.raft.data_metrics().borrow().last_log;
        let mut client = self.peers.client(address, Lane::Log)?;
        let call = self.call_to(id, wire::encode(&last));
        let limit = self.options.elections.timeout_max;
        within(limit, client.stand_for_election(call)).await?;
        Ok(())
    }

    /// Waits until this node follows somebody, but no longer than `limit`.
    async fn led_by_another(&self, limit: Duration) {
        let id = self.options.node_id;
        let mut metrics = self.raft.server_metrics();
        let led = metrics.wait_for(|metrics| {
            metrics.state != ServerState::Leader
                && metrics.current_leader.is_some_and(|leader| leader != id)
        });
        // Either way it is looked again who leads.
        let _ = tokio::time::timeout(limit, led).await;
    }
}

/// While there is one, the node tries to hand over. It may go on leading or
/// following afterwards, whatever ended the attempt.
struct Going<'a>(&'a Node);

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.0.raft.runtime_config().heartbeat(true);
        self.0.standing.set_successor(None);
    }
}
