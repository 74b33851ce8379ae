//! Watches: any node serves them, and none takes a reader back in time.
//!
//! ```text
//!  after ≤ here ─────────────────────────────▶ the history
//!  after > here ─▶ ask the leader ─ it has it ─▶ wait until it is here
//!                        │ it has not: another history ─▶ snapshot
//!                        │ no answer ─▶ Unavailable: try another node
//! ```
//!
//! Heartbeats say how fresh a reader is, so they pass only while this node knows
//! that it stands at the cluster's head.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use indexer_store::{WatchError, WatchItem, WatchStream};
use openraft::ServerState;
use proto_model::Revision;

use crate::network::within;
use crate::node::Node;
use crate::peers::Lane;

/// How long the leader may take to say what is committed.
const ASK: Duration = Duration::from_secs(5);

pub(crate) fn watch(node: Arc<Node>, after: Option<Revision>) -> WatchStream {
    let watching = Watching {
        node,
        at: At::Start(after),
    };
    Box::pin(stream::unfold(watching, |mut watching| async move {
        let item = watching.next().await?;
        if item.is_err() {
            watching.at = At::Ended;
        }
        Some((item, watching))
    }))
}

struct Watching {
    node: Arc<Node>,
    at: At,
}

enum At {
    Start(Option<Revision>),
    Open(WatchStream),
    Ended,
}

impl Watching {
    async fn next(&mut self) -> Option<Result<WatchItem, WatchError>> {
        loop {
            match &mut self.at {
                At::Ended => return None,
                At::Start(after) => {
                    let after = *after;
                    if let Err(error) = self.node.admit(after).await {
                        return Some(Err(error));
                    }
                    self.at = At::Open(self.node.history.watch(after));
                }
                At::Open(stream) => match stream.next().await? {
                    Ok(WatchItem::Heartbeat { revision, at_ms }) => {
                        match self.node.heartbeat(revision, at_ms) {
                            Ok(Some(heartbeat)) => return Some(Ok(heartbeat)),
                            Ok(None) => {}
                            Err(error) => return Some(Err(error)),
                        }
                    }
                    item => return Some(item),
                },
            }
        }
    }
}

impl Node {
    /// Returns when a watch after `after` can begin here.
    async fn admit(&self, after: Option<Revision>) -> Result<(), WatchError> {
        self.serving()?;
        let Some(after) = after else {
            return Ok(());
        };
        if after <= self.history.revision() {
            return Ok(());
        }
        let committed = self.leaders_revision().await;
        let committed = committed.map_err(|reason| WatchError::Unavailable { reason })?;
        if committed.is_none_or(|committed| committed < after) {
            // No member has it: it is of a history that is lost, or of another
            // cluster. Whatever begins anew is newer than that.
            return Ok(());
        }
        let reached = self.history.reached(after);
        let limit = self.options.watches.behind_max;
        if tokio::time::timeout(limit, reached).await.is_err() {
            return Err(WatchError::Unavailable {
                reason: format!(
                    "this node stands at revision {}, the reader at {}",
                    self.history.revision().0,
                    after.0
                ),
            });
        }
        Ok(())
    }

    /// Whether readers may begin or stay here.
    fn serving(&self) -> Result<(), WatchError> {
        match self.standing.unready(self.options.watches.contact_max) {
            None => Ok(()),
            // What is closed for good is said by the history itself.
            Some(reason) => Err(WatchError::Unavailable { reason }),
        }
    }

    /// The heartbeat as it may be given: with the time at which the state was the
    /// cluster's for certain, or not at all.
    fn heartbeat(&self, revision: Revision, at_ms: u64) -> Result<Option<WatchItem>, WatchError> {
        self.serving()?;
        let silence = self.options.history.heartbeat;
        let fresh = silence.max(self.options.elections.timeout_min);
        let head = self.standing.head().filter(|head| head.age <= fresh);
        Ok(head.map(|head| WatchItem::Heartbeat {
            revision,
            at_ms: at_ms.min(head.unix_ms),
        }))
    }

    /// What the leader has committed for certain; `None` before the history has
    /// begun. An error says why nobody can tell.
    async fn leaders_revision(&self) -> Result<Option<Revision>, String> {
        let metrics = self.raft.server_metrics().borrow().clone();
        if metrics.state == ServerState::Leader {
            return tokio::time::timeout(ASK, self.confirmed_revision())
                .await
                .map_err(|_| "no quorum answers".to_owned())?;
        }
        let leader = metrics.current_leader.ok_or("no leader is known")?;
        let address = self.address_of(leader).ok_or("no leader is known")?;
        let asked = async {
            let mut client = self.peers.client(&address, Lane::Log)?;
            let call = self.call_to(leader, bytes::Bytes::new());
            within(ASK, client.committed(call)).await
        };
        match asked.await {
            Ok(committed) => Ok(committed.revision.map(Revision)),
            Err(status) => Err(format!(
                "the leader (node {leader}) does not say what is committed: {}",
                status.message()
            )),
        }
    }

    /// At the leader: what is committed, after a quorum has confirmed that it
    /// still leads.
    pub(crate) async fn confirmed_revision(&self) -> Result<Option<Revision>, String> {
        let confirmed = Box::pin(self.raft.ensure_linearizable()).await;
        confirmed.map_err(|error| error.to_string())?;
        Ok(self.revision())
    }
}
