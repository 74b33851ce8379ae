//! Section `store`: where the index is kept, and how a node of the replicated
//! store runs.

mod backend;
mod node;
mod redis;
mod tls;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) use backend::{Backend, SourceSection};
pub(crate) use node::RaftSection;
pub(crate) use redis::{RedisMode, RedisSection};
use serde::{Deserialize, Serialize};
use services_runtime::config::{ByteSize, ListenAddress, Mistakes};
pub(crate) use tls::{TlsFiles, TlsSection};

use super::Role;

/// Where `kvatlas store` keeps its data if nothing else is said.
pub(crate) const NODE_DATA: &str = "./kvatlas-data";

/// The store that is used, and the node that is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreSection {
    /// Which store the roles of this process use.
    pub(crate) backend: Backend,
    /// The nodes of a Raft store, some or all.
    pub(crate) addresses: Vec<String>,
    /// A Redis store.
    pub(crate) redis: RedisSection,
    /// Mutual TLS between nodes, ingestors and scorers.
    pub(crate) tls: TlsSection,
    /// The folder that the index is kept in. None: `./kvatlas-data` for a node;
    /// in memory only for a standalone.
    pub(crate) data: Option<PathBuf>,
    /// How much recent history is kept for readers that come back.
    pub(crate) history: ByteSize,
    /// The number of this node.
    pub(crate) node_id: Option<u64>,
    /// Where a node listens for ingestors, scorers and other nodes.
    pub(crate) listen: ListenAddress,
    /// What others reach this node by.
    pub(crate) advertise: Option<String>,
    /// Where a node listens for metrics and probes.
    pub(crate) http: ListenAddress,
    /// The nodes of the first cluster: number to address.
    pub(crate) peers: BTreeMap<String, String>,
    /// Whether the nodes of `peers` form the first cluster by themselves.
    pub(crate) bootstrap: bool,
    /// How nodes agree.
    pub(crate) raft: RaftSection,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            addresses: Vec::new(),
            redis: RedisSection::default(),
            tls: TlsSection::default(),
            data: None,
            history: ByteSize::mib(64),
            node_id: None,
            listen: ListenAddress::any(7400),
            advertise: None,
            http: ListenAddress::any(7401),
            peers: BTreeMap::new(),
            bootstrap: false,
            raft: RaftSection::default(),
        }
    }
}

impl StoreSection {
    /// The store that the roles of this process use.
    pub(crate) fn source(&self) -> SourceSection {
        SourceSection {
            cluster: None,
            backend: self.backend,
            addresses: self.addresses.clone(),
            redis: self.redis.clone(),
            tls: self.tls.clone(),
        }
    }

    /// Notes what cannot work. `several`: a scorer has a list of its own stores,
    /// and does not look here.
    pub(super) fn check(&self, role: Option<Role>, several: bool, mistakes: &mut Mistakes) {
        if self.history.bytes() < 1 << 20 {
            mistakes.push("store.history", self.history, "at least 1MiB");
        }
        match role {
            Some(Role::Store) => {
                self.check_node(mistakes);
                self.tls.check("store.tls", mistakes);
            }
            Some(Role::Epp) => {}
            Some(Role::Ingestor | Role::Scorer) if several => {}
            Some(Role::Ingestor | Role::Scorer) => self.source().check("store", false, mistakes),
            Some(Role::Standalone) => self.source().check("store", true, mistakes),
            None => {
                if self.node_id.is_some() {
                    self.check_node(mistakes);
                }
                self.source().check("store", true, mistakes);
            }
        }
    }
}
