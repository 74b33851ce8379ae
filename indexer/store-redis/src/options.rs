//! What the store can be told, and what is wrong with it.

use std::fmt;
use std::time::Duration;

use indexer_store::HistoryOptions;

mod check;

pub use check::OptionsError;
pub(crate) use check::split_address;

/// Where Redis (or Valkey) is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// One server, or a name that always leads to the master.
    Standalone {
        /// `host:port`.
        address: String,
    },
    /// The master that sentinels name.
    Sentinel {
        /// `host:port` of each sentinel.
        addresses: Vec<String>,
        /// The master's name in their configuration.
        master: String,
    },
    /// The node of a cluster that serves the prefix's slot.
    Cluster {
        /// `host:port` of some nodes; the others are learned from them.
        addresses: Vec<String>,
    },
}

/// A password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Who one is to a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The ACL user; `None` is Redis's default user.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
}

/// How connections are encrypted. Certificates and keys are PEM texts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates that servers are checked against; the system's if `None`.
    pub ca: Option<Vec<u8>>,
    /// This client's certificate chain and key, where the server asks for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

/// When checkpoints are written, and how much may wait for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// A checkpoint is due when the stream has grown by this many bytes since the
    /// last, or by that one's size if it is larger.
    pub stream_bytes_min: u64,
    /// Appends are refused when the stream would hold more bytes than this beyond
    /// the last checkpoint (or than twice that one's size, if it is larger).
    pub stream_bytes_max: u64,
    /// Size after which a piece is closed. Pieces are at most twice as large.
    pub piece_bytes: usize,
    /// How long the right to write checkpoints lasts when it is not renewed.
    pub lease: Duration,
}

impl Default for CheckpointOptions {
    fn default() -> Self {
        Self {
            stream_bytes_min: 64 << 20,
            stream_bytes_max: 1 << 30,
            piece_bytes: 128 << 10,
            lease: Duration::from_secs(30),
        }
    }
}

/// Settings of a store on Redis. Every process on one prefix must use the same
/// `history.limits`: they decide outcomes.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Where the servers are.
    pub topology: Topology,
    /// For the servers that hold the data.
    pub login: Login,
    /// For the sentinels.
    pub sentinel_login: Login,
    /// The database number; 0 in a cluster.
    pub database: u16,
    /// Set if connections are encrypted, those to sentinels too.
    pub tls: Option<TlsOptions>,
    /// What all keys begin with, in braces: `{prefix}:meta`.
    pub prefix: String,
    /// How long one command may take, and connecting.
    pub command_timeout: Duration,
    /// How long an append may take with all its retries.
    pub append_timeout: Duration,
    /// How long a watch waits for the follower to load, or to come to where its
    /// reader stands, before it ends with `Unavailable`.
    pub load_timeout: Duration,
    /// Watches end with `Unavailable` when Redis has not answered for this long.
    /// No heartbeat is given before that either, unless Redis was heard.
    pub silence_max: Duration,
    /// How long the follower waits for new entries before it asks where Redis
    /// stands. Heartbeats are as fresh as this.
    pub poll: Duration,
    /// Batches waiting to be committed; one more makes `append` wait.
    pub queue: usize,
    /// Most batches committed together.
    pub group_batches: usize,
    /// Bytes after which no further batch joins a group.
    pub group_bytes: usize,
    /// Largest batch taken, in bytes as `batch_weight` counts them.
    pub batch_bytes_max: usize,
    /// Replicas that must have a commit before it is acknowledged; 0 for none.
    pub replicas_min: u32,
    /// Checkpoints, and the stream between them.
    pub checkpoint: CheckpointOptions,
    /// The follower's state and its watchers.
    pub history: HistoryOptions,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            topology: Topology::Standalone {
                address: "localhost:6379".to_owned(),
            },
            login: Login::default(),
            sentinel_login: Login::default(),
            database: 0,
            tls: None,
            prefix: "kvatlas".to_owned(),
            command_timeout: Duration::from_secs(5),
            append_timeout: Duration::from_secs(10),
            load_timeout: Duration::from_secs(60),
            silence_max: Duration::from_secs(5),
            poll: Duration::from_millis(250),
            queue: 256,
            group_batches: 64,
            group_bytes: 4 << 20,
            batch_bytes_max: 8 << 20,
            replicas_min: 0,
            checkpoint: CheckpointOptions::default(),
            history: HistoryOptions::default(),
        }
    }
}
