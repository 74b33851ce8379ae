//! The replicated store: openraft on sled.
//!
//! [`RaftStore`] is a node. It keeps the seams of `indexer-store`: appends go to
//! the leader, watches to any node. Nodes speak to each other over the services of
//! [`RaftStore::services`]; [`AdminClient`] forms and changes their cluster. What
//! is kept on disk is in [`disk`], [`log`] and [`snapshot`]. How it all works, and
//! what is promised, is in `docs/store-raft.md`.

mod admin;
pub mod disk;
mod elections;
mod gate;
mod handover;
pub mod log;
mod machine;
mod membership;
mod metrics;
mod network;
mod node;
mod options;
mod peers;
mod proposer;
mod service;
pub mod snapshot;
mod standing;
mod status;
mod tasks;
pub mod types;
mod watch;
mod wire;

pub use admin::{AdminClient, AdminError, ClusterStatus, MemberStatus, RefusalReason};
pub use node::{RaftStore, StartError};
pub use options::{AppendOptions, ElectionOptions, InvalidOptions, RaftOptions, WatchOptions};
pub use peers::server;
pub use status::{NodeStatus, Role};
pub use types::NodeId;
