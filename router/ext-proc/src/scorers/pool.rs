//! The scorers that there are, and which of them is asked next.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::join_all;
use tokio::net::lookup_host;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::node::Node;
use super::options::ScorersOptions;

/// Scorers known at a time.
const NODES: usize = 64;

/// How often scorers that are left out are looked after.
const PROBE_TICK: Duration = Duration::from_millis(50);

/// How long a name may take to be looked up.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Every scorer by address.
#[derive(Debug)]
pub(super) struct Pool {
    nodes: ArcSwap<Vec<Arc<Node>>>,
    turn: AtomicUsize,
    connect_timeout: Duration,
}

impl Pool {
    /// Those whose addresses need no looking up are there at once.
    pub(super) fn new(options: &ScorersOptions) -> Self {
        let pool = Self {
            nodes: ArcSwap::default(),
            turn: AtomicUsize::new(0),
            connect_timeout: options.connect_timeout,
        };
        let known = options
            .addresses
            .iter()
            .filter_map(|text| text.parse().ok());
        pool.replace(&known.collect());
        pool
    }

    pub(super) fn nodes(&self) -> Arc<Vec<Arc<Node>>> {
        self.nodes.load_full()
    }

    /// Whom to ask next: the better of two that take turns, among those that are
    /// not left out and not in `tried`.
    pub(super) fn choose(&self, tried: &[SocketAddr]) -> Option<Arc<Node>> {
        let nodes = self.nodes.load();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let rotated = (0..nodes.len()).map(|step| &nodes[turn.wrapping_add(step) % nodes.len()]);
        rotated
            .filter(|node| node.is_in() && !tried.contains(&node.address))
            .take(2)
            .min_by_key(|node| node.burden())
            .map(Arc::clone)
    }

    /// Looks names up, until `stop`. What a name led to stays while it leads nowhere.
    pub(super) async fn resolve(&self, options: &ScorersOptions, stop: CancellationToken) {
        let mut known: Vec<Vec<SocketAddr>> = vec![Vec::new(); options.addresses.len()];
        let mut tick = tokio::time::interval(options.resolve_interval);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let found = join_all(options.addresses.iter().map(|name| look_up(name))).await;
            for (known, found) in known.iter_mut().zip(found) {
                if let Some(found) = found {
                    *known = found;
                }
            }
            self.replace(&known.iter().flatten().copied().collect());
        }
    }

    /// Looks after scorers that are left out, until `stop`.
    pub(super) async fn probe(&self, stop: CancellationToken) {
        let probes = TaskTracker::new();
        let mut tick = tokio::time::interval(PROBE_TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            for node in self.nodes.load().iter().filter(|node| node.wants_probe()) {
                let node = Arc::clone(node);
                probes.spawn(async move { node.probe().await });
            }
        }
        probes.close();
        probes.wait().await;
    }

    /// Keeps the nodes whose addresses stay.
    fn replace(&self, addresses: &BTreeSet<SocketAddr>) {
        let old = self.nodes.load();
        let same = old.len() == addresses.len().min(NODES)
            && old.iter().all(|node| addresses.contains(&node.address));
        if same {
            return;
        }
        let nodes = addresses.iter().take(NODES).filter_map(|address| {
            let kept = old.iter().find(|node| node.address == *address);
            kept.map_or_else(
                || connect(*address, self.connect_timeout),
                |node| Some(Arc::clone(node)),
            )
        });
        let nodes: Vec<_> = nodes.collect();
        tracing::info!(scorers = nodes.len(), "scorers known");
        self.nodes.store(Arc::new(nodes));
    }
}

fn connect(address: SocketAddr, timeout: Duration) -> Option<Arc<Node>> {
    Node::new(address, timeout)
        .inspect_err(|error| tracing::error!(scorer = %address, error, "unusable address"))
        .ok()
}

async fn look_up(name: &str) -> Option<Vec<SocketAddr>> {
    let found = match tokio::time::timeout(LOOKUP_TIMEOUT, lookup_host(name)).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => {
            tracing::warn!(scorer = name, %error, "the name leads nowhere");
            Vec::new()
        }
        Err(_) => {
            tracing::warn!(scorer = name, "the name could not be looked up in time");
            Vec::new()
        }
    };
    (!found.is_empty()).then_some(found)
}
