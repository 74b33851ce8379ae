//! The network between the processes: who may talk to which node, and how well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::peers::process_behind;

/// One process of the system under test, or this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Who {
    /// A store node, by its number.
    Node(u64),
    Ingestor(usize),
    Scorer(usize),
    /// This process, and whatever is not known.
    Suite,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node(id) => write!(f, "node {id}"),
            Self::Ingestor(index) => write!(f, "ingestor {index}"),
            Self::Scorer(index) => write!(f, "scorer {index}"),
            Self::Suite => f.write_str("the suite"),
        }
    }
}

/// How well a connection works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quality {
    Open,
    /// Every byte arrives so much later.
    Delayed(Duration),
    /// Nothing arrives, and nobody is told: packets are dropped. What was sent
    /// arrives after the end of it, as TCP sends it again.
    Held,
    /// Connections are closed, and new ones too.
    Cut,
}

/// The qualities of all connections to nodes. Clones are the same network.
#[derive(Clone)]
pub(crate) struct Links {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Process numbers of those that are running.
    running: HashMap<u32, Who>,
    qualities: HashMap<(Who, Who), watch::Sender<Quality>>,
}

impl Links {
    pub(crate) fn new() -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner::default())),
        }
    }

    /// A process has been started.
    pub(crate) fn started(&self, process: u32, who: Who) {
        self.lock().running.insert(process, who);
    }

    /// A process has ended.
    pub(crate) fn ended(&self, process: u32) {
        self.lock().running.remove(&process);
    }

    /// Sets the quality of connections that `from` makes to `to`.
    pub(crate) fn set(&self, from: Who, to: Who, quality: Quality) {
        self.lock().link(from, to).send_replace(quality);
    }

    /// Sets it in both directions; each of two nodes connects to the other.
    pub(crate) fn set_both(&self, one: Who, other: Who, quality: Quality) {
        self.set(one, other, quality);
        self.set(other, one, quality);
    }

    /// Everything is as it should be again.
    pub(crate) fn heal(&self) {
        for quality in self.lock().qualities.values() {
            quality.send_replace(Quality::Open);
        }
    }

    /// The quality of one connection, as it changes.
    pub(crate) fn follow(&self, from: Who, to: Who) -> watch::Receiver<Quality> {
        self.lock().link(from, to).subscribe()
    }

    /// Who made the connection from port `peer` to port `local`.
    pub(crate) fn identify(&self, peer: u16, local: u16) -> Who {
        let running = self.lock().running.clone();
        process_behind(peer, local, running.keys().copied())
            .and_then(|process| running.get(&process).copied())
            .unwrap_or(Who::Suite)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn link(&mut self, from: Who, to: Who) -> &watch::Sender<Quality> {
        let link = self.qualities.entry((from, to));
        link.or_insert_with(|| watch::channel(Quality::Open).0)
    }
}
