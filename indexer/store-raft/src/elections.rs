//! When this node stands for election.
//!
//! openraft's own timer is off. It has no canvass: a node that was frozen or cut
//! off would unseat a leader that everybody else still hears, and it waits for
//! the lease and then for a timeout. Here a node that has not heard a leader for
//! `timeout_min` and a random part of what is left until `timeout_max` asks the
//! others first, and stands only if a majority would vote for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use openraft::{LogId, ServerState};
use serde::{Deserialize, Serialize};
use tonic::Status;

use crate::network::within;
use crate::node::Node;
use crate::peers::Lane;
use crate::types::NodeId;
use crate::wire;

/// Answer to a canvass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Canvassed {
    /// The vote would be given.
    Yes,
    /// A leader is heard here.
    LeaderHeard,
    /// The log here is longer.
    LogBehind,
    /// Not a voter of this cluster, as far as is known here.
    NoVoter,
}

/// Stands for election when the time has come, until the node stops.
pub(crate) async fn run(node: Arc<Node>) {
    let elections = node.options.elections.clone();
    let spread = elections.timeout_max - elections.timeout_min;
    // The start counts as a sign of life, so that a restart disturbs nobody.
    let mut since = Instant::now();
    loop {
        let wait = elections.timeout_min + spread.mul_f64(random_part());
        let heard = node.standing.heard_at().map_or(since, |at| at.max(since));
        let due = heard + wait;
        let now = Instant::now();
        if due > now {
            let asleep = due - now;
            tokio::time::sleep(asleep).await;
            if now.elapsed() > asleep + elections.timeout_min / 2 {
                // This process itself was not running; others may have been heard.
                since = Instant::now();
            }
            let heard_now = node.standing.heard_at().unwrap_or(since).max(since);
            if heard_now > heard {
                continue;
            }
        }
        since = Instant::now();
        if node.may_stand() && node.canvass().await {
            tracing::info!("no leader is heard; standing for election");
            if node.raft.trigger().elect().await.is_err() {
                return;
            }
        }
    }
}

/// Between 0 and 1, different on every node and every time.
fn random_part() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let drawn = RandomState::new().hash_one(Instant::now());
    f64::from(u32::try_from(drawn >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

impl Node {
    /// Whether this node could lead and nobody is known to.
    fn may_stand(&self) -> bool {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow();
        metrics.state != ServerState::Leader
            && !self.standing.draining()
            && !self.standing.removed()
            && self.standing.ended().is_none()
            && metrics
                .membership_config
                .membership()
                .voter_ids()
                .any(|id| id == self.options.node_id)
    }

    /// What this node would answer a candidate.
    pub(crate) fn canvassed(&self, from: NodeId, last: Option<LogId<NodeId>>) -> Canvassed {
        let timeout = self.options.elections.timeout_min;
        let heard = self.standing.heard_at();
        if heard.is_some_and(|at| at.elapsed() < timeout) {
            return Canvassed::LeaderHeard;
        }
        if !self.voters().contains(&from) {
            return Canvassed::NoVoter;
        }
        let mine = self.raft.data_metrics().borrow().last_log;
        if last < mine {
            return Canvassed::LogBehind;
        }
        Canvassed::Yes
    }

    /// Whether a majority would vote for this node.
    async fn canvass(&self) -> bool {
        let membership = self.membership();
        let last = self.raft.data_metrics().borrow().last_log;
        let others = self.others(|id| self.voters().contains(&id));
        let asked = others.into_iter().map(|(id, address)| async move {
            let answer = self.ask(id, &address, last).await;
            (id, answer)
        });
        let mut asked: FuturesUnordered<_> = asked.collect();
        let mut yes = BTreeSet::from([self.options.node_id]);
        loop {
            let enough = membership
                .membership()
                .get_joint_config()
                .iter()
                .all(|config| config.intersection(&yes).count() > config.len() / 2);
            if enough {
                return true;
            }
            match asked.next().await {
                Some((id, Ok(Canvassed::Yes))) => _ = yes.insert(id),
                Some((_, Ok(Canvassed::LeaderHeard))) | None => return false,
                Some((_, Ok(Canvassed::LogBehind | Canvassed::NoVoter) | Err(_))) => {}
            }
        }
    }

    async fn ask(
        &self,
        id: NodeId,
        address: &str,
        last: Option<LogId<NodeId>>,
    ) -> Result<Canvassed, Status> {
        let mut client = self.peers.client(address, Lane::Log)?;
        let call = self.call_to(id, wire::encode(&last));
        let limit = self.options.elections.timeout_min / 2;
        let reply = within(limit, client.canvass(call)).await?;
        wire::decode(&reply.payload)
    }

    /// The leader goes and wants this node to lead: stands as soon as the log is
    /// as long as the leader's.
    pub(crate) async fn stand(
        &self,
        from: NodeId,
        last: Option<LogId<NodeId>>,
    ) -> Result<(), Status> {
        let leader = self.raft.server_metrics().borrow().current_leader;
        if leader != Some(from) {
            return Err(Status::failed_precondition(
                "asked by a node that does not lead",
            ));
        }
        let mut metrics = self.raft.data_metrics();
        let limit = self.options.elections.timeout_max;
        let caught_up = metrics.wait_for(|metrics| metrics.last_log >= last);
        let caught_up = tokio::time::timeout(limit, caught_up)
            .await
            .is_ok_and(|caught_up| caught_up.is_ok());
        if !caught_up {
            return Err(Status::failed_precondition("not caught up"));
        }
        tracing::info!(leader = from, "the leader goes; standing for election");
        let stood = self.raft.trigger().elect().await;
        stood.map_err(|error| Status::unavailable(error.to_string()))
    }
}

/// How long openraft's voters refuse others after they heard a leader: what this
/// module counts as lost, and no longer.
pub(crate) fn lease(timeout_min: Duration) -> u64 {
    u64::try_from(timeout_min.as_millis()).unwrap_or(u64::MAX)
}
